//! Decisions of Nex, pure and synchronous: events and time come in, effects go out.
//!
//! Owns: how a service or job lives, when to restart a process, who bids and whose bid is taken, how healthy a nexlet is. Never: does I/O, reads a clock, spawns.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod auction;
pub mod health;
pub mod life;
pub mod placement;
pub mod restart;
