//! Writes and removals that outlive the node: the bucket, and beside it the copy and the journal.
//!
//! Owns: the order in which the three learn of a change. Never: knows what runs.
//!
//! ```text
//! put:   copy and bucket at once ─► acknowledged?    purge:  copy ─► bucket ─► acknowledged?
//!          yes: done   no: journal, fsync, retried             yes: done   no: journal, fsync, retried
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use nex_bus::Client;
use nex_bus::kv::{self, Bucket};

use super::copy::Copy;
use super::journal::{Change, Journal};
use super::key::Key;

/// The folder of the copy.
const COPY: &str = "workloads";
/// What a new bucket takes (spec: control API, sections 5.9 and 13).
const MAX_BYTES: i64 = 100_000_000;
const MAX_VALUE: i32 = 512 * 1024;
/// Keys that were removed lately, so that a bucket that has lost the removal is told again.
const MOST_REMOVED: usize = 4096;
/// UNDEPLOY is answered within a second, with or without JetStream.
const PURGE_BOUND: Duration = Duration::from_millis(500);

/// Whether the bucket has a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    Yes,
    /// It is in the journal, and will be.
    Later,
}

#[derive(Debug)]
pub(crate) struct Durable {
    pub(super) client: Client,
    pub(super) config: kv::Config,
    pub(super) copy: Copy,
    journal: Arc<Mutex<Journal>>,
    bucket: Mutex<Option<Bucket>>,
    removed: Mutex<VecDeque<Key>>,
}

impl Durable {
    /// Whether a former node of this directory kept state.
    pub(super) fn was_here(directory: &Path) -> bool {
        directory.join(COPY).is_dir()
    }

    /// Opens what the state directory has; the bucket is not asked yet.
    pub(crate) fn open(client: Client, directory: &Path, node_id: &str) -> io::Result<Self> {
        let config = kv::Config {
            bucket: format!("nex-{node_id}"),
            description: "what runs on a Nex node".to_owned(),
            max_bytes: MAX_BYTES,
            max_age: Duration::ZERO,
            max_value_size: MAX_VALUE,
        };
        let journal = Journal::open(directory.join("state.journal"))?;
        Ok(Self {
            client,
            config,
            copy: Copy::open(directory.join(COPY))?,
            journal: Arc::new(Mutex::new(journal)),
            bucket: Mutex::default(),
            removed: Mutex::default(),
        })
    }

    pub(super) async fn put(&self, key: &Key, value: Vec<u8>) -> Ack {
        let (copy, name, bytes) = (self.copy.clone(), key.clone(), value.clone());
        let copied = blocking(move || copy.write(&name, &bytes));
        let acknowledged = async {
            match self.bucket() {
                Some(bucket) => bucket.put(key.as_str(), Bytes::from(value)).await.map(|_| ()),
                None => Err(kv::Error::Disconnected),
            }
        };
        let (copied, acknowledged) = tokio::join!(copied, acknowledged);
        if let Err(error) = copied {
            tracing::error!(key = %key, %error, "the copy of the state was not written");
        }
        match acknowledged {
            Ok(()) => self.settled(key).await,
            Err(error) => {
                let copy = self.copy.clone();
                let name = key.clone();
                let synced = blocking(move || copy.sync(&name)).await;
                if let Err(error) = synced {
                    tracing::error!(key = %key, %error, "the copy of the state is not on disk");
                }
                self.later(key, Change::Put, &error).await
            }
        }
    }

    pub(super) async fn purge(&self, key: &Key) -> Ack {
        {
            let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            if removed.len() >= MOST_REMOVED {
                removed.pop_front();
            }
            removed.push_back(key.clone());
        }
        let (copy, name) = (self.copy.clone(), key.clone());
        if let Err(error) = blocking(move || copy.remove(&name)).await {
            tracing::error!(key = %key, %error, "the copy of the state was not removed");
        }
        let purged = match self.bucket() {
            Some(bucket) => tokio::time::timeout(PURGE_BOUND, bucket.purge(key.as_str()))
                .await
                .unwrap_or(Err(kv::Error::TooSlow { bucket: self.config.bucket.clone() })),
            None => Err(kv::Error::Disconnected),
        };
        match purged {
            Ok(()) => self.settled(key).await,
            Err(error) => self.later(key, Change::Purge, &error).await,
        }
    }

    pub(super) fn was_removed(&self, key: &Key) -> bool {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// What the bucket does not have yet.
    pub(super) fn waiting(&self) -> BTreeMap<String, Change> {
        lock(&self.journal).waiting().clone()
    }

    pub(super) async fn applied(&self, done: BTreeMap<String, Change>) -> io::Result<()> {
        let journal = Arc::clone(&self.journal);
        blocking(move || lock(&journal).applied(&done)).await
    }

    pub(super) fn bucket(&self) -> Option<Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_bucket(&self, bucket: Bucket) {
        *self.bucket.lock().unwrap_or_else(PoisonError::into_inner) = Some(bucket);
    }

    /// The largest request that can be kept.
    pub(super) fn limit(&self) -> usize {
        let of_new = usize::try_from(self.config.max_value_size).unwrap_or(usize::MAX);
        self.bucket().map_or(of_new, |bucket| bucket.max_value_size().unwrap_or(usize::MAX))
    }

    async fn settled(&self, key: &Key) -> Ack {
        if lock(&self.journal).waiting().contains_key(key.as_str()) {
            let (journal, name) = (Arc::clone(&self.journal), key.clone());
            if let Err(error) = blocking(move || lock(&journal).settled(name.as_str())).await {
                tracing::error!(key = %key, %error, "the state journal was not written");
            }
        }
        Ack::Yes
    }

    async fn later(&self, key: &Key, change: Change, why: &kv::Error) -> Ack {
        tracing::warn!(key = %key, error = %why, "JetStream has not got a change of state yet");
        let (journal, name) = (Arc::clone(&self.journal), key.clone());
        let written = blocking(move || lock(&journal).append(name.as_str(), change)).await;
        if let Err(error) = written {
            tracing::error!(key = %key, %error, "a change of state is kept nowhere");
        }
        Ack::Later
    }
}

/// Files are small, but a disk may be slow.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn lock(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}
