//! `nex node …`: the noun verbs for nodes.
//!
//! Owns: `node up`. `list`, `info` and `lameduck` are those of the short verbs. Never: starts a server.

use std::time::Instant;

use clap::{Args, Subcommand};

use super::lameduck::LameduckArgs;
use super::nodes::NodesArgs;
use super::served::{self, NodeArgs, Signals};
use super::{info, lameduck, nodes, upgrade};
use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Start a node and its nexlets, against a NATS that is there
    Up(NodeArgs),
    /// Replace the running node and its nexlets by the nex on disk, without a lost call
    ///
    /// Acts on the node that uses this state directory, as SIGHUP does. Functions are handed over;
    /// services are restarted when the program has changed.
    Upgrade,
    /// List nodes
    #[command(visible_alias = "ls")]
    List(NodesArgs),
    /// Show one node and its nexlets
    Info(NodeInfoArgs),
    /// Send a node into lame duck mode: no more work, and its end after a delay
    #[command(visible_alias = "down")]
    Lameduck(LameduckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NodeInfoArgs {
    /// Id, unique prefix of it, or name
    node: String,
    /// Accepted for the Go command line's sake: all is shown
    #[arg(long)]
    full: bool,
}

pub(crate) async fn run(globals: Globals, command: NodeCommand) -> Result<(), CliError> {
    match command {
        NodeCommand::Up(args) => up(&globals, &args).await,
        NodeCommand::Upgrade => upgrade::run(&globals).await,
        NodeCommand::List(args) => nodes::run(globals, args).await,
        NodeCommand::Lameduck(args) => lameduck::run(globals, args).await,
        NodeCommand::Info(args) => {
            let _all_is_shown = args.full;
            info::node(&globals, &args.node).await
        }
    }
}

async fn up(globals: &Globals, args: &NodeArgs) -> Result<(), CliError> {
    let start = Instant::now();
    let mut signals = Signals::listen()?;
    let directory = served::open_state(&globals.state_dir())?;
    let connection = globals.settings();
    tracing::info!(nats = connection.servers_text(), "starting nex node");
    let node = served::start(args, connection, directory).await?;
    if !served::wait_ready(&node, &mut signals).await {
        node.drain().await;
        return Ok(());
    }
    tracing::info!(
        node.id = node.id(),
        nexlets = node.healthy_nexlets().join(","),
        "nex node ready"
    );
    if served::runs_services(&node) {
        tracing::warn!("{}", served::UNSANDBOXED);
    }
    ui::line(format_args!("ready in {}", served::for_people(start.elapsed())));
    let stopped = served::until_stopped(node, &mut signals).await;
    tracing::info!("nex node stopped");
    stopped
}
