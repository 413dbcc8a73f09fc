//! The nexlet's half of a shim: starting one, finding one that runs, and talking to it.
//!
//! Owns: what a shim is asked and what it said. Never: decides when a program starts or ends.
//!
//! ```text
//! launch: spawn ─► order on stdin ─► answer on stdout ─► connect ─► hello
//! adopt:  shim.json ─► is that very process alive? ─► connect ─► hello
//! ```

mod launch;
mod link;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nex_sandbox::jail::sweep_group;
use nex_sandbox::{ProcessIdentity, kill_tree, processes_with};
use nex_shim::{END_FILE, End, Running, SHIM_FILE, SOCKET, SPOOL_FOLDER};

pub(crate) use launch::{LaunchError, Launcher};
pub(crate) use link::{Heard, Link};

use crate::programs::{group_of, marker, on_disk, shim_marker};

/// What a shim that was killed left is killed within this.
const KILL_BOUND: Duration = Duration::from_secs(5);

/// A shim that does not answer for so long is not worth more.
const BOUND: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);

/// How a workload's last run stands.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its shim lives, and is connected.
    Runs(Link, Running),
    /// It has ended, and its shim told how.
    Ended(End),
    /// Neither: the machine was started anew, or its shim was killed, or does not listen.
    Lost,
}

/// Looks, and connects. A shim that is about to end is waited for.
pub(crate) async fn find(folder: &Path, id: &str) -> Found {
    let deadline = Instant::now() + BOUND;
    while Instant::now() < deadline {
        let path = folder.to_owned();
        let read = on_disk(move || Ok((end(&path), running(&path)))).await;
        // In this order: a shim that told the end may not be gone yet.
        let running = match read {
            Ok((Some(end), _)) => return Found::Ended(end),
            Ok((None, Some(running))) if running.shim.is_alive() => running,
            // It may have told between the two looks.
            _ => {
                let path = folder.to_owned();
                let end = on_disk(move || Ok(end(&path))).await;
                return end.ok().flatten().map_or(Found::Lost, Found::Ended);
            }
        };
        match Link::connect(folder).await {
            Ok(link) => return Found::Runs(link, running),
            Err(error) => tracing::debug!(workload.id = id, %error, "shim not reached yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::error!(workload.id = id, "its shim lives, but cannot be reached");
    Found::Lost
}

/// How the last run ended, if its shim told.
fn end(folder: &Path) -> Option<End> {
    serde_json::from_slice(&fs::read(folder.join(END_FILE)).ok()?).ok()
}

fn running(folder: &Path) -> Option<Running> {
    serde_json::from_slice(&fs::read(folder.join(SHIM_FILE)).ok()?).ok()
}

/// The spool of a workload.
pub(crate) fn spool(folder: &Path) -> PathBuf {
    folder.join(SPOOL_FOLDER)
}

/// Takes a run's files away: the folder is ready for the next. Blocks on the disk.
pub(crate) fn clear(folder: &Path) -> io::Result<()> {
    for file in [SHIM_FILE, END_FILE, SOCKET] {
        gone(fs::remove_file(folder.join(file)))?;
    }
    gone(fs::remove_dir_all(spool(folder)))
}

/// Ends whatever is left of a run that its own shim did not end. Looks at every process; blocks.
pub(crate) fn end_left(folder: &Path, id: &str) -> io::Result<()> {
    let of_program = marker(id);
    let mut left = BTreeSet::new();
    for marker in [shim_marker(id), of_program.clone()] {
        if let Some(pid) = processes_with(&marker).first() {
            tracing::warn!(workload.id = id, pid, "ending what was left of a run");
            left.extend(kill_tree(*pid, Some(&marker), KILL_BOUND));
        }
    }
    let running = running(folder);
    for process in running.iter().flat_map(|running| [&running.shim, &running.program]) {
        if process.is_alive() {
            left.extend(kill_tree(process.pid, Some(&of_program), KILL_BOUND));
        }
    }
    // Before it is judged: the group may still end those that would not go.
    sweep_group(&group_of(id))?;
    left.retain(|pid| ProcessIdentity::of(*pid).is_some());
    match left.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(format!("processes {left:?} would not go"))),
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
