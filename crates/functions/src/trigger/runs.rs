//! What is remembered of messages that did not go well at once, so that it survives a nexlet.
//!
//! Owns: the records of one trigger, in the bucket of its namespace. Never: written for a message that goes
//! well the first time.
//!
//! While the bucket cannot be read nothing is known of a message, and its delivery count alone bounds it.

use std::time::Duration;

use nex_bus::Client;
use nex_bus::kv::{Bucket, Config};
use tokio::sync::OnceCell;

use super::verdict::Record;

/// A message that is not delivered again within this is over.
const AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bound of one namespace's records.
const MAX_BYTES: i64 = 16 * 1024 * 1024;

/// The records of one trigger.
#[derive(Debug)]
pub(crate) struct Runs {
    name: String,
    prefix: String,
    bucket: OnceCell<Bucket>,
}

impl Runs {
    /// Made on the server when it is first needed.
    pub(crate) fn new(bucket: String, prefix: String) -> Self {
        Self { name: bucket, prefix, bucket: OnceCell::new() }
    }

    pub(crate) async fn read(&self, client: &Client, sequence: u64) -> Option<Record> {
        let bucket = self.open(client).await?;
        let value = match bucket.get(&self.key(sequence)).await {
            Ok(value) => value?,
            Err(error) => {
                tracing::warn!(%error, "record of a message not read");
                return None;
            }
        };
        serde_json::from_slice(&value).ok()
    }

    pub(crate) async fn write(&self, client: &Client, sequence: u64, record: &Record) {
        let Some(bucket) = self.open(client).await else { return };
        let value = nex_api::encode(record).into();
        if let Err(error) = bucket.put(&self.key(sequence), value).await {
            tracing::warn!(%error, "record of a message not written");
        }
    }

    /// It is over.
    pub(crate) async fn forget(&self, client: &Client, sequence: u64) {
        let Some(bucket) = self.open(client).await else { return };
        if let Err(error) = bucket.purge(&self.key(sequence)).await {
            tracing::debug!(%error, "record of a message not removed; it ages out");
        }
    }

    async fn open(&self, client: &Client) -> Option<&Bucket> {
        let config = Config {
            bucket: self.name.clone(),
            description: "messages that functions of Nex failed over".to_owned(),
            max_bytes: MAX_BYTES,
            max_value_size: 1024,
            max_age: AGE,
        };
        let opened = self.bucket.get_or_try_init(|| Bucket::open_or_create(client, &config)).await;
        opened.inspect_err(|error| tracing::warn!(%error, "records of messages not there")).ok()
    }

    fn key(&self, sequence: u64) -> String {
        format!("{}.{sequence}", self.prefix)
    }
}
