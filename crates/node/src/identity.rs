//! Who a node is, and the directory that remembers it.
//!
//! Owns: the state directory's lock and mode, and the node's two keys in it. Never: prints a seed.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nkeys::{KeyPair, XKey};

/// A state directory that is ours alone while this lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Held locked; the kernel lets go of it when the process ends, however it ends.
    _lock: File,
}

/// A state directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    #[error("state directory {path} cannot be written")]
    NotWritable { path: PathBuf, source: std::io::Error },
    #[error("state directory {path} is in use by another node (process {pid})")]
    InUse { path: PathBuf, pid: String },
    #[error("{path} does not hold a node's key")]
    Key { path: PathBuf },
    #[error("the node seed is not the seed of a server key (SN…)")]
    NodeSeed,
    #[error("the node xkey seed is not the seed of a curve key (SX…)")]
    XkeySeed,
}

impl StateDir {
    /// Makes the directory (mode 0700) when it is missing, and locks it.
    ///
    /// # Errors
    /// When it cannot be written, or another node has it.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let wrap = |source| StateDirError::NotWritable { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrap)?;
        let lock_path = path.join("node.lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(lock_path)
            .map_err(wrap)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _unreadable = lock.read_to_string(&mut pid);
                return Err(StateDirError::InUse { path: path.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(wrap(source)),
        }
        lock.set_len(0).map_err(wrap)?;
        write!(lock, "{}", std::process::id()).map_err(wrap)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Seeds from the configuration; what is absent is kept in the state directory.
#[derive(Clone, Default)]
pub struct GivenSeeds {
    /// Of the server key, `SN…`.
    pub node: Option<String>,
    /// Of the curve key, `SX…`.
    pub xkey: Option<String>,
}

impl std::fmt::Debug for GivenSeeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenSeeds").finish_non_exhaustive()
    }
}

/// The node's keys.
pub struct Identity {
    node_id: String,
    public_xkey: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity kept in `directory`, made at the first start.
    ///
    /// # Errors
    /// When a key cannot be read, written or understood.
    pub fn load(directory: &StateDir) -> Result<Self, StateDirError> {
        Self::load_or_given(directory, &GivenSeeds::default())
    }

    /// Likewise, with given seeds instead of kept ones; given ones are not written down.
    ///
    /// # Errors
    /// As [`Identity::load`], and when a given seed is not of the right kind.
    pub fn load_or_given(directory: &StateDir, given: &GivenSeeds) -> Result<Self, StateDirError> {
        let node_id = match &given.node {
            Some(seed) => server_key(seed).ok_or(StateDirError::NodeSeed)?,
            None => Self::kept_node_id(directory)?,
        };
        let public_xkey = match &given.xkey {
            Some(seed) => curve_key(seed).ok_or(StateDirError::XkeySeed)?,
            None => Self::kept_xkey(directory)?,
        };
        Ok(Self { node_id, public_xkey })
    }

    fn kept_node_id(directory: &StateDir) -> Result<String, StateDirError> {
        let path = directory.path.join("node.seed");
        let seed = seed_at(&path, || KeyPair::new_server().seed().ok())?;
        server_key(&seed).ok_or(StateDirError::Key { path })
    }

    fn kept_xkey(directory: &StateDir) -> Result<String, StateDirError> {
        let path = directory.path.join("node.xseed");
        let seed = seed_at(&path, || XKey::new().seed().ok())?;
        curve_key(&seed).ok_or(StateDirError::Key { path })
    }

    /// The public server key, `N…`.
    #[must_use]
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// The public curve key, `X…`.
    #[must_use]
    pub fn public_xkey(&self) -> &str {
        &self.public_xkey
    }
}

fn server_key(seed: &str) -> Option<String> {
    let public = KeyPair::from_seed(seed.trim()).ok()?.public_key();
    public.starts_with('N').then_some(public)
}

fn curve_key(seed: &str) -> Option<String> {
    XKey::from_seed(seed.trim()).ok().map(|key| key.public_key())
}

/// Reads a seed, or makes and keeps one (0600, written whole before it has its name).
fn seed_at(path: &Path, make: impl Fn() -> Option<String>) -> Result<String, StateDirError> {
    let wrap = |source| StateDirError::NotWritable { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(seed) => return Ok(seed.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrap(error)),
    }
    let seed = make().ok_or_else(|| StateDirError::Key { path: path.to_owned() })?;
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(wrap)?;
    file.write_all(seed.as_bytes()).and_then(|()| file.sync_all()).map_err(wrap)?;
    fs::rename(&temporary, path).map_err(wrap)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_identity_and_has_its_directory_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let directory = StateDir::open(&path).unwrap();
        let first = Identity::load(&directory).unwrap();
        assert!(first.node_id().starts_with('N') && first.public_xkey().starts_with('X'));
        let refused = StateDir::open(&path).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(directory);
        let again = Identity::load(&StateDir::open(&path).unwrap()).unwrap();
        assert_eq!(first.node_id(), again.node_id());
    }

    #[test]
    fn given_seeds_win_and_are_not_kept() {
        let parent = tempfile::tempdir().unwrap();
        let directory = StateDir::open(parent.path()).unwrap();
        let pair = KeyPair::new_server();
        let given = GivenSeeds { node: pair.seed().ok(), xkey: XKey::new().seed().ok() };
        let identity = Identity::load_or_given(&directory, &given).unwrap();
        assert_eq!(identity.node_id(), pair.public_key());
        assert!(!parent.path().join("node.seed").exists());
        let user = GivenSeeds { node: KeyPair::new_user().seed().ok(), xkey: None };
        let refused = Identity::load_or_given(&directory, &user).unwrap_err().to_string();
        assert!(refused.contains("SN…"), "{refused}");
    }

    #[test]
    fn a_damaged_key_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let directory = StateDir::open(parent.path()).unwrap();
        fs::write(parent.path().join("node.seed"), "nonsense").unwrap();
        let error = Identity::load(&directory).unwrap_err().to_string();
        assert!(error.contains("node.seed"), "{error}");
    }
}
