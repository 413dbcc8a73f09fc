//! What a node is told before it is built.
//!
//! Owns: the plain values. Never: reads files or the environment; the CLI does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nex_bus::Settings;
use nex_types::Tags;

/// A node's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's name; adjective-noun unless given.
    pub name: String,
    /// The group of nodes it belongs to; one subject token.
    pub nexus: String,
    /// The user's own tags; `nex.` is reserved.
    pub tags: Tags,
    /// SemVer.
    pub version: String,
    /// For `$SRV.INFO`.
    pub commit: String,
    /// How the node reaches NATS.
    pub connection: Settings,
    /// Whether nexlets that the node did not launch may ask to be its own (RREGISTER).
    pub allow_remote_agents: bool,
    /// The nexlets to keep running.
    pub nexlets: Vec<NexletProgram>,
    /// How long a nexlet goes on without its node, and a registration without its nexlet.
    pub orphan_after: Duration,
}

/// How one nexlet is launched.
#[derive(Debug, Clone)]
pub struct NexletProgram {
    /// For people and logs.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments; nothing secret may stand here.
    pub args: Vec<String>,
    /// Its environment besides what the node adds.
    pub environment: BTreeMap<String, String>,
    /// How it gives way to another program.
    pub replacement: Replacement,
}

/// How a nexlet gives way to another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// Its workloads may run twice for a moment: the new one has all of them before the old one goes.
    HandOver,
    /// They may not: the old one ends before the new one starts.
    Restart,
}
