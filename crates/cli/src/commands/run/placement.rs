//! Finding a node that takes the workload, and saying why none does.
//!
//! Owns: the caller's side of a deploy, and the reasons per node. Never: stops what runs.

use nex_api::node::{NodePingResponse, NodeState};
use nex_api::workload::{Lifecycle, StartWorkloadRequest, StartWorkloadResponse};
use nex_client::{Client, Fleet, Placement};
use nex_types::Tags;

use crate::error::{CliError, Kind};

/// A workload that was started.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    /// The name of its node; `?` when a Go node did not tell.
    pub(crate) node: String,
    pub(crate) response: StartWorkloadResponse,
}

/// Starts a workload on the node that fits best; without one says why, per node.
pub(crate) async fn deploy(
    client: &Client,
    request: &StartWorkloadRequest,
    tags: &Tags,
) -> Result<StartWorkloadResponse, CliError> {
    let fleet = client.fleet().await?;
    Ok(deploy_in(client, &fleet, request, tags).await?.response)
}

/// Likewise, when it is known who is there.
pub(crate) async fn deploy_in(
    client: &Client,
    fleet: &Fleet,
    request: &StartWorkloadRequest,
    tags: &Tags,
) -> Result<Placed, CliError> {
    let kind = &request.workload_type;
    match client.place(fleet, request, tags).await? {
        Placement::Placed { node_id, response } => {
            let node = if node_id.is_empty() { "?" } else { fleet.name(&node_id) };
            Ok(Placed { node: node.to_owned(), response })
        }
        Placement::Nobody => Err(nobody(client, kind, request.workload_lifecycle, tags).await),
        Placement::NotThisLifecycle(offers) => {
            let offers: Vec<&str> = offers.iter().map(|lifecycle| lifecycle.as_str()).collect();
            let wanted = request.workload_lifecycle;
            let why = match offers.as_slice() {
                [] => format!("the {kind} nexlet does not say that it takes {wanted}"),
                _ => format!("{kind} takes {}, not {wanted}", offers.join(" and ")),
            };
            let message = format!("agent does not support requested lifecycle: {why}");
            Err(CliError::usage(message).hint("choose another with: --lifecycle LIFECYCLE"))
        }
    }
}

/// Why nobody bid: the first condition that failed, per node.
async fn nobody(client: &Client, kind: &str, lifecycle: Lifecycle, tags: &Tags) -> CliError {
    let nodes = client.nodes(&Tags::new()).await.unwrap_or_default();
    if nodes.is_empty() {
        return CliError::new(Kind::NoBidder, "no node is there").hint("start one with: nex up");
    }
    let mut reasons = Vec::new();
    for node in &nodes {
        let name = node.tags.get("nex.node").map_or(node.node_id.as_str(), String::as_str);
        let reason = reason(client, node, kind, lifecycle, tags).await;
        reasons.push(format!("{name}: {reason}"));
    }
    CliError::new(Kind::NoBidder, "no agents available for workload placement")
        .detail(reasons.join("\n"))
        .hint("look closer with: nex info NODE")
}

async fn reason(
    client: &Client,
    node: &NodePingResponse,
    kind: &str,
    lifecycle: Lifecycle,
    tags: &Tags,
) -> String {
    match node.state {
        NodeState::Running => {}
        NodeState::Unknown => return "has not been heard of for over 30 s".to_owned(),
        NodeState::Lameduck => return "is in lame duck mode and takes no new work".to_owned(),
        state => return format!("the node is {}", state.as_str()),
    }
    if let Some((key, value)) = tags.iter().find(|(key, value)| node.tags.get(*key) != Some(value))
    {
        return match node.tags.get(key) {
            Some(other) => format!("has tag {key}={other}, not {key}={value}"),
            None => format!("has no tag {key}={value}"),
        };
    }
    let Ok(info) = client.node_info(&node.node_id).await else {
        return "does not answer".to_owned();
    };
    let of_type: Vec<_> = info
        .node_agent_summaries
        .iter()
        .filter(|agent| agent.agent_summary.register_type == kind)
        .collect();
    let Some(first) = of_type.first() else {
        return format!("has no nexlet of type {kind} that sends heartbeats");
    };
    let Some(healthy) = of_type.iter().find(|agent| agent.agent_health == "healthy") else {
        return format!("its {kind} nexlet is {}", first.agent_health);
    };
    let lifecycles = &healthy.agent_summary.supported_lifecycles;
    if !lifecycles.is_empty() && !lifecycles.split(',').any(|l| l.trim() == lifecycle.as_str()) {
        return format!("its {kind} nexlet takes {lifecycles}, not {lifecycle}");
    }
    let n_workloads = healthy.agent_summary.workload_count;
    if n_workloads > 0 {
        return format!(
            "its {kind} nexlet did not bid: it has {n_workloads} workloads and may be full"
        );
    }
    "did not bid; try again".to_owned()
}
