//! `nex stop --purge`: removes what outlives a function.
//!
//! Owns: which durables and buckets are meant. Never: removes them while a copy is left that uses them.

use std::collections::BTreeMap;

use nex_api::trigger::{FullTrigger, Of};
use nex_api::workload::{WorkloadSummary, fact};
use nex_bus::{durable, streams};
use nex_client::Client;
use nex_types::{Namespace, WorkloadName};

use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

/// Removes what belonged to `stopped` alone.
pub(super) async fn purge(
    globals: &Globals,
    client: &Client,
    stopped: &[WorkloadSummary],
) -> Result<(), CliError> {
    let mut names: BTreeMap<(String, String), Vec<FullTrigger>> = BTreeMap::new();
    for workload in stopped {
        let owner = (client.owner(workload).to_owned(), workload.name.clone());
        let text = workload.metadata.get(fact::TRIGGERS).map_or("[]", String::as_str);
        let triggers: Vec<FullTrigger> = serde_json::from_str(text).unwrap_or_default();
        names.entry(owner).or_default().extend(triggers);
    }
    let workloads = globals.to_workloads(client).await?;
    for ((namespace, name), triggers) in names {
        let namespace = Namespace::parse(&namespace)?;
        let name = WorkloadName::parse(&name)?;
        let client = Client::new(client.nats().clone(), namespace.clone());
        let left = client.workloads(&[name.to_string()]).await?;
        let left = left.iter().filter(|w| w.name == name.as_str()).count();
        if left > 0 {
            ui::note(format_args!("{name} is not purged: {left} of it run"));
            continue;
        }
        let of = Of { namespace: &namespace, name: &name };
        let removed = remove(&workloads, of, &triggers).await?;
        ui::note(format_args!("{name} purged: {removed} durables and buckets removed"));
    }
    Ok(())
}

async fn remove(
    workloads: &nex_bus::Client,
    of: Of<'_>,
    triggers: &[FullTrigger],
) -> Result<usize, CliError> {
    let mut n_removed = 0;
    let mut durables: Vec<_> = triggers.iter().filter_map(|trigger| trigger.durable(of)).collect();
    durables.sort_by(|one, other| (&one.stream, &one.name).cmp(&(&other.stream, &other.name)));
    durables.dedup();
    for found in durables {
        let removed = durable::remove(workloads, &found.stream, &found.name).await;
        n_removed += usize::from(removed.map_err(|error| CliError::chain(&error))?);
    }
    if !workloads.server_info().jetstream {
        return Ok(n_removed);
    }
    for stream in [
        format!("KV_hs_{}_{}_kv", of.namespace, of.name),
        format!("OBJ_hs_{}_{}_obj", of.namespace, of.name),
    ] {
        let removed = streams::remove(workloads, &stream).await;
        n_removed += usize::from(removed.map_err(|why| {
            CliError::other(format!("stream {stream} was not removed: {why}"))
                .hint("see what your credentials allow: nex doctor")
        })?);
    }
    Ok(n_removed)
}
