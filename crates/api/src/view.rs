//! The view: what nodes write of themselves into shared buckets, so that a list need ask nobody
//! (spec: control API, section 13, "The view").
//!
//! Owns: names of buckets and keys, and the value of `node.<id>`. A `w.<id>` is a
//! [`crate::workload::WorkloadSummary`]. Never: reads or writes a bucket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec::nullable;
use crate::node::NodePingResponse;
use crate::workload::Lifecycle;

/// How often a node writes its own entry, whatever happens.
pub const REFRESH: Duration = Duration::from_secs(10);
/// When its entry is older than this, a node and its workloads are shown as `unknown`.
pub const UNKNOWN_AFTER: Duration = Duration::from_secs(30);
/// Where nodes stand, and the workloads of namespace `system`.
pub const NODES_BUCKET: &str = "nex-view-system";
/// What all buckets of the view begin with.
pub const BUCKET_PREFIX: &str = "nex-view-";

/// The bucket of a namespace.
#[must_use]
pub fn bucket(namespace: &str) -> String {
    format!("{BUCKET_PREFIX}{namespace}")
}

/// The key of a node.
#[must_use]
pub fn node_key(node_id: &str) -> String {
    format!("node.{node_id}")
}

/// The key of a workload.
#[must_use]
pub fn workload_key(workload_id: &str) -> String {
    format!("w.{workload_id}")
}

/// The key of a workload whose node ended well and may come back with it. No list shows it; who
/// replaces or stops the name must know of it.
#[must_use]
pub fn away_key(workload_id: &str) -> String {
    format!("away.{workload_id}")
}

/// The value of `node.<id>`: PING's answer and what decides who bids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// As PING answers.
    #[serde(flatten)]
    pub node: NodePingResponse,
    /// Its nexlets.
    #[serde(default, deserialize_with = "nullable")]
    pub agents: Vec<AgentEntry>,
}

/// A nexlet of a [`NodeEntry`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of AgentSummary and RegisterAgentRequest")]
pub struct AgentEntry {
    #[serde(deserialize_with = "nullable")]
    pub agent_health: String,
    #[serde(deserialize_with = "nullable")]
    pub agent_id: String,
    /// 0 means unlimited.
    #[serde(deserialize_with = "nullable")]
    pub max_workloads: u32,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub public_xkey: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_lifecycles: Option<Vec<Lifecycle>>,
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub register_type: String,
    #[serde(deserialize_with = "nullable")]
    pub workload_count: u32,
}

impl NodeEntry {
    /// Whether it tells the same but for counts, which are written with the next refresh.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        let without_counts = |entry: &Self| {
            let mut entry = entry.clone();
            entry.agents.iter_mut().for_each(|agent| agent.workload_count = 0);
            entry
        };
        without_counts(self) == without_counts(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn an_entry_is_read_as_a_ping_by_who_knows_no_more() {
        let node = NodePingResponse { node_id: "N".to_owned(), ..Default::default() };
        let agents = vec![AgentEntry { register_type: "wasm".to_owned(), ..Default::default() }];
        let entry = NodeEntry { node: node.clone(), agents };
        assert_eq!(decode::<NodePingResponse>(&encode(&entry)).unwrap(), node);
        assert_eq!(decode::<NodeEntry>(&encode(&entry)).unwrap(), entry);
        assert_eq!(decode::<NodeEntry>(&encode(&node)).unwrap().agents, []);
    }

    #[test]
    fn counts_alone_are_no_change() {
        let entry = |health: &str, workload_count| NodeEntry {
            agents: vec![AgentEntry {
                agent_health: health.to_owned(),
                workload_count,
                ..Default::default()
            }],
            ..NodeEntry::default()
        };
        assert!(entry("healthy", 1).is_alike(&entry("healthy", 2)));
        assert!(!entry("healthy", 1).is_alike(&entry("offline", 1)));
    }
}
