//! Native services and jobs: static programs that a nexlet fetches, verifies, starts and ends.
//!
//! Owns: the workload type `native`. Never: restarts a program (docs/roadmap.md), or speaks NATS itself.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod credentials;
mod environment;
#[doc(hidden)]
pub mod fuzz;
mod nexlet;
mod output;
mod plan;
mod programs;
mod workload;

pub use nexlet::{NativeNexlet, OpenError, Options};
