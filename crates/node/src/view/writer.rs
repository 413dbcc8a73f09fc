//! Writes entries into the buckets of the view, many at once.
//!
//! Owns: the buckets, opened when first needed and again after a failure. Never: decides what is to
//! be written.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use nex_api::view;
use nex_bus::Client;
use nex_bus::kv::{Bucket, Config, Error};

/// Writes under way at once.
const CONCURRENT: usize = 64;

/// One write; no value removes the key.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) namespace: String,
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Writer {
    client: Client,
    buckets: BTreeMap<String, Bucket>,
}

impl Writer {
    pub(super) fn new(client: Client) -> Self {
        Self { client, buckets: BTreeMap::new() }
    }

    /// Writes all of them, in no particular order.
    pub(super) async fn write(&mut self, writes: Vec<Write>) -> Result<(), Error> {
        let written = self.try_write(writes).await;
        if written.is_err() {
            // The bucket may be gone, and another one there when JetStream is back.
            self.buckets.clear();
        }
        written
    }

    async fn try_write(&mut self, writes: Vec<Write>) -> Result<(), Error> {
        for write in &writes {
            self.open(&write.namespace).await?;
        }
        let buckets = &self.buckets;
        let one = |write: Write| async move {
            let Some(bucket) = buckets.get(&write.namespace) else { return Ok(()) };
            match write.value {
                Some(value) => bucket.put(&write.key, value.into()).await.map(|_| ()),
                None => bucket.erase(&write.key).await,
            }
        };
        stream::iter(writes.into_iter().map(one)).buffer_unordered(CONCURRENT).try_collect().await
    }

    async fn open(&mut self, namespace: &str) -> Result<(), Error> {
        if self.buckets.contains_key(namespace) {
            return Ok(());
        }
        let config = Config {
            bucket: view::bucket(namespace),
            description: "what runs, for lists (nex)".to_owned(),
            ..Config::default()
        };
        let bucket = Bucket::open_or_create(&self.client, &config).await?;
        self.buckets.insert(namespace.to_owned(), bucket);
        Ok(())
    }
}
