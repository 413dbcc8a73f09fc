//! The real `nex` binary, as a user has it: `nex up` in the background, commands beside it.
//!
//! Owns: one state directory with its node, and the check that nothing of it is left. Never: talks to the node
//! by any other way than a user could. Commands see a clean environment with a home of their own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::failure::OrPanic;
use crate::{
    Entry, Failure, Family, NatsServer, Process, Terminal, compiled, find_nats_server, nex_binary,
    poll,
};

const UP: Duration = Duration::from_secs(60);
const DOWN: Duration = Duration::from_secs(30);
const COMMAND: Duration = Duration::from_secs(30);
const MARK: &str = "NEX_TEST_MARK";

/// What a finished command left.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line.
    pub what: String,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error as text.
    pub stderr: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// From start to end.
    pub took: Duration,
}

impl Output {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as one JSON document.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// Asserts the exit code and hands itself on.
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code} of {self}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, stderr, code, .. } = self;
        write!(f, "`{what}` (exit {code})\n--- stdout\n{}\n--- stderr\n{stderr}", self.text())
    }
}

/// How a node is to be started.
#[derive(Debug, Clone)]
pub struct NexOptions {
    binary: Option<PathBuf>,
    server_url: Option<String>,
    state: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    compiles: bool,
}

impl NexOptions {
    /// Another binary than the one found by [`nex_binary`].
    #[must_use]
    pub fn binary(mut self, binary: PathBuf) -> Self {
        self.binary = Some(binary);
        self
    }

    /// A state directory that outlives this node; else one that goes with it.
    #[must_use]
    pub fn state_dir(mut self, folder: PathBuf) -> Self {
        self.state = Some(folder);
        self
    }

    /// Further arguments of `nex up`.
    #[must_use]
    pub fn arguments<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// A variable for `nex up` and every command.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first start compiles the engine, as a user's does; else it has what an earlier node of this process compiled.
    #[must_use]
    pub fn compiles(mut self) -> Self {
        self.compiles = true;
        self
    }

    /// Starts the node and waits for the line that begins with `ready`.
    pub async fn up(self) -> Nex {
        self.try_up().await.or_panic()
    }

    /// Likewise, with the failure instead of a panic.
    ///
    /// # Errors
    /// When there is no binary, or the node does not come up.
    pub async fn try_up(self) -> Result<Nex, Failure> {
        let mut nex = self.prepare()?;
        nex.launch().await?;
        Ok(nex)
    }

    /// Only the folders and the environment: for commands without a node.
    pub fn down(self) -> Nex {
        self.prepare().or_panic()
    }

    fn prepare(self) -> Result<Nex, Failure> {
        let cannot = |error| Failure::new(format!("cannot make a folder for nex: {error}"));
        let binary = match self.binary.clone() {
            Some(binary) => binary,
            None => nex_binary()?,
        };
        let folder = tempfile::Builder::new().prefix("nex-test-").tempdir().map_err(cannot)?;
        for name in ["home", "tmp", "work"] {
            std::fs::create_dir(folder.path().join(name)).map_err(cannot)?;
        }
        let state = self.state.clone().unwrap_or_else(|| folder.path().join("state"));
        let mark = format!("{MARK}={}", folder.path().display());
        let family = Family::nobody().with_marks(mark, state.display().to_string());
        Ok(Nex { binary, folder, state, options: self, node: None, family })
    }
}

/// A node of the real binary with the commands of its user; all of it is killed on drop.
#[derive(Debug)]
pub struct Nex {
    binary: PathBuf,
    folder: TempDir,
    state: PathBuf,
    options: NexOptions,
    node: Option<Process>,
    family: Family,
}

impl Nex {
    /// `nex up` against `server`.
    pub async fn up(server: &NatsServer) -> Self {
        Self::against(server).up().await
    }

    /// `nex up` that starts and owns a nats-server of its own.
    pub async fn up_managed() -> Self {
        Self::managed().up().await
    }

    /// Options for a node against `server`.
    #[must_use]
    pub fn against(server: &NatsServer) -> NexOptions {
        Self::at(Some(server.url()))
    }

    /// Options for a node with a managed server on a free port.
    #[must_use]
    pub fn managed() -> NexOptions {
        Self::at(None)
    }

    fn at(server_url: Option<String>) -> NexOptions {
        let (arguments, environment) = (Vec::new(), Vec::new());
        NexOptions {
            binary: None,
            server_url,
            state: None,
            arguments,
            environment,
            compiles: false,
        }
    }

    /// Runs a command to its end; whatever its exit code is.
    pub async fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        self.run_with_input(arguments, Vec::new()).await
    }

    /// Likewise, with bytes on its standard input.
    pub async fn run_with_input<S: AsRef<OsStr>>(&self, arguments: &[S], input: Vec<u8>) -> Output {
        let start = Instant::now();
        let command = self.command(arguments);
        let mut process = Process::spawn_with_input(command, input).or_panic();
        let status = process.exit(COMMAND).await.or_panic();
        self.family.alive();
        Output {
            what: process.what().to_owned(),
            stdout: process.stdout(),
            stderr: process.stderr(),
            code: status.code().unwrap_or(-1),
            took: start.elapsed(),
        }
    }

    /// Runs a command that must succeed.
    pub async fn ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        self.run(arguments).await.exits(0)
    }

    /// Starts a command that goes on, such as `logs -f`; read its lines with [`Process::line`].
    pub fn spawn<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Process {
        Process::spawn(self.command(arguments)).or_panic()
    }

    /// The command line of `nex` in this node's environment, for what the other methods do not offer.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(folder.join("work")).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", folder.join("home")).env("TMPDIR", folder.join("tmp"));
        command.env("NEX_STATE_DIR", &self.state).env("NO_COLOR", "1").env("LANG", "C.UTF-8");
        if let Some(url) = &self.options.server_url {
            command.env("NATS_URL", url);
        } else if let Ok(binary) = find_nats_server(|_| {}) {
            command.env("NEX_NATS_SERVER", binary);
        }
        command.envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A command in a pseudo-terminal of that many columns and rows, with colours.
    pub fn terminal(&self, arguments: &[&str], size: (u16, u16)) -> Terminal {
        let command = self.command(arguments);
        let environment: Vec<(&str, &str)> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
            .filter(|(name, _)| *name != "NO_COLOR")
            .collect();
        let binary = self.binary.to_string_lossy();
        Terminal::spawn(&binary, arguments, &environment, &self.work_dir(), size).or_panic()
    }

    /// The node's process id; 0 when it is not running.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.node.as_ref().map_or(0, Process::id)
    }

    /// The `nex up` process, for its output.
    #[must_use]
    pub fn node(&self) -> Option<&Process> {
        self.node.as_ref()
    }

    /// The URL of the server: the one given, or the first that `nex up` printed.
    #[must_use]
    pub fn url(&self) -> String {
        if let Some(url) = &self.options.server_url {
            return url.clone();
        }
        let printed =
            self.node.as_ref().map(|node| String::from_utf8_lossy(&node.stdout()).into_owned());
        let printed = printed.unwrap_or_default();
        let mut words = printed.split(|c: char| c.is_whitespace() || "(),".contains(c));
        match words.find(|word| word.starts_with("nats://")) {
            Some(url) => url.to_owned(),
            None => panic!("`nex up` printed no nats:// URL:\n{printed}"),
        }
    }

    /// A connection for the caller's side of a test.
    pub async fn client(&self) -> async_nats::Client {
        let url = self.url();
        let connected = async_nats::connect(&url).await;
        connected.unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
    }

    /// The state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The directory that commands run in; empty at first.
    #[must_use]
    pub fn work_dir(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Every process of this node that is alive: node, nexlets, workloads, managed server.
    #[must_use]
    pub fn processes(&self) -> Vec<Entry> {
        self.family.alive()
    }

    /// Ends the node as Ctrl-C or a service manager does, and waits for it.
    pub async fn terminate(&mut self) {
        let status = self.try_terminate().await.or_panic();
        assert!(status.success(), "`nex up` ended with {status} after SIGTERM");
    }

    /// Likewise, with the failure instead of a panic.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn try_terminate(&mut self) -> Result<ExitStatus, Failure> {
        let Some(node) = &mut self.node else {
            return Err(Failure::new("the node is not running"));
        };
        self.family.alive();
        node.signal(Signal::SIGTERM);
        let status = node.exit(DOWN).await?;
        self.node = None;
        Ok(status)
    }

    /// Waits for the node to end by itself, as after lame duck mode.
    ///
    /// # Panics
    /// When it goes on.
    pub async fn node_ends(&mut self, within: Duration) -> ExitStatus {
        let node = self.node.as_mut().expect("the node runs");
        let status = node.exit(within).await.or_panic();
        self.family.alive();
        self.node = None;
        status
    }

    /// Kills the node process alone (SIGKILL); what it started goes on.
    pub async fn kill9(&mut self) {
        self.family.alive();
        if let Some(mut node) = self.node.take() {
            node.signal(Signal::SIGKILL);
            node.exit(DOWN).await.or_panic();
        }
    }

    /// Starts the node again with its state directory.
    pub async fn up_again(&mut self) {
        assert!(self.node.is_none(), "the node still runs");
        self.launch().await.or_panic();
    }

    /// Ends the node and asserts that no process and no stray file is left.
    pub async fn finish(mut self) {
        if self.node.is_some() {
            self.terminate().await;
        }
        self.assert_nothing_left().await;
    }

    /// Asserts that soon nothing of an ended node is left but its state directory.
    pub async fn assert_nothing_left(&self) {
        poll("no process and no stray file is left", Duration::from_secs(5), async || {
            let left = self.left_behind();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await
        .or_panic();
    }

    /// What is alive or lies outside of the state directory, one line each.
    #[must_use]
    pub fn left_behind(&self) -> Vec<String> {
        let alive = self.family.alive().into_iter();
        let mut left: Vec<String> =
            alive.map(|entry| format!("process {} `{}`", entry.pid, entry.command)).collect();
        for name in ["home", "tmp"] {
            let items = std::fs::read_dir(self.folder.path().join(name)).into_iter().flatten();
            left.extend(items.flatten().map(|item| format!("file {}", item.path().display())));
        }
        let folder = self.folder.path().display().to_string();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let ours = mounts.lines().filter(|line| line.contains(&folder));
        left.extend(ours.map(|line| format!("mount {line}")));
        left
    }

    async fn launch(&mut self) -> Result<(), Failure> {
        let mut command = self.command(&["up"]);
        command.arg("--state-dir").arg(&self.state);
        if self.options.server_url.is_none() {
            command.args(["--nats-port", "0"]);
        }
        command.args(&self.options.arguments);
        command.env(MARK, self.folder.path());
        // A state directory of the test's own choice is its affair.
        let hands_on = self.options.state.is_none() && !self.options.compiles;
        if hands_on {
            let cannot = |error| Failure::new(format!("cannot write compiled code: {error}"));
            compiled::hand_on(&self.state).map_err(cannot)?;
        }
        let mut node = Process::spawn(command)?;
        self.family.adopt(node.id());
        let ready = node.line(UP, |line| line.trim_start().starts_with("ready")).await;
        self.family.alive();
        ready?;
        compiled::keep(&self.state);
        self.node = Some(node);
        Ok(())
    }
}

impl Drop for Nex {
    #[expect(clippy::print_stderr, reason = "the node's words belong to a failing test's output")]
    fn drop(&mut self) {
        if let Some(node) = &mut self.node
            && std::thread::panicking()
        {
            eprintln!("--- the node when the test failed: {}\n---", node.failure("was running"));
        }
        self.family.kill();
    }
}
