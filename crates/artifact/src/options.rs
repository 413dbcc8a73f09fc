//! What a node says about its artifacts.
//!
//! Owns: the usual values, and what is wrong with others. Never: opens anything.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Certificate;

/// Of all namespaces together.
const DEFAULT_CAPACITY: u64 = 2 << 30;
/// A node waits 55 s for a start; then nobody would take what arrives.
const FETCH_BOUND: Duration = Duration::from_secs(52);

/// What a node says about its artifacts. [`Options::new`] has the usual values.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where fetched artifacts are kept.
    pub cache_dir: PathBuf,
    /// In bytes, of all namespaces together. What is in use stays past it.
    pub capacity: u64,
    /// `file://` references are taken below these only.
    pub allow_files: Vec<PathBuf>,
    /// Hosts of `https://` and `oci://` that may have addresses of this machine or a private network.
    pub allow_hosts: Vec<String>,
    /// The docker configuration whose credentials registries get; read when one asks for them.
    pub docker_config: Option<PathBuf>,
    /// Certificates of authorities that are trusted beside the system's, as PEM.
    pub extra_roots: Vec<String>,
    /// A fetch that takes longer fails.
    pub fetch_bound: Duration,
}

/// A store that could not be opened.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("cannot use folder {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("\"{host}\" is not a host that artifacts may come from: write a name or an address")]
    Host { host: String },
    #[error("extra certificates have to be PEM, and one of them is not")]
    Root,
}

impl Options {
    /// 2 GiB in `cache_dir`, no files, public hosts only, no credentials.
    #[must_use]
    pub fn new(cache_dir: PathBuf) -> Self {
        Self {
            cache_dir,
            capacity: DEFAULT_CAPACITY,
            allow_files: Vec::new(),
            allow_hosts: Vec::new(),
            docker_config: None,
            extra_roots: Vec::new(),
            fetch_bound: FETCH_BOUND,
        }
    }
}

pub(crate) fn read_roots(pems: &[String]) -> Result<Vec<Certificate>, Error> {
    let mut roots = Vec::new();
    for pem in pems {
        match Certificate::from_pem_bundle(pem.as_bytes()) {
            Ok(found) if !found.is_empty() => roots.extend(found),
            _ => return Err(Error::Root),
        }
    }
    Ok(roots)
}
