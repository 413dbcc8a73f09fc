//! `nex nexlet check`: plays the node for a nexlet that somebody wrote, and says what it does right.
//!
//! Owns: the sample, the NATS server to check on, and the list of ticks and crosses. Never: touches a
//! server that was not named: without one, a server of its own is started and stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use nex_api::workload::Lifecycle;
use nex_bus::Settings;
use nex_bus::managed::{self, Managed};
use nex_nexlet::conformance::{self, Finding, Report, Verdict};
use nex_sandbox::Tasks;

use super::served::parse_tags;
use crate::args::Globals;
use crate::connection::settings_for;
use crate::error::CliError;
use crate::ui;

/// Check that a nexlet, in whatever language, does what nodes and clients expect of it
///
/// Starts PROGRAM as a node would, with the variables NEX_AGENT_…, answers its registration, and has it
/// start, list and stop workloads. Uses the NATS server that --nats-url names, else one of its own.
///
///   nex nexlet check --type ticker --start-request '{"every":"1s"}' -- ./ticker-nexlet
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CheckArgs {
    /// The type that it must register [default: any]
    #[arg(long = "type", value_name = "TYPE")]
    register_type: Option<String>,
    /// Start request, as JSON, of a workload that it can start, several times at once
    #[arg(long, value_name = "JSON")]
    start_request: String,
    /// Start request that it must refuse
    #[arg(long, value_name = "JSON")]
    refused_request: Option<String>,
    /// Lifecycle of the workload [default: the first that it registers]
    #[arg(long, value_parser = ["service", "job", "function"])]
    lifecycle: Option<String>,
    /// Variable for the nexlet, which inherits none; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// The nats-server binary to run when no server is named [default: found on PATH or in the state directory]
    #[arg(long, env = "NEX_NATS_SERVER", hide_env_values = true, value_name = "FILE")]
    nats_server: Option<PathBuf>,
    /// The nexlet and its arguments, after `--`
    #[arg(last = true, required = true, num_args = 1.., value_name = "PROGRAM")]
    command: Vec<String>,
}

pub(crate) async fn run(globals: Globals, args: CheckArgs) -> Result<(), CliError> {
    for (flag, text) in [
        ("--start-request", Some(&args.start_request)),
        ("--refused-request", args.refused_request.as_ref()),
    ] {
        let error = text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).err());
        if let Some(error) = error {
            return Err(CliError::usage(format!("{flag} is not JSON: {error}")));
        }
    }
    if let Some(named) = globals.named()? {
        return check(&globals, &args, named.settings).await;
    }
    let folder = tempfile::Builder::new().prefix("nex-check-").tempdir();
    let folder = folder.map_err(|error| CliError::chain(&error))?;
    let tasks = Tasks::new();
    let server = own_server(&globals, &args, folder.path(), &tasks).await?;
    let result = check(&globals, &args, settings_for(server.url().to_owned())).await;
    server.stop().await;
    result
}

async fn check(globals: &Globals, args: &CheckArgs, node: Settings) -> Result<(), CliError> {
    let options = conformance::Options {
        path: find_program(&args.command[0])?,
        args: args.command[1..].to_vec(),
        environment: BTreeMap::from_iter(parse_tags(&args.env)?),
        agent: node.data.clone(),
        node,
        agent_is_limited: false,
        register_type: args.register_type.clone(),
        lifecycle: args.lifecycle.as_deref().and_then(lifecycle),
        start_request: args.start_request.clone(),
        refused_request: args.refused_request.clone(),
    };
    let tell = |finding: &Finding| {
        if !globals.json {
            ui::line(line_of(finding));
        }
    };
    let report = conformance::check(&options, tell).await;
    let report = report.map_err(|error| CliError::chain(&error))?;
    if globals.json {
        ui::json(&report);
    } else {
        ui::line(summary(&report));
    }
    if report.is_good() {
        return Ok(());
    }
    let error = CliError::other("the nexlet does not do what nodes and clients expect of it");
    let error = error.hint("what each check is about: docs/guide/nexlets.md");
    match report.output.is_empty() {
        true => Err(error),
        false => Err(error.detail(format!("it printed last:\n{}", report.output.join("\n")))),
    }
}

fn line_of(finding: &Finding) -> String {
    let (sign, colour, why) = match &finding.verdict {
        Verdict::Passed => ("✓", ui::GREEN, None),
        Verdict::Advice(why) => ("!", ui::YELLOW, Some(why)),
        Verdict::Failed(why) => ("✗", ui::RED, Some(why)),
        Verdict::Skipped(why) => ("-", ui::CYAN, Some(why)),
    };
    let why = why.map(|why| format!(": {}", ui::harmless(why))).unwrap_or_default();
    format!("{} {}{why}", ui::paint_out(sign, colour), finding.check)
}

fn summary(report: &Report) -> String {
    let count = |is_it: fn(&Verdict) -> bool| {
        report.findings.iter().filter(|finding| is_it(&finding.verdict)).count()
    };
    format!(
        "{} passed, {} could be better, {} failed, {} not looked at",
        count(|verdict| matches!(verdict, Verdict::Passed)),
        count(|verdict| matches!(verdict, Verdict::Advice(_))),
        count(|verdict| matches!(verdict, Verdict::Failed(_))),
        count(|verdict| matches!(verdict, Verdict::Skipped(_))),
    )
}

fn lifecycle(name: &str) -> Option<Lifecycle> {
    [Lifecycle::Service, Lifecycle::Job, Lifecycle::Function]
        .into_iter()
        .find(|l| l.as_str() == name)
}

/// As a shell finds it; the nexlet itself gets no PATH to find anything with.
fn find_program(name: &str) -> Result<PathBuf, CliError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = match name.contains('/') {
        true => std::path::absolute(name).ok().filter(|path| path.is_file()),
        false => std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file()),
    };
    found.ok_or_else(|| CliError::usage(format!("no program {name}")))
}

async fn own_server(
    globals: &Globals,
    args: &CheckArgs,
    folder: &Path,
    tasks: &Tasks,
) -> Result<Managed, CliError> {
    let path = std::env::var_os("PATH");
    let own = globals.state_dir().join("bin");
    let found = managed::find(args.nats_server.as_deref(), path.as_deref(), &own).await;
    let found = found.map_err(|error| {
        CliError::chain(&error).hint("name a server with: --nats-url nats://HOST:4222")
    })?;
    let options = managed::Options { binary: found.path, directory: folder.to_owned(), port: 0 };
    Managed::start(options, tasks).await.map_err(|error| CliError::chain(&error))
}
