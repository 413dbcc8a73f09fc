//! What nodes are asked and say of themselves (spec: control API, section 4.3).
//!
//! Owns: PING, INFO, LAMEDUCK and the node's heartbeat. Never: decides health (`nex-policy`).

use nex_types::Tags;
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::agent::AgentSummary;
use crate::codec::nullable;

/// PING: which nodes are there, of those whose tags match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePingRequest {
    /// Tags that a node must have to answer.
    #[serde(deserialize_with = "nullable")]
    pub filter: Tags,
}

/// A node's state as the wire spells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the wire's own words")]
pub enum NodeState {
    #[default]
    Starting,
    Running,
    Lameduck,
    Stopping,
    Error,
    /// Ours, and never on the wire: a list says it of a node that has not been heard of for long.
    #[serde(skip_deserializing)]
    Unknown,
}

impl NodeState {
    /// As the wire spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Lameduck => "lameduck",
            Self::Stopping => "stopping",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// The answer to PING.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct NodePingResponse {
    #[serde(deserialize_with = "nullable")]
    pub agent_count: u32,
    #[serde(deserialize_with = "nullable")]
    pub node_id: String,
    #[serde(deserialize_with = "nullable")]
    pub start_time: Time,
    pub state: NodeState,
    #[serde(deserialize_with = "nullable")]
    pub tags: Tags,
    #[serde(deserialize_with = "nullable")]
    pub version: String,
    #[serde(deserialize_with = "nullable")]
    pub xkey: String,
}

/// The answer to INFO, whatever its body was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct NodeInfoResponse {
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub node_agent_summaries: Vec<NodeAgentSummary>,
    #[serde(deserialize_with = "nullable")]
    pub node_id: String,
    #[serde(deserialize_with = "nullable")]
    pub tags: Tags,
    #[serde(deserialize_with = "nullable")]
    pub uptime: String,
    #[serde(deserialize_with = "nullable")]
    pub version: String,
    #[serde(deserialize_with = "nullable")]
    pub xkey: String,
}

/// A node's view of one of its nexlets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct NodeAgentSummary {
    #[serde(deserialize_with = "nullable")]
    pub agent_health: String,
    #[serde(deserialize_with = "nullable")]
    pub agent_health_stoplight: String,
    #[serde(deserialize_with = "nullable")]
    pub agent_id: String,
    #[serde(deserialize_with = "nullable")]
    pub agent_last_heartbeat_time: Time,
    #[serde(deserialize_with = "nullable")]
    pub agent_summary: AgentSummary,
}

/// The node's heartbeat, every ten seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeHeartbeat {
    /// `<agent_id> [<register_type>]`, joined by `, `.
    #[serde(deserialize_with = "nullable")]
    pub registrations: String,
}

/// LAMEDUCK and SETLAMEDUCK: take no more work, and end after a delay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LameduckRequest {
    /// Go duration.
    #[serde(deserialize_with = "nullable")]
    pub delay: String,
    /// A guard: every entry must equal the node's tag.
    #[serde(default, skip_serializing_if = "Tags::is_empty", deserialize_with = "nullable")]
    pub tag: Tags,
}

/// The answer to LAMEDUCK, and with an empty message to SETLAMEDUCK.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct LameduckResponse {
    #[serde(deserialize_with = "nullable")]
    pub message: String,
    #[serde(deserialize_with = "nullable")]
    pub success: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn ping_reads_and_prints_the_specification_s_sample() {
        let sample = r#"{"agent_count":1,"node_id":"NB4X","start_time":"2026-04-23T08:58:10.123456789Z","state":"running","tags":{"nex.arch":"amd64","nex.node":"n1"},"version":"0.4.1","xkey":"XBK7"}"#;
        let response: NodePingResponse = decode(sample.as_bytes()).unwrap();
        assert_eq!(response.state, NodeState::Running);
        assert_eq!(String::from_utf8(encode(&response)).unwrap(), sample);
        assert!(decode::<NodePingResponse>(sample.replace("running", "").as_bytes()).is_err());
    }

    #[test]
    fn info_without_agents_has_no_list() {
        let text = String::from_utf8(encode(&NodeInfoResponse::default())).unwrap();
        assert!(!text.contains("node_agent_summaries"), "{text}");
    }
}
