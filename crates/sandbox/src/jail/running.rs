//! A box that runs: its end, its output, what it uses, and taking it away.
//!
//! Owns: the handle. Never: restarts the program, or reads its output.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::blueprint::Blueprint;
use super::group::{self, Group};
use super::plan::{Isolation, Wall};
use super::{descendants, init, kernel, start, usage};

/// How long processes that were killed may take to go.
const DYING: Duration = Duration::from_secs(5);

/// How a program ended. Neither: it was killed together with the box's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JailExit {
    /// Its exit code, when it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// What a box uses; `None` where nobody counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// The most that it ever was.
    pub memory_peak: Option<u64>,
    /// Microseconds of processor since the start.
    pub cpu_micros: Option<u64>,
    /// Processes and threads, with the box's first one.
    pub pids: Option<u64>,
    /// The kernel killed something in the box since its memory was used up.
    pub out_of_memory: bool,
    /// The limit of processes was reached at least once.
    pub out_of_pids: bool,
}

/// A running box. Dropping it kills everything in it; [`Jail::close`] also says whether that worked.
#[derive(Debug)]
pub struct Jail {
    pid: i32,
    end: OwnedFd,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    listener: Option<OwnedFd>,
    exit: Option<OwnedFd>,
    group: Option<Group>,
    isolation: Isolation,
    walls: Vec<Wall>,
    missing: Vec<String>,
    ended: Option<JailExit>,
}

/// What an attempt that worked leaves in the parent's hands.
pub(super) struct Parts {
    pub(super) pid: i32,
    pub(super) end: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) exit: OwnedFd,
    pub(super) listener: Option<OwnedFd>,
}

impl Jail {
    pub(super) fn new(
        parts: Parts,
        blueprint: &Blueprint<'_>,
        group: Option<Group>,
        missing: &[(Wall, String)],
    ) -> Self {
        Self {
            pid: parts.pid,
            end: parts.end,
            stdout: Some(parts.stdout),
            stderr: Some(parts.stderr),
            listener: parts.listener,
            exit: Some(parts.exit),
            group,
            isolation: blueprint.plan.isolation,
            walls: blueprint.walls.iter().copied().collect(),
            missing: start::sentences(missing),
            ended: None,
        }
    }

    /// The first process of the box, seen from the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The walls in force.
    #[must_use]
    pub fn walls(&self) -> &[Wall] {
        &self.walls
    }

    /// A sentence for each wall that this host lacks.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Readable when the box's first process has ended.
    #[must_use]
    pub fn end(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    /// What the program writes to its standard output; once.
    pub fn take_stdout(&mut self) -> Option<OwnedFd> {
        self.stdout.take()
    }

    /// What the program writes to its standard error; once.
    pub fn take_stderr(&mut self) -> Option<OwnedFd> {
        self.stderr.take()
    }

    /// The listener on a strict box's own 127.0.0.1:4222; once.
    pub fn take_listener(&mut self) -> Option<OwnedFd> {
        self.listener.take()
    }

    /// Sends a signal to the program; in a box its first process passes it on.
    pub fn signal(&self, signal: Signal) {
        kernel::signal(self.end.as_fd(), signal);
    }

    /// Kills everything in the box. Without a pid namespace: everything that descends from the caller.
    pub fn kill(&self) {
        // With a pid namespace this is enough: the kernel kills the others.
        kernel::signal(self.end.as_fd(), Signal::SIGKILL);
        if let Some(group) = &self.group {
            group.kill();
        }
        if !self.walls.contains(&Wall::PidNamespace) {
            self.kill_descendants(DYING);
        }
    }

    /// How the program ended; waits for it when it has not.
    ///
    /// # Errors
    /// When somebody else has reaped the box's first process.
    pub fn reap(&mut self) -> io::Result<JailExit> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        let status = loop {
            match waitpid(Pid::from_raw(self.pid), None) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        let said = self.exit.take().filter(|_| self.isolation != Isolation::None);
        let ended = said
            .and_then(init::said)
            .or_else(|| JailExit::of(status))
            .unwrap_or(JailExit { code: None, signal: None });
        self.ended = Some(ended);
        Ok(ended)
    }

    /// What the box uses now, and what happened to it until now. What no group counts is added up over all
    /// that descends from the caller.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let counted = self.group.as_ref().map(Group::usage).unwrap_or_default();
        let Usage { memory: Some(_), cpu_micros: Some(_), pids: Some(_), .. } = counted else {
            let added = usage::of_descendants();
            return Usage {
                memory: counted.memory.or(added.memory),
                cpu_micros: counted.cpu_micros.or(added.cpu_micros),
                pids: counted.pids.or(added.pids),
                ..counted
            };
        };
        counted
    }

    /// Takes the box away: kills what is left of it and removes its group, which must be empty then.
    ///
    /// # Errors
    /// When something would not die within seconds.
    pub fn close(mut self) -> io::Result<()> {
        self.take_away()
    }

    fn take_away(&mut self) -> io::Result<()> {
        self.kill();
        if self.ended.is_none() {
            self.reap()?;
        }
        if !self.walls.contains(&Wall::PidNamespace) && !self.kill_descendants(DYING) {
            return Err(io::Error::other("processes of the program do not die"));
        }
        // Once: a second removal could be that of another box with the name.
        self.group.take().map_or(Ok(()), |group| group.remove())
    }

    /// Kills and reaps until nothing descends from the caller, or the time is over; the box's first
    /// process is left to [`Jail::reap`].
    fn kill_descendants(&self, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        loop {
            let left: Vec<i32> =
                descendants::of_caller().into_iter().filter(|pid| *pid != self.pid).collect();
            if left.is_empty() {
                return true;
            }
            for pid in left {
                let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
                // Of those that lost their parents the caller is the parent now.
                let _not_ours = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
            }
            if Instant::now() >= deadline {
                return false;
            }
            group::pause();
        }
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        if self.ended.is_none() || self.group.is_some() {
            let _nobody_to_tell = self.take_away();
        }
    }
}

impl JailExit {
    pub(super) fn of(status: WaitStatus) -> Option<Self> {
        match status {
            WaitStatus::Exited(_, code) => Some(Self { code: Some(code), signal: None }),
            WaitStatus::Signaled(_, signal, _) => {
                Some(Self { code: None, signal: Some(signal as i32) })
            }
            _ => None,
        }
    }
}
