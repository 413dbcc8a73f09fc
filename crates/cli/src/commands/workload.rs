//! `nex workload …`: the noun verbs, in the form of the Go command line.
//!
//! Owns: `start` with a bare start request. `stop`, `list` and `clone` are those of the short verbs. Never:
//! uploads a file (`nex run` does).

use clap::{Args, Subcommand, ValueEnum};
use nex_api::workload::{Lifecycle, StartWorkloadRequest};
use nex_types::Tags;

use super::clone::CloneArgs;
use super::served::parse_tags;
use super::stop::StopArgs;
use super::{clone, ls, run, stop};
use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkloadCommand {
    /// Start a workload from a start request
    #[command(visible_aliases = ["run", "deploy"])]
    Start(StartArgs),
    /// Stop workloads
    #[command(visible_alias = "undeploy")]
    Stop(StopArgs),
    /// List workloads
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Start a workload a second time, elsewhere if you like
    #[command(visible_aliases = ["cp", "copy"])]
    Clone(CloneArgs),
}

#[derive(Debug, Args)]
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
    start_request: String,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
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

pub(crate) async fn run(globals: Globals, command: WorkloadCommand) -> Result<(), CliError> {
    match command {
        WorkloadCommand::Start(args) => start(&globals, args).await,
        WorkloadCommand::Stop(args) => stop::run(globals, args).await,
        WorkloadCommand::Clone(args) => clone::run(globals, args).await,
        WorkloadCommand::List(args) => ls::list(&globals, &args.filter).await,
    }
}

async fn start(globals: &Globals, args: StartArgs) -> Result<(), CliError> {
    let tags = parse_tags(&args.tags)?;
    let request = StartWorkloadRequest {
        description: args.description,
        name: args.name,
        namespace: globals.namespace()?.to_string(),
        run_request: args.start_request,
        tags: Tags::new(),
        workload_lifecycle: match args.lifecycle {
            LifecycleArg::Service => Lifecycle::Service,
            LifecycleArg::Job => Lifecycle::Job,
            LifecycleArg::Function => Lifecycle::Function,
        },
        workload_type: args.kind,
        ..StartWorkloadRequest::default()
    };
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
