//! A whole bucket at one moment: every key with its value and its age by the server's clock.
//!
//! Owns: one ordered pass over the last value of each key. Never: writes; the clock of this machine
//! plays no part.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use bytes::Bytes;
use futures::StreamExt;
use nex_api::Time;
use serde::Deserialize;

use crate::streams::context;

/// A pass over some thousand keys takes milliseconds.
const PASS_BOUND: Duration = Duration::from_secs(5);
/// From one value to the next.
const STALL: Duration = Duration::from_millis(500);
/// JetStream's code for a stream that is not there.
const STREAM_NOT_FOUND: u64 = 10059;
/// How it marks a key that was deleted or purged.
const OPERATION_HEADER: &str = "KV-Operation";

/// A bucket that could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SnapshotError {
    #[error("bucket {0} does not exist")]
    NoBucket(String),
    #[error("NATS has no JetStream here")]
    NoJetStream,
    #[error("bucket {bucket} was not read within 5s")]
    TooSlow { bucket: String },
    #[error("bucket {bucket}: {reason}")]
    Other { bucket: String, reason: String },
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its last value.
    pub value: Bytes,
    /// How long ago it was written, by the server's clock.
    pub age: Duration,
    /// What an update must name.
    pub revision: u64,
}

/// The keys of `bucket` that match `filter` (`>` for all), in the order of their last writes.
///
/// # Errors
/// When the bucket or JetStream is not there, or does not answer in time.
pub async fn snapshot(
    client: &Client,
    bucket: &str,
    filter: &str,
) -> Result<Vec<Entry>, SnapshotError> {
    let read = async {
        let state = ask_state(client, bucket).await?;
        if state.n_messages == 0 {
            return Ok(Vec::new());
        }
        pass(client, bucket, filter, state.now).await
    };
    match tokio::time::timeout(PASS_BOUND, read).await {
        Ok(entries) => entries,
        Err(_) => Err(SnapshotError::TooSlow { bucket: bucket.to_owned() }),
    }
}

/// The buckets whose names begin with `prefix`.
///
/// # Errors
/// When JetStream is not there or does not answer.
pub async fn buckets(client: &Client, prefix: &str) -> Result<Vec<String>, SnapshotError> {
    let whole = format!("KV_{prefix}");
    let mut names = context(client).stream_names();
    let mut found = Vec::new();
    while let Some(name) = names.next().await {
        match name {
            Ok(name) if name.starts_with(&whole) => {
                found.push(name.trim_start_matches("KV_").to_owned());
            }
            Ok(_) => {}
            Err(error) => return Err(other(prefix, &error)),
        }
    }
    Ok(found)
}

struct State {
    n_messages: u64,
    now: Time,
}

/// How full the bucket is and what time the server has. The library leaves the time out.
async fn ask_state(client: &Client, bucket: &str) -> Result<State, SnapshotError> {
    #[derive(Deserialize)]
    struct Reply {
        error: Option<ReplyError>,
        state: Option<ReplyState>,
        ts: Option<Time>,
    }
    #[derive(Deserialize)]
    struct ReplyError {
        err_code: u64,
        description: String,
    }
    #[derive(Deserialize)]
    struct ReplyState {
        messages: u64,
    }
    let subject = format!("$JS.API.STREAM.INFO.KV_{bucket}");
    let request = crate::request(Bytes::new(), PASS_BOUND);
    let reply =
        client.send_request(subject, request).await.map_err(|error| match error.kind() {
            async_nats::RequestErrorKind::NoResponders => SnapshotError::NoJetStream,
            _ => other(bucket, &error),
        })?;
    let reply: Reply =
        serde_json::from_slice(&reply.payload).map_err(|error| other(bucket, &error))?;
    match reply {
        Reply { error: Some(error), .. } if error.err_code == STREAM_NOT_FOUND => {
            Err(SnapshotError::NoBucket(bucket.to_owned()))
        }
        Reply { error: Some(error), .. } => {
            Err(SnapshotError::Other { bucket: bucket.to_owned(), reason: error.description })
        }
        Reply { state, ts, .. } => Ok(State {
            n_messages: state.map_or(0, |state| state.messages),
            // Servers before 2.10 do not tell; then the machine's own clock has to do.
            now: ts.unwrap_or_else(Time::now),
        }),
    }
}

async fn pass(
    client: &Client,
    bucket: &str,
    filter: &str,
    now: Time,
) -> Result<Vec<Entry>, SnapshotError> {
    let prefix = format!("$KV.{bucket}.");
    let stream = context(client)
        .get_stream_no_info(format!("KV_{bucket}"))
        .await
        .map_err(|error| other(bucket, &error))?;
    let config = OrderedConfig {
        deliver_subject: client.new_inbox(),
        deliver_policy: DeliverPolicy::LastPerSubject,
        filter_subject: format!("{prefix}{filter}"),
        replay_policy: ReplayPolicy::Instant,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(|error| other(bucket, &error))?;
    let mut n_left = consumer.cached_info().num_pending;
    let mut messages = consumer.messages().await.map_err(|error| other(bucket, &error))?;
    let mut entries = Vec::new();
    while n_left > 0 {
        // The last ones may have been removed since they were counted.
        let Ok(Some(message)) = tokio::time::timeout(STALL, messages.next()).await else { break };
        let message = message.map_err(|error| other(bucket, &error))?;
        let info = message.info().map_err(|reason| SnapshotError::Other {
            bucket: bucket.to_owned(),
            reason: reason.to_string(),
        })?;
        n_left = info.pending;
        let is_marker = message.headers.as_ref().is_some_and(|h| h.get(OPERATION_HEADER).is_some());
        let Some(key) = message.subject.strip_prefix(&prefix).filter(|_| !is_marker) else {
            continue;
        };
        let written = Time::from_unix_nanos(info.published.unix_timestamp_nanos());
        entries.push(Entry {
            key: key.to_owned(),
            value: message.payload.clone(),
            age: now.since(written),
            revision: info.stream_sequence,
        });
    }
    Ok(entries)
}

fn other(bucket: &str, error: &dyn std::error::Error) -> SnapshotError {
    SnapshotError::Other { bucket: bucket.to_owned(), reason: error.to_string() }
}
