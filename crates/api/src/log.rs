//! Log messages of workloads (spec: control API, sections 8.3 and 13).
//!
//! Owns: the header names and streams. Never: keeps history.

use std::fmt;

/// Ours: `debug`, `info`, `warn` or `error`; absent means info.
pub const LEVEL_HEADER: &str = "Nex-Level";
/// Ours: RFC 3339 time at which the line was read; absent means the time of arrival.
pub const TIME_HEADER: &str = "Nex-Time";
/// The SDK's header with the namespace; Go peers may drop it.
pub const NAMESPACE_HEADER: &str = "synadia.com/namespace";
/// The SDK's header with an empty group; Go peers may drop it.
pub const GROUP_HEADER: &str = "synadia.com/group";

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
