//! A process and everything that came from it, found in `/proc`.
//!
//! Owns: who belongs to whom, also after parents have gone: whoever was once seen stays known by pid and start
//! time. Never: signals by name; only by ids that are known to belong.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// Its start time in clock ticks since boot; with the pid it is an identity.
    pub started: u64,
    /// Ended but not yet collected by its parent.
    pub zombie: bool,
    /// Its command line, joined by spaces.
    pub command: String,
    /// Its resident memory in bytes.
    pub resident: u64,
}

impl Entry {
    /// Sends a signal to this process, and to no other that may have its number by now.
    pub fn signal(&self, signal: Signal) {
        if entry(self.pid).is_some_and(|now| now.started == self.started) {
            // It may have ended since the look.
            let _gone = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// Everybody who descends from one process, or carries one of its marks.
#[derive(Debug)]
pub struct Family {
    /// `NAME=value` in the environment that a process was started with.
    environment_mark: Option<String>,
    /// Text that marks a command line, such as a directory of this test only.
    command_mark: Option<String>,
    known: Mutex<BTreeSet<(i32, u64)>>,
}

impl Family {
    /// The descendants of `root`, itself included.
    #[must_use]
    pub fn of(root: i32) -> Self {
        let family = Self::nobody();
        family.adopt(root);
        family
    }

    /// No one yet; for [`Family::with_marks`] and [`Family::adopt`].
    #[must_use]
    pub fn nobody() -> Self {
        Self { environment_mark: None, command_mark: None, known: Mutex::default() }
    }

    /// Also whoever has this variable in its environment or this text in its command line.
    #[must_use]
    pub fn with_marks(
        mut self,
        environment: impl Into<String>,
        command: impl Into<String>,
    ) -> Self {
        self.environment_mark = Some(environment.into());
        self.command_mark = Some(command.into());
        self
    }

    /// Another process and its descendants, as after a restart; those already known stay known.
    pub fn adopt(&self, root: i32) {
        let identity = entry(root).map(|entry| (entry.pid, entry.started));
        self.known().extend(identity);
        self.alive();
    }

    /// Members that are alive now; each look also remembers who was there.
    pub fn alive(&self) -> Vec<Entry> {
        let everybody = everybody();
        let mut known = self.known();
        let mut members = BTreeSet::new();
        // A parent may come after its child in the list, so go round until nobody is added.
        loop {
            let before = members.len();
            for entry in &everybody {
                let identity = (entry.pid, entry.started);
                if members.contains(&entry.pid) {
                    continue;
                }
                if known.contains(&identity)
                    || members.contains(&entry.parent)
                    || self.carries_mark(entry)
                {
                    members.insert(entry.pid);
                }
            }
            if members.len() == before {
                break;
            }
        }
        let alive: Vec<Entry> =
            everybody.into_iter().filter(|entry| members.contains(&entry.pid)).collect();
        known.extend(alive.iter().map(|entry| (entry.pid, entry.started)));
        alive.into_iter().filter(|entry| !entry.zombie).collect()
    }

    /// Kills every member by its id, children that they start meanwhile too.
    pub fn kill(&self) {
        for _round in 0..20 {
            let alive = self.alive();
            if alive.is_empty() {
                return;
            }
            for entry in alive {
                // It may have ended by itself since the look.
                let _gone = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<(i32, u64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carries_mark(&self, entry: &Entry) -> bool {
        if self.command_mark.as_ref().is_some_and(|mark| entry.command.contains(mark)) {
            return true;
        }
        let Some(mark) = &self.environment_mark else { return false };
        let environment = fs::read(format!("/proc/{}/environ", entry.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    }
}

/// Every process of this machine that we may see.
fn everybody() -> Vec<Entry> {
    let own = std::process::id();
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    folder
        .filter_map(|item| item.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid| entry(i32::try_from(pid).ok()?))
        .collect()
}

/// `None` when the process ended while it was looked at.
fn entry(pid: i32) -> Option<Entry> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so count fields from its end.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    Some(Entry {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        command,
        resident: kilobytes.unwrap_or(0) * 1024,
    })
}
