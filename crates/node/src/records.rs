//! What the state directory says of each nexlet's process, so that a later node finds it again.
//!
//! Owns: `<state>/nexlets/<name>/`: the records, written whole and then renamed, and the log file.
//! Never: signals a process, or shows a token.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nex_sandbox::ProcessIdentity;
use serde::{Deserialize, Serialize};

/// Which of a nexlet's processes a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that has the workloads.
    Current,
    /// One that is to take them over.
    Heir,
    /// One whose workloads were taken over, while it finishes its calls.
    Retiring,
}

/// A launched process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) agent_id: String,
    pub(crate) register_token: String,
    /// Tells one program, with its arguments, from another.
    pub(crate) program: String,
    pid: i32,
    start_time: u64,
    boot_id: String,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("agent_id", &self.agent_id)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Record {
    pub(crate) fn new(
        agent_id: &str,
        register_token: &str,
        program: &str,
        process: ProcessIdentity,
    ) -> Self {
        Self {
            agent_id: agent_id.to_owned(),
            register_token: register_token.to_owned(),
            program: program.to_owned(),
            pid: process.pid,
            start_time: process.start_time,
            boot_id: process.boot_id,
        }
    }

    pub(crate) fn identity(&self) -> ProcessIdentity {
        let boot_id = self.boot_id.clone();
        ProcessIdentity { pid: self.pid, start_time: self.start_time, boot_id }
    }
}

/// One nexlet's part of the state directory.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(crate) fn of(state: &Path, name: &str) -> io::Result<Self> {
        let folder = state.join("nexlets").join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// Those of nexlets that a node with this state directory ever launched, by name.
    pub(crate) fn all(state: &Path) -> Vec<(String, Self)> {
        let folders = fs::read_dir(state.join("nexlets")).into_iter().flatten().flatten();
        folders
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .map(|(name, folder)| (name, Self { folder }))
            .collect()
    }

    /// Where the nexlet's own output goes.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("nexlet.log")
    }

    /// The record, if there is one that can be read.
    pub(crate) fn read(&self, role: Role) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.path(role)).ok()?).ok()
    }

    pub(crate) fn write(&self, role: Role, record: &Record) -> io::Result<()> {
        let temporary = self.folder.join("process.new");
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        fs::rename(&temporary, self.path(role))
    }

    pub(crate) fn remove(&self, role: Role) {
        let _absent = fs::remove_file(self.path(role));
    }

    /// The heir becomes the current one. Whatever is killed in between, one of the two is current
    /// at the next look, and the other is known.
    pub(crate) fn promote(&self) -> io::Result<()> {
        fs::rename(self.path(Role::Current), self.path(Role::Retiring))?;
        fs::rename(self.path(Role::Heir), self.path(Role::Current))
    }

    /// Finishes a promotion that was cut short.
    pub(crate) fn settle(&self) {
        if !self.path(Role::Current).exists() && self.path(Role::Retiring).exists() {
            let _no_heir = fs::rename(self.path(Role::Heir), self.path(Role::Current));
        }
    }

    fn path(&self, role: Role) -> PathBuf {
        self.folder.join(match role {
            Role::Current => "process.json",
            Role::Heir => "heir.json",
            Role::Retiring => "retiring.json",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn record(agent_id: &str) -> Record {
        let process = ProcessIdentity { pid: 1, start_time: 2, boot_id: "b".to_owned() };
        Record::new(agent_id, "secret", "p", process)
    }

    #[test]
    fn records_are_private_and_survive() {
        let state = tempfile::tempdir().unwrap();
        let records = Records::of(state.path(), "wasm").unwrap();
        assert_eq!(records.read(Role::Current), None);
        records.write(Role::Current, &record("a")).unwrap();
        let again = &Records::all(state.path())[0];
        assert_eq!(again.0, "wasm");
        assert_eq!(again.1.read(Role::Current), Some(record("a")));
        let mode = fs::metadata(records.path(Role::Current)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{:?}", record("a")).contains("secret"));
        fs::write(records.path(Role::Current), "half").unwrap();
        assert_eq!(records.read(Role::Current), None);
    }

    #[test]
    fn a_promotion_cut_short_is_finished() {
        let state = tempfile::tempdir().unwrap();
        let records = Records::of(state.path(), "wasm").unwrap();
        records.write(Role::Current, &record("old")).unwrap();
        records.write(Role::Heir, &record("new")).unwrap();
        records.settle();
        assert_eq!(records.read(Role::Current), Some(record("old")), "nothing was promoted yet");
        fs::rename(records.path(Role::Current), records.path(Role::Retiring)).unwrap();
        records.settle();
        assert_eq!(records.read(Role::Current), Some(record("new")));
        assert_eq!(records.read(Role::Retiring), Some(record("old")));
    }
}
