//! The object service: larger bytes in JetStream object stores.
//!
//! Owns: which bucket a workload means, its making on first use, and the sizes. Never: leaves the buckets
//! that the request lists and the workload's own.

use bytes::Bytes;
use futures::stream::BoxStream;

use super::HostError;

/// Objects of buckets. `bucket`: `None` is the workload's own, `hs_<namespace>_<name>_obj`.
#[derive(Debug)]
pub struct Objects {}

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

#[expect(clippy::unused_async, unused_variables, reason = "signatures first")]
impl Objects {
    /// The bytes, in pieces, if the object is there.
    pub async fn get(
        &self,
        bucket: Option<&str>,
        name: &str,
    ) -> Result<Option<(ObjectInfo, BoxStream<'static, Result<Bytes, HostError>>)>, HostError> {
        Err(unavailable())
    }

    /// Writes an object from pieces; it is visible when all of them are there.
    pub async fn put(
        &self,
        bucket: Option<&str>,
        name: &str,
        bytes: BoxStream<'static, Result<Bytes, HostError>>,
    ) -> Result<ObjectInfo, HostError> {
        Err(unavailable())
    }

    /// Deletes; nothing happens where there is nothing.
    pub async fn delete(&self, bucket: Option<&str>, name: &str) -> Result<(), HostError> {
        Err(unavailable())
    }

    /// What is known about an object, if it is there.
    pub async fn info(
        &self,
        bucket: Option<&str>,
        name: &str,
    ) -> Result<Option<ObjectInfo>, HostError> {
        Err(unavailable())
    }

    /// Objects whose names begin with `prefix`, in order of their names.
    pub async fn list(
        &self,
        bucket: Option<&str>,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage, HostError> {
        Err(unavailable())
    }
}

fn unavailable() -> HostError {
    HostError::Failed("objects are not there yet".to_owned())
}
