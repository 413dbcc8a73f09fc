//! `nex info`: all that is known of a workload or a node, in blocks.
//!
//! Owns: finding out which of them is meant. Never: shows an environment.

mod metrics;

use clap::Args;
use nex_api::metrics::WorkloadMetrics;
use nex_api::node::NodeInfoResponse;
use nex_api::workload::{WorkloadSummary, fact};
use nex_bus::jwt::{Permissions, Rules};
use nex_client::Counted;
use nex_types::Tags;
use serde::Serialize;

use crate::args::Globals;
use crate::error::{CliError, Kind};
use crate::{complete, find, ui};

/// Show all that is known of a workload or node
///
///   nex info echo
///   nex info swift-otter --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct InfoArgs {
    /// Name, id or unique prefix of an id, of a workload or a node
    #[arg(add = complete::workloads_and_nodes())]
    target: String,
}

pub(crate) async fn run(globals: Globals, args: InfoArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    match find::workloads(&client, &args.target).await {
        Ok(workloads) => show_workloads(&client.counted(workloads).await?, globals.json),
        Err(error) if error.kind == Kind::NotFound => {
            return node(&globals, &args.target).await.map_err(|node_error| {
                match node_error.kind {
                    // A node that is nearly called so says more than that no workload is.
                    Kind::NotFound if !node_error.has_guess || error.has_guess => error,
                    _ => node_error,
                }
            });
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Shows one node.
pub(crate) async fn node(globals: &Globals, address: &str) -> Result<(), CliError> {
    let client = globals.client().await?;
    let nodes = client.nodes(&Tags::new()).await?;
    let found = find::existing_node(&nodes, address)?;
    let info = client.node_info(&found.node_id).await?;
    if globals.json {
        ui::json(&info);
    } else {
        show_node(&info, found.state.as_str());
    }
    Ok(())
}

/// A workload as `--json` has it.
#[derive(Serialize)]
struct AsJson<'a> {
    #[serde(flatten)]
    summary: &'a WorkloadSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a WorkloadMetrics>,
}

fn show_workloads(workloads: &[Counted], as_json: bool) {
    if as_json {
        let workloads = workloads
            .iter()
            .map(|Counted { summary, metrics }| AsJson { summary, metrics: metrics.as_ref() });
        return ui::json(&workloads.collect::<Vec<_>>());
    }
    for Counted { summary, metrics } in workloads {
        show_workload(summary, metrics.as_ref());
    }
}

fn show_workload(workload: &WorkloadSummary, counted: Option<&WorkloadMetrics>) {
    let title = format!("Workload {}", ui::harmless(&workload.name));
    ui::block(&title, &facts(workload, counted.is_some()));
    let lines = counted.map(metrics::lines).unwrap_or_default();
    if !lines.is_empty() {
        ui::block("Since its start", &lines);
    }
}

/// What is known of a workload; without what its metrics tell, where they are shown too.
pub(crate) fn facts(workload: &WorkloadSummary, are_metrics_shown: bool) -> Vec<(&str, String)> {
    let mut pairs = vec![
        ("id", workload.id.clone()),
        ("namespace", workload.namespace.clone()),
        ("type", workload.workload_type.clone()),
        ("lifecycle", workload.workload_lifecycle.clone()),
        ("state", workload.workload_state.as_str().to_owned()),
        ("started", workload.start_time.clone()),
        ("execution time", workload.runtime.clone()),
    ];
    let is_told =
        |key: &str| key != fact::PERMISSIONS && !(are_metrics_shown && metrics::tells(key));
    let told = workload.metadata.iter().filter(|(key, _)| is_told(key));
    pairs.extend(told.map(|(key, value)| (key.as_str(), value.clone())));
    let permissions = workload.metadata.get(fact::PERMISSIONS);
    pairs.extend(permissions.into_iter().flat_map(|text| may(text)));
    pairs
}

/// What a workload may do: lists of subjects, or the node's own sentence.
fn may(permissions: &str) -> Vec<(&'static str, String)> {
    let Ok(Permissions { publish, subscribe, .. }) = serde_json::from_str(permissions) else {
        return vec![("may", permissions.to_owned())];
    };
    let shown = |rules: Rules| {
        let denied = match rules.deny.is_empty() {
            true => String::new(),
            false => format!(", not {}", rules.deny.join(", ")),
        };
        rules.allow.join(", ") + &denied
    };
    vec![("may publish", shown(publish)), ("may subscribe", shown(subscribe))]
}

fn show_node(info: &NodeInfoResponse, state: &str) {
    let tag = |name: &str| info.tags.get(name).cloned().unwrap_or_else(|| "[unknown]".to_owned());
    let tags: Vec<String> = info.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pairs = [
        ("id", info.node_id.clone()),
        ("nexus", tag("nex.nexus")),
        ("state", state.to_owned()),
        ("version", info.version.clone()),
        ("uptime", info.uptime.clone()),
        ("xkey", info.xkey.clone()),
        ("tags", tags.join(", ")),
    ];
    ui::block(&format!("Node {}", ui::harmless(&tag("nex.node"))), &pairs);
    if info.node_agent_summaries.is_empty() {
        ui::line("No agents running");
        return;
    }
    ui::line("");
    let header =
        ["", "NEXLET", "TYPE", "HEALTH", "LIFECYCLES", "WORKLOADS", "LAST HEARTBEAT", "ID"];
    let rows: Vec<Vec<String>> = info
        .node_agent_summaries
        .iter()
        .map(|agent| {
            let summary = &agent.agent_summary;
            let last = agent.agent_last_heartbeat_time;
            vec![
                agent.agent_health_stoplight.clone(),
                format!("{} [{}]", summary.name, summary.version),
                summary.register_type.clone(),
                agent.agent_health.clone(),
                summary.supported_lifecycles.clone(),
                summary.workload_count.to_string(),
                if last.is_zero() { "never".to_owned() } else { last.to_seconds_text() },
                agent.agent_id.clone(),
            ]
        })
        .collect();
    ui::table(&header, &rows);
}
