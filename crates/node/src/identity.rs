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
        let node_path = directory.path.join("node.seed");
        let seed = seed_at(&node_path, || KeyPair::new_server().seed().ok())?;
        let pair = KeyPair::from_seed(&seed)
            .map_err(|_| StateDirError::Key { path: node_path.clone() })?;
        if !pair.public_key().starts_with('N') {
            return Err(StateDirError::Key { path: node_path });
        }
        let xkey_path = directory.path.join("node.xseed");
        let xseed = seed_at(&xkey_path, || XKey::new().seed().ok())?;
        let xkey = XKey::from_seed(&xseed).map_err(|_| StateDirError::Key { path: xkey_path })?;
        Ok(Self { node_id: pair.public_key(), public_xkey: xkey.public_key() })
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
    fn a_damaged_key_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let directory = StateDir::open(parent.path()).unwrap();
        fs::write(parent.path().join("node.seed"), "nonsense").unwrap();
        let error = Identity::load(&directory).unwrap_err().to_string();
        assert!(error.contains("node.seed"), "{error}");
    }
}
