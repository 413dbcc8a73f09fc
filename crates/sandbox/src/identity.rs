//! Which process a pid means: pid, start time and boot id together name one process for ever.
//!
//! Owns: reading and comparing them. Never: signals (see `tree`).

use std::fs;

/// One process of this machine's current boot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "jail", derive(serde::Serialize, serde::Deserialize))]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: i32,
    /// Clock ticks from boot to its start (field 22 of `/proc/<pid>/stat`).
    pub start_time: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// Who has `pid` now, if anybody who is not a zombie.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        if stat.state == 'Z' {
            return None;
        }
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self { pid, start_time: stat.start_time, boot_id: boot_id.trim().to_owned() })
    }

    /// Whether that very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }
}

/// What Nex reads of `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    pub(crate) start_time: u64,
}

impl Stat {
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = fields_of(&text)?;
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        let start_time = fields.nth(15)?.parse().ok()?;
        Some(Self { state, parent, session, start_time })
    }
}

/// What follows the command name, which stands in parentheses and may itself hold spaces and parentheses.
pub(crate) fn fields_of(stat: &str) -> Option<std::str::SplitAsciiWhitespace<'_>> {
    Some(stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_start_time_is_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = ProcessIdentity::of(pid).unwrap();
        assert!(me.is_alive());
        let earlier = ProcessIdentity { start_time: me.start_time.wrapping_add(1), ..me };
        assert!(!earlier.is_alive());
    }
}
