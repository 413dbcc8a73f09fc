//! Shuts a process off from everything but what it has open and what it says it needs.
//!
//! Owns: the order of the walls, and telling which of them stand. Never: starts or ends anything.
//!
//! Call it before the process has a second thread: landlock binds the thread that asks for it and
//! those that this thread starts later. docs/decisions/0007-lock-down.md says what is not defended.

mod files;
mod syscalls;

use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::sys::resource::{Resource, setrlimit};

pub use files::Landlock;

/// What the process goes on needing.
#[derive(Debug, Clone, Default)]
pub struct Lockdown {
    /// Files and folders that it reads, with all that is inside. What does not exist is left out.
    pub read: Vec<PathBuf>,
    /// Folders in which it makes, writes and removes files.
    pub write: Vec<PathBuf>,
    /// Whether it looks up names and speaks TLS; without it, it gets no sockets at all.
    pub network: bool,
}

/// The walls that stand after [`Lockdown::apply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walls {
    /// What the kernel knows of landlock.
    pub landlock: Landlock,
}

/// A wall that could not be built. The process must not run guests then.
#[derive(Debug, thiserror::Error)]
pub enum LockdownError {
    /// Some thread would stay outside.
    #[error("{0} threads run already, and landlock would bind only one of them")]
    Threads(usize),
    /// A limit or `no_new_privs` was refused.
    #[error("cannot give up privileges")]
    Privileges(#[source] io::Error),
    /// Landlock is there, but refused the rules.
    #[error("cannot bound the files: {0}")]
    Files(String),
    /// The filter of system calls was refused.
    #[error("cannot bound the system calls: {0}")]
    Syscalls(String),
}

impl Lockdown {
    /// Builds the walls. There is no way back, for this process and for all that it starts.
    ///
    /// # Errors
    /// When a wall that this kernel has cannot be built.
    pub fn apply(&self) -> Result<Walls, LockdownError> {
        let n_threads = n_threads();
        if n_threads != 1 {
            return Err(LockdownError::Threads(n_threads));
        }
        // A core file would hold the secrets of every function.
        setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(privileges)?;
        // Both walls below ask for it, and a set-user-id program would be a door through them.
        nix::sys::prctl::set_no_new_privs().map_err(privileges)?;
        let landlock =
            files::bound(self).map_err(|error| LockdownError::Files(error.to_string()))?;
        // Last, since it refuses what the steps above need.
        syscalls::bound(self.network)
            .map_err(|error| LockdownError::Syscalls(error.to_string()))?;
        Ok(Walls { landlock })
    }
}

impl fmt::Display for Walls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no new privileges, no programs, filtered system calls, {}", self.landlock)
    }
}

fn n_threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

fn privileges(error: nix::errno::Errno) -> LockdownError {
    LockdownError::Privileges(error.into())
}
