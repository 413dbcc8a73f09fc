//! A key-value bucket as a guest uses it.
//!
//! Owns: keys and revisions, times to live, and what a message of the stream means. Never: keeps what it
//! read.
//!
//! A value with a time to live replaces the key's history, since older revisions would come back when it
//! goes. Deleting forgets the history too, and where the bucket allows it the marker goes after an hour,
//! so that keys that come and go do not fill the bucket.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::message::Message;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use serde_json::{Value, json};

use super::consumer::Pass;
use super::{BucketKind, Error, NewBucket, Open, other};

/// Revisions of a key that a new bucket keeps.
const HISTORY: u32 = 5;
/// After which a deleted key leaves no trace.
const MARKER_LIFE: &str = "1h";
/// How long the server's own marker of an expired value stays; also the shortest time to live that it
/// takes for a message that replaces a history.
const EXPIRY_MARKER: Duration = Duration::from_secs(1);
/// More keys than this are not listed.
const MOST_KEYS: usize = 1_000_000;
/// From this version on, the server knows times to live of messages.
const FIRST_WITH_TTL: (u32, u32) = (2, 11);

const OPERATION: &str = "KV-Operation";
const MARKER_REASON: &str = "Nats-Marker-Reason";
const TTL: &str = "Nats-TTL";
const ROLLUP: &str = "Nats-Rollup";
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

/// One revision of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct KvEntry {
    pub key: String,
    pub value: Bytes,
    pub revision: u64,
    pub is_deleted: bool,
}

/// An open bucket.
#[derive(Debug, Clone)]
pub struct KvBucket {
    open: Open,
}

impl KvBucket {
    /// Opens a bucket that is there.
    ///
    /// # Errors
    /// When it is not, or JetStream does not answer.
    pub async fn open(client: &Client, bucket: &str) -> Result<Self, Error> {
        Ok(Self { open: Open::open(client, BucketKind::KeyValue, bucket).await? })
    }

    /// Opens a bucket, or makes it.
    ///
    /// # Errors
    /// When JetStream refuses or does not answer.
    pub async fn open_or_make(
        client: &Client,
        bucket: &str,
        new: &NewBucket,
    ) -> Result<Self, Error> {
        let with_ttl = has_ttl(&client.server_info().version);
        let make = || stream_config(bucket, new, with_ttl);
        Ok(Self { open: Open::open_or_make(client, BucketKind::KeyValue, bucket, make).await? })
    }

    /// The largest value that it takes, if it has a limit.
    #[must_use]
    pub fn max_value(&self) -> Option<usize> {
        usize::try_from(self.open.config.max_msg_size).ok().filter(|size| *size > 0)
    }

    /// The latest revision of `key`, also when that is its deletion.
    ///
    /// # Errors
    /// When the bucket is gone, or JetStream does not answer.
    pub async fn last(&self, key: &str) -> Result<Option<KvEntry>, Error> {
        let subject = self.subject(key);
        let found = self.open.bounded(self.read_last(subject)).await?;
        Ok(found.map(|(revision, headers, value)| KvEntry {
            key: key.to_owned(),
            value,
            revision,
            is_deleted: is_marker(&headers),
        }))
    }

    /// Writes `key`, if its last revision is `expected` (0: there is none) where that is given.
    ///
    /// # Errors
    /// [`Error::NotLatest`] when it is another, [`Error::NoTtl`] when the bucket takes no times to live.
    pub async fn put(
        &self,
        key: &str,
        value: Bytes,
        expected: Option<u64>,
        ttl: Option<Duration>,
    ) -> Result<u64, Error> {
        let mut headers = expecting(expected);
        if let Some(ttl) = ttl {
            self.refuse_without_ttl()?;
            headers.insert(TTL, format!("{}s", whole_seconds(ttl)));
            headers.insert(ROLLUP, "sub");
        }
        self.open.publish(&self.subject(key), headers, value).await
    }

    /// Marks `key` as deleted and forgets its history.
    ///
    /// # Errors
    /// [`Error::NotLatest`] when its last revision is not `expected`.
    pub async fn delete(&self, key: &str, expected: Option<u64>) -> Result<u64, Error> {
        let mut headers = expecting(expected);
        headers.insert(OPERATION, "PURGE");
        headers.insert(ROLLUP, "sub");
        if self.open.config.allow_msg_ttl {
            headers.insert(TTL, MARKER_LIFE);
        }
        self.open.publish(&self.subject(key), headers, Bytes::new()).await
    }

    /// All keys that match `filter` (as in a subject) and begin with `prefix`, in order.
    ///
    /// # Errors
    /// When there are too many, the bucket is gone or JetStream does not answer.
    pub async fn keys(&self, filter: &str, prefix: &str) -> Result<Vec<String>, Error> {
        let own = self.subject("");
        let mut keys = Vec::new();
        let filter = self.subject(filter);
        let pass =
            Pass { filter: &filter, from: DeliverPolicy::LastPerSubject, headers_only: true };
        self.open
            .pass(pass, |message| {
                let key = message.subject.strip_prefix(own.as_str());
                let is_gone = message.headers.as_ref().is_some_and(is_marker);
                let Some(key) = key.filter(|key| !is_gone && key.starts_with(prefix)) else {
                    return Ok(());
                };
                if keys.len() >= MOST_KEYS {
                    let reason = format!("it has more than {MOST_KEYS} keys; list with a prefix");
                    return Err(other(&self.open.bucket, &reason));
                }
                keys.push(key.to_owned());
                Ok(())
            })
            .await?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// The revisions of `key` that are left, oldest first.
    ///
    /// # Errors
    /// When the bucket is gone or JetStream does not answer.
    pub async fn history(&self, key: &str) -> Result<Vec<KvEntry>, Error> {
        let filter = self.subject(key);
        let mut entries = Vec::new();
        let pass = Pass { filter: &filter, from: DeliverPolicy::All, headers_only: false };
        self.open
            .pass(pass, |message| {
                entries.push(self.entry(message)?);
                Ok(())
            })
            .await?;
        Ok(entries)
    }

    /// The first change of what matches `filter` after `revision`, now or later.
    ///
    /// # Errors
    /// When the bucket is gone or JetStream does not answer.
    pub async fn next_change(&self, filter: &str, revision: u64) -> Result<KvEntry, Error> {
        let filter = self.subject(filter);
        let from = DeliverPolicy::ByStartSequence { start_sequence: revision.saturating_add(1) };
        let message = self.open.first(Pass { filter: &filter, from, headers_only: false }).await?;
        self.entry(&message)
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.open.bucket)
    }

    fn entry(&self, message: &Message) -> Result<KvEntry, Error> {
        let info = message.info().map_err(|error| other(&self.open.bucket, &error))?;
        let key = message.subject.strip_prefix(self.subject("").as_str()).unwrap_or_default();
        Ok(KvEntry {
            key: key.to_owned(),
            value: message.payload.clone(),
            revision: info.stream_sequence,
            is_deleted: message.headers.as_ref().is_some_and(is_marker),
        })
    }

    async fn read_last(&self, subject: String) -> Result<Option<(u64, HeaderMap, Bytes)>, Error> {
        let bucket = &self.open.bucket;
        if !self.open.config.allow_direct {
            return match self.open.stream.get_last_raw_message_by_subject(&subject).await {
                Ok(found) => Ok(Some((found.sequence, found.headers, found.payload))),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(other(bucket, &error)),
            };
        }
        match self.open.stream.direct_get_last_for_subject(subject).await {
            Ok(found) => Ok(Some((found.sequence, found.headers, found.payload))),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) if says_nobody(&error) => Err(Error::NoBucket { bucket: bucket.clone() }),
            Err(error) => Err(other(bucket, &error)),
        }
    }

    fn refuse_without_ttl(&self) -> Result<(), Error> {
        if self.open.config.allow_msg_ttl {
            return Ok(());
        }
        let version = &self.open.client.server_info().version;
        let reason = if has_ttl(version) {
            "it was made without them (allow_msg_ttl)".to_owned()
        } else {
            format!("nats-server {version} does not know them, from 2.11 on it does")
        };
        Err(Error::NoTtl { bucket: self.open.bucket.clone(), reason })
    }
}

/// Whether nobody hears questions to this stream: it is gone.
pub(super) fn says_nobody(error: &dyn std::error::Error) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("no responders") {
            return true;
        }
        source = error.source();
    }
    false
}

fn expecting(revision: Option<u64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(revision) = revision {
        headers.insert(EXPECTED, revision.to_string());
    }
    headers
}

/// A deletion, a purge, or the server's own note that a value has expired.
fn is_marker(headers: &HeaderMap) -> bool {
    headers.get(OPERATION).is_some_and(|operation| operation.as_str() != "PUT")
        || headers.get(MARKER_REASON).is_some()
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn has_ttl(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= FIRST_WITH_TTL
}

fn stream_config(bucket: &str, new: &NewBucket, with_ttl: bool) -> Value {
    let mut config = json!({
        "name": format!("KV_{bucket}"),
        "description": new.description,
        "subjects": [format!("$KV.{bucket}.>")],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_bytes": new.max_bytes,
        "max_msgs": -1,
        "max_consumers": -1,
        "max_msg_size": -1,
        "max_age": 0,
        "max_msgs_per_subject": HISTORY,
        "num_replicas": 1,
        "duplicate_window": 120_000_000_000_u64,
        "allow_rollup_hdrs": true,
        "deny_delete": true,
        "allow_direct": true,
    });
    if with_ttl && let Value::Object(config) = &mut config {
        let marker = u64::try_from(EXPIRY_MARKER.as_nanos()).unwrap_or(u64::MAX);
        config.insert("allow_msg_ttl".to_owned(), json!(true));
        config.insert("subject_delete_marker_ttl".to_owned(), json!(marker));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live_need_a_server_that_knows_them() {
        assert!(has_ttl("2.11.0") && has_ttl("2.14.3-RC.1") && has_ttl("3.0.0"));
        assert!(!has_ttl("2.10.27") && !has_ttl(""));
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
    }
}
