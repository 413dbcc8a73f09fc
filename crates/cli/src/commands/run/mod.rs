//! `nex run FILE`: finds the type out from the bytes, uploads, deploys, replaces the previous one of
//! that name without a gap, and prints how to call it.
//!
//! Owns: the arguments and the order of these. Never: parses the file's language; nexlets do.

mod digest;
mod host_services;
mod local;
mod native;
mod placement;
mod prepare;
mod replace;
mod report;
mod wish;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};

use replace::Wanted;

use crate::args::{Globals, OtlpArgs, TraceArgs};
use crate::error::CliError;
use crate::nexfile::{self, Nexfile};
use crate::traces::Trace;

pub(crate) use placement::{Placed, deploy};
pub(crate) use replace::under_lease;
pub(crate) use wish::{Change, Fulfilled, Newest, Prepared, Wish};

/// Deploy a file: JavaScript, WebAssembly or a static program
///
/// The type is found out from the bytes. A workload of that name that runs is replaced without a
/// gap: the new one starts, then the old one is drained and stopped.
///
///   nex run echo.js --on js.echo
///   nex run import.js --on 'stream:ORDERS/orders.*' --on every:10m
///   nex run filter.wasm --on 'lines.*' LIMIT=10 -- --verbose
///   nex run ./echo-service GREETING=hello --memory 64MiB --health nats:echo
///   nex run ./import --job --retries 3 --timeout 10m
///   nex run ./project            a folder with a Nexfile
// The default is a line with nothing typed, as a Nexfile's workload begins: none has a default of clap's.
#[derive(Debug, Clone, Default, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RunArgs {
    /// The file to deploy, a Nexfile (*.yaml), or a folder with one [default: the current folder]
    file: Option<PathBuf>,
    /// Environment of the workload
    #[arg(value_name = "KEY=VALUE")]
    environment: Vec<String>,
    /// What triggers the function: SUBJECT, stream:NAME[/FILTER], kv:BUCKET[/KEYS], object:BUCKET[/NAMES],
    /// cron:'EXPR', every:10s; repeatable
    #[arg(long = "on", value_name = "TRIGGER")]
    triggers: Vec<String>,
    /// Name of the workload [default: the file's name]
    #[arg(long)]
    name: Option<String>,
    /// Type, when the bytes are not to be asked
    #[arg(long = "type", value_enum)]
    kind: Option<TypeArg>,
    /// A program that runs to its end once
    #[arg(long)]
    job: bool,
    /// Tags that the node must have
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ';')]
    tags: Vec<String>,
    /// Start another copy beside one that has the name
    #[arg(long)]
    no_replace: bool,
    /// How many copies shall run, spread over the nodes [default: as many as run, else one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    copies: Option<u16>,
    /// Say more: which older uploads of the name were removed
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    host_services: host_services::HostServicesArgs,
    #[command(flatten)]
    otlp: OtlpArgs,
    #[command(flatten)]
    traces: TraceArgs,
    #[command(flatten)]
    native: Box<native::NativeArgs>,
    /// Arguments of the program
    #[arg(last = true, value_name = "ARGS")]
    argv: Vec<String>,
    /// What a Nexfile says besides.
    #[arg(skip)]
    nexfile: Option<Nexfile>,
}

impl RunArgs {
    /// The file; the current folder when none is named.
    fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new("."))
    }

    /// For who deploys one file again and again: a name that would be invented is invented once, and
    /// `--no-replace` makes no sense.
    pub(crate) fn for_many_times(self) -> Result<Self, CliError> {
        if self.no_replace {
            return Err(CliError::usage("--no-replace would start one more copy at each save")
                .hint("leave it out; for several copies: --copies N"));
        }
        let is_plain = !self.path().is_dir() && !nexfile::is_called_so(self.path());
        let name = match &self.name {
            None if is_plain => Some(prepare::name(&self)?.to_string()),
            name => name.clone(),
        };
        Ok(Self { name, ..self })
    }

    fn has_triggers(&self) -> bool {
        let in_nexfile = |nexfile: &Nexfile| nexfile.request.contains_key("triggers");
        !self.triggers.is_empty() || self.nexfile.as_ref().is_some_and(in_nexfile)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TypeArg {
    #[value(aliases = ["js", "v8"])]
    Javascript,
    // A workload of type javascript, which is what the help lists.
    #[value(alias = "ts", hide = true)]
    Typescript,
    Wasm,
    Native,
}

impl TypeArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::Javascript | Self::Typescript => "javascript",
            Self::Wasm => "wasm",
            Self::Native => "native",
        }
    }

    fn is_function(self) -> bool {
        self != Self::Native
    }
}

pub(crate) async fn run(globals: Globals, args: RunArgs) -> Result<(), CliError> {
    let mut trace = Trace::begin(&args.otlp, &args.traces, "nex run");
    let outcome = Box::pin(run_within(&globals, args, &mut trace)).await;
    trace.end(&outcome).await;
    outcome
}

async fn run_within(globals: &Globals, args: RunArgs, trace: &mut Trace) -> Result<(), CliError> {
    let start = Instant::now();
    let args = prepare::with_nexfile(args)?;
    let wish = Wish::of_file(prepare::name(&args)?, args.clone())?;
    trace.set("nex.workload.name", wish.name.as_str());
    let client = globals.client().await?.within(trace.scope());
    trace.set("nex.namespace", client.namespace().as_str());
    let uploaded = trace.step("upload artifact", wish.send(&client)).await?;
    let prepared = wish.prepare(&client, &globals.state_dir(), uploaded)?;
    let mut done = wish.place(&client, prepared).await?;
    done.elapsed = start.elapsed();
    if !globals.json {
        report::text(&args, &done);
    }
    if let Some(newest) = done.newest() {
        done.pruned = newest.prune(&client).await;
    }
    if globals.json {
        report::json(&done);
    } else if args.verbose {
        report::pruned(&done.pruned);
    }
    Ok(())
}

fn wanted(args: &RunArgs) -> Wanted {
    let copies = args.copies.map(usize::from);
    match (args.no_replace, copies) {
        (true, copies) => Wanted::More(copies.unwrap_or(1)),
        (false, Some(copies)) => Wanted::Exactly(copies),
        (false, None) => Wanted::AsManyAsNow,
    }
}
