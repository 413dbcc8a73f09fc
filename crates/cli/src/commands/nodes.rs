//! `nex nodes`: the nodes, as the view has them or as they answer. `nex node forget`: a node that will
//! not come back is listed no more.
//!
//! Owns: the table. Never: keeps a list.

use clap::Args;
use nex_api::Time;
use nex_api::node::{NodePingResponse, NodeState};
use nex_types::Tags;

use super::served::parse_tags;
use crate::args::Globals;
use crate::error::CliError;
use crate::{complete, find, ui};

/// List nodes
///
///   nex nodes
///   nex nodes --filter region=lab --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct NodesArgs {
    /// Only nodes with these tags
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ';')]
    filter: Vec<String>,
    /// Only nodes that answer now
    #[arg(long)]
    live: bool,
}

/// Take a node that will not come back, and its workloads, off the lists
///
///   nex node forget swift-otter
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ForgetArgs {
    /// Id, unique prefix of it, or name
    #[arg(add = complete::nodes())]
    node: String,
}

impl NodesArgs {
    /// The tags that nodes must have.
    pub(crate) fn filter(&self) -> Result<Tags, CliError> {
        parse_tags(&self.filter)
    }
}

pub(crate) async fn run(globals: Globals, args: NodesArgs) -> Result<(), CliError> {
    let filter = args.filter()?;
    let client = globals.client().await?;
    let nodes = match args.live {
        true => client.nodes_live(&filter).await?,
        false => client.nodes(&filter).await?,
    };
    if globals.json {
        ui::json(&nodes);
    } else if nodes.is_empty() {
        ui::line("No nodes found");
        ui::note("start one with: nex up");
    } else {
        let header = ["NAME", "ID", "NEXUS", "VERSION", "UPTIME", "STATE", "NEXLETS"];
        let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
        ui::table(&header, &rows);
    }
    Ok(())
}

/// Removes a node that is away, and what it ran, from the view.
pub(crate) async fn forget(globals: &Globals, args: &ForgetArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    let fleet = client.fleet().await?;
    let nodes = fleet.clone().into_list();
    let node = find::existing_node(&nodes, &args.node)?;
    let name = ui::harmless(fleet.name(&node.node_id));
    if fleet.answers(&node.node_id) {
        let message = format!("node {name} is there, and would be listed again at once");
        return Err(CliError::other(message).hint("end it first"));
    }
    let n_forgotten = client.forget_node(&node.node_id).await?;
    if globals.json {
        ui::json(&serde_json::json!({"node_id": node.node_id, "entries": n_forgotten}));
    } else {
        ui::line(format_args!(
            "✓ node {name} is forgotten, with {} workloads",
            n_forgotten.saturating_sub(1)
        ));
    }
    Ok(())
}

fn row(node: &NodePingResponse) -> Vec<String> {
    let tag = |name: &str| node.tags.get(name).cloned().unwrap_or_else(|| "[unknown]".to_owned());
    let is_lame = node.tags.get("nex.lameduck").is_some_and(|value| value == "true");
    vec![
        tag("nex.node"),
        format!("{}{}", node.node_id, if is_lame { "*" } else { "" }),
        tag("nex.nexus"),
        node.version.clone(),
        if node.state == NodeState::Unknown {
            "-".to_owned()
        } else {
            uptime(Time::now().since(node.start_time))
        },
        node.state.as_str().to_owned(),
        node.agent_count.to_string(),
    ]
}

/// `1d 2h 3m 4s`, zero parts left out, as the Go command line writes it.
pub(crate) fn uptime(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(value, _)| *value > 0)
        .map(|(value, unit)| format!("{value}{unit}"))
        .collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn uptime_leaves_out_zero_parts() {
        assert_eq!(uptime(Duration::from_secs(0)), "0s");
        assert_eq!(uptime(Duration::from_secs(86_400 + 3 * 60)), "1d 3m");
    }
}
