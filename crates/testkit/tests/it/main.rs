//! The testkit is tested with a real nats-server and a stand-in for `nex`.
//!
//! 1. A server is there when `start` returns, and gone with its value.
//! 2. A restarted server has the same port and store.
//! 3. Subscriptions of others are seen, and their end too.
//! 4. A node is up when `up` returns; SIGTERM ends it; what it leaves behind is told.
//! 5. Nothing survives a drop, orphans included.

#![allow(clippy::disallowed_methods, reason = "tests of the harness start processes by themselves")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod nats_server;
mod node;
mod process;
