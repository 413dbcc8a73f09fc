//! Questions about nodes.
//!
//! Owns: PING and INFO. Never: keeps a list.

use nex_api::node::{NodeInfoResponse, NodePingRequest, NodePingResponse};
use nex_api::{subject, view};
use nex_bus::kv::Bucket;
use nex_types::{Namespace, Tags, matches_tags};

use crate::{Client, Error, TOTAL, read};

impl Client {
    /// The nodes whose tags match, sorted by nexus and name; one of which nothing has been heard for
    /// 30 s is `unknown`. None when nobody is there.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn nodes(&self, filter: &Tags) -> Result<Vec<NodePingResponse>, Error> {
        let mut nodes = self.fleet().await?.into_list();
        nodes.retain(|node| matches_tags(filter, &node.tags));
        Ok(nodes)
    }

    /// The nodes that answer now, without the view.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn nodes_live(&self, filter: &Tags) -> Result<Vec<NodePingResponse>, Error> {
        let request = NodePingRequest { filter: filter.clone() };
        let gathered = self.ask_all(Namespace::SYSTEM, "PING", &request).await?;
        let mut nodes: Vec<NodePingResponse> =
            gathered.messages.iter().filter_map(|message| read(message).ok()).collect();
        nodes.sort_by_key(order);
        Ok(nodes)
    }

    /// One node and its nexlets.
    ///
    /// # Errors
    /// [`Error::NoResponders`] when there is no such node.
    pub async fn node_info(&self, node_id: &str) -> Result<NodeInfoResponse, Error> {
        let subject = subject::control_of(Namespace::SYSTEM, "INFO", node_id);
        self.ask_one(subject, b"{}".to_vec(), TOTAL * 2).await
    }

    /// Removes a node and its workloads from the view, and tells how many entries that were. A node
    /// that is alive writes itself again.
    ///
    /// # Errors
    /// When the view cannot be read or written.
    pub async fn forget_node(&self, node_id: &str) -> Result<usize, Error> {
        let nats = |error: &dyn std::fmt::Display| Error::Nats(error.to_string());
        let mut n_forgotten = 0;
        for name in nex_bus::buckets(&self.nats, view::BUCKET_PREFIX).await.map_err(|e| nats(&e))? {
            let entries = nex_bus::snapshot(&self.nats, &name, ">").await.map_err(|e| nats(&e))?;
            let bucket = Bucket::open(&self.nats, &name).await.map_err(|e| nats(&e))?;
            for entry in entries.iter().filter(|entry| crate::view::is_of(entry, node_id)) {
                bucket.erase(&entry.key).await.map_err(|e| nats(&e))?;
                n_forgotten += 1;
            }
        }
        Ok(n_forgotten)
    }
}

/// By nexus, name and id.
pub(crate) fn order(node: &NodePingResponse) -> (String, String, String) {
    let tag = |name: &str| node.tags.get(name).cloned().unwrap_or_default();
    (tag("nex.nexus"), tag("nex.node"), node.node_id.clone())
}
