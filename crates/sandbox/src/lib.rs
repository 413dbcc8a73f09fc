//! Processes and background tasks: started, owned and ended in one place.
//!
//! Owns: spawning children with a session of their own, taking over processes that others started,
//! ending whole trees, telling one process from a later one with the same pid, and the table of
//! background tasks; the walls of a process that runs guests, and the boxes around native programs
//! (docs/security.md). Never: knows what a workload is. The only crate that may use `unsafe` for the
//! kernel's sake.
#![allow(
    unsafe_code,
    reason = "setsid, the parent-death signal, an ignored signal, pidfds, namespaces and mounts have no safe interface"
)]
#![warn(missing_docs)]

#[cfg(feature = "tasks")]
mod adopted;
#[cfg(feature = "lockdown")]
mod bounded;
#[cfg(feature = "tasks")]
mod deadline;
#[cfg(feature = "jail")]
pub mod detach;
mod disk;
mod identity;
#[cfg(feature = "jail")]
pub mod jail;
#[cfg(feature = "lockdown")]
mod lockdown;
#[cfg(feature = "tasks")]
mod program;
mod replace;
#[cfg(feature = "tasks")]
mod tasks;
mod tree;

#[cfg(feature = "tasks")]
pub use adopted::Adopted;
#[cfg(feature = "lockdown")]
pub use bounded::{Bounds, Ended, Helper, run_bounded};
#[cfg(feature = "tasks")]
pub use deadline::Deadline;
pub use disk::free_space;
pub use identity::ProcessIdentity;
#[cfg(feature = "lockdown")]
pub use lockdown::{Landlock, Lockdown, LockdownError, Walls};
#[cfg(feature = "tasks")]
pub use program::{Child, Exit, Output, Program};
pub use replace::replace_self;
#[cfg(feature = "tasks")]
pub use tasks::{OnFailure, Tasks};
pub use tree::{Marker, kill_tree, processes_with, resident_bytes, signal};

/// Signals that callers name, so that they need not depend on the kernel's crate.
pub use nix::sys::signal::Signal;
