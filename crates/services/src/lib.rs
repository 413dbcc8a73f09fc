//! Native services and jobs: static programs that a nexlet fetches, verifies, starts and ends.
//!
//! Owns: the workload type `native`: what becomes of a program and of what it says. Never: builds a box
//! (`nex-sandbox`), or holds a program's pipes: its shim does, and outlives this process.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod credentials;
mod environment;
#[doc(hidden)]
pub mod fuzz;
mod health;
mod left;
mod nexlet;
mod output;
mod permits;
mod plan;
mod programs;
mod run;
mod shim;
mod shim_binary;
mod spool;
mod supervise;
mod uids;
mod walls;
mod workload;

pub use nexlet::{NativeNexlet, OpenError, Options};
pub use permits::Permits;
