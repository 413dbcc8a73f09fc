//! The control contract of Nex as Rust types: what goes over NATS between clients, nodes and nexlets.
//!
//! Owns: subjects, messages, error bodies, codes, headers and start-request schemas, exactly as
//! today's Go implementation (0.4) has them, and what is ours on top. Never: sends or receives.
//!
//! Keys are declared in alphabetical order, so that what we print is byte-identical to Go's.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod agent;
pub mod auction;
pub mod codec;
pub mod connection;
mod environment;
pub mod error;
pub mod event;
#[doc(hidden)]
pub mod fuzz;
pub mod host_services;
pub mod lease;
pub mod log;
pub mod metrics;
mod native;
pub mod node;
pub mod start;
pub mod subject;
pub mod time;
pub mod trigger;
pub mod view;
pub mod workload;

pub use codec::{DecodeError, decode, encode};
pub use connection::{NatsConnectionData, without_user};
pub use error::{CallErrorBody, Code, ErrorBody};
pub use time::Time;

/// The header by which a W3C trace goes on.
pub const TRACEPARENT: &str = "traceparent";
