//! Questions to JetStream about streams.
//!
//! Owns: the JetStream domain, whether JetStream is there, which stream captures a subject, the stream of
//! ticks, and removing a stream. Never: makes any other stream.

use std::sync::OnceLock;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, HeaderMap};
use serde_json::{Value, json};

/// JetStream answers at once or is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ticks of one schedule that are kept while nobody runs them.
const MOST_TICKS: i64 = 1_000;

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

/// The server's time, by the description of a stream that is there.
pub async fn time_by(client: &Client, stream: &str) -> Option<String> {
    let question = format!("STREAM.INFO.{stream}");
    let answer: Value = context(client).request(question, &json!({})).await.ok()?;
    answer.get("ts")?.as_str().map(str::to_owned)
}

/// Makes a stream of ticks, below `prefix`, unless it is there: a few of each schedule for a day, and no
/// tick twice.
///
/// # Errors
/// When JetStream is away or refuses.
pub async fn keep_ticks(client: &Client, stream: &str, prefix: &str) -> Result<(), String> {
    let config = jetstream::stream::Config {
        name: stream.to_owned(),
        description: Some("ticks of the schedules of functions of Nex".to_owned()),
        subjects: vec![format!("{prefix}.>")],
        max_messages_per_subject: MOST_TICKS,
        max_age: Duration::from_secs(24 * 60 * 60),
        duplicate_window: Duration::from_secs(2 * 60),
        allow_direct: true,
        ..jetstream::stream::Config::default()
    };
    let kept = context(client).get_or_create_stream(config).await;
    kept.map(drop).map_err(|error| error.to_string())
}

/// The headers of the last message on `subject`, when there is one.
pub async fn last_headers(client: &Client, stream: &str, subject: &str) -> Option<HeaderMap> {
    let stream = context(client).get_stream_no_info(stream).await.ok()?;
    stream.direct_get_last_for_subject(subject).await.ok().map(|message| message.headers)
}

/// Removes a stream, or the bucket that it is behind; false when it was not there.
///
/// # Errors
/// When JetStream is away or refuses.
pub async fn remove(client: &Client, stream: &str) -> Result<bool, String> {
    use async_nats::jetstream::{ErrorCode, response::Response};
    let question = format!("STREAM.DELETE.{stream}");
    let answer: Result<Response<Value>, _> = context(client).request(question, &json!({})).await;
    match answer.map_err(|error| error.to_string())? {
        Response::Ok(_) => Ok(true),
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(false),
        Response::Err { error } => Err(error.to_string()),
    }
}

/// A stream that captures `subject`, if one does; callers of a function on such a subject would get
/// the stream's acknowledgement first.
pub async fn capturing(client: &Client, subject: &str) -> Option<String> {
    context(client).stream_by_subject(subject).await.ok()
}
