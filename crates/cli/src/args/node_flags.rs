//! Flags of a node that come from the Go command line, and those that choose its nexlets.
//!
//! Owns: names, help texts, and what of them is taken or refused. Never: starts a node.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use nex_node::EventSink;
use serde::Deserialize;

use super::Secret;
use crate::commands::nexlet::NexletKind;
use crate::error::CliError;

/// Which nexlets a node runs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct NexletsArgs {
    /// Our nexlets to run [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TYPES")]
    pub(crate) nexlets: Option<Vec<NexletKind>>,
    /// Leave out the native nexlet
    #[arg(long)]
    pub(crate) disable_native_start: bool,
    /// Other nexlets; only in a configuration file
    #[arg(long, hide = true)]
    pub(crate) agents: Vec<Agent>,
}

impl NexletsArgs {
    /// Ours that shall run.
    pub(crate) fn ours(&self) -> Vec<NexletKind> {
        let mut kinds = NexletKind::built_in();
        kinds.retain(|kind| self.nexlets.as_ref().is_none_or(|wanted| wanted.contains(kind)));
        kinds.retain(|kind| !(self.disable_native_start && *kind == NexletKind::Native));
        kinds
    }
}

/// Who the node is and how it behaves, as the Go command line names it.
#[derive(Debug, Clone, Args)]
pub(crate) struct GoNodeArgs {
    /// Seed of the node's key (SN…), or @FILE that holds it [default: kept in the state directory]
    #[arg(long, env = "NEX_NODE_SEED", hide_env_values = true, value_name = "SECRET")]
    pub(crate) node_seed: Option<Secret>,
    /// Seed of the node's curve key (SX…), or @FILE that holds it
    #[arg(long, env = "NEX_NODE_XKEY_SEED", hide_env_values = true, value_name = "SECRET")]
    pub(crate) node_xkey_seed: Option<Secret>,
    /// Where the node's events go: nats, logs, or '' for nowhere
    #[arg(long, default_value = "nats", value_name = "SINK", value_parser = event_sink)]
    pub(crate) events: EventSink,
    /// Do not keep the log lines of workloads; they can then only be followed
    #[arg(long, env = "NEX_NO_LOG_HISTORY")]
    pub(crate) no_log_history: bool,
    /// How long a bid may be claimed
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = super::duration)]
    pub(crate) auction_ttl: Duration,
    #[command(flatten)]
    unused: UnusedNodeArgs,
}

/// Accepted, so that scripts and files carry over; docs/compatibility.md says why they do nothing.
#[derive(Debug, Clone, Default, Args)]
struct UnusedNodeArgs {
    #[arg(long, hide = true)]
    agent_restart_limit: Option<u32>,
    #[arg(long, hide = true)]
    show_workload_logs: bool,
    #[arg(long, hide = true)]
    resource_directory: Option<PathBuf>,
    #[arg(long, hide = true)]
    inats_config: Option<PathBuf>,
}

impl GoNodeArgs {
    /// Refuses what cannot be done here, and says what is done otherwise.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        if let Some(path) = &self.unused.inats_config {
            let path = path.display();
            return Err(CliError::usage(
                "a node runs no NATS server inside itself: --inats-config",
            )
            .hint(format!("nats-server -c {path}   and name it with: --nats-url URL")));
        }
        if self.unused.show_workload_logs {
            crate::ui::note("note: workloads' logs are not copied here; see: nex logs -f");
        }
        Ok(())
    }
}

/// A nexlet that is not ours, as the configuration file's `agents` names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agent {
    /// A local program, with or without `file://`.
    pub(crate) uri: String,
    #[serde(default)]
    pub(crate) argv: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

impl FromStr for Agent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("agents: {error}"))
    }
}

impl Agent {
    /// The program, which must be a file.
    pub(crate) fn program(&self) -> Result<PathBuf, CliError> {
        let path = PathBuf::from(self.uri.strip_prefix("file://").unwrap_or(&self.uri));
        if self.uri.contains("://") && !self.uri.starts_with("file://") {
            return Err(CliError::usage(format!("agents: {} is not a local file", self.uri))
                .hint("\"uri\": \"file:///path/of/the/nexlet\""));
        }
        if !path.is_file() {
            return Err(CliError::usage(format!("agents: {} is not a file", path.display()))
                .hint("\"uri\": \"file:///path/of/the/nexlet\""));
        }
        std::path::absolute(&path).map_err(|error| CliError::chain(&error))
    }
}

fn event_sink(text: &str) -> Result<EventSink, String> {
    match text {
        "nats" => Ok(EventSink::Nats),
        "logs" => Ok(EventSink::Log),
        "" => Ok(EventSink::Off),
        _ => Err("one of: nats, logs, ''".to_owned()),
    }
}
