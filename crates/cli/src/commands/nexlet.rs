//! `nex nexlet TYPE`: the process in which one nexlet runs. The node launches it.
//!
//! Owns: turning what the node gave it into options, what a signal means, and the bound on its own log
//! while no node reads it. Never: is typed by a person (`nex nexlet check` is, and has a file of its
//! own), or ends because its node did.

#[cfg(feature = "functions")]
mod compiler;
#[cfg(feature = "functions")]
mod isolate;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use nex_nexlet::variables::Launch;
use nex_nexlet::{Ending, Nexlet, RunOptions, SealKey};
use nex_sandbox::{OnFailure, Tasks};
use tokio::signal::unix::{SignalKind, signal};

use super::nexlet_check::CheckArgs;
use crate::args::Globals;
use crate::error::CliError;

/// The node cuts the log long before; this is for the time without one.
const LONGEST_LOG: u64 = 16 * 1024 * 1024;
const LOG_LOOK: Duration = Duration::from_secs(10);

/// What can be done with a nexlet.
#[derive(Debug, Subcommand)]
pub(crate) enum NexletCommand {
    Check(Box<CheckArgs>),
    /// Run ours; the node does this
    #[command(hide = true)]
    Javascript(Box<NexletArgs>),
    /// Run ours; the node does this
    #[command(hide = true)]
    Wasm(Box<NexletArgs>),
    /// Run ours; the node does this
    #[command(hide = true)]
    Native(Box<NexletArgs>),
    /// Try which walls this machine offers around services, and tell as JSON; the doctor does this
    #[command(hide = true)]
    Walls,
    /// Compile what a function nexlet asks for; it does this
    #[cfg(feature = "functions")]
    #[command(hide = true)]
    Compiler(compiler::CompilerArgs),
    /// Compile one module; the compiler does this
    #[cfg(feature = "functions")]
    #[command(hide = true)]
    Compile(compiler::CompilerArgs),
}

/// What the node passes on the command line; the rest stands in the environment, since it may be secret.
#[derive(Debug, Args)]
pub(crate) struct NexletArgs {
    /// Folder for this nexlet's caches and files
    #[arg(long)]
    directory: PathBuf,
    /// The nexus of its node; the name is a convention of the Go implementation
    #[arg(long, default_value = "nexus")]
    nexus: String,
    /// Address under which exposed ports are announced; nothing is announced without it
    #[arg(long)]
    ingress_host: Option<String>,
    #[arg(long, env = "NEX_AGENT_JS_DOMAIN", default_value = "")]
    js_domain: String,
    /// Folders from which `file://` artifacts may be taken
    #[arg(long)]
    allow_files: Vec<PathBuf>,
    /// Hosts of https:// and oci:// artifacts that may lie in a private network
    #[arg(long)]
    allow_artifact_hosts: Vec<String>,
    /// Where credentials for registries are
    #[arg(long)]
    docker_config: Option<PathBuf>,
    /// Boxes may lack walls that this machine does not offer
    #[arg(long)]
    allow_weak_sandbox: bool,
    /// Requests may ask for no box
    #[arg(long)]
    allow_unsandboxed: bool,
    /// Folders that requests may mount
    #[arg(long)]
    allow_mounts: Vec<PathBuf>,
    /// Bytes of memory that all functions may have together [default: half of the RAM]
    #[arg(long)]
    functions_memory: Option<u64>,
    /// Instances that may exist at a time
    #[arg(long)]
    functions_instances: Option<u32>,
    /// Host services that functions do not get
    #[cfg(feature = "functions")]
    #[arg(long, value_delimiter = ',')]
    deny_services: Vec<nex_functions::host::DeniedService>,
    /// What was done before there were threads.
    #[cfg(feature = "functions")]
    #[arg(skip)]
    isolated: Option<isolate::Isolated>,
}

impl NexletArgs {
    /// The key that values are sealed to; its file is in reach only before the walls stand.
    fn key(&mut self) -> Result<SealKey, CliError> {
        #[cfg(feature = "functions")]
        if let Some(isolated) = self.isolated.take() {
            return Ok(isolated.key);
        }
        SealKey::load_or_create(&self.directory.join("xkey.seed"))
            .map_err(|error| CliError::chain(&error))
    }
}

#[cfg(any(feature = "functions", feature = "services"))]
impl NexletArgs {
    fn artifacts(&self) -> PathBuf {
        self.directory.join("artifacts")
    }
}

#[cfg(feature = "functions")]
impl NexletArgs {
    fn compiled(&self) -> PathBuf {
        self.directory.join("compiled")
    }

    fn inputs(&self) -> PathBuf {
        self.directory.join("to-compile")
    }
}

impl NexletCommand {
    /// Does what needs a process without threads. What is done then, and how, is the answer.
    pub(crate) fn before_threads(&mut self) -> Option<Result<(), CliError>> {
        #[cfg(feature = "functions")]
        match self {
            Self::Javascript(args) | Self::Wasm(args) => match isolate::isolate(args) {
                Ok(isolated) => args.isolated = Some(isolated),
                Err(error) => return Some(Err(error)),
            },
            Self::Compiler(args) => return Some(compiler::help(args)),
            Self::Compile(args) => return Some(compiler::compile(args)),
            Self::Check(_) | Self::Native(_) | Self::Walls => {}
        }
        if matches!(self, Self::Walls) {
            crate::ui::json(&super::doctor::Walls::tried());
            return Some(Ok(()));
        }
        None
    }
}

/// The nexlets in this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NexletKind {
    Javascript,
    Wasm,
    Native,
}

impl NexletKind {
    /// Those that were compiled in.
    pub(crate) fn built_in() -> Vec<Self> {
        let mut kinds = Vec::new();
        if cfg!(feature = "functions") {
            kinds.extend([Self::Javascript, Self::Wasm]);
        }
        if cfg!(feature = "services") {
            kinds.push(Self::Native);
        }
        kinds
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Javascript => "javascript",
            Self::Wasm => "wasm",
            Self::Native => "native",
        }
    }
}

pub(crate) async fn run(globals: Globals, command: NexletCommand) -> Result<(), CliError> {
    match command {
        NexletCommand::Check(args) => super::nexlet_check::run(globals, *args).await,
        NexletCommand::Javascript(args) => serve(NexletKind::Javascript, *args).await,
        NexletCommand::Wasm(args) => serve(NexletKind::Wasm, *args).await,
        NexletCommand::Native(args) => serve(NexletKind::Native, *args).await,
        NexletCommand::Walls => Ok(()),
        #[cfg(feature = "functions")]
        NexletCommand::Compiler(_) | NexletCommand::Compile(_) => Ok(()),
    }
}

async fn serve(kind: NexletKind, mut args: NexletArgs) -> Result<(), CliError> {
    let tasks = Tasks::new();
    nex_bus::streams::use_domain(&args.js_domain);
    let launch = Launch::from_variables(std::env::vars_os());
    let Launch::Local(options) = launch.map_err(|error| CliError::usage(error.to_string()))? else {
        return Err(CliError::usage("a node launches this; it assigns an id")
            .hint("start one with: nex up"));
    };
    let nexlet = build(kind, &args, &options, &tasks)?;
    let key = args.key()?;
    let options = RunOptions { key, ..options };
    tasks.spawn("log bound", OnFailure::Log, bound_log(tasks.token()));
    let shutdown = shutdown().map_err(|error| CliError::chain(&error))?;
    nex_nexlet::run(nexlet, options, tasks, shutdown).await.map_err(|error| CliError::chain(&error))
}

/// SIGTERM: end, and the workloads with it. SIGUSR1: another nexlet has the workloads by now.
fn shutdown() -> io::Result<impl Future<Output = Ending>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hand_over = signal(SignalKind::user_defined1())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {
                tracing::info!("told to end, draining");
                Ending::Drain
            }
            _ = hand_over.recv() => {
                tracing::info!("another nexlet has the workloads, finishing calls");
                Ending::HandOver
            }
        }
    })
}

/// Cuts the file that standard error goes to, when it is one and grows without a node that reads it.
async fn bound_log(token: tokio_util::sync::CancellationToken) {
    let Ok(log) = io::stderr().as_fd().try_clone_to_owned().map(File::from) else { return };
    let is_long = || log.metadata().is_ok_and(|it| it.is_file() && it.len() > LONGEST_LOG);
    while !token.is_cancelled() {
        if is_long() && log.set_len(0).is_ok() {
            tracing::warn!("the log was too long and is cut");
        }
        tokio::select! {
            () = tokio::time::sleep(LOG_LOOK) => {}
            () = token.cancelled() => {}
        }
    }
}

#[cfg_attr(
    not(feature = "functions"),
    expect(unused_variables, reason = "only functions take the table of tasks")
)]
fn build(
    kind: NexletKind,
    args: &NexletArgs,
    options: &RunOptions,
    tasks: &Tasks,
) -> Result<Arc<dyn Nexlet>, CliError> {
    match kind {
        #[cfg(feature = "functions")]
        NexletKind::Javascript => {
            functions(args, options, tasks, nex_functions::runtime::Language::JavaScript)
        }
        #[cfg(feature = "functions")]
        NexletKind::Wasm => functions(args, options, tasks, nex_functions::runtime::Language::Wasm),
        #[cfg(not(feature = "functions"))]
        NexletKind::Javascript | NexletKind::Wasm => Err(left_out(kind)),
        #[cfg(feature = "services")]
        NexletKind::Native => services(args, &options.node_id),
        #[cfg(not(feature = "services"))]
        NexletKind::Native => Err(left_out(kind)),
    }
}

#[cfg(not(all(feature = "functions", feature = "services")))]
fn left_out(kind: NexletKind) -> CliError {
    let message = format!("this nex was built without the {} nexlet", kind.as_str());
    CliError::usage(message).hint("build it with its default features")
}

#[cfg(feature = "functions")]
fn functions(
    args: &NexletArgs,
    options: &RunOptions,
    tasks: &Tasks,
    language: nex_functions::runtime::Language,
) -> Result<Arc<dyn Nexlet>, CliError> {
    let cache_dir = Some(args.compiled());
    let usual = nex_runtime::EngineConfig::default();
    let compiler = args.isolated.as_ref().map(|isolated| Arc::clone(&isolated.compiler));
    let javascript = language == nex_functions::runtime::Language::JavaScript;
    let config = nex_runtime::EngineConfig {
        cache_dir,
        javascript,
        compiler,
        max_memory: args.isolated.as_ref().map_or(usual.max_memory, |it| it.max_memory),
        max_instances: args.functions_instances.unwrap_or(usual.max_instances),
    };
    let engine = nex_runtime::WasmEngine::new(config).map_err(|error| CliError::chain(&error))?;
    let store = store(args)?;
    let guests =
        nex_functions::GuestThreads::one_per_core().map_err(|error| CliError::chain(&error))?;
    Ok(Arc::new(nex_functions::FunctionNexlet::new(nex_functions::Options {
        language,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: Arc::new(engine),
        store,
        deny: [].into(),
        deny_services: args.deny_services.clone(),
        tracer: options.tracer.clone(),
        pool: nex_bus::Pool::default(),
        tasks: tasks.clone(),
        guests,
        drain: nex_functions::LONGEST_DRAIN,
    })))
}

#[cfg(any(feature = "functions", feature = "services"))]
fn store(args: &NexletArgs) -> Result<nex_artifact::Store, CliError> {
    let options = nex_artifact::Options {
        allow_files: args.allow_files.clone(),
        allow_hosts: args.allow_artifact_hosts.clone(),
        docker_config: args.docker_config.clone(),
        ..nex_artifact::Options::new(args.artifacts())
    };
    nex_artifact::Store::open_with(options).map_err(|error| CliError::chain(&error))
}

#[cfg(feature = "services")]
fn services(args: &NexletArgs, node_id: &str) -> Result<Arc<dyn Nexlet>, CliError> {
    let store = store(args)?;
    let nexlet = nex_services::NativeNexlet::open(nex_services::Options {
        node_id: node_id.to_owned(),
        run_dir: args.directory.join("run"),
        store,
        ingress: args.ingress_host.clone().map(|host| {
            let nexus = args.nexus.clone();
            nex_nexlet::Ingress { nexus, host }
        }),
        permits: nex_services::Permits {
            weak_sandbox: args.allow_weak_sandbox,
            no_sandbox: args.allow_unsandboxed,
            mounts: args.allow_mounts.clone(),
        },
    })
    .map_err(|error| CliError::chain(&error))?;
    Ok(Arc::new(nexlet))
}
