//! How the node of a state directory is doing, for commands on the same machine.
//!
//! Owns: `<state>/node.json`, and the process that holds the directory's lock. Never: speaks NATS.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use nex_sandbox::{Adopted, ProcessIdentity, Signal};
use serde::{Deserialize, Serialize};

use crate::control::Shared;

/// What a node that runs says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id.
    pub node_id: String,
    /// Its version.
    pub version: String,
    /// When this life of it began.
    pub started: String,
    /// Why it was not replaced when that was last asked for.
    pub upgrade_refused: Option<String>,
}

impl NodeStatus {
    pub(crate) fn of(shared: &Shared) -> Self {
        Self {
            node_id: shared.node_id.clone(),
            version: shared.version.clone(),
            started: shared.started.to_string(),
            upgrade_refused: None,
        }
    }

    /// What the node that is ready with this state directory wrote, if one is.
    #[must_use]
    pub fn read(state: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(state)).ok()?).ok()
    }

    /// Asks the node that holds the lock of this state directory to replace itself by the program on
    /// disk; false when there is none.
    #[must_use]
    pub fn ask_to_upgrade(state: &Path) -> bool {
        let Some(process) = holder(state).and_then(|holder| Adopted::take(&holder).ok()?) else {
            return false;
        };
        if let Some(mut status) = Self::read(state) {
            status.upgrade_refused = None;
            status.write(state);
        }
        process.signal(Signal::SIGHUP);
        true
    }

    pub(crate) fn write_ready(&self, state: &Path) {
        self.write(state);
    }

    pub(crate) fn write_refused(&self, state: &Path, reason: &str) {
        Self { upgrade_refused: Some(reason.to_owned()), ..self.clone() }.write(state);
    }

    pub(crate) fn remove(state: &Path) {
        let _absent = fs::remove_file(path(state));
    }

    fn write(&self, state: &Path) {
        let temporary = state.join("node.json.new");
        let text = serde_json::to_vec(self).unwrap_or_default();
        let written =
            fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path(state)));
        if let Err(error) = written {
            tracing::warn!(%error, "status of the node not written");
        }
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("node.json")
}

/// Who holds the lock: the kernel says that somebody does, and the file says who.
fn holder(state: &Path) -> Option<ProcessIdentity> {
    let path = state.join("node.lock");
    let lock = File::open(&path).ok()?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            ProcessIdentity::of(fs::read_to_string(path).ok()?.trim().parse().ok()?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_when_nobody_holds_the_lock() {
        let state = tempfile::tempdir().unwrap();
        assert!(holder(state.path()).is_none());
        let own = crate::StateDir::open(state.path()).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(holder(state.path()).map(|holder| holder.pid), Some(pid));
        drop(own);
        assert!(holder(state.path()).is_none());
    }

    #[test]
    fn a_status_is_read_back() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(NodeStatus::read(state.path()), None);
        let status = NodeStatus { node_id: "N".to_owned(), ..NodeStatus::default() };
        status.write_ready(state.path());
        assert_eq!(NodeStatus::read(state.path()), Some(status));
    }
}
