//! `nex apply` and `nex diff`: what Nexfiles want, against what runs.
//!
//! Owns: the plan, in both forms, and asking before something that runs is changed. Never: stops what no
//! file names.

use std::path::PathBuf;

use clap::Args;
use nex_client::Client;
use nex_telemetry::traces::Scope;
use serde_json::{Value, json};

use super::run::{Change, Wish};
use crate::args::{Globals, OtlpArgs, TraceArgs};
use crate::error::CliError;
use crate::nexfile::{self, Nexfile};
use crate::traces::Trace;
use crate::ui;

/// Which Nexfiles.
#[derive(Debug, Args)]
pub(super) struct FilesArgs {
    /// A Nexfile, a folder (its Nexfile, else all its *.yaml and *.yml), or - for standard input; repeatable
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
}

impl FilesArgs {
    /// The workloads that they name.
    pub(super) fn load(&self) -> Result<Vec<Nexfile>, CliError> {
        nexfile::load_all(&self.files)
    }

    /// As they were typed, for hints.
    pub(super) fn typed(&self) -> String {
        let typed: Vec<String> =
            self.files.iter().map(|file| format!("-f {}", file.display())).collect();
        typed.join(" ")
    }
}

/// Bring what runs to what Nexfiles say
///
/// Shows first what will be done: + create, ~ change (with the keys that differ), = as it is. What is
/// changed is replaced without a gap. Workloads that no file names are left alone.
///
///   nex apply -f Nexfile.yaml
///   nex apply -f ./project --dry-run
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    files: FilesArgs,
    #[command(flatten)]
    otlp: OtlpArgs,
    #[command(flatten)]
    traces: TraceArgs,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before something that runs is changed
    #[arg(short = 'y', long)]
    yes: bool,
    /// Say more: which older uploads were removed
    #[arg(short, long)]
    verbose: bool,
}

/// Show how what runs differs from what Nexfiles say
///
/// Exits with 0 when nothing differs, and with 1 when something does.
///
///   nex diff -f Nexfile.yaml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    files: FilesArgs,
}

/// A workload and what it needs.
type Planned = (Wish, Change);

pub(crate) async fn run(globals: Globals, args: ApplyArgs) -> Result<(), CliError> {
    let trace = Trace::begin(&args.otlp, &args.traces, "nex apply");
    let outcome = Box::pin(apply(&globals, &args, trace.scope())).await;
    trace.end(&outcome).await;
    outcome
}

async fn apply(globals: &Globals, args: &ApplyArgs, scope: Scope) -> Result<(), CliError> {
    let wishes = wishes(&args.files)?;
    let client = globals.client().await?.within(scope);
    let plan = plan(globals, &client, wishes).await?;
    if !globals.json {
        show(&plan);
    }
    let is_only_shown = args.dry_run || !differs(&plan);
    let done = match is_only_shown {
        true => Vec::new(),
        false => {
            ask(&plan, args.yes)?;
            fulfil(globals, &client, &plan, args.verbose).await?
        }
    };
    if globals.json {
        ui::json(&json!({ "dry_run": args.dry_run, "plan": to_json(&plan), "done": done }));
    } else {
        conclude(&plan, args.dry_run);
    }
    Ok(())
}

pub(crate) async fn diff(globals: Globals, args: DiffArgs) -> Result<(), CliError> {
    let wishes = wishes(&args.files)?;
    let client = globals.client().await?;
    let plan = plan(&globals, &client, wishes).await?;
    let n_differ = plan.iter().filter(|(_, change)| *change != Change::Same).count();
    if globals.json {
        ui::json(&json!({ "differs": n_differ > 0, "plan": to_json(&plan) }));
    } else {
        show(&plan);
    }
    if n_differ == 0 {
        return Ok(());
    }
    Err(CliError::other(format!("{n_differ} of {} differ from what runs", workloads(plan.len())))
        .hint(format!("make it so: nex apply {}", args.files.typed())))
}

/// All files are read and checked before anybody is asked.
fn wishes(files: &FilesArgs) -> Result<Vec<Wish>, CliError> {
    files.load()?.into_iter().map(Wish::of).collect()
}

async fn plan(
    globals: &Globals,
    client: &Client,
    wishes: Vec<Wish>,
) -> Result<Vec<Planned>, CliError> {
    let (fleet, state_dir) = (client.fleet().await?, globals.state_dir());
    // Not by asking for leases: that makes their bucket, and a plan changes nothing.
    let has_jetstream = nex_bus::streams::has_jetstream(client.nats()).await;
    let mut plan = Vec::new();
    for wish in wishes {
        let change = wish.foresee(client, &fleet, &state_dir, has_jetstream).await?;
        plan.push((wish, change));
    }
    Ok(plan)
}

/// Stops at the first that fails; what was done stays, and the next `nex apply` goes on from there.
async fn fulfil(
    globals: &Globals,
    client: &Client,
    plan: &[Planned],
    is_verbose: bool,
) -> Result<Vec<Value>, CliError> {
    let state_dir = globals.state_dir();
    let mut done = Vec::new();
    for (wish, _) in plan.iter().filter(|(_, change)| *change != Change::Same) {
        let fulfilled = wish.fulfil(client, &state_dir).await.map_err(|error| CliError {
            message: format!("{}: {}", wish.name, error.message),
            ..error
        })?;
        if !globals.json {
            fulfilled.tell(is_verbose);
        }
        done.push(fulfilled.to_json());
    }
    Ok(done)
}

fn ask(plan: &[Planned], is_sure: bool) -> Result<(), CliError> {
    let n_changes = count(plan, |change| matches!(change, Change::Replace(_)));
    if is_sure || n_changes == 0 {
        return Ok(());
    }
    ui::confirm(format_args!("replace {} that runs?", workloads(n_changes)))
}

fn show(plan: &[Planned]) {
    let width = plan.iter().map(|(wish, _)| wish.name.as_str().len()).max().unwrap_or_default();
    for (wish, change) in plan {
        let name = wish.name.as_str();
        ui::line(match change {
            Change::Create => {
                ui::paint_out(&format!("+ {name:<width$}  {}", wish.describe()), ui::GREEN)
            }
            Change::Replace(keys) => {
                let keys = ui::harmless(&keys.join(", "));
                ui::paint_out(&format!("~ {name:<width$}  {keys}"), ui::YELLOW)
            }
            Change::Same => format!("= {name}"),
        });
    }
}

fn to_json(plan: &[Planned]) -> Vec<Value> {
    let entry = |(wish, change): &Planned| {
        let (change, keys) = match change {
            Change::Create => ("create", &[][..]),
            Change::Replace(keys) => ("change", keys.as_slice()),
            Change::Same => ("same", &[][..]),
        };
        json!({ "name": wish.name.as_str(), "change": change, "keys": keys })
    };
    plan.iter().map(entry).collect()
}

fn conclude(plan: &[Planned], is_dry_run: bool) {
    let n_created = count(plan, |change| *change == Change::Create);
    let n_changed = count(plan, |change| matches!(change, Change::Replace(_)));
    let n_same = plan.len() - n_created - n_changed;
    ui::line(match is_dry_run {
        _ if !differs(plan) => "✓ nothing to do".to_owned(),
        true => format!("would create {n_created}, change {n_changed}, leave {n_same} as it is"),
        false => format!("✓ {n_created} created, {n_changed} changed, {n_same} as it was"),
    });
}

fn differs(plan: &[Planned]) -> bool {
    plan.iter().any(|(_, change)| *change != Change::Same)
}

fn count(plan: &[Planned], is_meant: impl Fn(&Change) -> bool) -> usize {
    plan.iter().filter(|(_, change)| is_meant(change)).count()
}

/// `1 workload`, `2 workloads`.
pub(super) fn workloads(n: usize) -> String {
    format!("{n} workload{}", if n == 1 { "" } else { "s" })
}
