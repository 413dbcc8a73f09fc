//! The shim: one small process beside each native workload. It outlives the nexlet and the node, and ends
//! with its program.
//!
//! Owns: the life of the process. Never: restarts anything, or speaks NATS.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
