//! A box around one program: namespaces, a root of its own, limits, landlock and seccomp.
//!
//! Owns: what a box is made of ([`Plan`]), building it around a program, its end, and telling which walls
//! this host offers. Never: decides which walls a workload needs, restarts anything, or reads what the
//! program writes.
//!
//! Called from a process with one thread only: between `clone` and `execve` the child makes ordinary calls.
//!
//! ```text
//! start.rs (parent)   group → clone ──► map ids, attach → go ──► wait for `execve` ──► Jail (running.rs)
//! recipe.rs (child)   wait → mounts → ids → root → limits → privileges → landlock ─┬─► seccomp → execve
//! init.rs                                                    pid 1 of the box ◄────┘
//! ```

mod bare;
mod blueprint;
mod descendants;
mod error;
mod filter;
mod group;
mod ids;
mod init;
mod kernel;
mod mounts;
mod network;
mod plan;
mod recipe;
mod rules;
mod running;
mod start;
mod status;
mod step;
mod survey;
mod syscalls;
mod usage;

use std::io;

pub use error::StartError;
pub use plan::{Isolation, Limits, Mount, Plan, Wall};
pub use running::{Jail, JailExit, Usage};
pub use start::start;
#[doc(hidden)]
pub use start::start_without;
pub use survey::{Survey, survey};

/// The first uid of the range that programs get theirs from, where the node is root. Far from those that
/// distributions, directories and container runtimes give.
pub const UID_BASE: u32 = 0x7000_0000;

/// Which interface the control groups of this host have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupVersion {
    /// None that could be used.
    #[default]
    None,
    /// A hierarchy for each controller.
    V1,
    /// One hierarchy.
    V2,
}

/// Kills and removes the group that a killed shim left.
///
/// # Errors
/// When the name is not one of a group, or something in it does not die within seconds.
pub fn sweep_group(name: &str) -> io::Result<()> {
    group::sweep(name)
}
