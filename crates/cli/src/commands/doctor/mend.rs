//! `nex doctor --fix`: what of Nex's own files is wrong and can be put right.
//!
//! Owns: finding it, putting it right, and saying what was done. Never: touches a file that is not Nex's, or one
//! that a running node or server uses; asks; installs anything.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nex_bus::managed;
use nex_node::StateDir;

use super::Finding;
use crate::args::Globals;

/// Whom a folder of ours lets in, and whom a key.
const OWNER_ALONE: (u32, u32) = (0o700, 0o600);
const OTHERS: u32 = 0o077;
/// Files below the state directory that nobody else may read.
const KEYS: [&str; 5] = ["node.seed", "node.xseed", "digest.key", "nats/nex.seed", "nats/app.seed"];
/// Every node leaves it; a folder without it may be anybody's.
const MARK: &str = "node.lock";

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    wrong: String,
    cure: Cure,
}

#[derive(Debug, PartialEq, Eq)]
enum Cure {
    /// Make the folder.
    Make(PathBuf),
    /// Give it this mode.
    Mode(PathBuf, u32),
    /// Remove what a managed server left in this folder, while no node may start one.
    Sweep { state: PathBuf, server: PathBuf },
    /// Write the context of the managed server in this folder.
    Context(PathBuf),
}

/// What could be mended, or with `fix` what was.
pub(super) fn findings(globals: &Globals, fix: bool) -> Vec<Finding> {
    let state = globals.state_dir();
    let faults = faults(&state, &globals.managed_dir());
    let report = |fault: &Fault| match fix {
        true => mend(fault),
        false => Finding::note("fixable", fault.wrong.clone())
            .advice(format!("{} with: nex doctor --fix", fault.cure.to_do())),
    };
    faults.iter().map(report).collect()
}

fn mend(fault: &Fault) -> Finding {
    match fault.cure.apply() {
        Ok(()) => Finding::ok("fixed", format!("{}: {}", fault.wrong, fault.cure.done())),
        Err(error) => Finding::bad("fixed", format!("{}: not mended: {error}", fault.wrong))
            .advice(format!(
                "{} by hand, or take another folder with: --state-dir DIR",
                fault.cure.to_do()
            )),
    }
}

fn faults(state: &Path, server: &Path) -> Vec<Fault> {
    if !state.exists() {
        let wrong = format!("{} is not there", state.display());
        return vec![Fault { wrong, cure: Cure::Make(state.to_owned()) }];
    }
    let keys = KEYS.iter().map(|key| state.join(key)).filter_map(|key| readable_key(&key));
    let mut faults: Vec<Fault> = open_folder(state).into_iter().chain(keys).collect();
    // A folder with its keys is one that a server of ours ran in.
    let is_ours = server.join("nex.seed").is_file();
    if is_ours && managed::has_leftovers(server) && !is_in_use(state) {
        let wrong = format!("{} names a server that runs no more", server.display());
        let (state, server) = (state.to_owned(), server.to_owned());
        faults.push(Fault { wrong, cure: Cure::Sweep { state, server } });
    }
    if managed::lacks_context(server) {
        let wrong = format!("the context of the server in {} is not there", server.display());
        faults.push(Fault { wrong, cure: Cure::Context(server.to_owned()) });
    }
    faults
}

/// A node that holds the directory watches over its server, which may be about to start again.
fn is_in_use(state: &Path) -> bool {
    let held = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    File::open(state.join(MARK)).is_ok_and(held)
}

/// Only a folder that a node has used: `--state-dir /tmp` is a mistake, and not ours to close.
fn open_folder(state: &Path) -> Option<Fault> {
    let metadata = fs::metadata(state).ok()?;
    let is_ours = metadata.is_dir() && is_mine(&metadata) && state.join(MARK).is_file();
    let is_shared = metadata.mode() & 0o1000 != 0;
    (is_ours && !is_shared && metadata.mode() & OTHERS != 0).then(|| Fault {
        wrong: format!("{} lets others in", state.display()),
        cure: Cure::Mode(state.to_owned(), OWNER_ALONE.0),
    })
}

fn readable_key(key: &Path) -> Option<Fault> {
    // A link may lead to anybody's file.
    let metadata = fs::symlink_metadata(key).ok()?;
    let is_open = metadata.is_file() && is_mine(&metadata) && metadata.mode() & OTHERS != 0;
    is_open.then(|| Fault {
        wrong: format!("others may read {}", key.display()),
        cure: Cure::Mode(key.to_owned(), OWNER_ALONE.1),
    })
}

fn is_mine(metadata: &fs::Metadata) -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == metadata.uid())
}

impl Cure {
    fn apply(&self) -> io::Result<()> {
        match self {
            Self::Make(path) => DirBuilder::new().recursive(true).mode(OWNER_ALONE.0).create(path),
            Self::Mode(path, mode) => fs::set_permissions(path, Permissions::from_mode(*mode)),
            Self::Sweep { state, server } => {
                let _alone = StateDir::open(state).map_err(io::Error::other)?;
                managed::sweep(server)
            }
            Self::Context(server) => managed::mend_context(server).map_err(io::Error::other),
        }
    }

    /// Begins a sentence's second half: "… with: nex doctor --fix".
    fn to_do(&self) -> String {
        match self {
            Self::Make(path) => format!("make {}", path.display()),
            Self::Mode(path, mode) => format!("chmod {mode:o} {}", path.display()),
            Self::Sweep { .. } => "remove its record, its ports and its context".to_owned(),
            Self::Context(_) => "write it again".to_owned(),
        }
    }

    fn done(&self) -> String {
        match self {
            Self::Make(_) => format!("made, with mode {:o}", OWNER_ALONE.0),
            Self::Mode(_, mode) => format!("mode is now {mode:o}"),
            Self::Sweep { .. } => "removed its record, its ports and its context".to_owned(),
            Self::Context(_) => "written again".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_folder_is_closed_only_when_a_node_used_it() {
        let folder = tempfile::tempdir().unwrap();
        let (state, server) = (folder.path(), folder.path().join("nats"));
        fs::set_permissions(state, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(faults(state, &server), [], "it may be anybody's");
        fs::write(state.join(MARK), "").unwrap();
        fs::write(state.join("node.seed"), "S").unwrap();
        fs::set_permissions(state.join("node.seed"), Permissions::from_mode(0o644)).unwrap();
        let found = faults(state, &server);
        assert_eq!(found.len(), 2, "{found:?}");
        found.iter().for_each(|fault| fault.cure.apply().unwrap());
        assert_eq!((mode(state), mode(&state.join("node.seed"))), (0o700, 0o600));
        assert_eq!(faults(state, &server), []);
        fs::set_permissions(state, Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(faults(state, &server), [], "a folder that all share");
    }

    #[test]
    fn a_link_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        fs::write(&theirs, "").unwrap();
        std::os::unix::fs::symlink(&theirs, folder.path().join("node.seed")).unwrap();
        assert_eq!(readable_key(&folder.path().join("node.seed")), None);
    }

    #[test]
    fn what_is_missing_is_made_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let found = faults(&state, &state.join("nats"));
        assert_eq!(found.first().map(|fault| &fault.cure), Some(&Cure::Make(state.clone())));
        found.iter().for_each(|fault| fault.cure.apply().unwrap());
        assert_eq!(mode(&state), 0o700);
    }
}
