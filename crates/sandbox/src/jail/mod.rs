//! A box around one program: namespaces, a root of its own, limits, landlock and seccomp.
//!
//! Owns: what a box is made of ([`Plan`]), building it around a program, its end, and telling which walls
//! this host offers. Never: decides which walls a workload needs, restarts anything, or reads what the
//! program writes.
//!
//! Called from a process with one thread only: between `clone` and `execve` the child makes ordinary calls.

mod plan;

pub use plan::{Isolation, Limits, Mount, Plan, Wall};
