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
mod history;
mod identity;
mod metrics;
mod minter;
mod node;
mod policy;
mod presence;
mod process;
mod records;
mod replace;
mod restore;
mod schema;
mod schema_bounds;
mod spool;
mod state;
mod status;
mod supervise;
mod tombstones;
mod traces;
mod view;
mod workloads;

pub use build::BuildError;
pub use config::{Config, NexletProgram, Replacement, StateKind};
pub use events::EventSink;
pub use identity::{GivenSeeds, Identity, StateDir, StateDirError};
pub use metrics::{MetricsError, MetricsExport};
pub use minter::{Issuer, IssuerError};
pub use node::{Built, Node};
pub use policy::{NamespacePolicy, Policy, PolicyError};
pub use state::Place;
pub use status::NodeStatus;
pub use traces::Tracing;
