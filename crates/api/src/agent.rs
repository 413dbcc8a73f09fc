//! Registration, heartbeats and summaries of nexlets (spec: control API, sections 4.3, 4.5, 4.6).
//!
//! Owns: the messages between a nexlet and its node. Never: knows a workload type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codec::{name, nullable, whole_or_fraction};
use crate::workload::{AgentStartWorkloadRequest, Lifecycle};
use crate::{NatsConnectionData, Time};

/// The header of agent ping replies that carries the agent id, in this exact case.
pub const AGENT_ID_HEADER: &str = "agentId";

/// Ours: header of a node's PING to its nexlets, and of its answer to REGISTER, with the node's start
/// time; a nexlet that sees a new value registers again at once (section 13, "Re-registration").
pub const NODE_START_HEADER: &str = "Nex-Node-Start";

/// What a nexlet says of itself in heartbeats and pings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct AgentSummary {
    #[serde(deserialize_with = "name")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub start_time: Time,
    /// `starting`, `running`, `stopping`, `lameduck` or `error`; free text, since peers may say more.
    #[serde(deserialize_with = "name")]
    pub state: String,
    /// Comma-joined, not a list.
    #[serde(deserialize_with = "name")]
    pub supported_lifecycles: String,
    #[serde(rename = "type", deserialize_with = "name")]
    pub register_type: String,
    #[serde(deserialize_with = "name")]
    pub version: String,
    #[serde(deserialize_with = "nullable")]
    pub workload_count: u32,
}

/// A nexlet's heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct AgentHeartbeat {
    #[serde(deserialize_with = "nullable")]
    pub data: String,
    #[serde(deserialize_with = "nullable")]
    pub summary: AgentSummary,
}

/// Ours: what our nexlets say in [`AgentHeartbeat::data`], as JSON text. Others say what they like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatData {
    /// Workloads that it was given at registration are still coming up.
    #[serde(default)]
    pub restoring: bool,
}

/// REGISTER.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct RegisterAgentRequest {
    #[serde(deserialize_with = "nullable")]
    pub description: String,
    /// 0 means unlimited. Peers may send a fraction.
    #[serde(deserialize_with = "nullable", serialize_with = "whole_or_fraction")]
    pub max_workloads: f64,
    #[serde(deserialize_with = "name")]
    pub name: String,
    #[serde(deserialize_with = "name")]
    pub public_xkey: String,
    #[serde(deserialize_with = "name")]
    pub register_type: String,
    /// Ours: proves that the node launched this process (section 13, "Re-registration").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_token: Option<String>,
    /// Ours: ids of the workloads that the nexlet runs already, as after its node has died, so that a
    /// node that has no record of one asks for it instead of letting it run unlisted.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub running: Vec<String>,
    /// A JSON Schema document as text.
    #[serde(deserialize_with = "nullable")]
    pub start_request_schema: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_lifecycles: Option<Vec<Lifecycle>>,
    #[serde(deserialize_with = "name")]
    pub version: String,
}

/// The answer to REGISTER. Failures are error replies instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct RegisterAgentResponse {
    #[serde(deserialize_with = "nullable")]
    pub connection_data: NatsConnectionData,
    #[serde(deserialize_with = "nullable")]
    pub existing_state: BTreeMap<String, AgentStartWorkloadRequest>,
    #[serde(deserialize_with = "nullable")]
    pub message: String,
    #[serde(deserialize_with = "nullable")]
    pub node_id: String,
    #[serde(deserialize_with = "nullable")]
    pub success: bool,
}

/// The answer to RREGISTER, whose own body is any JSON object or `null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct RegisterRemoteAgentResponse {
    #[serde(deserialize_with = "nullable")]
    pub assigned_agent_id: String,
    /// Optional on the wire, but the Go SDK takes it for granted: always sent.
    #[serde(default, deserialize_with = "nullable")]
    pub registration_creds: NatsConnectionData,
    /// The node to register with.
    #[serde(deserialize_with = "nullable")]
    pub respond_to: String,
}

/// INGRESS: where a workload can be reached from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct AgentIngressMsg {
    pub command: IngressCommand,
    /// `<host ip>:<port>`, empty for remove.
    #[serde(deserialize_with = "nullable")]
    pub upstream: String,
    #[serde(deserialize_with = "nullable")]
    pub workload_id: String,
}

/// Commands of [`AgentIngressMsg`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the wire's own words")]
pub enum IngressCommand {
    #[default]
    Add,
    Remove,
}

/// The answer to PINGWORKLOAD; who does not run the workload stays silent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct PingWorkloadResponse {
    #[serde(deserialize_with = "nullable")]
    pub node_id: String,
}

/// A sealed environment (section 6): base64 of a sealed box of a JSON object of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct EncEnv {
    #[serde(deserialize_with = "nullable")]
    pub base64_encrypted_env: String,
    /// The sender's public curve key.
    #[serde(deserialize_with = "nullable")]
    pub encrypted_by: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn registration_prints_the_specification_s_sample() {
        let sample = r#"{"description":"Runs workloads as subprocesses on the host machine","max_workloads":0,"name":"go_exec","public_xkey":"XC7","register_type":"native","start_request_schema":"{}","supported_lifecycles":["job","service"],"version":"0.0.0"}"#;
        let request: RegisterAgentRequest = decode(sample.as_bytes()).unwrap();
        let printed = String::from_utf8(encode(&request)).unwrap();
        assert_eq!(printed, sample);
    }

    #[test]
    fn an_empty_state_is_an_object() {
        let text = String::from_utf8(encode(&RegisterAgentResponse::default())).unwrap();
        assert!(text.contains(r#""existing_state":{}"#), "{text}");
    }

    #[test]
    fn a_heartbeat_of_a_go_peer_is_read() {
        let sample = r#"{"data":"{\"namespace_count\":0}","summary":{"name":"go_exec","start_time":"2026-04-23T08:58:10.2-06:00","state":"running","supported_lifecycles":"job,service","type":"native","version":"0.0.0","workload_count":0}}"#;
        let beat: AgentHeartbeat = decode(sample.as_bytes()).unwrap();
        assert_eq!(beat.summary.register_type, "native");
    }
}
