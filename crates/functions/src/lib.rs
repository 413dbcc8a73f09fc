//! Functions: triggers, admission, dispatch and replies.
//!
//! Owns: the path of a call from a NATS message to its reply. Never: names an engine (the seam is [`runtime`]).

pub mod runtime;
