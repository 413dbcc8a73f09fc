//! Key-value buckets of JetStream, every question bounded in time.
//!
//! Owns: making a bucket, reading all of it at once, and telling "JetStream is away" from "the bucket is
//! gone". Never: knows what stands in a value.

mod revisions;

use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::context::{GetStreamErrorKind, KeyValueErrorKind};
use async_nats::jetstream::kv::{self, Operation, Store};
use bytes::Bytes;
use futures::StreamExt;

use crate::streams::context;

pub use revisions::Written;

/// JetStream acknowledges within this, or the caller is told that it did not.
pub const ACK_BOUND: Duration = Duration::from_secs(2);
/// While all entries are read, the next one comes within this.
const NEXT_ENTRY_BOUND: Duration = Duration::from_secs(2);
/// More entries than this are no bucket of ours.
const MOST_ENTRIES: u64 = 1_000_000;

/// A bucket that could not be asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("the connection to NATS is down")]
    Disconnected,
    #[error("bucket {bucket}: JetStream did not answer within {}s", ACK_BOUND.as_secs())]
    TooSlow { bucket: String },
    #[error("bucket {bucket} does not exist")]
    NoBucket { bucket: String },
    #[error("bucket {bucket} has {entries} entries, more than can be read")]
    TooMany { bucket: String, entries: u64 },
    #[error("bucket {bucket}: {reason}")]
    Other { bucket: String, reason: String },
}

/// What a new bucket is like; one that is there is used as it is.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Config {
    pub bucket: String,
    pub description: String,
    pub max_bytes: i64,
    pub max_value_size: i32,
    /// How long an entry stays; zero means for ever.
    pub max_age: Duration,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Entry {
    pub key: String,
    pub value: Bytes,
    pub revision: u64,
}

/// An open bucket; clones share it.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    store: Store,
    /// Whether it had to be made just now.
    pub was_created: bool,
}

impl Bucket {
    /// Opens a bucket that is there.
    ///
    /// # Errors
    /// [`Error::NoBucket`] when it is not.
    pub async fn open(client: &Client, bucket: &str) -> Result<Self, Error> {
        let opening = async {
            let context = context(client);
            match context.get_key_value(bucket).await {
                Ok(store) => Ok(Self { client: client.clone(), store, was_created: false }),
                Err(error) if error.kind() == KeyValueErrorKind::InvalidStoreName => {
                    Err(other(bucket, &"it is no key-value bucket"))
                }
                Err(error) => match context.get_stream(format!("KV_{bucket}")).await {
                    Err(stream) if matches!(stream.kind(), GetStreamErrorKind::JetStream(_)) => {
                        Err(Error::NoBucket { bucket: bucket.to_owned() })
                    }
                    _ => Err(other(bucket, &error)),
                },
            }
        };
        bounded(client, bucket, ACK_BOUND * 2, opening).await
    }

    /// Opens a bucket, or makes it: history 1, on disk, one replica.
    ///
    /// # Errors
    /// When JetStream is away or refuses.
    pub async fn open_or_create(client: &Client, config: &Config) -> Result<Self, Error> {
        match Self::open(client, &config.bucket).await {
            Err(Error::NoBucket { .. }) => {}
            opened => return opened,
        }
        let wanted = kv::Config {
            bucket: config.bucket.clone(),
            description: config.description.clone(),
            history: 1,
            max_bytes: config.max_bytes,
            max_value_size: config.max_value_size,
            max_age: config.max_age,
            num_replicas: 1,
            ..kv::Config::default()
        };
        let creating = async {
            let created = context(client).create_key_value(wanted).await;
            created.map_err(|error| other(&config.bucket, &error))
        };
        match bounded(client, &config.bucket, ACK_BOUND * 2, creating).await {
            Ok(store) => Ok(Self { client: client.clone(), store, was_created: true }),
            // Somebody else may have made it at the same time, a little differently.
            Err(error) => Self::open(client, &config.bucket).await.map_err(|_| error),
        }
    }

    /// The largest value that it takes, if it has a limit.
    #[must_use]
    pub fn max_value_size(&self) -> Option<usize> {
        usize::try_from(self.store.stream.cached_info().config.max_message_size)
            .ok()
            .filter(|size| *size > 0)
    }

    /// Whether it is still there.
    ///
    /// # Errors
    /// When it is not, or JetStream does not answer.
    pub async fn check(&self) -> Result<(), Error> {
        Self::open(&self.client, self.name()).await.map(|_| ())
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// When JetStream does not answer in time.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let asked = async { self.store.get(key).await.map_err(|error| self.failed(&error)) };
        bounded(&self.client, self.name(), ACK_BOUND, asked).await
    }

    /// Writes `key`; the server has it when this returns.
    ///
    /// # Errors
    /// When JetStream does not acknowledge in time. It may have the value all the same.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<u64, Error> {
        let put = async { self.store.put(key, value).await.map_err(|error| self.failed(&error)) };
        bounded(&self.client, self.name(), ACK_BOUND, put).await
    }

    /// Removes `key` and its history; one that is not there is fine.
    ///
    /// # Errors
    /// When JetStream does not acknowledge in time. It may be gone all the same.
    pub async fn purge(&self, key: &str) -> Result<(), Error> {
        let purge = async { self.store.purge(key).await.map_err(|error| self.failed(&error)) };
        bounded(&self.client, self.name(), ACK_BOUND, purge).await
    }

    /// All entries with their values, in one pass of one consumer.
    ///
    /// # Errors
    /// When JetStream does not answer in time, or falls silent in the middle.
    pub async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let status = async { self.store.status().await.map_err(|error| self.failed(&error)) };
        let left = bounded(&self.client, self.name(), ACK_BOUND, status).await?.values();
        if left > MOST_ENTRIES {
            return Err(Error::TooMany { bucket: self.name().to_owned(), entries: left });
        }
        if left == 0 {
            return Ok(Vec::new());
        }
        let watch =
            async { self.store.watch_with_history(">").await.map_err(|error| self.failed(&error)) };
        let mut watch = bounded(&self.client, self.name(), ACK_BOUND, watch).await?;
        let mut entries = Vec::new();
        loop {
            let next = async { watch.next().await.transpose().map_err(|e| self.failed(&e)) };
            let Some(entry) = bounded(&self.client, self.name(), NEXT_ENTRY_BOUND, next).await?
            else {
                return Err(other(self.name(), &"it fell silent"));
            };
            let is_last = entry.seen_current;
            if entry.operation == Operation::Put {
                let kv::Entry { key, value, revision, .. } = entry;
                entries.push(Entry { key, value, revision });
            }
            if is_last {
                return Ok(entries);
            }
        }
    }

    fn name(&self) -> &str {
        &self.store.name
    }

    fn failed(&self, error: &dyn std::error::Error) -> Error {
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        other(self.name(), &reason)
    }
}

async fn bounded<T>(
    client: &Client,
    bucket: &str,
    bound: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    // While the connection is down, the client would keep the question and send it much later.
    if client.connection_state() != State::Connected {
        return Err(Error::Disconnected);
    }
    match tokio::time::timeout(bound, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::TooSlow { bucket: bucket.to_owned() }),
    }
}

fn other(bucket: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Other { bucket: bucket.to_owned(), reason: reason.to_string() }
}
