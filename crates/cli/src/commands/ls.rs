//! `nex ls`: the workloads, as the view has them or as the nodes say.
//!
//! Owns: the table. Never: shows another namespace's, save for `system` and `-A`.

use clap::Args;
use nex_api::Time;
use nex_api::workload::{WorkloadSummary, fact};
use nex_client::Client;

use super::nodes::uptime;
use crate::args::Globals;
use crate::error::CliError;
use crate::{complete, ui};

/// Characters of an id in tables; `nex info` and `--json` show all of it.
const SHORT_ID: usize = 8;

/// List workloads
///
///   nex ls
///   nex ls -A --json            of all namespaces, for a program
///   nex ls --live               what the nodes answer now
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LsArgs {
    /// Only these ids or names
    #[arg(add = complete::workload_names())]
    filter: Vec<String>,
    /// In all namespaces that one may see
    #[arg(short = 'A', long)]
    all: bool,
    /// Ask the nodes instead of reading what they wrote
    #[arg(long)]
    live: bool,
}

pub(crate) async fn run(globals: Globals, args: LsArgs) -> Result<(), CliError> {
    let globals = if args.all {
        Globals { namespace: Some("system".to_owned()), ..globals }
    } else {
        globals
    };
    let client = globals.client().await?;
    let workloads = match args.live {
        true => client.workloads_live(&args.filter).await?,
        false => client.workloads(&args.filter).await?,
    };
    show(&globals, &client, &workloads);
    Ok(())
}

fn show(globals: &Globals, client: &Client, workloads: &[WorkloadSummary]) {
    if globals.json {
        ui::json(&workloads);
    } else if workloads.is_empty() {
        ui::line(format_args!("No workloads found in namespace {}", client.namespace()));
    } else {
        table(workloads, client.is_system());
    }
}

fn table(workloads: &[WorkloadSummary], with_namespace: bool) {
    let mut header = vec!["NAME", "TYPE", "STATE", "AGE", "CALLS", "ERRORS", "NODE", "ID"];
    if with_namespace {
        header.insert(0, "NAMESPACE");
    }
    let row = |workload: &WorkloadSummary| {
        let fact =
            |key: &str| workload.metadata.get(key).cloned().unwrap_or_else(|| "-".to_owned());
        let age = Time::parse(&workload.start_time)
            .map_or_else(|| "-".to_owned(), |start| uptime(Time::now().since(start)));
        let mut row = vec![
            workload.name.clone(),
            workload.workload_type.clone(),
            workload.workload_state.as_str().to_owned(),
            age,
            fact(fact::CALLS),
            fact(fact::ERRORS),
            fact(fact::NODE_NAME),
            workload.id.chars().take(SHORT_ID).collect(),
        ];
        if with_namespace {
            row.insert(0, workload.namespace.clone());
        }
        row
    };
    let rows: Vec<Vec<String>> = workloads.iter().map(row).collect();
    ui::table(&header, &rows);
}
