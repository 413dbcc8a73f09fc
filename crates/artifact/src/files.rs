//! Files of the node's machine, below the folders that it allows.
//!
//! Owns: which paths may be opened. Never: lists a folder, or tells whether a file elsewhere exists.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;

use crate::FetchError;

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

    /// Opens a regular file, and then looks where it really is: a link may have led out of the folder, or
    /// have been made after a look at the path alone.
    pub(crate) fn open(&self, path: &Path) -> Result<File, FetchError> {
        let refuse = |reason| Err(FetchError::Unsupported { reason });
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                FetchError::Missing { what: format!("file {}", path.display()) }
            }
            _ => FetchError::Io { what: format!("cannot open file {}", path.display()), source },
        };
        // Without O_NONBLOCK, to open a named pipe would wait for its writer.
        let flags = OFlag::O_NONBLOCK.bits();
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
        let real = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(failed)?;
        if !self.0.iter().any(|folder| real.starts_with(&folder.real)) {
            return refuse(not_allowed(path));
        }
        if !file.metadata().map_err(failed)?.is_file() {
            return refuse(format!("{} is not a regular file", path.display()));
        }
        Ok(file)
    }
}

/// One sentence, with what to change.
pub(crate) fn not_allowed(path: &Path) -> String {
    format!(
        "file://{} is not below a folder that this node allows: start it with --allow-files DIR",
        path.display()
    )
}
