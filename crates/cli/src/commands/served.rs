//! A node that runs until it is told to stop: what `nex up` and `nex node up` share.
//!
//! Owns: config → build → spawn → wait → drain, and the nexlets of this binary. Never: chooses a server.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use nex_bus::Settings;
use nex_node::{
    BuildError, Config, Identity, NexletProgram, Node, Replacement, StateDir, StateDirError,
};
use nex_types::Tags;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::nexlet::NexletKind;
use super::upgrade::Successor;
use crate::error::CliError;
use crate::ui;

/// Engines compile once at the first start; later starts take a fraction of a second.
const READY_BOUND: Duration = Duration::from_secs(60);

/// What whoever starts a node should know until the sandbox is there.
pub(crate) const UNSANDBOXED: &str =
    "services run unsandboxed in this version, with the rights of this user";

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
    /// Folder from which file:// artifacts may be taken; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_files: Vec<PathBuf>,
    /// Let nexlets from anywhere register with this node
    #[arg(long, env = "NEX_ALLOW_REMOTE_AGENT_REGISTRATION")]
    pub(crate) allow_remote_agent_registration: bool,
    /// Announce services with exposed ports to ingress components, as reached at this address
    #[arg(long, env = "NEX_INGRESS_HOST", value_name = "ADDRESS")]
    pub(crate) ingress_host: Option<String>,
    /// How long nexlets go on without their node, and registrations without their nexlet
    #[arg(long, env = "NEX_ORPHAN_AFTER", value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub(crate) orphan_after: Duration,
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

/// Builds and spawns the node.
pub(crate) async fn start(
    args: &NodeArgs,
    connection: Settings,
    directory: StateDir,
) -> Result<Node, CliError> {
    let identity = Identity::load(&directory).map_err(|error| CliError::chain(&error))?;
    let nexlets = nexlets(directory.path(), args)?;
    let config = Config {
        name: args.node_name.clone().unwrap_or_else(|| node_name(directory.path())),
        nexus: args.nexus.clone(),
        tags: parse_tags(&args.tags)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: "development".to_owned(),
        connection,
        allow_remote_agents: args.allow_remote_agent_registration,
        nexlets,
        orphan_after: args.orphan_after,
    };
    let built = config.build(directory, &identity).await.map_err(|error| match error {
        BuildError::Connect(error) => CliError::from(error),
        other => CliError::chain(&other),
    })?;
    built.spawn().await.map_err(CliError::other)
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

/// Whether the node takes services.
pub(crate) fn runs_services(node: &Node) -> bool {
    node.healthy_nexlets().iter().any(|name| name == NexletKind::Native.as_str())
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

fn nexlets(directory: &Path, node: &NodeArgs) -> Result<Vec<NexletProgram>, CliError> {
    let path = std::env::current_exe().map_err(|error| CliError::chain(&error))?;
    let program = |kind: NexletKind| {
        let name = kind.as_str();
        let own = directory.join("nexlets").join(name);
        let mut args = vec!["nexlet".to_owned(), name.to_owned()];
        args.extend(["--directory".to_owned(), own.to_string_lossy().into_owned()]);
        args.push(format!("--nexus={}", node.nexus));
        if let Some(host) = &node.ingress_host {
            args.push(format!("--ingress-host={host}"));
        }
        for allowed in &node.allow_files {
            args.extend(["--allow-files".to_owned(), allowed.to_string_lossy().into_owned()]);
        }
        NexletProgram {
            name: name.to_owned(),
            path: path.clone(),
            args,
            environment: BTreeMap::new(),
            replacement: match kind {
                NexletKind::Javascript | NexletKind::Wasm => Replacement::HandOver,
                NexletKind::Native => Replacement::Restart,
            },
        }
    };
    Ok(NexletKind::built_in().into_iter().map(program).collect())
}
