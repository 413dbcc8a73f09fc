//! Files of the node's machine, below the folders that it allows.
//!
//! Owns: which paths may be opened. Never: lists a folder, or tells whether a file elsewhere exists.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::FetchError;
use crate::error::disk;

/// The folders below which `file://` is taken.
#[derive(Debug, Clone)]
pub(crate) struct AllowedFolders(Arc<[Folder]>);

/// A folder, as it was named and as it is.
#[derive(Debug)]
struct Folder {
    named: PathBuf,
    real: PathBuf,
}

impl AllowedFolders {
    pub(crate) fn resolve(folders: Vec<PathBuf>) -> Result<Self, (PathBuf, io::Error)> {
        let mut resolved = Vec::new();
        for named in folders {
            match named.canonicalize() {
                Ok(real) => resolved.push(Folder { named, real }),
                Err(source) => return Err((named, source)),
            }
        }
        Ok(Self(resolved.into()))
    }

    /// Whether `path` is below one of them by its words alone.
    pub(crate) fn cover(&self, path: &Path) -> bool {
        let is_plain =
            path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        let is_below =
            |folder: &Folder| path.starts_with(&folder.named) || path.starts_with(&folder.real);
        is_plain && self.0.iter().any(is_below)
    }

    /// Opens a regular file, and then looks where it really is: a link may have led out of the folder,
    /// also one that was made after the look at the path.
    pub(crate) fn open(&self, path: &Path) -> Result<File, FetchError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                FetchError::Missing { what: format!("file {}", path.display()) }
            }
            _ => disk(format!("cannot open file {}", path.display()))(source),
        };
        let real = path.canonicalize().map_err(failed)?;
        // Before it is opened: to open a named pipe would wait for its writer.
        self.judge(path, &real, &real.metadata().map_err(failed)?)?;
        let file = File::open(&real).map_err(failed)?;
        let opened =
            fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(failed)?;
        self.judge(path, &opened, &file.metadata().map_err(failed)?)?;
        Ok(file)
    }

    fn judge(&self, path: &Path, real: &Path, metadata: &Metadata) -> Result<(), FetchError> {
        if !self.0.iter().any(|folder| real.starts_with(&folder.real)) {
            return Err(FetchError::Unsupported { reason: not_allowed(path) });
        }
        if !metadata.is_file() {
            let reason = format!("{} is not a regular file", path.display());
            return Err(FetchError::Unsupported { reason });
        }
        Ok(())
    }
}

/// One sentence, with what to change.
pub(crate) fn not_allowed(path: &Path) -> String {
    format!(
        "file://{} is not below a folder that this node allows: start it with --allow-files DIR",
        path.display()
    )
}
