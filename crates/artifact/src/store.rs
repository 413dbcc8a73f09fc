//! Fetches artifacts into the cache, verified.
//!
//! Owns: who may fetch what, size limits, the bound in time. Never: makes anything executable, or trusts a
//! name to mean certain bytes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nex_bus::{Client, objects};
use nex_types::{Digest, Namespace};
use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::FetchError;
use crate::address::HttpsUrl;
use crate::cache::{Cache, InUse, Kept};
use crate::error::disk;
use crate::files::{AllowedFolders, not_allowed};
use crate::flights::{Flight, Flights};
use crate::intake::Intake;
use crate::options::{Error, Options, read_roots};
use crate::reference::{self, Reference};
use crate::registry::Registries;
use crate::remote::{AllowedHosts, Remote, Schemes, check_status, stream};

/// The cache of artifacts, and the way into it. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    cache: Arc<Cache>,
    flights: Arc<Flights>,
    allowed: AllowedFolders,
    remote: Remote,
    registries: Registries,
    fetch_bound: Duration,
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

impl Store {
    /// Opens with the usual options, and `file://` references below `allow_files`.
    ///
    /// # Errors
    /// When a folder is not there or cannot be made.
    pub fn open(cache_dir: PathBuf, allow_files: Vec<PathBuf>) -> Result<Self, Error> {
        Self::open_with(Options { allow_files, ..Options::new(cache_dir) })
    }

    /// Opens the cache.
    ///
    /// # Errors
    /// When a folder is not there or cannot be made, or an option cannot be.
    pub fn open_with(options: Options) -> Result<Self, Error> {
        let allowed = AllowedFolders::resolve(options.allow_files)
            .map_err(|(path, source)| Error::Folder { path, source })?;
        let allow_hosts =
            AllowedHosts::parse(options.allow_hosts).map_err(|host| Error::Host { host })?;
        let remote = Remote::new(allow_hosts, read_roots(&options.extra_roots)?);
        let cache = Cache::open(options.cache_dir.clone(), options.capacity)
            .map_err(|source| Error::Folder { path: options.cache_dir, source })?;
        Ok(Self {
            cache: Arc::new(cache),
            flights: Arc::default(),
            allowed,
            registries: Registries::new(remote.clone(), options.docker_config),
            remote,
            fetch_bound: options.fetch_bound,
        })
    }

    /// Brings the artifact that `uri` names into the cache, on behalf of `namespace`. With a digest, the
    /// cache is asked first, and the bytes must have it. Equal calls at the same time fetch once.
    /// Dropping the future leaves nothing.
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
        // The bytes stand in the uri: nothing to share, and no key to keep.
        let is_inline = matches!(reference, Reference::Inline(_));
        let fetching = Box::pin(self.find_or_bring(client, reference, digest, namespace, limit));
        if is_inline {
            return fetching.await;
        }
        let (namespace, uri) = (namespace.clone(), uri.to_owned());
        self.flights.join(Flight { namespace, uri, digest, limit }, fetching).await
    }

    async fn find_or_bring(
        &self,
        client: &Client,
        reference: Reference,
        digest: Option<Digest>,
        namespace: &Namespace,
        limit: u64,
    ) -> Result<Artifact, FetchError> {
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
            // Hosts are looked at when they have addresses.
            _ => Ok(()),
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
        let promised = self.copy(client, &reference, wanted, limit, &mut intake).await?;
        let (actual, size) = intake.finish();
        if let Some(wanted) = wanted.filter(|wanted| *wanted != actual) {
            return Err(FetchError::DigestMismatch { wanted, actual });
        }
        if promised.is_some_and(|promised| promised != actual) {
            let reason = "the registry delivered other bytes than its manifest names".to_owned();
            return Err(FetchError::Unavailable { reason });
        }
        let (cache, namespace) = (Arc::clone(&self.cache), namespace.clone());
        let kept = blocking(move || cache.keep(part, &namespace, actual, size)).await;
        Ok(Artifact::new(kept.map_err(&no_room)?, actual))
    }

    /// Within the bound; returns the digest that the source names for its bytes, where it names one.
    async fn copy(
        &self,
        client: &Client,
        reference: &Reference,
        wanted: Option<Digest>,
        limit: u64,
        intake: &mut Intake,
    ) -> Result<Option<Digest>, FetchError> {
        let copying = self.copy_unbounded(client, reference, wanted, limit, intake);
        match tokio::time::timeout(self.fetch_bound, copying).await {
            Ok(copied) => copied,
            Err(_) => {
                let (what, bound) = (place_of(reference), self.fetch_bound.as_secs());
                let reason = format!("{what} did not arrive within {bound}s");
                Err(FetchError::Unavailable { reason })
            }
        }
    }

    async fn copy_unbounded(
        &self,
        client: &Client,
        reference: &Reference,
        wanted: Option<Digest>,
        limit: u64,
        intake: &mut Intake,
    ) -> Result<Option<Digest>, FetchError> {
        match reference {
            Reference::Object { bucket, object } => {
                objects::fetch(client, bucket, object, limit, intake).await?;
            }
            Reference::Https(url) => self.copy_url(url, limit, intake).await?,
            Reference::Registry(image) => {
                let _place = self.remote.place().await;
                return self.registries.pull(image, wanted, limit, intake).await.map(Some);
            }
            Reference::File(path) => self.copy_file(path.clone(), limit, intake).await?,
            Reference::Inline(bytes) if bytes.len() as u64 > limit => {
                return Err(FetchError::TooLarge { what: place_of(reference), limit });
            }
            Reference::Inline(bytes) => {
                let what = "cannot write to the artifact cache";
                intake.write_all(bytes).await.map_err(disk(what))?;
                intake.flush().await.map_err(disk(what))?;
            }
        }
        Ok(None)
    }

    async fn copy_url(
        &self,
        url: &HttpsUrl,
        limit: u64,
        intake: &mut Intake,
    ) -> Result<(), FetchError> {
        let _place = self.remote.place().await;
        let what = format!("the artifact at {}", url.host());
        let url = url.clone().into_url();
        let response = self.remote.get(url, HeaderMap::new(), Schemes::HttpsOnly).await?;
        check_status(&response, &what)?;
        stream(response, &what, limit, intake).await
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
                FetchError::Io { what: name.clone(), source: Arc::new(io::Error::other(error)) }
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

/// For messages: no path and no query of an address.
fn place_of(reference: &Reference) -> String {
    match reference {
        Reference::Object { bucket, object } => format!("object {object} in bucket {bucket}"),
        Reference::Https(url) => format!("the artifact at {}", url.host()),
        Reference::Registry(image) => format!("{}/{}", image.registry, image.repository),
        Reference::File(path) => format!("file {}", path.display()),
        Reference::Inline(_) => "the data: reference".to_owned(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
