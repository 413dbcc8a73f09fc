//! Events on `$NEX.FEED.<from>.events.<TYPE>` (spec: control API, section 8).
//!
//! Owns: the payloads and their type tokens. Never: publishes.

use std::collections::BTreeMap;

use nex_types::Tags;
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::codec::nullable;

/// The JetStream stream that keeps events.
pub const HISTORY: &str = "NEX_EVENTS";

/// An event, printed as its bare payload.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub enum Event {
    NodeStarted(NodeStarted),
    NodeStopped {
        id: String,
    },
    NodeLameduckSet {
        id: String,
        time: Time,
    },
    /// Ours: whether state waits on the node's disk since JetStream does not take it.
    NodeState {
        behind: bool,
        id: String,
        waiting: usize,
    },
    AgentStarted {
        id: String,
        name: String,
        register_type: String,
    },
    AgentStopped {
        id: String,
        name: String,
        reason: String,
        timestamp: Time,
    },
    AgentLameduckSet {
        success: bool,
    },
    WorkloadStarted(WorkloadStarted),
    WorkloadStopped(WorkloadStopped),
    /// Ours: its program ended, or could not be started, and is started again after a pause; `metadata`
    /// has `exit`, `restarts`, `next_start` and the last lines of its output.
    WorkloadRestarting(WorkloadStopped),
}

/// NODESTARTED.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct NodeStarted {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub nexus: String,
    #[serde(deserialize_with = "nullable")]
    pub tags: Tags,
    /// Always [`NODE_STARTED_TYPE`].
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub event_type: String,
}

/// The value of `type` in NODESTARTED.
pub const NODE_STARTED_TYPE: &str = "io.synadia.nex.event.nexnode_started";

/// WORKLOADSTARTED, at every (re)start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct WorkloadStarted {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "nullable")]
    pub metadata: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub workload_type: String,
}

/// WORKLOADSTOPPED: the workload is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct WorkloadStopped {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StopError>,
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "nullable")]
    pub metadata: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub workload_type: String,
}

/// How a native workload ended when it did not end well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopError {
    /// The exit code as text, or empty after a kill.
    #[serde(deserialize_with = "nullable")]
    pub code: String,
    /// `SYSKILL` after a forced kill.
    #[serde(deserialize_with = "nullable")]
    pub message: String,
}

impl Event {
    /// The last subject token.
    #[must_use]
    pub fn type_token(&self) -> &'static str {
        match self {
            Self::NodeStarted(_) => "NODESTARTED",
            Self::NodeStopped { .. } => "NODESTOPPED",
            Self::NodeLameduckSet { .. } => "NODELAMEDUCKSET",
            Self::NodeState { .. } => "NODESTATE",
            Self::AgentStarted { .. } => "AGENTSTARTED",
            Self::AgentStopped { .. } => "AGENTSTOPPED",
            Self::AgentLameduckSet { .. } => "AGENTLAMEDUCKSET",
            Self::WorkloadStarted(_) => WORKLOAD_STARTED,
            Self::WorkloadStopped(_) => WORKLOAD_STOPPED,
            Self::WorkloadRestarting(_) => WORKLOAD_RESTARTING,
        }
    }
}

/// Type token of WORKLOADSTARTED.
pub const WORKLOAD_STARTED: &str = "WORKLOADSTARTED";
/// Type token of WORKLOADSTOPPED.
pub const WORKLOAD_STOPPED: &str = "WORKLOADSTOPPED";
/// Type token of WORKLOADRESTARTING.
pub const WORKLOAD_RESTARTING: &str = "WORKLOADRESTARTING";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;

    #[test]
    fn events_print_bare_payloads_as_specified() {
        let stopped = Event::WorkloadStopped(WorkloadStopped {
            error: Some(StopError { code: "1".to_owned(), message: String::new() }),
            id: "W".to_owned(),
            namespace: "default".to_owned(),
            workload_type: "native".to_owned(),
            ..Default::default()
        });
        let sample = r#"{"error":{"code":"1","message":""},"id":"W","namespace":"default","workload_type":"native"}"#;
        assert_eq!(String::from_utf8(encode(&stopped)).unwrap(), sample);
        let gone = Event::NodeStopped { id: "NB4X".to_owned() };
        assert_eq!(String::from_utf8(encode(&gone)).unwrap(), r#"{"id":"NB4X"}"#);
    }
}
