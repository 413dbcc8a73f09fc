//! What there is, as far as that can be told at once: for suggestions and completions.
//!
//! Owns: reading names out of the view. Never: waits for nodes where there is a view; vouches for what it names.

use nex_api::node::NodePingResponse;
use nex_api::workload::WorkloadSummary;
use nex_api::{decode, view};
use nex_bus::{buckets, snapshot};
use nex_types::{Namespace, Tags};

use crate::Client;

impl Client {
    /// The workloads of this client's namespace (`system`: of all) that the view lists; without a view,
    /// those that nodes tell of; nothing when nobody tells.
    pub async fn known_workloads(&self) -> Vec<WorkloadSummary> {
        match self.workloads_of_the_view().await {
            Ok(listed) if !listed.is_empty() => listed,
            _ => self.workloads_live(&[]).await.unwrap_or_default(),
        }
    }

    /// The nodes that the view lists; without a view, those that answer.
    pub async fn known_nodes(&self) -> Vec<NodePingResponse> {
        let entries = snapshot(self.nats(), view::NODES_BUCKET, "node.*").await.unwrap_or_default();
        let listed: Vec<NodePingResponse> = entries
            .iter()
            .filter_map(|entry| decode::<view::NodeEntry>(&entry.value).ok())
            .map(|entry| entry.node)
            .collect();
        match listed.is_empty() {
            true => self.nodes_live(&Tags::new()).await.unwrap_or_default(),
            false => listed,
        }
    }

    /// The namespaces in which something ever ran, as far as one may see them.
    pub async fn known_namespaces(&self) -> Vec<Namespace> {
        let names = buckets(self.nats(), view::BUCKET_PREFIX).await.unwrap_or_default();
        let namespaces = names.iter().filter_map(|name| name.strip_prefix(view::BUCKET_PREFIX));
        namespaces.filter_map(|name| Namespace::parse(name).ok()).collect()
    }
}
