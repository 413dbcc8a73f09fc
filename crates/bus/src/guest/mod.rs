//! Buckets as guests use them: streams that are made on first use and asked with small questions.
//!
//! Owns: opening and making the streams behind key-value and object buckets, and telling apart why
//! JetStream refuses. Never: decides which bucket a guest may name; every question is bounded in time.

mod consumer;
mod kv;
mod objects;

use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::streams::{api_subject, context};

pub use kv::{KvBucket, KvEntry};
pub use objects::{Object, ObjectBucket};

/// JetStream answers within this, or the guest is told that it did not.
const ANSWER_BOUND: Duration = Duration::from_secs(5);

/// JetStream's codes.
const STREAM_NOT_FOUND: u64 = 10059;
const STREAM_NAME_IN_USE: u64 = 10058;
const WRONG_LAST_SEQUENCE: u64 = 10071;
const MESSAGE_TOO_LARGE: u64 = 10054;
const STORE_FAILED: u64 = 10077;
const RESOURCES_EXCEEDED: [u64; 4] = [10002, 10023, 10028, 10047];
const TTL_DISABLED: [u64; 2] = [10165, 10166];

/// Why a bucket did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("NATS has no JetStream here")]
    NoJetStream,
    #[error("bucket {bucket} does not exist")]
    NoBucket { bucket: String },
    #[error("the revision is not the latest")]
    NotLatest,
    #[error("bucket {bucket} is full: {reason}")]
    Full { bucket: String, reason: String },
    #[error("the value is too large for bucket {bucket}: {reason}")]
    TooLarge { bucket: String, reason: String },
    #[error("bucket {bucket} takes no times to live: {reason}")]
    NoTtl { bucket: String, reason: String },
    #[error("bucket {bucket}: JetStream did not answer within {}s", ANSWER_BOUND.as_secs())]
    TooSlow { bucket: String },
    #[error("bucket {bucket}: {reason}")]
    Other { bucket: String, reason: String },
}

/// What a bucket is made like on first use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct NewBucket {
    pub description: String,
    pub max_bytes: u64,
}

/// The two kinds of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BucketKind {
    /// Entries.
    KeyValue,
    /// Objects.
    Objects,
}

impl BucketKind {
    /// What JetStream's streams of this kind begin with.
    #[must_use]
    pub fn stream_prefix(self) -> &'static str {
        match self {
            Self::KeyValue => "KV_",
            Self::Objects => "OBJ_",
        }
    }
}

/// A bucket in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Listed {
    pub bucket: String,
    pub kind: BucketKind,
    pub bytes: u64,
    pub messages: u64,
}

/// The buckets whose names begin with `prefix`, in order of their names.
///
/// # Errors
/// When JetStream is not there or does not answer.
pub async fn list(client: &Client, prefix: &str) -> Result<Vec<Listed>, Error> {
    use futures::StreamExt;
    let mut found = Vec::new();
    let context = context(client);
    let mut streams = context.streams();
    while let Some(info) = streams.next().await {
        let info = info.map_err(|error| other(prefix, &error))?;
        let name = info.config.name.as_str();
        let kinds = [BucketKind::KeyValue, BucketKind::Objects];
        let bucket = kinds.into_iter().find_map(|kind| {
            let bucket = name.strip_prefix(kind.stream_prefix())?;
            bucket.starts_with(prefix).then(|| (kind, bucket.to_owned()))
        });
        let Some((kind, bucket)) = bucket else { continue };
        let (bytes, messages) = (info.state.bytes, info.state.messages);
        found.push(Listed { bucket, kind, bytes, messages });
    }
    found.sort_by(|one, other| (&one.bucket, one.kind).cmp(&(&other.bucket, other.kind)));
    Ok(found)
}

/// Removes a bucket with all that is in it.
///
/// # Errors
/// When it is not there, or JetStream refuses.
pub async fn remove(client: &Client, kind: BucketKind, bucket: &str) -> Result<(), Error> {
    let question = format!("STREAM.DELETE.{}{bucket}", kind.stream_prefix());
    ask(client, bucket, &question, &json!({})).await.map(|_| ())
}

/// An open stream of a bucket.
#[derive(Debug, Clone)]
struct Open {
    client: Client,
    bucket: String,
    stream: Stream<()>,
    config: StreamConfig,
}

/// What matters of a stream's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct StreamConfig {
    allow_direct: bool,
    allow_msg_ttl: bool,
    max_msg_size: i64,
}

impl Open {
    async fn open(client: &Client, kind: BucketKind, bucket: &str) -> Result<Self, Error> {
        let name = format!("{}{bucket}", kind.stream_prefix());
        let info = ask(client, bucket, &format!("STREAM.INFO.{name}"), &json!({})).await?;
        let config = info.get("config").cloned().unwrap_or_default();
        let config = serde_json::from_value(config).map_err(|error| other(bucket, &error))?;
        let stream = context(client).get_stream_no_info(name).await;
        let stream = stream.map_err(|error| other(bucket, &error))?;
        Ok(Self { client: client.clone(), bucket: bucket.to_owned(), stream, config })
    }

    /// Opens the bucket, or makes it as `make` tells.
    async fn open_or_make(
        client: &Client,
        kind: BucketKind,
        bucket: &str,
        make: impl Fn() -> Value,
    ) -> Result<Self, Error> {
        match Self::open(client, kind, bucket).await {
            Err(Error::NoBucket { .. }) => {}
            opened => return opened,
        }
        let question = format!("STREAM.CREATE.{}{bucket}", kind.stream_prefix());
        match ask(client, bucket, &question, &make()).await {
            // Another copy made it at the same time, a little differently.
            Ok(_) | Err(Error::NotLatest) => {}
            Err(error) => return Err(error),
        }
        Self::open(client, kind, bucket).await
    }

    /// Publishes into the stream, and returns the sequence that JetStream acknowledged.
    async fn publish(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, Error> {
        let request = crate::request(payload, ANSWER_BOUND).headers(headers);
        let answer = self.client.send_request(in_domain(subject), request).await;
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        let answer = read_answer(&self.bucket, &answer.payload)?;
        answer.get("seq").and_then(Value::as_u64).ok_or_else(|| Error::Other {
            bucket: self.bucket.clone(),
            reason: "what was published was not stored".to_owned(),
        })
    }

    fn unanswered(&self, error: &async_nats::RequestError) -> Error {
        unanswered(&self.bucket, error, || Error::NoBucket { bucket: self.bucket.clone() })
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout(ANSWER_BOUND, work).await {
            Ok(done) => done,
            Err(_) => Err(Error::TooSlow { bucket: self.bucket.clone() }),
        }
    }
}

/// Where a stream of this process's domain hears `subject`.
fn in_domain(subject: &str) -> String {
    let through = api_subject(subject);
    match through.strip_prefix("$JS.API.") {
        Some(plain) => plain.to_owned(),
        None => through,
    }
}

/// Asks JetStream's API.
async fn ask(client: &Client, bucket: &str, question: &str, body: &Value) -> Result<Value, Error> {
    let request = crate::request(body.to_string().into(), ANSWER_BOUND);
    let answer = client.send_request(api_subject(question), request).await;
    let answer = answer.map_err(|error| unanswered(bucket, &error, || Error::NoJetStream))?;
    read_answer(bucket, &answer.payload)
}

fn unanswered(
    bucket: &str,
    error: &async_nats::RequestError,
    nobody: impl FnOnce() -> Error,
) -> Error {
    match error.kind() {
        async_nats::RequestErrorKind::NoResponders => nobody(),
        async_nats::RequestErrorKind::TimedOut => Error::TooSlow { bucket: bucket.to_owned() },
        _ => other(bucket, error),
    }
}

fn read_answer(bucket: &str, payload: &[u8]) -> Result<Value, Error> {
    let answer: Value = serde_json::from_slice(payload).map_err(|error| other(bucket, &error))?;
    let Some(refusal) = answer.get("error") else { return Ok(answer) };
    let code = refusal.get("err_code").and_then(Value::as_u64).unwrap_or_default();
    let reason = refusal.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let bucket = bucket.to_owned();
    Err(match code {
        STREAM_NOT_FOUND => Error::NoBucket { bucket },
        WRONG_LAST_SEQUENCE | STREAM_NAME_IN_USE => Error::NotLatest,
        MESSAGE_TOO_LARGE => Error::TooLarge { bucket, reason },
        STORE_FAILED => Error::Full { bucket, reason },
        code if RESOURCES_EXCEEDED.contains(&code) => Error::Full { bucket, reason },
        code if TTL_DISABLED.contains(&code) => Error::NoTtl { bucket, reason },
        _ => Error::Other { bucket, reason },
    })
}

fn other(bucket: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Other { bucket: bucket.to_owned(), reason: reason.to_string() }
}
