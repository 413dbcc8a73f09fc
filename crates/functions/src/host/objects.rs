//! The object service: larger bytes in JetStream object stores.
//!
//! Owns: which bucket a workload means, its making on first use, and the sizes. Never: leaves the buckets
//! that the request lists and the workload's own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use nex_bus::Client;
use nex_bus::guest::{Object, ObjectBucket};

use super::HostError;
use super::listing::{Listing, Walk};
use super::places::{GATHERINGS, Places};
use super::scope::{Scope, on_bucket, shown};

/// Longer names are refused; JetStream has them in subjects, a third longer.
const LONGEST_NAME: usize = 1024;

/// Objects of buckets. `bucket`: `None` is the workload's own, `hs_<namespace>_<name>_obj`.
#[derive(Debug)]
pub struct Objects {
    client: Arc<Client>,
    scope: Scope,
    open: Mutex<HashMap<String, ObjectBucket>>,
    listing: Listing<ObjectInfo>,
    gatherings: Places,
}

/// What is known about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// `SHA-256=<base64url>`, as the object store writes it.
    pub digest: Option<String>,
    /// Unix milliseconds.
    pub modified: i64,
}

/// Some objects, and where the next page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectPage {
    pub objects: Vec<ObjectInfo>,
    pub cursor: Option<String>,
}

impl Objects {
    pub(crate) fn new(client: Arc<Client>, scope: Scope) -> Self {
        Self {
            client,
            scope,
            open: Mutex::default(),
            listing: Listing::default(),
            gatherings: Places::new(GATHERINGS),
        }
    }

    /// The bytes, in pieces, if the object is there.
    pub async fn get(
        &self,
        bucket: Option<&str>,
        name: &str,
    ) -> Result<Option<(ObjectInfo, BoxStream<'static, Result<Bytes, HostError>>)>, HostError> {
        check_name(name)?;
        let opened = self.opened(bucket, false).await?;
        let found = on_bucket!(self, bucket, |bucket| bucket.info(name))?;
        let found = found.map(|object| {
            let pieces = opened.read(&object).map_err(HostError::from).boxed();
            (to_info(object), pieces)
        });
        Ok(found)
    }

    /// Writes an object from pieces; it is visible when all of them are there.
    pub async fn put(
        &self,
        bucket: Option<&str>,
        name: &str,
        bytes: BoxStream<'static, Result<Bytes, HostError>>,
    ) -> Result<ObjectInfo, HostError> {
        check_name(name)?;
        // The pieces cannot be had twice: that the bucket is there is asked before the first.
        on_bucket!(self, bucket, |bucket| bucket.info(name))?;
        let bucket = self.opened(bucket, false).await?;
        let object = bucket.write(name, bytes).await?;
        Ok(to_info(object))
    }

    /// Deletes; nothing happens where there is nothing.
    pub async fn delete(&self, bucket: Option<&str>, name: &str) -> Result<(), HostError> {
        check_name(name)?;
        on_bucket!(self, bucket, |bucket| bucket.delete(name))
    }

    /// What is known about an object, if it is there.
    pub async fn info(
        &self,
        bucket: Option<&str>,
        name: &str,
    ) -> Result<Option<ObjectInfo>, HostError> {
        check_name(name)?;
        let found = on_bucket!(self, bucket, |bucket| bucket.info(name))?;
        Ok(found.map(to_info))
    }

    /// Objects whose names begin with `prefix`, in order of their names, at most `limit` (and 1,000).
    pub async fn list(
        &self,
        bucket: Option<&str>,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage, HostError> {
        let read = Box::pin(async {
            let _place = self.gatherings.take().await;
            let objects = on_bucket!(self, bucket, |bucket| bucket.list(prefix))?;
            Ok(objects.into_iter().map(to_info).collect())
        });
        let walk = Walk { bucket: self.scope.target(bucket)?.bucket, prefix, cursor, limit };
        let (objects, cursor) = self.listing.next_page(&walk, |object| &object.name, read).await?;
        Ok(ObjectPage { objects, cursor })
    }

    /// The bucket, kept open since the last time unless it is gone since.
    async fn opened(&self, bucket: Option<&str>, is_gone: bool) -> Result<ObjectBucket, HostError> {
        let target = self.scope.target(bucket)?;
        let kept = self.open().get(target.bucket).cloned();
        if let Some(kept) = kept.filter(|_| !is_gone) {
            return Ok(kept);
        }
        let opened = match target.new {
            Some(new) => ObjectBucket::open_or_make(&self.client, target.bucket, new).await?,
            None => ObjectBucket::open(&self.client, target.bucket).await?,
        };
        self.open().insert(target.bucket.to_owned(), opened.clone());
        Ok(opened)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, ObjectBucket>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_info(object: Object) -> ObjectInfo {
    let modified = object.modified().unwrap_or_default();
    ObjectInfo { name: object.name, size: object.size, digest: object.digest, modified }
}

fn check_name(name: &str) -> Result<(), HostError> {
    if !name.is_empty() && name.len() <= LONGEST_NAME {
        return Ok(());
    }
    Err(HostError::Invalid(format!(
        "{} is not the name of an object: use 1 to {LONGEST_NAME} bytes",
        shown(name)
    )))
}
