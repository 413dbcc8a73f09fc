//! What a shim is told to run, and its answer.
//!
//! Owns: the shapes. Never: touches the disk: an order holds the program's environment, which may be secret.

use nex_sandbox::jail::{Plan, Wall};
use serde::{Deserialize, Serialize};

/// All that a shim needs. It reads it from its standard input, to the end; its working directory is the
/// workload's folder, which has one shim at a time; what an earlier one left there is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Version of the words that the nexlet speaks.
    pub version: u32,
    /// The program and its box.
    pub plan: Plan,
    /// Bytes that the spool may hold on the disk; the oldest go when it is full.
    pub spool_bytes: u64,
    /// Where connections to the box's 127.0.0.1:4222 go, for `strict`.
    pub relay: Option<Relay>,
}

/// The servers that a box's own listener leads to, `host:port`, tried in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// At least one.
    pub servers: Vec<String>,
}

/// What a shim says once, on its standard output, before it closes that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// The program has been executed, and `shim.json` is there.
    Running {
        /// Of the shim itself, seen from the host.
        shim_pid: i32,
        /// Of the program's first process, seen from the host.
        pid: i32,
        /// The walls in force.
        walls: Vec<Wall>,
        /// What this host lacks, a sentence each.
        missing: Vec<String>,
    },
    /// It was not, and nothing is left.
    Failed {
        /// Which step of the recipe.
        step: String,
        /// What the kernel said, and what to change.
        message: String,
        /// A wall that the host does not offer: the deploy is refused, not the program.
        lacks_wall: bool,
    },
}
