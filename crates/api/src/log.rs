//! Log messages of workloads (spec: control API, sections 8.3 and 13).
//!
//! Owns: the header names, the streams of a workload, and what keeps the lines of a namespace. Never: keeps
//! them.

use std::fmt;

/// Ours: `debug`, `info`, `warn` or `error`; absent means info.
pub const LEVEL_HEADER: &str = "Nex-Level";
/// Ours: RFC 3339 time at which the line was read; absent means the time of arrival.
pub const TIME_HEADER: &str = "Nex-Time";
/// Ours: the workload's name, so that lines can be found by it when the workload is gone.
pub const NAME_HEADER: &str = "Nex-Workload-Name";
/// Ours: the id of the node on which the workload runs.
pub const NODE_HEADER: &str = "Nex-Node";
/// The SDK's header with the namespace; Go peers may drop it.
pub const NAMESPACE_HEADER: &str = "synadia.com/namespace";
/// The SDK's header with an empty group; Go peers may drop it.
pub const GROUP_HEADER: &str = "synadia.com/group";

/// What the JetStream streams that keep log lines are called, before the namespace.
pub const HISTORY_PREFIX: &str = "NEX_LOGS_";

/// The JetStream stream that keeps the log lines of a namespace.
#[must_use]
pub fn history(namespace: &str) -> String {
    format!("{HISTORY_PREFIX}{namespace}")
}

/// Which of a workload's streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}
