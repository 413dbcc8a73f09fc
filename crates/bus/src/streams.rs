//! Questions to JetStream about streams.
//!
//! Owns: the JetStream domain, whether JetStream is there and which stream captures a subject. Never:
//! makes a stream.

use std::sync::OnceLock;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;
use serde_json::{Value, json};

/// JetStream answers at once or is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The domain that this process was told to use. A process acts for one configuration, and a
/// connection has no place to carry it.
static DOMAIN: OnceLock<String> = OnceLock::new();

/// From now on, JetStream of this domain is meant; the first call counts.
pub fn use_domain(domain: &str) {
    if !domain.is_empty() {
        let _first_wins = DOMAIN.set(domain.to_owned());
    }
}

/// A context with the patience that Nex has, in the domain of this process.
pub(crate) fn context(client: &Client) -> jetstream::Context {
    let mut context = match DOMAIN.get() {
        Some(domain) => jetstream::with_domain(client.clone(), domain),
        None => jetstream::new(client.clone()),
    };
    context.set_timeout(PATIENCE);
    context
}

/// The subject of a question to JetStream, in the domain of this process.
pub(crate) fn api_subject(question: &str) -> String {
    match DOMAIN.get() {
        Some(domain) => format!("$JS.{domain}.API.{question}"),
        None => format!("$JS.API.{question}"),
    }
}

/// Whether this account has JetStream.
pub async fn has_jetstream(client: &Client) -> bool {
    context(client).query_account().await.is_ok()
}

/// The server's time, as it stands beside the description of a stream; none when there is no stream.
pub async fn server_time(client: &Client) -> Option<String> {
    let answer: Value = context(client).request("STREAM.LIST", &json!({})).await.ok()?;
    answer.pointer("/streams/0/ts")?.as_str().map(str::to_owned)
}

/// A stream that captures `subject`, if one does; callers of a function on such a subject would get
/// the stream's acknowledgement first.
pub async fn capturing(client: &Client, subject: &str) -> Option<String> {
    context(client).stream_by_subject(subject).await.ok()
}
