//! Native workloads, with real programs and a real nats-server.
//!
//! Owns: the contracts of the type `native`, one per test. Never: tests the node or the SDK.
//!
//! 1. A program finds exactly its environment, its arguments and a folder of its own.
//! 2. Its end is told with its exit code or signal, asked or not.
//! 3. Stop is graceful first, bounded, and complete: the tree, the folder, the pipes.
//! 4. Its output arrives line by line, byte by byte, and never holds it up.
//! 5. What is no static program of this machine, or not what was asked for, is refused by name.
//! 6. A start that is given up, and a nexlet that ends, leave nothing.
//! 7. What it uses of the machine is counted, also by the next nexlet, and at its end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adoption;
mod endings;
mod metrics;
mod output;
mod programs;
mod refusals;
mod starts;
mod support;
