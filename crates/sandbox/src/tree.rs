//! Ends a process and everything that descends from it.
//!
//! Owns: finding descendants in `/proc` and signalling them. Never: waits for more than a few rounds.
//!
//! Until every workload has a pid namespace, a tree is whoever descends from the root, shares its
//! session, or carries its marker in the environment it was started with. A program that leaves the
//! session, loses its parent and clears its environment escapes; docs/roadmap.md says so.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::identity::Stat;

/// An entry `KEY=VALUE` of the environment that all processes of a tree were started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker(String);

impl Marker {
    /// The entry `key=value`.
    #[must_use]
    pub fn new(key: &str, value: &str) -> Self {
        Self(format!("{key}={value}"))
    }
}

/// Sends `signal` to the root's whole process group, or to the root alone when it leads none.
/// A tree that is gone is fine.
pub fn signal(root: i32, signal: Signal) {
    let group = signal::killpg(Pid::from_raw(root), signal);
    if group == Err(Errno::ESRCH) {
        let _gone = signal::kill(Pid::from_raw(root), signal);
    }
}

/// Kills the tree of `root` and looks again until nothing of it is left; gives up after `bound`.
/// Returns the pids that would not go.
pub fn kill_tree(root: i32, marker: Option<&Marker>, bound: Duration) -> BTreeSet<i32> {
    let deadline = Instant::now() + bound;
    loop {
        let tree = members(root, marker);
        if tree.is_empty() || Instant::now() >= deadline {
            return tree;
        }
        for pid in &tree {
            let _gone = signal::kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}

/// Every process whose start environment has `marker`.
#[must_use]
pub fn processes_with(marker: &Marker) -> BTreeSet<i32> {
    pids().filter(|pid| has_marker(*pid, marker) && is_running(*pid)).collect()
}

/// Resident memory of a process in bytes, if it is there.
#[must_use]
pub fn resident_bytes(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn members(root: i32, marker: Option<&Marker>) -> BTreeSet<i32> {
    let all: Vec<(i32, Stat)> =
        pids().filter_map(|pid| Stat::read(pid).map(|stat| (pid, stat))).collect();
    let mut tree: BTreeSet<i32> = all
        .iter()
        .filter(|(pid, stat)| {
            *pid == root || stat.session == root || marker.is_some_and(|m| has_marker(*pid, m))
        })
        .map(|(pid, _)| *pid)
        .collect();
    loop {
        let before = tree.len();
        tree.extend(
            all.iter()
                .filter(|(_, stat)| tree_has(&tree, stat.parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if tree.len() == before {
            break;
        }
    }
    tree.retain(|pid| is_running(*pid));
    tree
}

fn tree_has(tree: &BTreeSet<i32>, parent: i32) -> bool {
    parent > 1 && tree.contains(&parent)
}

fn is_running(pid: i32) -> bool {
    Stat::read(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

fn has_marker(pid: i32, marker: &Marker) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|entry| entry == marker.0.as_bytes())
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}
