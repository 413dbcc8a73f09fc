//! The copy of the last known state: a file per workload in the state directory.
//!
//! Owns: writing each file whole (0600) before it has its name. Never: decides what should run.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::key::Key;

const ENDING: &str = ".json";

/// The folder with the copy.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    folder: PathBuf,
}

impl Copy {
    /// Makes the folder (0700) when it is missing, and removes what a killed node left half-written.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        for entry in fs::read_dir(&folder)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder })
    }

    /// All files with their keys; the keys are checked by who reads the values.
    pub(crate) fn read(&self) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let name = entry.file_name();
            let key = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            if let Some(key) = key {
                files.insert(key.to_owned(), fs::read(entry.path())?);
            }
        }
        Ok(files)
    }

    /// Writes one file. It is whole when the process is killed, not yet when the power fails.
    pub(crate) fn write(&self, key: &Key, value: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join(format!(".{key}"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(value)?;
        fs::rename(temporary, self.path(key))
    }

    /// Makes one file survive a power failure.
    pub(crate) fn sync(&self, key: &Key) -> io::Result<()> {
        File::open(self.path(key))?.sync_all()?;
        sync_folder(&self.folder)
    }

    /// Removes one file; one that is not there is fine.
    pub(crate) fn remove(&self, key: &Key) -> io::Result<()> {
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{key}{ENDING}"))
    }
}

/// Makes names in `folder` survive a power failure.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_written_read_and_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("workloads");
        let copy = Copy::open(folder.clone()).unwrap();
        let key = Key::of("native", "W1").unwrap();
        copy.write(&key, b"one").unwrap();
        copy.write(&key, b"two").unwrap();
        copy.sync(&key).unwrap();
        let mode = fs::metadata(folder.join("native_W1.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folder.join(".native_W2"), "half").unwrap();
        let copy = Copy::open(folder.clone()).unwrap();
        assert_eq!(copy.read().unwrap(), [("native_W1".to_owned(), b"two".to_vec())].into());
        copy.remove(&key).unwrap();
        copy.remove(&key).unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
}
