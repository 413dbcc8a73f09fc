//! Questions to JetStream about streams.
//!
//! Owns: whether JetStream is there and which stream captures a subject. Never: makes a stream.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;

/// JetStream answers at once or is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// A context with the patience that Nex has.
pub(crate) fn context(client: &Client) -> jetstream::Context {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(PATIENCE);
    context
}

/// Whether this account has JetStream.
pub async fn has_jetstream(client: &Client) -> bool {
    context(client).query_account().await.is_ok()
}

/// A stream that captures `subject`, if one does; callers of a function on such a subject would get
/// the stream's acknowledgement first.
pub async fn capturing(client: &Client, subject: &str) -> Option<String> {
    context(client).stream_by_subject(subject).await.ok()
}
