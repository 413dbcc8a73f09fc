//! What the bucket does not have yet: a line per write or removal that JetStream did not acknowledge.
//!
//! Owns: the file, its order, its bound, and that a line is on disk before anybody is told. Never:
//! holds a value; that stands in the copy.
//!
//! ```text
//! not acknowledged ─► line appended, fsync ─► … JetStream is back ─► applied ─► file is empty again
//! ```

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::copy::sync_folder;

/// More keys than this cannot wait; a node has a few thousand workloads.
const MOST_KEYS: usize = 100_000;
/// The file is written anew when it has this many lines more than keys.
const MOST_STALE: usize = 100;

/// What is to be done to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    Put,
    Purge,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    op: Change,
    key: String,
}

/// The journal: the last change of each key that waits.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    waiting: BTreeMap<String, Change>,
    n_lines: usize,
}

impl Journal {
    /// Reads what a former node left. A line that was cut by its end is skipped: nobody was told of it.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut journal = Self { path, waiting: BTreeMap::new(), n_lines: 0 };
        for line in text.lines() {
            match serde_json::from_str::<Line>(line) {
                Ok(Line { op, key }) => journal.waiting.insert(key, op),
                Err(error) => {
                    tracing::warn!(%error, "a line of the state journal is not understood, skipped");
                    continue;
                }
            };
        }
        if !text.is_empty() {
            journal.rewrite()?;
        }
        Ok(journal)
    }

    /// The last change of each key that waits.
    pub(crate) fn waiting(&self) -> &BTreeMap<String, Change> {
        &self.waiting
    }

    /// Adds a change; it is on disk when this returns.
    pub(crate) fn append(&mut self, key: &str, op: Change) -> io::Result<()> {
        if self.waiting.len() >= MOST_KEYS && !self.waiting.contains_key(key) {
            return Err(io::Error::other("the state journal is full"));
        }
        self.waiting.insert(key.to_owned(), op);
        if self.n_lines >= self.waiting.len() + MOST_STALE {
            return self.rewrite();
        }
        let is_new = self.n_lines == 0;
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        file.write_all(&line(key, op))?;
        file.sync_data()?;
        self.n_lines += 1;
        if is_new { self.sync_name() } else { Ok(()) }
    }

    /// Takes out a key that the bucket is known to agree on.
    pub(crate) fn settled(&mut self, key: &str) -> io::Result<()> {
        if self.waiting.remove(key).is_some() { self.rewrite() } else { Ok(()) }
    }

    /// Takes out what has been applied, unless it has changed since.
    pub(crate) fn applied(&mut self, done: &BTreeMap<String, Change>) -> io::Result<()> {
        let n_before = self.waiting.len();
        self.waiting.retain(|key, op| done.get(key) != Some(op));
        if self.waiting.len() == n_before { Ok(()) } else { self.rewrite() }
    }

    /// The file as short as it can be: written whole, then renamed.
    fn rewrite(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.n_lines = 0,
            }
            return Ok(());
        }
        let temporary = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        let lines: Vec<u8> = self.waiting.iter().flat_map(|(key, op)| line(key, *op)).collect();
        file.write_all(&lines)?;
        file.sync_data()?;
        fs::rename(temporary, &self.path)?;
        self.n_lines = self.waiting.len();
        self.sync_name()
    }

    fn sync_name(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), sync_folder)
    }
}

fn line(key: &str, op: Change) -> Vec<u8> {
    let mut line = nex_api::encode(&Line { op, key: key.to_owned() });
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_there_after_a_kill_and_gone_once_applied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.journal");
        let mut journal = Journal::open(path.clone()).unwrap();
        journal.append("native_A", Change::Put).unwrap();
        journal.append("native_B", Change::Put).unwrap();
        journal.append("native_A", Change::Purge).unwrap();
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"op\":\"pu")
            .unwrap();

        let mut journal = Journal::open(path.clone()).unwrap();
        let waiting =
            [("native_A".to_owned(), Change::Purge), ("native_B".to_owned(), Change::Put)];
        assert_eq!(*journal.waiting(), waiting.clone().into());
        // What changed while it was applied still waits.
        journal.append("native_B", Change::Purge).unwrap();
        journal.applied(&waiting.into()).unwrap();
        assert_eq!(*journal.waiting(), [("native_B".to_owned(), Change::Purge)].into());
        journal.applied(&[("native_B".to_owned(), Change::Purge)].into()).unwrap();
        assert!(journal.waiting().is_empty() && !path.exists());
    }

    #[test]
    fn it_stays_short_however_often_a_key_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.journal");
        let mut journal = Journal::open(path.clone()).unwrap();
        for _ in 0..MOST_STALE {
            journal.append("native_A", Change::Put).unwrap();
            journal.append("native_A", Change::Purge).unwrap();
        }
        assert!(fs::read_to_string(path).unwrap().lines().count() <= MOST_STALE + 1);
        assert_eq!(journal.waiting().len(), 1);
    }
}
