//! The acceptance tests: what a user does with the real `nex` binary, and what must be seen.
//!
//! 1. The journeys J1 to J10, one file each, by their numbers.
//! 2. Bad input is refused with an exit code, a sentence and a hint (`refused`, `failing_calls`, `up_refused`).
//! 3. Nothing is lost when NATS, a nexlet, the node or the managed server goes away (`outage`, `killed`, J30,
//!    J37), or when node and nexlets are replaced (`upgrade`).
//! 4. The control API keeps its promises to raw requests of any client (`control_*`, `feeds`, `replies`).
//!
//! Callers of functions speak through async-nats, never through our own client.

#![allow(clippy::disallowed_methods, reason = "callers run side by side in plain tasks")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod control_deploy;
mod control_errors;
mod control_lists;
mod control_register;
mod failing_calls;
mod feeds;
mod guests;
mod j01_newcomer;
mod j02_nodes;
mod j03_bytes;
mod j04_j05_scripts;
mod j06_wasm;
mod j07_service;
mod j08_replace;
mod j09_stop;
mod j10_command_line;
mod j10_output;
mod j30_node_killed;
mod j37_kills;
mod killed;
mod load;
mod outage;
mod refused;
mod replies;
mod up_refused;
mod up_server;
mod upgrade;
mod world;
