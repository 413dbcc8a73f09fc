//! `nex workload …`: the noun verbs, in the form of the Go command line.
//!
//! Owns: `start`, `stop` and `list` with the Go command line's texts. `clone` is the short verb's. Never:
//! uploads a file (`nex run` does).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use nex_api::workload::{
    Lifecycle, StartWorkloadRequest, StopWorkloadResponse, WorkloadSummary, fact,
};
use nex_types::Tags;

use super::clone::{self, CloneArgs};
use super::run;
use super::served::parse_tags;
use super::stop::stop_all;
use crate::args::Globals;
use crate::error::CliError;
use crate::nexfile::{self, Nexfile};
use crate::{complete, find, ui};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkloadCommand {
    #[command(visible_aliases = ["run", "deploy"])]
    Start(StartArgs),
    #[command(visible_alias = "undeploy")]
    Stop(StopArgs),
    #[command(visible_alias = "ls")]
    List(ListArgs),
    #[command(visible_aliases = ["cp", "copy"])]
    Clone(CloneArgs),
}

/// Start a workload from a start request or a Nexfile
///
/// A Nexfile, named or in the current folder, wins over all other flags.
///
///   nex workload start --nexfile Nexfile.yaml
///   nex workload start --name nap --start-request '{"uri":"file:///bin/nap","argv":["60"]}'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StartArgs {
    /// Workload type
    #[arg(long = "type", default_value = "native")]
    kind: String,
    /// Name
    #[arg(long, default_value = "")]
    name: String,
    /// Free text
    #[arg(long, default_value = "")]
    description: String,
    /// How long it means to live
    #[arg(long, value_enum, default_value = "service")]
    lifecycle: LifecycleArg,
    /// Tags that a node must have
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ';')]
    tags: Vec<String>,
    /// The start request as JSON
    #[arg(long, value_name = "JSON")]
    start_request: Option<String>,
    /// A Nexfile; - is standard input [default: Nexfile in the current folder when it is there]
    #[arg(short = 'f', long, value_name = "FILE")]
    nexfile: Option<PathBuf>,
}

/// Stop a workload
///
///   nex workload stop 9XKQ
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StopArgs {
    /// Id, unique prefix of it, or name
    #[arg(value_name = "WORKLOAD", add = complete::workloads())]
    id: String,
}

/// List workloads
///
///   nex workload list --type javascript --show-metadata
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ListArgs {
    /// Only this type
    #[arg(long = "type")]
    kind: Option<String>,
    /// Show metadata and tags
    #[arg(long)]
    show_metadata: bool,
    /// Only these ids or names
    #[arg(long, value_delimiter = ',')]
    filter: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LifecycleArg {
    Service,
    Job,
    Function,
}

impl From<LifecycleArg> for Lifecycle {
    fn from(lifecycle: LifecycleArg) -> Self {
        match lifecycle {
            LifecycleArg::Service => Self::Service,
            LifecycleArg::Job => Self::Job,
            LifecycleArg::Function => Self::Function,
        }
    }
}

pub(crate) async fn run(globals: Globals, command: WorkloadCommand) -> Result<(), CliError> {
    match command {
        WorkloadCommand::Start(args) => start(&globals, args).await,
        WorkloadCommand::Stop(args) => stop(&globals, &args).await,
        WorkloadCommand::Clone(args) => clone::run(globals, args).await,
        WorkloadCommand::List(args) => list(&globals, &args).await,
    }
}

async fn start(globals: &Globals, args: StartArgs) -> Result<(), CliError> {
    // Only under this name it wins over flags, as with the Go command line.
    let here = Path::new(nexfile::NAME).is_file().then(|| PathBuf::from(nexfile::NAME));
    let (request, tags) = match args.nexfile.clone().or(here) {
        Some(path) => by_nexfile(nexfile::load(&path)?)?,
        None => by_flags(args)?,
    };
    let request = StartWorkloadRequest { namespace: globals.namespace()?.to_string(), ..request };
    let client = globals.client().await?;
    let response = run::deploy(&client, &request, &tags).await?;
    if globals.json {
        ui::json(&response);
    } else {
        let (name, id) = (ui::harmless(&response.name), ui::harmless(&response.id));
        ui::line(format_args!("Workload {name} [{id}] successfully started"));
    }
    for warning in &response.warnings {
        ui::note(format_args!("warning: {}", ui::harmless(warning)));
    }
    Ok(())
}

fn by_flags(args: StartArgs) -> Result<(StartWorkloadRequest, Tags), CliError> {
    let Some(run_request) = args.start_request else {
        return Err(CliError::usage(
            "interactive start request not yet implemented; please provide a Nexfile or start request",
        )
        .hint("nex workload start --nexfile FILE   or let nex find all out: nex run FILE"));
    };
    let request = StartWorkloadRequest {
        description: args.description,
        name: args.name,
        run_request,
        workload_lifecycle: args.lifecycle.into(),
        workload_type: args.kind,
        ..StartWorkloadRequest::default()
    };
    Ok((request, parse_tags(&args.tags)?))
}

fn by_nexfile(nexfile: Nexfile) -> Result<(StartWorkloadRequest, Tags), CliError> {
    let path = nexfile.path.display();
    if nexfile.file.is_some() {
        return Err(CliError::usage(format!("{path} names a file to upload"))
            .hint(format!("nex run {path}")));
    }
    if nexfile.copies.is_some_and(|copies| copies > 1) {
        return Err(CliError::usage(format!("{path} wants copies, and this command starts one"))
            .hint("leave copies out, and then: nex scale NAME N"));
    }
    Ok(nexfile.into_request())
}

async fn stop(globals: &Globals, args: &StopArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    let found = find::workloads(&client, &args.id).await?;
    stop_all(&client, &found).await?;
    for workload in &found {
        if globals.json {
            ui::json(&StopWorkloadResponse {
                id: workload.id.clone(),
                stopped: true,
                workload_type: workload.workload_type.clone(),
                ..StopWorkloadResponse::default()
            });
        } else {
            ui::line(format_args!("Workload {} successfully stopped", ui::harmless(&workload.id)));
        }
    }
    Ok(())
}

async fn list(globals: &Globals, args: &ListArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    let mut workloads = client.workloads(&args.filter).await?;
    if let Some(kind) = &args.kind {
        workloads.retain(|workload| workload.workload_type == *kind);
    }
    if globals.json {
        ui::json(&by_node(&workloads));
    } else if workloads.is_empty() {
        ui::line("No workloads found");
    } else {
        table(client.namespace().as_str(), client.is_system(), args.show_metadata, &workloads);
    }
    Ok(())
}

/// A list for each node, as the Go command line prints what each node answered.
fn by_node(workloads: &[WorkloadSummary]) -> Vec<Vec<&WorkloadSummary>> {
    let mut lists: BTreeMap<&str, Vec<&WorkloadSummary>> = BTreeMap::new();
    for workload in workloads {
        let node = workload.metadata.get(fact::NODE_ID).map_or("", String::as_str);
        lists.entry(node).or_default().push(workload);
    }
    lists.into_values().collect()
}

fn table(namespace: &str, is_system: bool, with_metadata: bool, workloads: &[WorkloadSummary]) {
    let mut header = vec!["Id", "Name"];
    if is_system {
        header.push("Namespace");
    }
    header.extend(["Start Time", "Execution Time", "Type", "Lifecycle", "State"]);
    if with_metadata {
        header.extend(["Metadata", "Tags"]);
    }
    let row = |workload: &WorkloadSummary| {
        let is_function = workload.workload_lifecycle == Lifecycle::Function.as_str();
        let mut row = vec![workload.id.clone(), workload.name.clone()];
        if is_system {
            row.push(workload.namespace.clone());
        }
        row.extend([
            workload.start_time.clone(),
            if is_function { workload.runtime.clone() } else { "--".to_owned() },
            workload.workload_type.clone(),
            workload.workload_lifecycle.clone(),
            workload.workload_state.as_str().to_owned(),
        ]);
        if with_metadata {
            row.extend([pairs(&workload.metadata), pairs(&workload.tags)]);
        }
        row
    };
    let rows: Vec<Vec<String>> = workloads.iter().map(row).collect();
    ui::titled_table(&format!("Running Workloads - {namespace}"), &header, &rows);
}

fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}
