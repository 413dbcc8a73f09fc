//! `nex stop`: ends workloads and waits until they are gone.
//!
//! Owns: all copies of each address; telling the truth about each. Never: says "stopped" of what was
//! not there.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use nex_api::event::WORKLOAD_STOPPED;
use nex_api::workload::WorkloadSummary;
use nex_client::{Client, Events};
use tokio::time::Instant;

use crate::args::Globals;
use crate::error::{CliError, Kind};
use crate::{find, ui};

/// A function drains for at most 30 s, a service is killed after its grace.
const END_BOUND: Duration = Duration::from_secs(45);

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Names, ids or unique prefixes of ids
    #[arg(required = true)]
    targets: Vec<String>,
}

pub(crate) async fn run(globals: Globals, args: StopArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    let mut found: Vec<WorkloadSummary> = Vec::new();
    for target in &args.targets {
        found.extend(find::workloads(&client, target).await?);
    }
    let start = std::time::Instant::now();
    stop_all(&client, &found).await?;
    if globals.json {
        let stopped: Vec<_> = found
            .iter()
            .map(|w| serde_json::json!({"id": w.id, "name": w.name, "stopped": true}))
            .collect();
        ui::json(&stopped);
        return Ok(());
    }
    let elapsed = start.elapsed().as_millis();
    for workload in &found {
        ui::line(format_args!(
            "✓ {} stopped ({}) in {elapsed} ms",
            ui::harmless(&workload.name),
            workload.id
        ));
    }
    Ok(())
}

/// Stops all of them and waits for the ends.
pub(crate) async fn stop_all(
    client: &Client,
    workloads: &[WorkloadSummary],
) -> Result<(), CliError> {
    if workloads.is_empty() {
        return Ok(());
    }
    // Subscribed before the first is stopped, so that no end is missed.
    let mut events = client.events().await?;
    let mut waiting = BTreeSet::new();
    for workload in workloads {
        let response = client.stop(client.owner(workload), &workload.id).await?;
        if !response.stopped {
            let message = format!(
                "{} ({}) was not stopped: {}",
                workload.name, workload.id, response.message
            );
            return Err(CliError::new(Kind::NotFound, message).hint("see what runs: nex ls"));
        }
        waiting.insert(workload.id.clone());
    }
    wait_for_ends(client, &mut events, waiting).await
}

async fn wait_for_ends(
    client: &Client,
    events: &mut Events,
    mut waiting: BTreeSet<String>,
) -> Result<(), CliError> {
    let deadline = Instant::now() + END_BOUND;
    // An end may have been announced by a nexlet that died since: the list is asked now and then.
    let mut look = tokio::time::interval(Duration::from_secs(2));
    look.tick().await;
    while !waiting.is_empty() {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { break };
                if event.kind == WORKLOAD_STOPPED {
                    waiting.remove(event.payload.get("id").and_then(|id| id.as_str()).unwrap_or_default());
                }
            }
            _ = look.tick() => {
                let ids: Vec<String> = waiting.iter().cloned().collect();
                let left: BTreeSet<String> = client.workloads(&ids).await?.into_iter().map(|w| w.id).collect();
                waiting.retain(|id| left.contains(id));
            }
            () = tokio::time::sleep_until(deadline) => {
                let left = waiting.into_iter().collect::<Vec<_>>().join(", ");
                return Err(CliError::new(Kind::TimedOut, format!("still ending after 45s: {left}"))
                    .hint("look again with: nex ls"));
            }
        }
    }
    Ok(())
}
