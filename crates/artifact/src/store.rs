//! Fetches artifacts into the cache, verified.
//!
//! Owns: who may fetch what, size limits, and the words for each failure. Never: makes anything
//! executable, or trusts a name to mean certain bytes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nex_bus::{Client, objects};
use nex_types::{ByteSize, Digest, Namespace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cache::{Cache, InUse, Kept};
use crate::files::{AllowedFolders, not_allowed};
use crate::intake::Intake;
use crate::reference::{self, Reference};

/// Of all namespaces together.
const DEFAULT_CAPACITY: u64 = 2 << 30;
/// A node waits 55 s for a start; then nobody would take what arrives.
const FETCH_BOUND: Duration = Duration::from_secs(52);

/// The cache of artifacts, and the way into it. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    cache: Arc<Cache>,
    allowed: AllowedFolders,
}

/// A verified local file, which stays while this or a clone of it lives.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Mode 0600; copy it to run it.
    pub path: PathBuf,
    /// Of its bytes, just found.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    _in_use: Arc<InUse>,
}

/// A store that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot use folder {path}")]
pub struct Error {
    path: PathBuf,
    source: io::Error,
}

/// An artifact that could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The bucket, object or file is not there.
    #[error("{what} does not exist")]
    Missing {
        /// Which.
        what: String,
    },
    /// The bytes are not the ones that were asked for.
    #[error("the artifact has digest {actual}, but {wanted} was asked for")]
    DigestMismatch {
        /// As the request says.
        wanted: Digest,
        /// As the bytes say.
        actual: Digest,
    },
    /// Larger than the limit.
    #[error("{what} is larger than the {} allowed", ByteSize(*limit))]
    TooLarge {
        /// Which.
        what: String,
        /// In bytes.
        limit: u64,
    },
    /// A scheme that is not taken, or a place that this workload may not read.
    #[error("{reason}")]
    Unsupported {
        /// One sentence.
        reason: String,
    },
    /// NATS or JetStream did not answer as it should.
    #[error("{reason}")]
    Unavailable {
        /// One sentence.
        reason: String,
    },
    /// The local disk.
    #[error("{what}")]
    Io {
        /// What could not be done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Store {
    /// Opens the cache, of 2 GiB, in `cache_dir`; `file://` references are taken below `allow_files`
    /// only.
    ///
    /// # Errors
    /// When a folder is not there or cannot be made.
    pub fn open(cache_dir: PathBuf, allow_files: Vec<PathBuf>) -> Result<Self, Error> {
        let allowed = AllowedFolders::resolve(allow_files)
            .map_err(|(path, source)| Error { path, source })?;
        let cache = Cache::open(cache_dir.clone(), DEFAULT_CAPACITY)
            .map_err(|source| Error { path: cache_dir, source })?;
        Ok(Self { cache: Arc::new(cache), allowed })
    }

    /// Brings the artifact that `uri` names into the cache, on behalf of `namespace`. With a digest, the
    /// cache is asked first, and the bytes must have it. Dropping the future leaves nothing.
    ///
    /// # Errors
    /// When it may not be fetched, is not there, too large, not what it should be, or does not arrive.
    pub async fn fetch(
        &self,
        client: &Client,
        uri: &str,
        digest: Option<Digest>,
        namespace: &Namespace,
        limit: u64,
    ) -> Result<Artifact, FetchError> {
        let unsupported =
            |error: reference::Error| FetchError::Unsupported { reason: error.to_string() };
        let reference = Reference::parse(uri).map_err(unsupported)?;
        self.permit(&reference, namespace)?;
        let Some(digest) = digest else {
            return self.bring(client, reference, None, namespace, limit).await;
        };
        let turn = self.cache.turn(namespace, digest);
        let _mine = turn.lock().await;
        match self.find(namespace, digest).await? {
            Some(artifact) if artifact.size > limit => {
                Err(FetchError::TooLarge { what: "the artifact".to_owned(), limit })
            }
            Some(artifact) => Ok(artifact),
            None => self.bring(client, reference, Some(digest), namespace, limit).await,
        }
    }

    /// Refuses before anything is looked at, so that a refusal tells nothing of what is there.
    fn permit(&self, reference: &Reference, namespace: &Namespace) -> Result<(), FetchError> {
        let refuse = |reason| Err(FetchError::Unsupported { reason });
        match reference {
            Reference::Object { bucket, .. } if !reference::may_read(namespace, bucket) => {
                refuse(format!("bucket {bucket} belongs to another namespace than {namespace}"))
            }
            Reference::File(path) if !self.allowed.cover(path) => refuse(not_allowed(path)),
            Reference::Object { .. } | Reference::File(_) | Reference::Inline(_) => Ok(()),
        }
    }

    async fn find(
        &self,
        namespace: &Namespace,
        digest: Digest,
    ) -> Result<Option<Artifact>, FetchError> {
        let (cache, namespace) = (Arc::clone(&self.cache), namespace.clone());
        let kept = blocking(move || cache.find(&namespace, digest)).await;
        let kept = kept.map_err(disk("cannot read a cached artifact"))?;
        Ok(kept.map(|kept| Artifact::new(kept, digest)))
    }

    async fn bring(
        &self,
        client: &Client,
        reference: Reference,
        wanted: Option<Digest>,
        namespace: &Namespace,
        limit: u64,
    ) -> Result<Artifact, FetchError> {
        let no_room = disk("cannot write to the artifact cache");
        let part = self.cache.part().map_err(&no_room)?;
        let mut intake = Intake::new(part.reopen().map_err(&no_room)?);
        self.copy(client, reference, limit, &mut intake).await?;
        let (actual, size) = intake.finish();
        if let Some(wanted) = wanted.filter(|wanted| *wanted != actual) {
            return Err(FetchError::DigestMismatch { wanted, actual });
        }
        let (cache, namespace) = (Arc::clone(&self.cache), namespace.clone());
        let kept = blocking(move || cache.keep(part, &namespace, actual, size)).await;
        Ok(Artifact::new(kept.map_err(&no_room)?, actual))
    }

    async fn copy(
        &self,
        client: &Client,
        reference: Reference,
        limit: u64,
        intake: &mut Intake,
    ) -> Result<(), FetchError> {
        match reference {
            Reference::Object { bucket, object } => {
                let fetching = objects::fetch(client, &bucket, &object, limit, intake);
                match tokio::time::timeout(FETCH_BOUND, fetching).await {
                    Ok(fetched) => fetched.map(drop).map_err(FetchError::from),
                    Err(_) => Err(objects::Error::TooSlow { bucket, object }.into()),
                }
            }
            Reference::File(path) => self.copy_file(path, limit, intake).await,
            Reference::Inline(bytes) if bytes.len() as u64 > limit => {
                Err(FetchError::TooLarge { what: "the data: reference".to_owned(), limit })
            }
            Reference::Inline(bytes) => {
                let what = "cannot write to the artifact cache";
                intake.write_all(&bytes).await.map_err(disk(what))?;
                intake.flush().await.map_err(disk(what))
            }
        }
    }

    async fn copy_file(
        &self,
        path: PathBuf,
        limit: u64,
        intake: &mut Intake,
    ) -> Result<(), FetchError> {
        let name = path.display().to_string();
        let allowed = self.allowed.clone();
        let file =
            tokio::task::spawn_blocking(move || allowed.open(&path)).await.map_err(|error| {
                FetchError::Io { what: name.clone(), source: io::Error::other(error) }
            })??;
        let failed = || disk(format!("cannot copy file {name}"));
        // One byte more than the limit shows that there is more.
        let mut source = tokio::fs::File::from_std(file).take(limit.saturating_add(1));
        let copied = tokio::io::copy(&mut source, intake).await.map_err(failed())?;
        if copied > limit {
            return Err(FetchError::TooLarge { what: format!("file {name}"), limit });
        }
        intake.flush().await.map_err(failed())
    }
}

impl Artifact {
    fn new(kept: Kept, digest: Digest) -> Self {
        Self { path: kept.path, digest, size: kept.size, _in_use: kept.in_use }
    }
}

impl From<objects::Error> for FetchError {
    fn from(error: objects::Error) -> Self {
        use objects::Error as E;
        match error {
            E::NoBucket { bucket } => Self::Missing { what: format!("bucket {bucket}") },
            E::NoObject { bucket, object } => {
                Self::Missing { what: format!("object {object} in bucket {bucket}") }
            }
            E::TooLarge { bucket, object, limit, .. } => {
                Self::TooLarge { what: format!("object {object} in bucket {bucket}"), limit }
            }
            E::LeadsElsewhere { .. } => Self::Unsupported { reason: error.to_string() },
            E::NoJetStream | E::TooSlow { .. } | E::Other { .. } => {
                Self::Unavailable { reason: error.to_string() }
            }
        }
    }
}

fn disk(what: impl Into<String>) -> impl Fn(io::Error) -> FetchError {
    let what = what.into();
    move |source| FetchError::Io { what: what.clone(), source }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
