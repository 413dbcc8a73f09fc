//! Functions: triggers, admission, dispatch and replies.
//!
//! Owns: the path of a call from a NATS message to its reply. Never: names an engine (the seam is [`runtime`]).
//!
//! A call, end to end: [`trigger`] reads the message, `dispatch` admits it and runs it on the
//! [`GuestThreads`], `reply` answers. [`FunctionNexlet`] is the door through which functions come in.
#![forbid(unsafe_code)]

pub mod host;
pub mod runtime;

mod admission;
mod artifact;
mod budget;
mod call_trace;
mod dispatch;
#[doc(hidden)]
pub mod fuzz;
mod guest_log;
mod limits;
mod nexlet;
mod owner;
mod refused;
mod reply;
mod request;
mod start;
mod stats;
mod threads;
mod trigger;
mod turns;
mod workload;

pub use budget::Budget;
pub use nex_telemetry::traces::{Scope, Span, TRACEPARENT};
pub use nexlet::{FunctionNexlet, LONGEST_DRAIN, Options};
pub use threads::GuestThreads;
