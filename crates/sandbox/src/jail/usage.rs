//! What a box uses where no control group counts it: added up from `/proc`.
//!
//! Owns: walking down from the calling process by the kernel's lists of children, so that only the tree is
//! looked at. Never: reads all of `/proc`, which may hold thousands of others; guesses what it cannot read.

use std::fs;

use super::Usage;
use crate::identity::fields_of;
use crate::tree::resident_bytes;

/// A tree with more processes is not counted.
const MOST_PROCESSES: usize = 10_000;
/// What the kernel counts in towards programs is always hundredths of a second.
const MICROS_PER_TICK: u64 = 10_000;

/// Memory, processor and processes of everything that descends from the caller; `None` for each where the
/// kernel does not list children. Memory that processes share is counted for each of them.
pub(super) fn of_descendants() -> Usage {
    let own = std::process::id().cast_signed();
    let (Some(tree), Some(keeper)) = (descendants(own), Times::read(own)) else {
        return Usage::default();
    };
    // Those that have ended were waited for by their parents in the tree, or by the caller.
    let (mut memory, mut ticks, mut pids) = (0, keeper.of_ended, 0);
    for pid in tree {
        let Some(times) = Times::read(pid) else { continue };
        ticks += times.own + times.of_ended;
        pids += times.n_threads;
        memory += resident_bytes(pid).unwrap_or_default();
    }
    Usage {
        memory: Some(memory),
        cpu_micros: Some(ticks * MICROS_PER_TICK),
        pids: Some(pids),
        ..Usage::default()
    }
}

/// `None` where the kernel does not tell, or there are too many.
fn descendants(root: i32) -> Option<Vec<i32>> {
    let mut found = children(root)?;
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        // One that ended meanwhile has none.
        found.extend(children(*pid).unwrap_or_default());
        next += 1;
        if found.len() > MOST_PROCESSES {
            return None;
        }
    }
    Some(found)
}

fn children(pid: i32) -> Option<Vec<i32>> {
    let mut found = Vec::new();
    // Each thread has a list of those that it started.
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        match fs::read_to_string(task.path().join("children")) {
            Ok(list) => {
                found.extend(list.split_ascii_whitespace().filter_map(|it| it.parse::<i32>().ok()));
            }
            // The thread has ended, or the kernel was built without these lists.
            Err(_) if !task.path().exists() => {}
            Err(_) => return None,
        }
    }
    Some(found)
}

/// Of `/proc/<pid>/stat`, times in ticks.
struct Times {
    own: u64,
    /// Of its children that ended and were waited for, and theirs.
    of_ended: u64,
    n_threads: u64,
}

impl Times {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields = fields_of(&text)?;
        // The 14th field of the line, by the manual's count, is the 12th after the name.
        let mut fields = fields.skip(11).map(|field| field.parse::<u64>().unwrap_or_default());
        let own = fields.next()? + fields.next()?;
        let of_ended = fields.next()? + fields.next()?;
        Some(Self { own, of_ended, n_threads: fields.nth(2)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_reads_its_own_times_and_threads() {
        let own = std::process::id().cast_signed();
        let times = Times::read(own).unwrap();
        assert!((1..1000).contains(&times.n_threads), "{}", times.n_threads);
        assert!(Times::read(i32::MAX).is_none());
        assert!(children(i32::MAX).is_none());
    }
}
