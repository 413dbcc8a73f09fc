//! `nex stop`: ends workloads and waits until they are gone.
//!
//! Owns: all copies of each address; telling the truth about each. Never: says "stopped" of what was
//! not there.

mod purge;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use nex_api::event::WORKLOAD_STOPPED;
use nex_api::workload::{WorkloadSummary, fact};
use nex_client::{Client, Events};
use nex_types::Namespace;
use tokio::time::Instant;

use crate::args::Globals;
use crate::error::{CliError, Kind};
use crate::{complete, find, ui};

/// A function drains for at most 30 s, a service is killed after its grace.
const END_BOUND: Duration = Duration::from_secs(45);
/// A node that did not answer a moment ago is not waited for.
const LATE_BOUND: Duration = Duration::from_millis(300);

/// Stop workloads, all copies of each
///
///   nex stop echo greet
///   nex stop echo --purge           with its durables and buckets
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StopArgs {
    /// Names, ids or unique prefixes of ids
    #[arg(required = true, add = complete::workloads())]
    targets: Vec<String>,
    /// Also remove what outlives a function: its durables, and the buckets of its host services
    #[arg(long)]
    purge: bool,
}

pub(crate) async fn run(globals: Globals, args: StopArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    let (found, buried) = choose(&client, &args.targets).await?;
    let start = std::time::Instant::now();
    stop_all(&client, &found).await?;
    bury(&client, &buried).await?;
    if args.purge {
        let gone: Vec<WorkloadSummary> = found.iter().chain(&buried).cloned().collect();
        purge::purge(&globals, &client, &gone).await?;
    }
    if globals.json {
        let line = |w: &WorkloadSummary, stopped: bool| serde_json::json!({"id": w.id, "name": w.name, "stopped": stopped, "unreachable": !stopped});
        let lines = found.iter().map(|w| line(w, true));
        ui::json(&lines.chain(buried.iter().map(|w| line(w, false))).collect::<Vec<_>>());
        return Ok(());
    }
    let elapsed = start.elapsed().as_millis();
    for workload in &found {
        let name = ui::harmless(&workload.name);
        ui::line(format_args!("✓ {name} stopped ({}) in {elapsed} ms", ui::harmless(&workload.id)));
    }
    for workload in &buried {
        let node = workload.metadata.get(fact::NODE_NAME).map_or("?", String::as_str);
        ui::line(format_args!(
            "✓ {} ({}) is on node {}, which does not answer; it will not bring it back",
            ui::harmless(&workload.name),
            ui::harmless(&workload.id),
            ui::harmless(node)
        ));
    }
    Ok(())
}

/// What the targets mean: what can be stopped, and what is on nodes that do not answer.
async fn choose(
    client: &Client,
    targets: &[String],
) -> Result<(Vec<WorkloadSummary>, Vec<WorkloadSummary>), CliError> {
    let unreachable = client.unreachable().await?;
    let (mut found, mut buried) = (Vec::new(), Vec::new());
    for target in targets {
        let is_meant = |w: &&WorkloadSummary| w.name == *target || w.id == *target;
        let dead: Vec<WorkloadSummary> = unreachable.iter().filter(is_meant).cloned().collect();
        match find::workloads(client, target).await {
            Ok(listed) => found.extend(listed),
            Err(error) if error.kind != Kind::NotFound || dead.is_empty() => return Err(error),
            Err(_) => {}
        }
        buried.extend(dead);
    }
    found.retain(|w: &WorkloadSummary| unreachable.iter().all(|dead| dead.id != w.id));
    Ok((found, buried))
}

/// Sees to it that nodes which do not answer do not bring these back, and takes them off the lists.
pub(crate) async fn bury(client: &Client, workloads: &[WorkloadSummary]) -> Result<(), CliError> {
    for workload in workloads {
        let owner = Namespace::parse(client.owner(workload))?;
        let client = Client::new(client.nats().clone(), owner);
        let Some(leases) = client.leases().await? else { continue };
        leases.bury([workload.id.as_str()]).await?;
        client.unlist([workload.id.as_str()]).await?;
        // It may have been slow only; then it does as it is told.
        let told = client.stop(client.owner(workload), &workload.id);
        let _does_not_answer = tokio::time::timeout(LATE_BOUND, told).await;
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
    wait_for_ends(client, &mut events, waiting).await?;
    let owners: BTreeSet<&str> = workloads.iter().map(|w| client.owner(w)).collect();
    for owner in owners {
        let theirs = workloads.iter().filter(|w| client.owner(w) == owner);
        let ids: Vec<&str> = theirs.map(|w| w.id.as_str()).collect();
        client.until_unlisted(owner, ids).await;
    }
    Ok(())
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
                let left: BTreeSet<String> = client.workloads_live(&ids).await?.into_iter().map(|w| w.id).collect();
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
