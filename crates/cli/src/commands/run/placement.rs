//! Finding a node that takes the workload, and saying why none does.
//!
//! Owns: the auction from the caller's side. Never: stops what runs.

use nex_api::workload::{StartWorkloadRequest, StartWorkloadResponse};
use nex_client::Client;
use nex_types::Tags;

use super::check::check;
use crate::error::{CliError, Kind};

/// Takes the first bid and claims it; without one says why, per node.
pub(crate) async fn deploy(
    client: &Client,
    request: &StartWorkloadRequest,
    tags: &Tags,
) -> Result<StartWorkloadResponse, CliError> {
    let kind = &request.workload_type;
    let Some(bid) = client.auction(kind, tags).await? else {
        return Err(nobody(client, kind, tags).await);
    };
    check(&bid, request)?;
    Ok(client.deploy(&bid, request).await?)
}

/// Why nobody bid: the first condition that failed, per node.
async fn nobody(client: &Client, kind: &str, tags: &Tags) -> CliError {
    let nodes = client.nodes(&Tags::new()).await.unwrap_or_default();
    if nodes.is_empty() {
        return CliError::new(Kind::NoBidder, "no node is there").hint("start one with: nex up");
    }
    let mut reasons = Vec::new();
    for node in &nodes {
        let name = node.tags.get("nex.node").map_or(node.node_id.as_str(), String::as_str);
        let reason = reason(client, node, kind, tags).await;
        reasons.push(format!("{name}: {reason}"));
    }
    CliError::new(Kind::NoBidder, "no agents available for workload placement")
        .detail(reasons.join("\n"))
        .hint("look closer with: nex info NODE")
}

async fn reason(
    client: &Client,
    node: &nex_api::node::NodePingResponse,
    kind: &str,
    tags: &Tags,
) -> String {
    if node.state != nex_api::node::NodeState::Running {
        return format!("the node is {}", node.state.as_str());
    }
    if let Some((key, value)) = tags.iter().find(|(key, value)| node.tags.get(*key) != Some(value))
    {
        return format!("has no tag {key}={value}");
    }
    let Ok(info) = client.node_info(&node.node_id).await else {
        return "does not answer".to_owned();
    };
    let mut of_type =
        info.node_agent_summaries.iter().filter(|agent| agent.agent_summary.register_type == kind);
    match of_type.next() {
        None => format!("has no nexlet of type {kind} that sends heartbeats"),
        Some(agent) if agent.agent_health != "healthy" => {
            format!("its {kind} nexlet is {}", agent.agent_health)
        }
        Some(_) => "did not bid; try again".to_owned(),
    }
}
