//! Questions to nodes.
//!
//! Owns: PING and INFO. Never: keeps a list.

use nex_api::node::{NodeInfoResponse, NodePingRequest, NodePingResponse};
use nex_api::subject;
use nex_types::{Namespace, Tags};

use crate::{Client, Error, TOTAL, read};

impl Client {
    /// The nodes whose tags match, sorted by nexus and name; none when nobody answers.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn nodes(&self, filter: &Tags) -> Result<Vec<NodePingResponse>, Error> {
        let request = NodePingRequest { filter: filter.clone() };
        let gathered = self.ask_all(Namespace::SYSTEM, "PING", &request).await?;
        let mut nodes: Vec<NodePingResponse> =
            gathered.messages.iter().filter_map(|message| read(message).ok()).collect();
        let key = |node: &NodePingResponse| {
            let tag = |name: &str| node.tags.get(name).cloned().unwrap_or_default();
            (tag("nex.nexus"), tag("nex.node"), node.node_id.clone())
        };
        nodes.sort_by_key(key);
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
}
