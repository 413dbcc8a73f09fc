//! `nex clone ID|NAME`: starts a workload a second time, where there is room.
//!
//! Owns: choosing the original, and stopping it when asked. Never: stops it before the copy runs.

use clap::Args;
use nex_api::workload::{WorkloadSummary, fact};

use super::served::parse_tags;
use super::stop;
use crate::args::Globals;
use crate::error::{CliError, Kind};
use crate::{complete, find, ui};

/// Start a workload a second time, on a node with the tags that you name
///
/// The copy has a new id, and namespace, name, artifact and start request of the original; both share the
/// subjects of a function. With --stop the original is stopped once the copy runs: so a workload moves.
///
///   nex clone echo                                   another copy, wherever there is room
///   nex clone 9XKQ --tags region=lab                 on a node with that tag
///   nex clone echo --tags nex.node=swift-otter --stop    move it to that node
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CloneArgs {
    /// Name, id or unique prefix of an id
    #[arg(add = complete::workloads())]
    workload: String,
    /// Tags that the node must have
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ';')]
    tags: Vec<String>,
    /// Stop the original once the copy runs
    #[arg(long)]
    stop: bool,
}

pub(crate) async fn run(globals: Globals, args: CloneArgs) -> Result<(), CliError> {
    let tags = parse_tags(&args.tags)?;
    let client = globals.client().await?;
    let original = choose(&args.workload, find::workloads(&client, &args.workload).await?)?;
    let response = client.clone_workload(&original.id, &tags).await?;
    if globals.json {
        ui::json(&response);
    } else {
        let (name, id) = (ui::harmless(&response.name), ui::harmless(&response.id));
        ui::line(format_args!("Workload {name} [{id}] successfully started"));
    }
    if args.stop {
        stop::stop_all(&client, std::slice::from_ref(&original)).await.map_err(|error| {
            CliError {
                message: format!(
                    "the copy runs, but the original was not stopped: {}",
                    error.message
                ),
                ..error
            }
        })?;
        if !globals.json {
            ui::line(format_args!("Original workload [{}] stopped", original.id));
        }
    }
    Ok(())
}

/// Copies of a name that were started alike are as good as each other.
fn choose(address: &str, found: Vec<WorkloadSummary>) -> Result<WorkloadSummary, CliError> {
    let content = |w: &WorkloadSummary| w.metadata.get(fact::REQUEST_DIGEST).cloned();
    let mut copies = found.into_iter();
    let not_found = || CliError::new(Kind::NotFound, format!("no workload {address}"));
    let first = copies.next().ok_or_else(not_found)?;
    let rest: Vec<WorkloadSummary> = copies.collect();
    let is_alike = |w: &WorkloadSummary| content(w).is_some() && content(w) == content(&first);
    if rest.iter().all(is_alike) {
        return Ok(first);
    }
    let ids: Vec<&str> =
        std::iter::once(&first).chain(&rest).map(|workload| workload.id.as_str()).collect();
    let message = format!("{address} stands for {} workloads that differ", ids.len());
    Err(CliError::usage(message).hint(format!("name one of them: {}", ids.join("   "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(id: &str, digest: &str) -> WorkloadSummary {
        let metadata = [(fact::REQUEST_DIGEST.to_owned(), digest.to_owned())].into();
        WorkloadSummary { id: id.to_owned(), metadata, ..WorkloadSummary::default() }
    }

    #[test]
    fn copies_that_differ_must_be_named_by_id() {
        assert_eq!(choose("w", vec![copy("1", "a"), copy("2", "a")]).unwrap().id, "1");
        let error = choose("w", vec![copy("1", "a"), copy("2", "b")]).unwrap_err();
        assert_eq!((error.kind, error.hint.unwrap().contains("1   2")), (Kind::Usage, true));
        assert_eq!(choose("w", vec![]).unwrap_err().kind, Kind::NotFound);
    }
}
