//! Workloads that an earlier nexlet left, until a node claims them or they are ended.
//!
//! Owns: which those are, and that their uids are nobody else's meanwhile. Never: ends one by itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nex_types::Id;

use crate::programs::{Record, folder_of};
use crate::uids::{OwnUid, Uids};

/// All that nobody has claimed yet. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    unclaimed: Arc<Mutex<BTreeMap<Id, Option<OwnUid>>>>,
}

/// One that is being adopted or ended. It is left again when this is dropped before it was settled, so
/// that a failure loses none.
#[derive(Debug)]
pub(crate) struct Claim {
    left: Left,
    id: Id,
    uid: Option<OwnUid>,
    is_settled: bool,
}

impl Left {
    /// Those of a run folder, with the uids that their programs have. Blocks on the disk.
    pub(crate) fn in_folder(run_dir: &Path, ids: Vec<Id>, uids: Option<&Uids>) -> Self {
        let uid_of = |id: &Id| {
            let record = Record::read(&folder_of(run_dir, id))?;
            record.uid.and_then(|uid| uids.map(|uids| uids.keep(uid)))
        };
        let with_uids = ids.into_iter().map(|id| (id.clone(), uid_of(&id)));
        Self { unclaimed: Arc::new(Mutex::new(with_uids.collect())) }
    }

    pub(crate) fn len(&self) -> usize {
        self.unclaimed().len()
    }

    /// None when it was not left, or somebody else is at it.
    pub(crate) fn claim(&self, id: &Id) -> Option<Claim> {
        let uid = self.unclaimed().remove(id)?;
        Some(Claim { left: self.clone(), id: id.clone(), uid, is_settled: false })
    }

    /// All of them.
    pub(crate) fn claim_all(&self) -> Vec<Claim> {
        let ids: Vec<Id> = self.unclaimed().keys().cloned().collect();
        ids.iter().filter_map(|id| self.claim(id)).collect()
    }

    fn unclaimed(&self) -> MutexGuard<'_, BTreeMap<Id, Option<OwnUid>>> {
        self.unclaimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    pub(crate) fn id(&self) -> &Id {
        &self.id
    }

    /// The host's uid of its program.
    pub(crate) fn uid(&self) -> Option<u32> {
        self.uid.as_ref().map(|own| own.uid)
    }

    /// It has another owner now, or is gone: the uid goes with it.
    pub(crate) fn settle(mut self) -> Option<OwnUid> {
        self.is_settled = true;
        self.uid.take()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_settled {
            self.left.unclaimed().insert(self.id.clone(), self.uid.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_comes_to_nothing_is_left_again() {
        let folder = tempfile::tempdir().unwrap();
        let (id, other) = (Id::random(), Id::random());
        let left = Left::in_folder(folder.path(), vec![id.clone(), other.clone()], None);
        let claim = left.claim(&id).unwrap();
        assert!(left.claim(&id).is_none(), "one at a time");
        drop(claim);
        assert!(left.claim(&id).unwrap().settle().is_none());
        assert!(left.claim(&id).is_none());
        assert_eq!(left.claim_all().len(), 1);
        assert_eq!(left.claim_all()[0].id(), &other);
    }
}
