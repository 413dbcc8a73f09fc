//! What the tests share. Never: asserts.

use std::fs;
use std::path::{Path, PathBuf};

use nex_artifact::{Options, Store};
use nex_types::Namespace;
use tempfile::TempDir;

pub(crate) const LIMIT: u64 = 64 << 20;

/// A store of its own, gone with the test.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) allowed: PathBuf,
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    pub(crate) fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let allowed = folder.path().join("allowed");
        fs::create_dir(&allowed).unwrap();
        let options = Options::new(folder.path().join("cache"));
        let options = change(Options { allow_files: vec![allowed.clone()], ..options });
        let store = Store::open_with(options).unwrap();
        Self { store, allowed, folder }
    }

    /// Every file of the cache, by its path below it.
    pub(crate) fn cached(&self) -> Vec<String> {
        let cache = self.folder.path().join("cache");
        let mut found = Vec::new();
        let mut folders = vec![cache.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(relative(&path, &cache));
                }
            }
        }
        found.sort();
        found
    }
}

pub(crate) fn namespace(name: &str) -> Namespace {
    Namespace::parse(name).unwrap()
}

fn relative(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap().display().to_string()
}
