//! A whole bucket at one moment: every key with its value and its age by the server's clock.
//!
//! Owns: how a bucket is read, the last value of each key. Never: writes; the clock of this machine
//! plays no part.
//!
//! A bucket is read in pages by direct gets, which leave nothing behind on the server. Any replica may
//! answer those, also one that has not heard of the last write yet; so a bucket with several replicas
//! is read through a consumer, at its leader, and with one replica what was acknowledged is seen.
//! (A mirror with `mirror_direct` would answer too; Nex makes none.)

mod pages;
mod pass;

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use futures::StreamExt;
use nex_api::Time;
use serde::Deserialize;

use crate::streams::{api_subject, context};

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
        let has_pages = state.allow_direct && state.n_replicas <= 1;
        if has_pages && let Some(entries) = pages::read(client, bucket, filter, state.now).await {
            return Ok(entries);
        }
        pass::read(client, bucket, filter, state.now).await
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
    n_replicas: u64,
    /// Whether it takes direct gets.
    allow_direct: bool,
    now: Time,
}

/// How full the bucket is and what time the server has. The library leaves the time out.
async fn ask_state(client: &Client, bucket: &str) -> Result<State, SnapshotError> {
    #[derive(Deserialize)]
    struct Reply {
        error: Option<ReplyError>,
        config: Option<ReplyConfig>,
        state: Option<ReplyState>,
        ts: Option<Time>,
    }
    #[derive(Deserialize)]
    struct ReplyError {
        err_code: u64,
        description: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ReplyConfig {
        num_replicas: u64,
        allow_direct: bool,
    }
    #[derive(Deserialize)]
    struct ReplyState {
        messages: u64,
    }
    let subject = api_subject(&format!("STREAM.INFO.KV_{bucket}"));
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
        Reply { state, config, ts, .. } => {
            let config = config.unwrap_or_default();
            Ok(State {
                n_messages: state.map_or(0, |state| state.messages),
                n_replicas: config.num_replicas,
                allow_direct: config.allow_direct,
                // Servers before 2.10 do not tell; then the machine's own clock has to do.
                now: ts.unwrap_or_else(Time::now),
            })
        }
    }
}

fn other(bucket: &str, error: &dyn std::error::Error) -> SnapshotError {
    SnapshotError::Other { bucket: bucket.to_owned(), reason: error.to_string() }
}
