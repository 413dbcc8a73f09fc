//! `nex scale NAME N`: as many copies of a workload as one wants.
//!
//! Owns: which copies come and go. Never: changes the version.

use clap::Args;
use nex_api::workload::{WorkloadSummary, fact};
use nex_client::Client;
use nex_policy::placement::{Copy, surplus};
use nex_types::Tags;

use super::run::under_lease;
use super::stop::stop_all;
use crate::args::Globals;
use crate::error::CliError;
use crate::{complete, find, ui};

/// Start or stop copies of a workload until N run
///
/// Copies that come are spread over the nodes; of those that go, the newest go first, from the node
/// that has most of them. Copies of a function share its subjects: each call is answered once.
///
///   nex scale echo 3
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ScaleArgs {
    /// Name of the workload
    #[arg(add = complete::workload_names())]
    name: String,
    /// How many copies shall run
    #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    copies: u16,
}

pub(crate) async fn run(globals: Globals, args: ScaleArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    let n_wanted = usize::from(args.copies);
    let (n_started, n_stopped) =
        under_lease(&client, &args.name, Box::pin(scale(&client, &args.name, n_wanted))).await?;
    if globals.json {
        ui::json(&serde_json::json!({
            "name": args.name, "copies": n_wanted, "started": n_started, "stopped": n_stopped,
        }));
        return Ok(());
    }
    let name = ui::harmless(&args.name);
    let copies = if n_wanted == 1 { "copy" } else { "copies" };
    ui::line(match (n_started, n_stopped) {
        (0, 0) => format!("✓ {name} runs in {n_wanted} {copies} already"),
        (0, n) => format!("✓ {name} runs in {n_wanted} {copies}: {n} stopped"),
        (n, _) => format!("✓ {name} runs in {n_wanted} {copies}: {n} started"),
    });
    Ok(())
}

async fn scale(client: &Client, name: &str, n_wanted: usize) -> Result<(usize, usize), CliError> {
    let fleet = client.fleet().await?;
    let found = client.copies(&fleet, name).await?.here;
    let Some(first) = found.first() else {
        let names = client.workloads(&[]).await?.into_iter().map(|w| w.name).collect::<Vec<_>>();
        return Err(find::not_found(client, name, &names).await);
    };
    let version = |w: &WorkloadSummary| w.metadata.get(fact::REQUEST_DIGEST).cloned();
    if found.iter().any(|w| version(w) != version(first)) {
        return Err(CliError::other(format!("{name} runs in several versions"))
            .hint("run the wanted one again; it replaces the others: nex run FILE"));
    }
    let n_missing = n_wanted.saturating_sub(found.len());
    for _ in 0..n_missing {
        client.clone_workload(&first.id, &Tags::new()).await?;
    }
    let copies: Vec<Copy> = found.iter().map(copy).collect();
    let gone = surplus(&copies.iter().collect::<Vec<_>>(), found.len().saturating_sub(n_wanted));
    let stop: Vec<WorkloadSummary> = found.into_iter().filter(|w| gone.contains(&w.id)).collect();
    stop_all(client, &stop).await?;
    Ok((n_missing, stop.len()))
}

fn copy(workload: &WorkloadSummary) -> Copy {
    let fact = |key: &str| workload.metadata.get(key).cloned().unwrap_or_default();
    Copy {
        id: workload.id.clone(),
        node: fact(fact::NODE_ID),
        version: fact(fact::REQUEST_DIGEST),
        started: workload.start_time.clone(),
    }
}
