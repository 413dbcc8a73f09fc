//! A real nats-server for one test: free port, own store, gone with the test.
//!
//! Owns: the server's process and folder, and questions to its monitoring port. Never: reads its log to find
//! out a state; ports come from its ports file, readiness from connecting. The log is printed when a test panics.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::failure::OrPanic;
use crate::{Failure, Operator, Process, find_nats_server, poll};

const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(10);
/// The name of the connections that [`NatsServer::client`] makes.
const CLIENT_NAME: &str = "nex-testkit";

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    binary: Option<PathBuf>,
    port: Option<u16>,
    jetstream: bool,
    configuration: String,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { binary: None, port: None, jetstream: true, configuration: String::new() }
    }
}

impl ServerOptions {
    /// Another binary than the one found by [`find_nats_server`].
    #[must_use]
    pub fn binary(mut self, binary: PathBuf) -> Self {
        self.binary = Some(binary);
        self
    }

    /// A port of the caller's choice; only for tests that must have one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A server without JetStream.
    #[must_use]
    pub fn without_jetstream(mut self) -> Self {
        self.jetstream = false;
        self
    }

    /// The largest message, in bytes (1 MiB when not set).
    #[must_use]
    pub fn max_payload(self, bytes: u32) -> Self {
        self.configuration(&format!("max_payload: {bytes}"))
    }

    /// Lines in the server's own configuration language: accounts, permissions, operator mode.
    #[must_use]
    pub fn configuration(mut self, lines: &str) -> Self {
        self.configuration.push_str(lines);
        self.configuration.push('\n');
        self
    }

    /// A server in operator mode: who connects shows a JWT of one of the operator's accounts.
    #[must_use]
    pub fn operator(self, operator: &Operator) -> Self {
        self.configuration(&operator.configuration())
    }

    /// Starts the server and waits until it takes connections.
    pub async fn start(self) -> NatsServer {
        self.try_start().await.or_panic()
    }

    /// Likewise, with the failure instead of a panic.
    ///
    /// # Errors
    /// When no server is found, or it does not come up.
    pub async fn try_start(self) -> Result<NatsServer, Failure> {
        let binary = match self.binary.clone() {
            Some(binary) => binary,
            None => find_nats_server(|_| {})?,
        };
        let folder = tempfile::Builder::new().prefix("nex-nats-").tempdir().map_err(|error| {
            Failure::new(format!("cannot make a folder for nats-server: {error}"))
        })?;
        let requested = self.port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
        let mut server =
            NatsServer { binary, folder, options: self, process: None, ports: Ports::default() };
        server.launch(&requested).await?;
        Ok(server)
    }
}

/// A running server; killed and removed on drop.
#[derive(Debug)]
pub struct NatsServer {
    binary: PathBuf,
    folder: TempDir,
    options: ServerOptions,
    process: Option<Process>,
    ports: Ports,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ports {
    clients: u16,
    monitoring: u16,
}

impl NatsServer {
    /// A server with JetStream on a free port of the loopback.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// A server that differs from the usual one.
    #[must_use]
    pub fn options() -> ServerOptions {
        ServerOptions::default()
    }

    /// `nats://127.0.0.1:<port>`; stays the same through [`NatsServer::restart`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.ports.clients)
    }

    /// The port for clients.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.clients
    }

    /// The server's process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<i32> {
        self.process.as_ref().map(Process::id)
    }

    /// A connection of its own for the caller's side of a test.
    pub async fn client(&self) -> async_nats::Client {
        let options = async_nats::ConnectOptions::new().name(CLIENT_NAME);
        match options.connect(self.url()).await {
            Ok(client) => client,
            Err(error) => panic!("cannot connect to {}: {error}\n{}", self.url(), self.log()),
        }
    }

    /// Likewise, with the text of a `.creds` file.
    pub async fn client_with(&self, creds: &str) -> async_nats::Client {
        let options = async_nats::ConnectOptions::new().name(CLIENT_NAME).credentials(creds);
        let options = options.unwrap_or_else(|error| panic!("not credentials: {error}"));
        match options.connect(self.url()).await {
            Ok(client) => client,
            Err(error) => panic!("cannot connect to {}: {error}\n{}", self.url(), self.log()),
        }
    }

    /// What the server wrote to its log so far, all starts together.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Ends the server in order (SIGTERM); its port and store are kept for [`NatsServer::restart`].
    pub async fn stop(&mut self) {
        self.end(Signal::SIGTERM).await;
    }

    /// Ends the server at once (SIGKILL).
    pub async fn kill(&mut self) {
        self.end(Signal::SIGKILL).await;
    }

    /// Starts the server again, on the same port and store. Ends it first when it still runs.
    pub async fn restart(&mut self) {
        self.stop().await;
        let port = self.ports.clients.to_string();
        self.launch(&port).await.or_panic();
    }

    /// Likewise, with or without JetStream; the store is kept meanwhile.
    pub async fn restart_with_jetstream(&mut self, is_on: bool) {
        self.options.jetstream = is_on;
        self.restart().await;
    }

    /// A page of the monitoring port, such as `/varz` or `/connz?subs=1`.
    pub async fn monitor(&self, page: &str) -> Value {
        let port = self.ports.monitoring;
        let path = page.to_owned();
        let fetched = tokio::task::spawn_blocking(move || fetch(port, &path)).await;
        match fetched.map_err(std::io::Error::other).and_then(|result| result) {
            Ok(value) => value,
            Err(error) => panic!("monitoring page {page} of {}: {error}", self.url()),
        }
    }

    /// The subjects that clients of this server are subscribed to now, sorted, with repetitions.
    pub async fn subjects(&self) -> Vec<String> {
        let page = self.monitor("/connz?subs=1&limit=10000").await;
        let mut subjects: Vec<String> = connections(&page)
            .flat_map(|connection| connection["subscriptions_list"].as_array())
            .flatten()
            .filter_map(|subject| subject.as_str().map(str::to_owned))
            .collect();
        subjects.sort();
        subjects
    }

    /// Waits until somebody is subscribed to exactly this subject. A client's `flush` does not promise that the
    /// server has read the subscription; this does.
    pub async fn until_subscribed(&self, subject: &str) {
        let what = format!("somebody is subscribed to {subject}");
        crate::eventually(&what, Duration::from_secs(5), async || {
            let subjects = self.subjects().await;
            if subjects.iter().any(|seen| seen == subject) { Ok(()) } else { Err(subjects) }
        })
        .await;
    }

    /// The names of the connections that are open now, those of [`NatsServer::client`] left out.
    pub async fn other_clients(&self) -> Vec<String> {
        let page = self.monitor("/connz?limit=10000").await;
        connections(&page)
            .map(|connection| connection["name"].as_str().unwrap_or("(no name)").to_owned())
            .filter(|name| name != CLIENT_NAME)
            .collect()
    }

    /// Asserts that soon nobody is connected but the test itself, so that no subscription is left either.
    pub async fn assert_no_other_clients(&self) {
        crate::eventually("only the test is connected", Duration::from_secs(5), async || {
            let others = self.other_clients().await;
            if others.is_empty() { Ok(()) } else { Err(others) }
        })
        .await;
    }

    async fn launch(&mut self, port: &str) -> Result<(), Failure> {
        let folder = self.folder.path();
        let written = write_configuration(folder, &self.options, port);
        written.map_err(|error| Failure::new(format!("cannot prepare nats-server: {error}")))?;
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(folder.join("server.conf")).env_clear();
        let mut process = Process::spawn(command)?;
        let ports_file = folder.join(format!("nats-server_{}.ports", process.id()));
        let started = poll("nats-server writes its ports", START, async || {
            if process.try_exit().is_some() {
                return Ok(None);
            }
            read_ports(&ports_file).map(Some).ok_or("no complete ports file")
        })
        .await;
        match started {
            Ok(Some(ports)) => {
                self.ports = ports;
                self.process = Some(process);
                Ok(())
            }
            Ok(None) => Err(process.failure(&format!("ended at once; its log:\n{}", self.log()))),
            Err(failure) => Err(Failure::new(format!("{failure}\n{}", self.log()))),
        }
    }

    async fn end(&mut self, signal: Signal) {
        if let Some(mut process) = self.process.take() {
            process.signal(signal);
            process.exit(STOP).await.or_panic();
        }
    }
}

impl Drop for NatsServer {
    #[expect(
        clippy::print_stderr,
        reason = "the log of a failing test's server belongs to its output"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of nats-server {}\n{}---", self.url(), self.log());
        }
    }
}

fn write_configuration(folder: &Path, options: &ServerOptions, port: &str) -> std::io::Result<()> {
    let shown = folder.display();
    let mut text = format!(
        "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:-1\"\nports_file_dir: \"{shown}\"\nlog_file: \"{shown}/server.log\"\n",
    );
    if options.jetstream {
        text.push_str(&format!("jetstream {{ store_dir: \"{shown}/store\" }}\n"));
    }
    text.push_str(&options.configuration);
    fs::write(folder.join("server.conf"), text)
}

/// `None` until the file is there and complete.
fn read_ports(file: &Path) -> Option<Ports> {
    let value: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let port = |kind: &str| value[kind][0].as_str()?.rsplit_once(':')?.1.parse().ok();
    Some(Ports { clients: port("nats")?, monitoring: port("monitoring")? })
}

fn connections(page: &Value) -> impl Iterator<Item = &Value> {
    page["connections"].as_array().into_iter().flatten()
}

fn fetch(port: u16, path: &str) -> std::io::Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // HTTP/1.0: the body is not chunked and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(serde_json::from_str(body)?)
}
