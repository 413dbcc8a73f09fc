//! What a node is told before it is built.
//!
//! Owns: the plain values. Never: reads files or the environment; the CLI does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nex_bus::Settings;
use nex_types::Tags;

use crate::events::EventSink;
use crate::metrics::MetricsExport;
use crate::minter::Issuer;
use crate::policy::Policy;
use crate::traces::Tracing;

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
    /// Where what should run is kept.
    pub state: StateKind,
    /// Who makes credentials.
    pub issuer: Issuer,
    /// Which subjects each namespace may use. Without one, a signing key grants none, and otherwise
    /// everything is allowed that is not on the deny list.
    pub policy: Option<Policy>,
    /// The buckets from which nexlets with credentials of their own may read artifacts.
    pub artifact_buckets: Vec<String>,
    /// Where its own events go.
    pub events: EventSink,
    /// Whether the log lines of workloads are kept in JetStream.
    pub keep_logs: bool,
    /// Where metrics go; collected for somebody only.
    pub metrics: MetricsExport,
    /// How long a bid may be claimed.
    pub bid_ttl: Duration,
    /// The nexlets to keep running.
    pub nexlets: Vec<NexletProgram>,
    /// Whether what can go on without its nexlet does so when the node ends.
    pub leave_services: bool,
    /// How long a nexlet goes on without its node, and a registration without its nexlet.
    pub orphan_after: Duration,
    /// Where spans go; nothing is traced without it.
    pub tracing: Option<Tracing>,
}

/// Where a node keeps what should run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StateKind {
    /// In JetStream when it is there, or was when the node last ran; else in memory.
    #[default]
    Auto,
    /// In JetStream; on disk while it is away.
    Kv,
    /// In memory: a node that ends forgets.
    Memory,
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
    /// Whether it is one of our own, which need less than others do.
    pub is_ours: bool,
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
    /// They go on without it: the old one leaves them as they are, and the new one finds them.
    Leave,
}
