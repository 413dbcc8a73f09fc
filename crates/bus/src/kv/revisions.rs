//! Compare-and-set by revision, and removing a key without leaving a mark.
//!
//! Owns: telling "somebody else was first" from a failure. Never: retries.

use async_nats::jetstream::kv::{CreateErrorKind, UpdateErrorKind};
use bytes::Bytes;

use super::{ACK_BOUND, Bucket, Error, bounded};

/// What came of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Done; the revision that the next one must name.
    At(u64),
    /// The key is not as the caller thought; nothing was written.
    NotAsThought,
}

impl Bucket {
    /// Writes `key` if it is not there.
    ///
    /// # Errors
    /// When JetStream does not acknowledge in time. It may have the value all the same.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<Written, Error> {
        let create = async {
            match self.store.create(key, value).await {
                Ok(revision) => Ok(Written::At(revision)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {
                    Ok(Written::NotAsThought)
                }
                Err(error) => Err(self.failed(&error)),
            }
        };
        bounded(&self.client, self.name(), ACK_BOUND, create).await
    }

    /// Writes `key` if its last revision is `revision`.
    ///
    /// # Errors
    /// When JetStream does not acknowledge in time. It may have the value all the same.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<Written, Error> {
        let update = async {
            match self.store.update(key, value, revision).await {
                Ok(revision) => Ok(Written::At(revision)),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                    Ok(Written::NotAsThought)
                }
                Err(error) => Err(self.failed(&error)),
            }
        };
        bounded(&self.client, self.name(), ACK_BOUND, update).await
    }

    /// Removes `key` if its last revision is `revision`.
    ///
    /// # Errors
    /// When JetStream does not acknowledge in time, or somebody wrote it since.
    pub async fn delete_at(&self, key: &str, revision: u64) -> Result<(), Error> {
        let delete = async {
            let deleted = self.store.delete_expect_revision(key, Some(revision)).await;
            deleted.map_err(|error| self.failed(&error))
        };
        bounded(&self.client, self.name(), ACK_BOUND, delete).await
    }

    /// Removes `key` with all traces: other than after a purge, no marker stays, so that a bucket
    /// whose keys come and go does not grow. Watchers are not told.
    ///
    /// # Errors
    /// When JetStream does not acknowledge in time. It may be gone all the same.
    pub async fn erase(&self, key: &str) -> Result<(), Error> {
        let subject = format!("{}{key}", self.store.prefix);
        let erase = async {
            let purged = self.store.stream.purge().filter(subject).await;
            purged.map(|_| ()).map_err(|error| self.failed(&error))
        };
        bounded(&self.client, self.name(), ACK_BOUND, erase).await
    }
}
