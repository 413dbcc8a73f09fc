//! Uids of the host for programs, one each while they run.
//!
//! Owns: which are taken. Never: makes users: these numbers stand in no file of the machine.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nex_sandbox::jail::UID_BASE;
use nex_types::Digest;

/// Each run folder has this many of its own, so that nodes of one machine do not meet.
const PER_FOLDER: u32 = 1 << 14;
const FOLDERS: u32 = 1 << 13;

/// The uids of one run folder.
#[derive(Debug, Clone)]
pub(crate) struct Uids {
    first: u32,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

/// Free again when it is dropped.
#[derive(Debug)]
pub(crate) struct OwnUid {
    pub(crate) uid: u32,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

impl Uids {
    /// None where this process may not give any: it is not root.
    pub(crate) fn of(run_dir: &Path) -> Option<Self> {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
        is_root.then(|| Self::beginning_at(run_dir))
    }

    /// The lowest that nobody has; none when all are taken.
    pub(crate) fn take(&self) -> Option<OwnUid> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = (self.first..self.first + PER_FOLDER).find(|uid| !taken.contains(uid))?;
        taken.insert(uid);
        Some(OwnUid { uid, taken: Arc::clone(&self.taken) })
    }

    /// One that a program has already.
    pub(crate) fn keep(&self, uid: u32) -> OwnUid {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
        OwnUid { uid, taken: Arc::clone(&self.taken) }
    }

    fn beginning_at(run_dir: &Path) -> Self {
        let digest = Digest::of(run_dir.as_os_str().as_encoded_bytes()).to_string();
        let hex = digest.trim_start_matches("sha256:").get(..8).unwrap_or_default();
        let folder = u32::from_str_radix(hex, 16).unwrap_or_default() % FOLDERS;
        Self { first: UID_BASE + folder * PER_FOLDER, taken: Arc::default() }
    }
}

impl Drop for OwnUid {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_programs_have_the_same_and_folders_differ() {
        let uids = Uids::beginning_at(Path::new("/a/run"));
        let (one, two) = (uids.take().unwrap(), uids.take().unwrap());
        assert_eq!(two.uid, one.uid + 1);
        let (free, kept) = (one.uid, uids.keep(two.uid + 1));
        drop(one);
        assert_eq!(uids.take().unwrap().uid, free);
        assert_ne!(uids.take().unwrap().uid, kept.uid);
        assert_ne!(Uids::beginning_at(Path::new("/b/run")).first, uids.first);
        assert!(uids.first >= UID_BASE && uids.first < 0x8000_0000 - PER_FOLDER);
    }
}
