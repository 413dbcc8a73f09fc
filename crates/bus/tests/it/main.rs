//! Connections on a real nats-server in operator mode, and durables.
//!
//! Owns: the contracts of credentials and durables that expire. Never: knows a node.
//!
//! 1. A renewed credential is used when the server ends the connection of the old one; subscriptions go on.
//! 2. A connection whose credential has expired comes back when it is renewed, however late.
//! 3. Those who share a connection share its renewal.
//! 4. Credentials that do not expire are left alone.
//! 5. A durable that nobody reads goes after its time; one that is read stays, however quiet its stream.
//! 6. What a subscription loses since nobody reads it is counted.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod durables;
mod expiry;
mod slow;
mod snapshot;
