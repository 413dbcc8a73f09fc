//! The folder of fetched artifacts: `<folder>/<namespace>/<hex of the digest>`.
//!
//! Owns: which files are in use, whose turn it is to fetch one, and which go when it is full. Never:
//! fetches, or hands out a file whose digest it has not just seen.
//!
//! Each namespace has files of its own, so that to know another's digest is not to have its program.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use nex_types::{Digest, Namespace};
use tempfile::NamedTempFile;

use crate::intake::hash_file;

const PART_PREFIX: &str = ".part-";
/// No fetch takes as long; an older part was left by a process that died.
const PART_IS_STALE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    capacity: u64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    in_use: HashMap<PathBuf, Weak<InUse>>,
    turns: HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>,
}

/// Keeps a cached file from being removed while it lives.
#[derive(Debug)]
pub(crate) struct InUse;

/// A verified file, and the guard that keeps it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) in_use: Arc<InUse>,
}

impl Cache {
    pub(crate) fn open(folder: PathBuf, capacity: u64) -> io::Result<Self> {
        make_private(&folder)?;
        remove_stale_parts(&folder, SystemTime::now());
        Ok(Self { folder, capacity, table: Mutex::default() })
    }

    /// A new private file in the cache's own file system, gone when dropped.
    pub(crate) fn part(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix(PART_PREFIX).tempfile_in(&self.folder)
    }

    /// Held by whoever fetches `digest`; others wait for it and then find the file.
    pub(crate) fn turn(
        &self,
        namespace: &Namespace,
        digest: Digest,
    ) -> Arc<tokio::sync::Mutex<()>> {
        let path = self.path(namespace, digest);
        let mut table = self.table();
        table.turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = table.turns.get(&path).and_then(Weak::upgrade) {
            return turn;
        }
        // An async mutex: it is held over the whole fetch.
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        table.turns.insert(path, Arc::downgrade(&turn));
        turn
    }

    /// The file of `digest`, hashed again now; one that does not fit is removed. Blocks on the disk.
    pub(crate) fn find(&self, namespace: &Namespace, digest: Digest) -> io::Result<Option<Kept>> {
        let path = self.path(namespace, digest);
        // In use before it is looked at, so that it cannot go in between.
        let in_use = self.use_of(&path);
        match hash_file(&path) {
            Ok((actual, size)) if actual == digest => {
                touch(&path);
                Ok(Some(Kept { path, size, in_use }))
            }
            Ok(_) => {
                tracing::warn!(path = %path.display(), "cached artifact was changed, fetching it again");
                fs::remove_file(&path)?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a part whose digest was found while it was written. Blocks on the disk.
    pub(crate) fn keep(
        &self,
        part: NamedTempFile,
        namespace: &Namespace,
        digest: Digest,
        size: u64,
    ) -> io::Result<Kept> {
        let path = self.path(namespace, digest);
        make_private(path.parent().unwrap_or(&self.folder))?;
        let in_use = self.use_of(&path);
        part.persist(&path).map_err(|error| error.error)?;
        // The clock of writes is coarser than that of uses.
        touch(&path);
        self.make_room();
        Ok(Kept { path, size, in_use })
    }

    fn make_room(&self) {
        let mut table = self.table();
        table.in_use.retain(|_, guard| guard.strong_count() > 0);
        let files = list(&self.folder);
        for path in to_remove(files, |path| table.in_use.contains_key(path), self.capacity) {
            tracing::debug!(path = %path.display(), "removing an artifact, the cache is full");
            let _gone = fs::remove_file(&path);
        }
    }

    fn use_of(&self, path: &Path) -> Arc<InUse> {
        let mut table = self.table();
        if let Some(guard) = table.in_use.get(path).and_then(Weak::upgrade) {
            return guard;
        }
        let guard = Arc::new(InUse);
        table.in_use.insert(path.to_owned(), Arc::downgrade(&guard));
        guard
    }

    fn path(&self, namespace: &Namespace, digest: Digest) -> PathBuf {
        self.folder.join(namespace.as_str()).join(digest.hex())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CachedFile {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// Least recently used ones first, until the rest fits; never one in use.
fn to_remove(
    mut files: Vec<CachedFile>,
    in_use: impl Fn(&Path) -> bool,
    capacity: u64,
) -> Vec<PathBuf> {
    let mut total: u64 = files.iter().map(|file| file.size).sum();
    files.sort_by_key(|file| file.used);
    let mut removed = Vec::new();
    for file in files {
        if total <= capacity {
            break;
        }
        if !in_use(&file.path) {
            total -= file.size;
            removed.push(file.path);
        }
    }
    removed
}

fn list(folder: &Path) -> Vec<CachedFile> {
    let mut files = Vec::new();
    for namespace in entries(folder).filter(|entry| entry.path().is_dir()) {
        for entry in entries(&namespace.path()) {
            let Ok(metadata) = entry.metadata() else { continue };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.push(CachedFile { path: entry.path(), size: metadata.len(), used });
        }
    }
    files
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok)
}

fn remove_stale_parts(folder: &Path, now: SystemTime) {
    for entry in entries(folder) {
        let is_part = entry.file_name().to_string_lossy().starts_with(PART_PREFIX);
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
        if is_part && age.is_some_and(|age| age > PART_IS_STALE) {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

/// Marks a file as used now, for a later process too.
fn touch(path: &Path) {
    let touched =
        File::options().append(true).open(path).and_then(|f| f.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        tracing::debug!(path = %path.display(), %error, "cannot mark an artifact as used");
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    fn keep(cache: &Cache, bytes: &[u8]) -> Kept {
        let part = cache.part().unwrap();
        fs::write(part.path(), bytes).unwrap();
        let namespace = Namespace::parse("a").unwrap();
        cache.keep(part, &namespace, Digest::of(bytes), bytes.len() as u64).unwrap()
    }

    #[test]
    fn what_is_kept_is_found_private_and_only_by_its_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().join("cache"), 100).unwrap();
        let kept = keep(&cache, b"bytes");
        assert_eq!(fs::metadata(&kept.path).unwrap().permissions().mode() & 0o777, 0o600);
        let digest = Digest::of(b"bytes");
        let (a, b) = (Namespace::parse("a").unwrap(), Namespace::parse("b").unwrap());
        assert_eq!(cache.find(&a, digest).unwrap().unwrap().path, kept.path);
        assert!(cache.find(&b, digest).unwrap().is_none());
    }

    #[test]
    fn a_changed_file_is_not_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().to_owned(), 100).unwrap();
        let kept = keep(&cache, b"bytes");
        fs::write(&kept.path, b"Bytes").unwrap();
        let a = Namespace::parse("a").unwrap();
        assert!(cache.find(&a, Digest::of(b"bytes")).unwrap().is_none());
        assert!(!kept.path.exists());
    }

    #[test]
    fn a_full_cache_lets_go_of_what_nobody_uses() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().to_owned(), 10).unwrap();
        let used = keep(&cache, b"in use");
        let unused = keep(&cache, b"idle").path;
        let newest = keep(&cache, b"newest");
        assert!(used.path.exists() && newest.path.exists());
        assert!(!unused.exists());
    }

    #[test]
    fn least_recently_used_ones_go_first_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::open(folder.path().to_owned(), 12).unwrap();
        let cache = open();
        let (first, second) = (keep(&cache, b"1111").path, keep(&cache, b"2222").path);
        let third = keep(&cache, b"3333").path;
        let a = Namespace::parse("a").unwrap();
        assert!(cache.find(&a, Digest::of(b"1111")).unwrap().is_some());
        drop(cache);
        let cache = open();
        assert!([&first, &second, &third].iter().all(|path| path.exists()), "all fit");
        let used = cache.find(&a, Digest::of(b"2222")).unwrap().unwrap();
        let fourth = keep(&cache, b"4444").path;
        assert!(!third.exists(), "it was used longest ago");
        let fifth = keep(&cache, b"5555").path;
        assert!(!first.exists() && used.path.exists());
        keep(&cache, b"66666666");
        assert!(used.path.exists() && !fourth.exists() && !fifth.exists());
        drop(used);
        keep(&cache, b"77777777");
        assert!(!second.exists(), "nobody uses it any more");
    }

    #[test]
    fn only_old_parts_are_removed_at_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".part-1"), b"x").unwrap();
        let now = SystemTime::now();
        remove_stale_parts(folder.path(), now);
        assert!(folder.path().join(".part-1").exists());
        remove_stale_parts(folder.path(), now + PART_IS_STALE + Duration::from_secs(10));
        assert!(!folder.path().join(".part-1").exists());
    }

    proptest! {
        #[test]
        fn the_rest_fits_or_is_in_use_and_the_oldest_go_first(
            files in proptest::collection::vec((0u64..100, 0u64..50, any::<bool>()), 0..20),
            capacity in 0u64..500,
        ) {
            let all: Vec<CachedFile> = files.iter().enumerate().map(|(at, (size, used, _))| CachedFile {
                path: PathBuf::from(at.to_string()),
                size: *size,
                used: SystemTime::UNIX_EPOCH + Duration::from_secs(*used),
            }).collect();
            let index = |path: &Path| path.to_str().unwrap().parse::<usize>().unwrap();
            let in_use = |path: &Path| files[index(path)].2;
            let removed = to_remove(all.clone(), in_use, capacity);
            prop_assert!(removed.iter().all(|path| !in_use(path)));
            let rest: Vec<_> = all.iter().filter(|file| !removed.contains(&file.path)).collect();
            let total: u64 = rest.iter().map(|file| file.size).sum();
            prop_assert!(total <= capacity || rest.iter().all(|file| in_use(&file.path)));
            let newest_removed = removed.iter().map(|path| all[index(path)].used).max();
            let oldest_idle = rest.iter().filter(|f| !in_use(&f.path)).map(|f| f.used).min();
            prop_assert!(newest_removed.zip(oldest_idle).is_none_or(|(gone, kept)| gone <= kept));
        }
    }
}
