//! `nex delete`: stops what Nexfiles name.
//!
//! Owns: all copies of these names in the namespace, and asking first. Never: reads the files that
//! Nexfiles upload; they may be gone.

use clap::Args;
use nex_api::workload::WorkloadSummary;
use serde_json::json;

use super::apply::{FilesArgs, workloads};
use super::stop::{bury, stop_all};
use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

/// Stop what Nexfiles name, all copies of each
///
///   nex delete -f Nexfile.yaml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    files: FilesArgs,
    /// Do not ask first
    #[arg(short = 'y', long)]
    yes: bool,
}

pub(crate) async fn run(globals: Globals, args: DeleteArgs) -> Result<(), CliError> {
    let nexfiles = args.files.load()?;
    let client = globals.client().await?;
    let fleet = client.fleet().await?;
    let (mut here, mut away): (Vec<WorkloadSummary>, Vec<WorkloadSummary>) = Default::default();
    let mut lines = Vec::new();
    let mut n_running = 0;
    for nexfile in &nexfiles {
        let name = nexfile.workload_name()?;
        let found = client.copies(&fleet, name.as_str()).await?;
        let n_copies = found.here.len() + found.away.len() + found.finished.len();
        lines.push((name, n_copies));
        n_running += usize::from(n_copies > 0);
        here.extend(found.here);
        here.extend(found.finished);
        away.extend(found.away);
    }
    if !globals.json {
        for (name, n_copies) in &lines {
            ui::line(match n_copies {
                0 => format!("= {name}  is not there"),
                1 => format!("- {name}"),
                n => format!("- {name}  {n} copies"),
            });
        }
    }
    if n_running > 0 && !args.yes {
        ui::confirm(format_args!("stop {}?", workloads(n_running)))?;
    }
    stop_all(&client, &here).await?;
    bury(&client, &away).await?;
    if globals.json {
        let names = lines
            .iter()
            .map(|(name, n_copies)| json!({ "name": name.as_str(), "stopped": n_copies }));
        ui::json(&names.collect::<Vec<_>>());
    } else if n_running == 0 {
        ui::line("✓ nothing to do");
    } else {
        ui::line(format_args!("✓ {} stopped", workloads(n_running)));
    }
    Ok(())
}
