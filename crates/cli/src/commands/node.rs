//! `nex node …`: the noun verbs for nodes, in the form of the Go command line.
//!
//! Owns: `up`, `list` and `info` with the Go command line's texts. `lameduck` is the short verb's. Never:
//! starts a server.

use std::time::Instant;

use clap::{Args, Subcommand};
use nex_api::Time;
use nex_api::node::{NodeAgentSummary, NodeInfoResponse, NodePingResponse};
use nex_types::Tags;

use super::lameduck::{self, LameduckArgs};
use super::nodes::{self, ForgetArgs, NodesArgs, uptime};
use super::served::{self, NodeArgs, Services, Signals};
use super::upgrade;
use crate::args::Globals;
use crate::error::CliError;
use crate::{complete, find, ui};

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Start a node and its nexlets, against a NATS that is there
    ///
    /// SIGTERM and Ctrl-C end the node and its nexlets. Services stay, each under its shim, and the next
    /// start with this state directory adopts them; --stop-services and lame duck mode end them too.
    ///
    ///   nex node up --nats-url nats://10.0.0.5:4222 --nats-creds nex.creds
    #[command(verbatim_doc_comment)]
    Up(Box<NodeUpArgs>),
    /// Replace the running node and its nexlets by the nex on disk, without a lost call
    ///
    /// Acts on the node that uses this state directory, as SIGHUP does. Functions are handed over;
    /// services go on under their shims.
    ///
    ///   nex node upgrade
    #[command(verbatim_doc_comment)]
    Upgrade,
    #[command(visible_alias = "ls")]
    List(NodesArgs),
    Info(NodeInfoArgs),
    #[command(visible_alias = "down")]
    Lameduck(LameduckArgs),
    Forget(ForgetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NodeUpArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// End services with the node
    #[arg(long, env = "NEX_STOP_SERVICES")]
    stop_services: bool,
}

/// Show one node and its nexlets
///
///   nex node info swift-otter --full
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct NodeInfoArgs {
    /// Id, unique prefix of it, or name
    #[arg(value_name = "NODE", add = complete::nodes())]
    node: String,
    /// Show all that is known of each nexlet
    #[arg(long)]
    full: bool,
}

pub(crate) async fn run(globals: Globals, command: NodeCommand) -> Result<(), CliError> {
    match command {
        NodeCommand::Up(args) => up(&globals, &args).await,
        NodeCommand::Upgrade => upgrade::run(&globals).await,
        NodeCommand::List(args) => list(&globals, &args).await,
        NodeCommand::Lameduck(args) => lameduck::run(globals, args).await,
        NodeCommand::Info(args) => info(&globals, &args).await,
        NodeCommand::Forget(args) => nodes::forget(&globals, &args).await,
    }
}

async fn up(globals: &Globals, args: &NodeUpArgs) -> Result<(), CliError> {
    let start = Instant::now();
    let services = if args.stop_services { Services::End } else { Services::Stay };
    let args = &args.node;
    args.check()?;
    let mut signals = Signals::listen()?;
    let issuing = args.issuer.resolve()?;
    let directory = served::open_state(&globals.state_dir())?;
    let chosen = globals.chosen()?;
    let node = served::start(args, services, issuing, &chosen, directory).await?;
    if !served::wait_ready(&node, &mut signals).await {
        node.drain().await;
        return Ok(());
    }
    tracing::info!(
        node.id = node.id(),
        nexlets = node.healthy_nexlets().join(","),
        state = served::place(&node),
        "nex node ready"
    );
    if let Some(address) = node.metrics_address() {
        ui::line(format_args!("metrics  http://{address}/metrics"));
    }
    ui::line(format_args!("ready in {}", served::for_people(start.elapsed())));
    let stopped = served::until_stopped(node, &mut signals).await;
    tracing::info!("nex node stopped");
    stopped
}

async fn list(globals: &Globals, args: &NodesArgs) -> Result<(), CliError> {
    let nodes = globals.client().await?.nodes(&args.filter()?).await?;
    if globals.json {
        ui::json(&nodes);
    } else if nodes.is_empty() {
        ui::line("No nodes found");
        ui::note("start one with: nex up");
    } else {
        let header = [
            "Nexus",
            "ID (* = Lameduck Mode)",
            "Name",
            "Version",
            "Uptime",
            "State",
            "Running Agents",
        ];
        let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
        ui::titled_table("Nex Nodes", &header, &rows);
    }
    Ok(())
}

fn row(node: &NodePingResponse) -> Vec<String> {
    let is_lame = node.tags.get("nex.lameduck").is_some_and(|value| value == "true");
    vec![
        tag(&node.tags, "nex.nexus"),
        format!("{}{}", node.node_id, if is_lame { "*" } else { "" }),
        tag(&node.tags, "nex.node"),
        node.version.clone(),
        uptime(Time::now().since(node.start_time)),
        node.state.as_str().to_owned(),
        node.agent_count.to_string(),
    ]
}

async fn info(globals: &Globals, args: &NodeInfoArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    let nodes = client.nodes(&Tags::new()).await?;
    let found = find::existing_node(&nodes, &args.node)?;
    let info = client.node_info(&found.node_id).await?;
    if globals.json {
        ui::json(&info);
    } else {
        show(&info, args.full);
    }
    Ok(())
}

fn show(info: &NodeInfoResponse, full: bool) {
    ui::line(format_args!("Information about Node {}", ui::harmless(&info.node_id)));
    ui::line("");
    let tags: Vec<String> = info.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pairs = [
        ("Nexus", tag(&info.tags, "nex.nexus")),
        ("Node Name", tag(&info.tags, "nex.node")),
        ("Tags", tags.join(", ")),
        ("XKey", info.xkey.clone()),
        ("Uptime", info.uptime.clone()),
        ("Version", info.version.clone()),
    ];
    let width = pairs.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    for (key, value) in pairs {
        ui::line(format_args!("{key:>width$}: {}", ui::harmless(&value)));
    }
    ui::line("");
    if info.node_agent_summaries.is_empty() {
        return ui::line("No agents running");
    }
    let agents = info.node_agent_summaries.iter();
    if full {
        ui::titled_table("Running Agents", &FULL, &agents.map(full_row).collect::<Vec<_>>());
    } else {
        ui::titled_table("Running Agents", &BRIEF, &agents.map(brief_row).collect::<Vec<_>>());
    }
}

const BRIEF: [&str; 4] = ["", "Name", "Workload Type", "Running Workloads"];

fn brief_row(agent: &NodeAgentSummary) -> Vec<String> {
    let summary = &agent.agent_summary;
    vec![
        agent.agent_health_stoplight.clone(),
        format!("{} [{}]", summary.name, summary.version),
        summary.register_type.clone(),
        summary.workload_count.to_string(),
    ]
}

const FULL: [&str; 9] = [
    "Health",
    "Id",
    "Name",
    "Workload Type",
    "Start Time",
    "State",
    "Supported Lifecycles",
    "Running Workloads",
    "Last Heartbeat",
];

fn full_row(agent: &NodeAgentSummary) -> Vec<String> {
    let summary = &agent.agent_summary;
    let last = agent.agent_last_heartbeat_time;
    vec![
        format!("{} [{}]", agent.agent_health_stoplight, agent.agent_health),
        agent.agent_id.clone(),
        format!("{} [{}]", summary.name, summary.version),
        summary.register_type.clone(),
        summary.start_time.to_seconds_text(),
        summary.state.clone(),
        summary.supported_lifecycles.clone(),
        summary.workload_count.to_string(),
        if last.is_zero() { "never".to_owned() } else { last.to_seconds_text() },
    ]
}

fn tag(tags: &Tags, name: &str) -> String {
    tags.get(name).cloned().unwrap_or_else(|| "[unknown]".to_owned())
}
