//! The key-value service: entries in JetStream buckets.
//!
//! Owns: which bucket a workload means, its making on first use, and the sizes. Never: leaves the buckets
//! that the request lists and the workload's own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use nex_bus::Client;
use nex_bus::guest::{self, KvBucket, KvEntry};

use super::HostError;
use super::listing::{Listing, Walk};
use super::places::{GATHERINGS, Places};
use super::scope::{Scope, on_bucket, shown};
use crate::runtime::Operation;

/// Longer keys are refused; JetStream has them in subjects.
const LONGEST_KEY: usize = 1024;
/// What of the server's largest payload is left for headers.
const HEADER_ROOM: usize = 1024;
/// The shortest time to live that servers know.
const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// Entries of buckets. `bucket`: `None` is the workload's own, `hs_<namespace>_<name>_kv`.
#[derive(Debug)]
pub struct KeyValue {
    client: Arc<Client>,
    scope: Scope,
    open: Mutex<HashMap<String, KvBucket>>,
    listing: Listing<String>,
    gatherings: Places,
}

/// One revision of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: Bytes,
    pub revision: u64,
    pub operation: Operation,
}

/// Some keys, and where the next page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<String>,
    pub cursor: Option<String>,
}

impl KeyValue {
    pub(crate) fn new(client: Arc<Client>, scope: Scope) -> Self {
        Self {
            client,
            scope,
            open: Mutex::default(),
            listing: Listing::default(),
            gatherings: Places::new(GATHERINGS),
        }
    }

    /// The latest value, if there is one.
    pub async fn get(&self, bucket: Option<&str>, key: &str) -> Result<Option<Entry>, HostError> {
        check_key(key)?;
        let last = on_bucket!(self, bucket, |bucket| bucket.last(key))?;
        Ok(last.filter(|entry| !entry.is_deleted).map(to_entry))
    }

    /// Sets a value; it goes away by itself after `ttl`. Returns the revision.
    pub async fn set(
        &self,
        bucket: Option<&str>,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<u64, HostError> {
        self.put(bucket, key, value, None, ttl).await
    }

    /// Sets a value where there is none.
    pub async fn create(
        &self,
        bucket: Option<&str>,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<u64, HostError> {
        match self.put(bucket, key, value.clone(), Some(0), ttl).await {
            Err(HostError::Conflict(_)) => {}
            created => return created,
        }
        // A deleted key has a last revision too.
        match on_bucket!(self, bucket, |bucket| bucket.last(key))? {
            Some(last) if !last.is_deleted => {
                Err(HostError::Conflict(format!("key {} is there already", shown(key))))
            }
            last => {
                let revision = last.map_or(0, |last| last.revision);
                self.put(bucket, key, value, Some(revision), ttl).await
            }
        }
    }

    /// Sets a value where `revision` is the latest.
    pub async fn update(
        &self,
        bucket: Option<&str>,
        key: &str,
        value: Bytes,
        revision: u64,
    ) -> Result<u64, HostError> {
        self.put(bucket, key, value, Some(revision), None).await
    }

    /// Deletes, and forgets the key's history; nothing happens where there is nothing. With `revision`:
    /// only where that is the latest.
    pub async fn delete(
        &self,
        bucket: Option<&str>,
        key: &str,
        revision: Option<u64>,
    ) -> Result<(), HostError> {
        check_key(key)?;
        let last = on_bucket!(self, bucket, |bucket| bucket.last(key))?;
        let is_there = last.is_some_and(|last| !last.is_deleted);
        match (is_there, revision) {
            (false, None) => return Ok(()),
            (false, Some(revision)) => return Err(not_latest(key, revision)),
            (true, _) => {}
        }
        let deleted = on_bucket!(self, bucket, |bucket| bucket.delete(key, revision));
        deleted.map(|_| ()).map_err(|error| named(error, key, revision))
    }

    /// Keys that begin with `prefix`, in order, at most `limit` (and 1,000), after `cursor`.
    pub async fn keys(
        &self,
        bucket: Option<&str>,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, HostError> {
        check_prefix(prefix)?;
        let read = Box::pin(async {
            let _place = self.gatherings.take().await;
            let filter = filter_of(prefix);
            let keys = on_bucket!(self, bucket, |bucket| bucket.keys(&filter, prefix))?;
            Ok(keys.into())
        });
        let walk = Walk { bucket: self.scope.target(bucket)?.bucket, prefix, cursor, limit };
        let (keys, cursor) = self.listing.next_page(&walk, |key| key, read).await?;
        Ok(Page { keys, cursor })
    }

    /// The revisions of a key that the bucket still has, oldest first.
    pub async fn history(&self, bucket: Option<&str>, key: &str) -> Result<Vec<Entry>, HostError> {
        check_key(key)?;
        let _place = self.gatherings.take().await;
        let entries = on_bucket!(self, bucket, |bucket| bucket.history(key))?;
        Ok(entries.into_iter().map(to_entry).collect())
    }

    /// The next change of a key (or of `prefix>`) after `revision`.
    pub async fn watch(
        &self,
        bucket: Option<&str>,
        keys: &str,
        revision: u64,
    ) -> Result<Entry, HostError> {
        check_filter(keys)?;
        let change = on_bucket!(self, bucket, |bucket| bucket.next_change(keys, revision))?;
        Ok(to_entry(change))
    }

    async fn put(
        &self,
        bucket: Option<&str>,
        key: &str,
        value: Bytes,
        expected: Option<u64>,
        ttl: Option<Duration>,
    ) -> Result<u64, HostError> {
        check_key(key)?;
        if ttl.is_some_and(|ttl| ttl < SHORTEST_TTL) {
            return Err(HostError::Invalid("a time to live is one second at least".to_owned()));
        }
        let put = on_bucket!(self, bucket, |bucket| self.put_into(
            bucket,
            key,
            value.clone(),
            expected,
            ttl
        ));
        put.map_err(|error| named(error, key, expected))
    }

    async fn put_into(
        &self,
        bucket: &KvBucket,
        key: &str,
        value: Bytes,
        expected: Option<u64>,
        ttl: Option<Duration>,
    ) -> Result<u64, guest::Error> {
        let room = self.client.server_info().max_payload.saturating_sub(HEADER_ROOM);
        let most = bucket.max_value().map_or(room, |most| most.min(room));
        if value.len() > most {
            let reason = format!("it has {} bytes of {most}", value.len());
            return Err(guest::Error::TooLarge { bucket: "of this value".to_owned(), reason });
        }
        bucket.put(key, value, expected, ttl).await
    }

    /// The bucket, kept open since the last time unless it is gone since.
    async fn opened(&self, bucket: Option<&str>, is_gone: bool) -> Result<KvBucket, HostError> {
        let target = self.scope.target(bucket)?;
        let kept = self.open().get(target.bucket).cloned();
        if let Some(kept) = kept.filter(|_| !is_gone) {
            return Ok(kept);
        }
        let opened = match target.new {
            Some(new) => KvBucket::open_or_make(&self.client, target.bucket, new).await?,
            None => KvBucket::open(&self.client, target.bucket).await?,
        };
        self.open().insert(target.bucket.to_owned(), opened.clone());
        Ok(opened)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, KvBucket>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_entry(entry: KvEntry) -> Entry {
    let operation = if entry.is_deleted { Operation::Delete } else { Operation::Put };
    Entry { key: entry.key, value: entry.value, revision: entry.revision, operation }
}

/// Says which key and revision a conflict is about.
fn named(error: HostError, key: &str, expected: Option<u64>) -> HostError {
    match (error, expected) {
        (HostError::Conflict(_), Some(0)) => {
            HostError::Conflict(format!("key {} is there already", shown(key)))
        }
        (HostError::Conflict(_), Some(expected)) => not_latest(key, expected),
        (error, _) => error,
    }
}

fn not_latest(key: &str, revision: u64) -> HostError {
    HostError::Conflict(format!("revision {revision} is not the latest of key {}", shown(key)))
}

fn is_key_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '/' | '_' | '=' | '.')
}

fn check_key(key: &str) -> Result<(), HostError> {
    let has_tokens = !key.is_empty() && key.split('.').all(|token| !token.is_empty());
    if has_tokens && key.len() <= LONGEST_KEY && key.chars().all(is_key_letter) {
        return Ok(());
    }
    Err(HostError::Invalid(format!(
        "{} is not a key: use up to {LONGEST_KEY} letters, digits and - / _ = with single dots in between",
        shown(key)
    )))
}

/// A beginning of keys; it may end anywhere.
fn check_prefix(prefix: &str) -> Result<(), HostError> {
    if prefix.len() <= LONGEST_KEY && prefix.chars().all(is_key_letter) {
        return Ok(());
    }
    Err(HostError::Invalid(format!("{} is not the beginning of a key", shown(prefix))))
}

/// A key in which tokens may be `*` and the last one `>`.
fn check_filter(filter: &str) -> Result<(), HostError> {
    let keys = filter.strip_suffix(".>").unwrap_or(filter);
    let is_filter =
        filter == ">" || keys.split('.').all(|token| token == "*" || check_key(token).is_ok());
    if is_filter && filter.len() <= LONGEST_KEY {
        return Ok(());
    }
    Err(HostError::Invalid(format!("{} names no keys to watch", shown(filter))))
}

/// The narrowest subject filter that has all keys with this beginning.
fn filter_of(prefix: &str) -> String {
    match prefix.rsplit_once('.') {
        Some((whole, _)) if check_key(whole).is_ok() => format!("{whole}.>"),
        _ => ">".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_before_they_become_subjects() {
        for good in ["a", "a.b", "users/1=x_y-z", &"k".repeat(LONGEST_KEY)] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "*", ">", "a.*", "ä", &"k".repeat(1025)] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
        for good in ["a", "a.*", "a.>", ">", "*.b"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a>", "a..>", "a b", ".>", "a*"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
        assert_eq!((filter_of("a.b.c"), filter_of("ab")), ("a.b.>".to_owned(), ">".to_owned()));
    }
}
