//! The key-value service: entries in JetStream buckets.
//!
//! Owns: which bucket a workload means, its making on first use, and the sizes. Never: leaves the buckets
//! that the request lists and the workload's own.

use std::time::Duration;

use bytes::Bytes;

use super::HostError;

/// Entries of buckets. `bucket`: `None` is the workload's own, `hs_<namespace>_<name>_kv`.
#[derive(Debug)]
pub struct KeyValue {}

/// One revision of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: Bytes,
    pub revision: u64,
    pub operation: Operation,
}

/// What a revision did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Put,
    Delete,
}

/// Some keys, and where the next page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<String>,
    pub cursor: Option<String>,
}

#[expect(clippy::unused_async, unused_variables, reason = "signatures first")]
impl KeyValue {
    /// The latest value, if there is one.
    pub async fn get(&self, bucket: Option<&str>, key: &str) -> Result<Option<Entry>, HostError> {
        Err(unavailable())
    }

    /// Sets a value; it goes away by itself after `ttl`. Returns the revision.
    pub async fn set(
        &self,
        bucket: Option<&str>,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<u64, HostError> {
        Err(unavailable())
    }

    /// Sets a value where there is none.
    pub async fn create(
        &self,
        bucket: Option<&str>,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<u64, HostError> {
        Err(unavailable())
    }

    /// Sets a value where `revision` is the latest.
    pub async fn update(
        &self,
        bucket: Option<&str>,
        key: &str,
        value: Bytes,
        revision: u64,
    ) -> Result<u64, HostError> {
        Err(unavailable())
    }

    /// Deletes; nothing happens where there is nothing. With `revision`: only where that is the latest.
    pub async fn delete(
        &self,
        bucket: Option<&str>,
        key: &str,
        revision: Option<u64>,
    ) -> Result<(), HostError> {
        Err(unavailable())
    }

    /// Keys that begin with `prefix`, in order, at most `limit`, after `cursor`.
    pub async fn keys(
        &self,
        bucket: Option<&str>,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, HostError> {
        Err(unavailable())
    }

    /// The revisions of a key that the bucket still has, oldest first.
    pub async fn history(&self, bucket: Option<&str>, key: &str) -> Result<Vec<Entry>, HostError> {
        Err(unavailable())
    }

    /// The next change of a key (or of `prefix>`) after `revision`.
    pub async fn watch(
        &self,
        bucket: Option<&str>,
        keys: &str,
        revision: u64,
    ) -> Result<Entry, HostError> {
        Err(unavailable())
    }
}

fn unavailable() -> HostError {
    HostError::Failed("key-value is not there yet".to_owned())
}
