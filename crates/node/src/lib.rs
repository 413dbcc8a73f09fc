//! The node: answers the control API, supervises nexlets, remembers what should run.
//!
//! Owns: config → build → spawn → drain. Never: runs anybody's code, or is on a data path.
#![forbid(unsafe_code)]

mod agents;
mod bids;
mod build;
mod config;
mod control;
mod events;
mod feeds;
#[doc(hidden)]
pub mod fuzz;
mod identity;
mod minter;
mod node;
mod presence;
mod process;
mod records;
mod replace;
mod restore;
mod schema;
mod schema_bounds;
mod spool;
mod status;
mod supervise;
mod workloads;

pub use build::BuildError;
pub use config::{Config, NexletProgram, Replacement};
pub use identity::{Identity, StateDir, StateDirError};
pub use node::{Built, Node};
pub use status::NodeStatus;
