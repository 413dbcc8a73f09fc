//! A node that runs until it is told to stop: what `nex up` and `nex node up` share.
//!
//! Owns: config → build → spawn → wait → drain, and the nexlets of this binary. Never: chooses a server.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use nex_bus::Settings;
use nex_nexlet::variables::TRACE_SAMPLE;
use nex_node::{
    BuildError, Config, GivenSeeds, Identity, Issuer, NexletProgram, Node, Place, Policy,
    Replacement, StateDir, StateDirError, StateKind, Tracing,
};
use nex_types::{ByteSize, Namespace, Tags};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::nexlet::NexletKind;
use super::upgrade::Successor;
use crate::args::{Agent, GoNodeArgs, MetricsArgs, NexletsArgs, OtlpArgs, Secret, TraceArgs};
use crate::connection::Chosen;
use crate::error::{CliError, Kind};
use crate::issuer::{IssuerArgs, Issuing};
use crate::{logging, managed, ui};

/// Engines compile once at the first start; later starts take a fraction of a second.
const READY_BOUND: Duration = Duration::from_secs(60);

/// Flags of a node, named as in the Go implementation where it has them.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeArgs {
    /// Name of the node [default: invented]
    #[arg(long, env = "NEX_NODE_NAME")]
    pub(crate) node_name: Option<String>,
    /// Group of nodes that it belongs to
    #[arg(long, default_value = "nexus")]
    pub(crate) nexus: String,
    /// Tags for placement
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ';')]
    pub(crate) tags: Vec<String>,
    /// Where what should run is kept [default: kv when JetStream is there, else memory]
    #[arg(long, value_enum)]
    pub(crate) state: Option<StateArg>,
    /// Folder from which file:// artifacts may be taken; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_files: Vec<PathBuf>,
    /// Host from which https:// and oci:// artifacts may be taken although it lies in a private network;
    /// repeatable
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_artifact_hosts: Vec<String>,
    /// Let services run in a sandbox that lacks walls which this machine does not offer
    #[arg(long, env = "NEX_ALLOW_WEAK_SANDBOX")]
    pub(crate) allow_weak_sandbox: bool,
    /// Let services ask to run without a sandbox, with the rights of this user
    #[arg(long, env = "NEX_ALLOW_UNSANDBOXED")]
    pub(crate) allow_unsandboxed: bool,
    /// Folder of this machine that services may mount, read-only; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_mounts: Vec<PathBuf>,
    /// Memory that all functions of a type may have together [default: half of the RAM]
    #[arg(long, env = "NEX_FUNCTIONS_MEMORY", value_name = "SIZE")]
    pub(crate) functions_memory: Option<ByteSize>,
    /// Instances of functions of a type that may exist at a time [default: 1000]
    #[arg(long, env = "NEX_FUNCTIONS_INSTANCES", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) functions_instances: Option<u32>,
    /// Host services that functions do not get here: kv, objects, messaging, http, config; for one
    /// namespace: NAMESPACE:SERVICE
    #[arg(long, value_name = "SERVICES", value_delimiter = ',', value_parser = denied_service)]
    pub(crate) deny_services: Vec<String>,
    /// Let nexlets from anywhere register with this node
    #[arg(long, env = "NEX_ALLOW_REMOTE_AGENT_REGISTRATION")]
    pub(crate) allow_remote_agent_registration: bool,
    /// Announce services with exposed ports to ingress components, as reached at this address
    #[arg(long, env = "NEX_INGRESS_HOST", value_name = "ADDRESS")]
    pub(crate) ingress_host: Option<String>,
    /// How long nexlets go on without their node, and registrations without their nexlet
    #[arg(long, env = "NEX_ORPHAN_AFTER", value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub(crate) orphan_after: Duration,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    #[command(flatten)]
    pub(crate) otlp: OtlpArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) nexlets: NexletsArgs,
    #[command(flatten)]
    pub(crate) go: GoNodeArgs,
    #[command(flatten)]
    pub(crate) issuer: IssuerArgs,
}

/// Values of `--state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateArg {
    /// In JetStream, and on disk while it is away
    Kv,
    /// Nowhere: a node that ends forgets
    Memory,
}

impl From<StateArg> for StateKind {
    fn from(arg: StateArg) -> Self {
        match arg {
            StateArg::Kv => Self::Kv,
            StateArg::Memory => Self::Memory,
        }
    }
}

impl NodeArgs {
    /// Refuses what is wrong before anything is started.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        self.go.check()?;
        self.metrics.export(&self.otlp)?;
        if let Some(tag) = parse_tags(&self.tags)?.keys().find(|key| key.starts_with("nex.")) {
            return Err(CliError::usage("can not use reserved tag prefix: nex.")
                .hint(format!("choose another name for {tag}")));
        }
        self.nexlets.agents.iter().try_for_each(|agent| agent.program().map(drop))
    }
}

/// The signals that a node obeys.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    has_terminal: bool,
    successor: Successor,
}

/// What a node was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// SIGINT or SIGTERM, or the terminal was closed.
    End,
    /// SIGHUP.
    Upgrade,
}

impl Signals {
    /// Takes them over; before that, they end the process at once.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(|error| CliError::chain(&error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            has_terminal: std::io::stderr().is_terminal(),
            successor: Successor::of_this_program()?,
        })
    }

    pub(crate) async fn recv(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::End,
            _ = self.terminate.recv() => Told::End,
            // A terminal that was closed is none any more; with one still there, or none ever, it is
            // the command that asks.
            _ = self.hang_up.recv() => match self.has_terminal && !std::io::stderr().is_terminal() {
                true => Told::End,
                false => Told::Upgrade,
            },
        }
    }
}

/// Locks the state directory.
pub(crate) fn open_state(path: &Path) -> Result<StateDir, CliError> {
    StateDir::open(path).map_err(|error| {
        let hint = match &error {
            StateDirError::InUse { .. } => {
                "see it with: nex nodes   or take another with: --state-dir DIR"
            }
            _ => "take another with: --state-dir DIR",
        };
        CliError::chain(&error).hint(hint)
    })
}

/// What becomes of services when the node is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Services {
    /// They end with it.
    End,
    /// They go on under their shims, and the next node of this state directory adopts them.
    Stay,
}

/// Builds and spawns the node.
pub(crate) async fn start(
    args: &NodeArgs,
    services: Services,
    issuing: Issuing,
    chosen: &Chosen,
    directory: StateDir,
) -> Result<Node, CliError> {
    chosen.use_domain();
    let identity = identity(&args.go, &directory)?;
    let nats = chosen.settings.servers_text();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, node_id = identity.node_id(), nats, "Starting nex node");
    let nexlets = nexlets(args, directory.path(), &chosen.domain)?;
    let Issuing { issuer, policy } = issuing;
    let is_managed = managed::is_control(&directory.path().join("nats"), &chosen.settings);
    let unless_told = if is_managed { Issuer::Managed } else { Issuer::FullAccess };
    let config = Config {
        name: args.node_name.clone().unwrap_or_else(|| node_name(directory.path())),
        nexus: args.nexus.clone(),
        tags: parse_tags(&args.tags)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: "development".to_owned(),
        connection: chosen.settings.clone(),
        events: args.go.events,
        keep_logs: !args.go.no_log_history,
        bid_ttl: args.go.auction_ttl,
        metrics: args.metrics.export(&args.otlp)?,
        allow_remote_agents: args.allow_remote_agent_registration,
        state: args.state.map(StateKind::from).unwrap_or_default(),
        issuer: issuer.unwrap_or(unless_told),
        artifact_buckets: artifact_buckets(policy.as_ref()),
        policy,
        nexlets,
        leave_services: services == Services::Stay,
        orphan_after: args.orphan_after,
        tracing: tracing(args)?,
    };
    let built = config.build(directory, &identity).await.map_err(|error| match error {
        BuildError::Connect(error) => CliError::from(error),
        BuildError::Metrics(error) => CliError::chain(&error).hint(
            "take a free port with: --metrics 127.0.0.1:0   and see which in the first lines",
        ),
        other => CliError::chain(&other),
    })?;
    let node = built.spawn().await.map_err(CliError::other)?;
    let name = format!("{}-log", chosen.settings.name);
    logging::publish(Settings { name, ..chosen.settings.clone() }, node.id().to_owned());
    Ok(node)
}

/// Where spans go, if anywhere.
fn tracing(args: &NodeArgs) -> Result<Option<Tracing>, CliError> {
    let otlp = args.otlp.settings().map_err(|error| CliError::usage(error.to_string()))?;
    Ok(otlp.map(|otlp| Tracing { otlp, sample: args.traces.sample() }))
}

fn identity(args: &GoNodeArgs, directory: &StateDir) -> Result<Identity, CliError> {
    let reveal = |seed: &Option<Secret>| seed.as_ref().map(|seed| seed.reveal().to_owned());
    let given = GivenSeeds { node: reveal(&args.node_seed), xkey: reveal(&args.node_xkey_seed) };
    Identity::load_or_given(directory, &given).map_err(|error| {
        let is_given = matches!(error, StateDirError::NodeSeed | StateDirError::XkeySeed);
        let kind = if is_given { Kind::Usage } else { Kind::Failed };
        CliError { kind, ..CliError::chain(&error) }
            .hint("leave the seeds out, and the node keeps its own")
    })
}

/// Those of the namespaces that are sure to be used, and of those that the policy lists.
fn artifact_buckets(policy: Option<&Policy>) -> Vec<String> {
    let listed = policy.into_iter().flat_map(Policy::namespaces).cloned();
    let always =
        ["default", Namespace::SYSTEM].into_iter().filter_map(|n| Namespace::parse(n).ok());
    let buckets: BTreeSet<String> = listed
        .chain(always)
        .map(|namespace| nex_artifact::reference::bucket_of(&namespace))
        .collect();
    buckets.into_iter().collect()
}

/// Waits for all nexlets; a node without one of them is of use to the others.
pub(crate) async fn wait_ready(node: &Node, signals: &mut Signals) -> bool {
    tokio::select! {
        is_ready = node.ready(READY_BOUND) => {
            if !is_ready {
                ui::note("warning: not every nexlet is ready after 60s; see the log above, and: nex doctor");
            }
            true
        }
        () = told_to_end(signals) => false,
        () = node.lameduck_over() => false,
    }
}

/// A node that is not ready yet cannot be replaced; it is the newest there is.
async fn told_to_end(signals: &mut Signals) {
    while signals.recv().await != Told::End {}
}

/// Where what should run is kept, for people.
pub(crate) fn place(node: &Node) -> String {
    match node.state() {
        Place::Memory => "nowhere: what runs is forgotten when this node ends".to_owned(),
        Place::Bucket(bucket) => format!("JetStream bucket {bucket}"),
        Place::Disk(bucket) => format!("on disk, until JetStream has bucket {bucket}"),
    }
}

/// Waits for a signal, for the end of lame duck mode or for the failure of a part of the node, then ends
/// everything in order. When it is told to upgrade, it does not return: the program on disk goes on in
/// its place.
pub(crate) async fn until_stopped(node: Node, signals: &mut Signals) -> Result<(), CliError> {
    let failed = loop {
        tokio::select! {
            told = signals.recv() => match told {
                Told::End => break None,
                Told::Upgrade => match signals.successor.check().await {
                    Ok(version) => {
                        tracing::info!(version, "stepping aside for the program on disk");
                        node.step_aside().await;
                        return Err(signals.successor.take_over());
                    }
                    Err(reason) => {
                        tracing::error!(reason, "not upgraded");
                        node.refuse_upgrade(&reason);
                    }
                },
            },
            () = node.lameduck_over() => break None,
            name = node.failure() => break Some(name),
        }
    };
    node.drain().await;
    logging::finish().await;
    failed.map_or(Ok(()), |name| Err(CliError::other(format!("a part of the node ended: {name}"))))
}

/// `10m`, `90s`, `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    nex_types::parse_go(text).map_err(|error| error.to_string())
}

/// A duration as people read it.
pub(crate) fn for_people(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(10) {
        return format!("{} ms", elapsed.as_millis());
    }
    format!("{:.1} s", elapsed.as_secs_f64())
}

/// `KEY=VALUE` pairs.
pub(crate) fn parse_tags(pairs: &[String]) -> Result<Tags, CliError> {
    let parse = |pair: &String| {
        let (key, value) = pair.split_once('=').filter(|(key, _)| !key.is_empty())?;
        Some((key.to_owned(), value.to_owned()))
    };
    pairs
        .iter()
        .map(|pair| {
            parse(pair).ok_or_else(|| CliError::usage(format!("\"{pair}\" is not KEY=VALUE")))
        })
        .collect()
}

/// The name is kept with the identity, so that a node is found again under it.
fn node_name(directory: &Path) -> String {
    let path = directory.join("node.name");
    if let Ok(name) = std::fs::read_to_string(&path) {
        return name.trim().to_owned();
    }
    let name = nex_types::invent();
    if let Err(error) = std::fs::write(&path, &name) {
        tracing::warn!(%error, "node name not kept");
    }
    name
}

/// Checked here, since a nexlet that refuses its arguments would be started again and again.
fn denied_service(text: &str) -> Result<String, String> {
    #[cfg(feature = "functions")]
    text.parse::<nex_functions::host::DeniedService>()?;
    Ok(text.to_owned())
}

fn nexlets(
    args: &NodeArgs,
    directory: &Path,
    domain: &str,
) -> Result<Vec<NexletProgram>, CliError> {
    let path = std::env::current_exe().map_err(|error| CliError::chain(&error))?;
    let ours = |kind: NexletKind| {
        let name = kind.as_str();
        let own = directory.join("nexlets").join(name);
        let mut arguments = vec!["nexlet".to_owned(), name.to_owned()];
        arguments.extend(["--directory".to_owned(), own.to_string_lossy().into_owned()]);
        arguments.push(format!("--nexus={}", args.nexus));
        if let Some(host) = &args.ingress_host {
            arguments.push(format!("--ingress-host={host}"));
        }
        for allowed in &args.allow_files {
            arguments.extend(["--allow-files".to_owned(), allowed.to_string_lossy().into_owned()]);
        }
        let hosts = args.allow_artifact_hosts.iter();
        arguments.extend(hosts.map(|host| format!("--allow-artifact-hosts={host}")));
        if kind == NexletKind::Native {
            arguments.extend(args.allow_weak_sandbox.then(|| "--allow-weak-sandbox".to_owned()));
            arguments.extend(args.allow_unsandboxed.then(|| "--allow-unsandboxed".to_owned()));
            let mounts = args.allow_mounts.iter();
            arguments.extend(mounts.map(|it| format!("--allow-mounts={}", it.display())));
            // Not for those that run guests: what they do not need they do not get.
            let file = docker_config();
            arguments.extend(file.map(|it| format!("--docker-config={}", it.display())));
        } else {
            arguments
                .extend(args.functions_memory.map(|it| format!("--functions-memory={}", it.0)));
            let instances = args.functions_instances;
            arguments.extend(instances.map(|n| format!("--functions-instances={n}")));
            if !args.deny_services.is_empty() {
                arguments.push(format!("--deny-services={}", args.deny_services.join(",")));
            }
        }
        let domain = ("NEX_AGENT_JS_DOMAIN".to_owned(), domain.to_owned());
        NexletProgram {
            name: name.to_owned(),
            path: path.clone(),
            args: arguments,
            environment: BTreeMap::from([domain]),
            replacement: match kind {
                NexletKind::Javascript | NexletKind::Wasm => Replacement::HandOver,
                NexletKind::Native => Replacement::Leave,
            },
            is_ours: true,
        }
    };
    let mut nexlets: Vec<NexletProgram> = args.nexlets.ours().into_iter().map(ours).collect();
    for agent in &args.nexlets.agents {
        nexlets.push(foreign(agent)?);
    }
    if tracing(args)?.is_some() {
        // They hand their spans to the node, and need neither the collector's address nor its secrets.
        let variable = (TRACE_SAMPLE.to_owned(), args.traces.sample().to_string());
        let environments = nexlets.iter_mut().map(|nexlet| &mut nexlet.environment);
        environments.for_each(|environment| environment.extend([variable.clone()]));
    }
    Ok(nexlets)
}

/// Where this user's credentials for registries are or will be; nexlets have no home of their own.
fn docker_config() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    // It need not be there yet: it is read when a registry asks.
    Some(folder.or_else(|| Some(home?.join(".docker")))?.join("config.json"))
}

/// A nexlet of somebody else, launched with nothing but what the file says and what every nexlet gets.
fn foreign(agent: &Agent) -> Result<NexletProgram, CliError> {
    let path = agent.program()?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("nexlet").to_owned();
    Ok(NexletProgram {
        name,
        path,
        args: agent.argv.clone(),
        environment: agent.env.clone(),
        replacement: Replacement::Restart,
        is_ours: false,
    })
}
