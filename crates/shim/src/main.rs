//! The shim: one small process beside each native workload. It outlives the nexlet and the node, and ends
//! with its program.
//!
//! Owns: the life of the process. Never: restarts anything, or speaks NATS.
//!
//! Asked to end (SIGTERM, SIGINT) it passes SIGTERM on to its program, and ends when that has ended. It
//! ignores SIGHUP. Killed, it takes its program along.

mod process;

use std::process::ExitCode;

use nex_sandbox::detach::{Side, detach};

fn main() -> ExitCode {
    match detach() {
        Ok(Side::Starter) => ExitCode::SUCCESS,
        Ok(Side::Detached) => process::live(),
        Err(_) => ExitCode::FAILURE,
    }
}
