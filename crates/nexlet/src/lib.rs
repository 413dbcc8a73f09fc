//! SDK for nexlets: implement [`Nexlet`], call [`run`].
//!
//! Owns: registration, the nexlet's micro service, heartbeats, the table of workloads, logs and events.
//! Never: knows what a workload of a type is made of.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod description;
mod ingress;
mod lameduck;
mod logs;
mod run;
mod server;
mod table;
mod workload;

pub use description::{Description, DescriptionError};
pub use ingress::Ingress;
pub use logs::{LogFeed, LogLine, LogSink};
pub use run::{RunError, RunOptions, run};
pub use workload::{Ended, EventListener, Nexlet, Start, StartFailure, Started, Status, Workload};
