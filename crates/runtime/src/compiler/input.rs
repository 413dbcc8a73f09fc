//! Modules on their way to the compile helper.
//!
//! Owns: one folder of short-lived files, each removed when its request is over. Never: reads one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a nexlet that was killed left behind. Two of one type share the folder while one replaces
/// the other, so younger files may be in use.
const STALE: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Inputs {
    folder: PathBuf,
}

/// Removed when it is dropped.
#[derive(Debug)]
pub(super) struct Input {
    path: PathBuf,
    name: String,
}

impl Inputs {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > STALE)) {
                drop(fs::remove_file(entry.path()));
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    pub(super) fn put(&self, wasm: &[u8]) -> io::Result<Input> {
        let name = format!("{:032x}.wasm", rand::random::<u128>());
        let path = self.folder.join(&name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let input = Input { path, name };
        file.write_all(wasm)?;
        Ok(input)
    }
}

impl Input {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}
