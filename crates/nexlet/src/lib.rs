//! SDK for nexlets: implement [`Nexlet`], call [`run_process`]. `examples/ticker-nexlet.rs` is one.
//!
//! Owns: registration, also again with a new node or for new credentials, the nexlet's micro service, heartbeats,
//! the table of workloads, logs, events and metrics.
//! Never: knows what a workload of a type is made of.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "conformance")]
pub mod conformance;
mod description;
mod ended;
mod events;
mod ingress;
mod keeper;
mod lameduck;
mod logs;
mod metrics;
mod process;
mod register;
pub mod remote;
mod renewal;
mod restore;
mod run;
mod seal;
mod server;
mod table;
mod task;
mod traces;
pub mod variables;
mod workload;

pub use description::{Description, DescriptionError};
pub use events::EventFeed;
pub use ingress::Ingress;
pub use logs::{LogFeed, LogLine, LogSink};
pub use metrics::Metrics;
pub use nex_bus::seal::{KeyError, SealKey};
pub use nex_telemetry::traces::{Scope, Tracer};
pub use process::{ProcessError, run_process};
pub use run::{Ending, ORPHAN_AFTER, RunError, RunOptions, run};
pub use task::{Facts, TaskWorkload};
pub use traces::step;
pub use workload::{
    Ended, EventListener, Nexlet, Start, StartFailure, Started, Status, Workload, creds_file,
};

/// What a nexlet's own code needs besides the types here.
pub use async_trait::async_trait;
pub use nex_api::metrics::{DURATION_BOUNDS, FunctionMetrics, Histogram, ProcessMetrics};
pub use nex_api::workload::Lifecycle;
pub use nex_api::{Code, log::Stream};
