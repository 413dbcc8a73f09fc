//! Where the demo plays: a fresh state directory, `nex up` in the background, commands that are shown as typed.
//!
//! Owns: every process and file of the demo, and their end. Never: knows the story.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use nex_testkit::{Family, Process, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Watch, typed};
use crate::builds;

const READY: Duration = Duration::from_secs(60);
const COMMAND: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(30);
/// Variables that would lead the demo to somebody's own NATS or node.
const PREFIXES: [&str; 2] = ["NATS_", "NEX_"];

/// The demo's processes and files.
#[derive(Debug)]
pub(super) struct Stage {
    root: PathBuf,
    nex: PathBuf,
    nats_server: PathBuf,
    folder: PathBuf,
    node: Option<Child>,
    family: Family,
    watch: Watch,
    n_checks: usize,
    kept: bool,
}

impl Stage {
    /// An empty state directory under the target directory; nothing is started yet.
    pub(super) fn new(root: &Path, nex: &Path, nats_server: &Path) -> anyhow::Result<Self> {
        let folder = builds::target_dir(root).join(format!("demo-{}", std::process::id()));
        fs::create_dir_all(folder.join("state"))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let shown = folder.display().to_string();
        let family = Family::nobody().with_marks(format!("NEX_STATE_DIR={shown}/state"), shown);
        Ok(Self {
            root: root.to_owned(),
            nex: nex.to_owned(),
            nats_server: nats_server.to_owned(),
            folder,
            node: None,
            family,
            watch: Watch::start(),
            n_checks: 0,
            kept: false,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn n_checks(&self) -> usize {
        self.n_checks
    }

    pub(super) fn took(&self) -> Duration {
        self.watch.read()
    }

    /// Starts `nex up` with a NATS server of its own, and waits until it says that it is ready.
    pub(super) async fn open(&mut self) -> anyhow::Result<()> {
        self.say("Start everything on this machine: a NATS server, the node, and what runs the workloads.");
        let state = typed(&self.state(), &self.root)?;
        println!("$ export NEX_STATE_DIR={state}");
        println!("$ nex up --nats-port 0 &");
        let log = File::create(self.log()).context("cannot make the log of nex up")?;
        let mut command = self.command(&["up", "--nats-port", "0"]);
        command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null()).process_group(0);
        let node = command.spawn().context("cannot start nex up")?;
        self.family.adopt(i32::try_from(node.id())?);
        self.node = Some(node);
        let ready = poll("nex up prints that it is ready", READY, async || {
            let printed = self.printed();
            if printed.lines().any(|line| line.trim_start().starts_with("ready")) {
                return Ok(true);
            }
            if self.ended().is_some() { Ok(false) } else { Err(printed) }
        })
        .await?;
        ensure!(ready, "nex up ended before it was ready");
        self.show(&self.printed());
        self.checked("it is ready");
        Ok(())
    }

    /// Sends SIGTERM to `nex up`; everything that it started must end with it.
    pub(super) async fn close(&mut self) -> anyhow::Result<()> {
        let started = self.family.alive();
        let id = self.node.as_ref().map(Child::id).context("nex up is not running")?;
        println!("$ kill {id}");
        println!("  (it and what it started: {} processes)", started.len());
        self.signal(Signal::SIGTERM);
        let status = poll("nex up ends", END, async || self.ended().ok_or("it still runs")).await?;
        ensure!(status.success(), "nex up ended with {status}");
        self.node = None;
        poll("no process of the demo is left", Duration::from_secs(5), async || {
            let left = self.family.alive();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await?;
        Ok(())
    }

    /// One short sentence before a step.
    pub(super) fn say(&self, sentence: &str) {
        println!("\n# {sentence}");
    }

    /// Counts and shows an expectation that held.
    pub(super) fn checked(&mut self, what: &str) {
        self.n_checks += 1;
        println!("  ✓ {what}");
    }

    /// A line that a command in the background printed meanwhile.
    pub(super) fn show_line(&mut self, command: &str, line: &str) {
        println!("  {line}");
        self.checked(&format!("the line came through `{command}`"));
    }

    /// Runs a command that must succeed; shows it, and hands out what it printed.
    pub(super) async fn run(&mut self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut process = self.shown(arguments).await?;
        let succeeded = process.try_exit().is_some_and(|status| status.success());
        ensure!(succeeded, "{}", process.failure("was expected to succeed"));
        Ok(text(&process))
    }

    /// Runs a command whose standard output must be exactly `expected`.
    pub(super) async fn answers(
        &mut self,
        arguments: &[&str],
        expected: &str,
    ) -> anyhow::Result<()> {
        let answer = self.run(arguments).await?;
        // A line end after the reply is the command's, not the function's.
        let same = answer.strip_suffix('\n').unwrap_or(&answer) == expected;
        ensure!(same, "the answer was expected to be {expected:?}, not {answer:?}");
        self.checked("the answer is as expected");
        Ok(())
    }

    /// Likewise, but the answer may take a moment to come.
    pub(super) async fn until_it_answers(
        &mut self,
        arguments: &[&str],
        expected: &str,
    ) -> anyhow::Result<()> {
        let waited = poll("the service answers", Duration::from_secs(15), async || {
            let mut process = self.finished(arguments).await.map_err(|error| error.to_string())?;
            let succeeded = process.try_exit().is_some_and(|status| status.success());
            if succeeded { Ok(()) } else { Err(process.stderr()) }
        });
        waited.await?;
        self.answers(arguments, expected).await
    }

    /// Runs a command that must end with this exit code.
    pub(super) async fn exits(&mut self, arguments: &[&str], code: i32) -> anyhow::Result<()> {
        let mut process = self.shown(arguments).await?;
        let seen = process.try_exit().and_then(|status| status.code());
        let expected = format!("was expected to end with exit code {code}");
        ensure!(seen == Some(code), "{}", process.failure(&expected));
        self.checked(&format!("exit code {code}: nobody is there"));
        Ok(())
    }

    /// Starts a command that goes on until it is dropped.
    pub(super) fn follow(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        println!("$ nex {} &", arguments.join(" "));
        Ok(Process::spawn(self.command(arguments))?)
    }

    /// Everything that `nex up` printed.
    pub(super) fn printed(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Tells how to go on with a demo that was asked to stay.
    pub(super) fn leave_running(&mut self) {
        self.kept = true;
        let nex = self.nex.display();
        let id = self.node.as_ref().map_or(0, Child::id);
        println!("\nEverything is left running. Talk to it:");
        println!("  export NEX_STATE_DIR={}", self.state().display());
        println!("  {nex} call echo 'hello again'\n  {nex} ls\n  {nex} logs echo-service -f");
        println!("End it, and remove its files:");
        println!("  kill {id}; rm -r {}", self.folder.display());
    }

    /// Ends whatever still runs and removes the files, after a failure or Ctrl-C.
    pub(super) async fn clean_up(&mut self) {
        if self.node.is_some() {
            self.signal(Signal::SIGTERM);
            let ended = poll("nex up ends", END, async || self.ended().ok_or(())).await;
            if let Err(failure) = ended {
                eprintln!("{failure}; killing it");
            }
        }
        self.family.kill();
        if let Err(error) = self.remove() {
            eprintln!("{error:#}");
        }
    }

    /// Removes the demo's files.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("nex-up.log")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.nex);
        command.args(arguments).current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("NEX_STATE_DIR", self.state()).env("NEX_NATS_SERVER", &self.nats_server);
        command
    }

    async fn shown(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        self.show_command(arguments);
        let process = self.finished(arguments).await?;
        self.show(&text(&process));
        self.show(&process.stderr());
        Ok(process)
    }

    async fn finished(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        let mut process = Process::spawn(self.command(arguments))?;
        process.exit(COMMAND).await?;
        self.family.alive();
        Ok(process)
    }

    fn show_command(&self, arguments: &[&str]) {
        let quoted = arguments.iter().map(|argument| {
            let plain = argument.chars().all(|c| c.is_ascii_alphanumeric() || "./-_".contains(c));
            if plain { (*argument).to_owned() } else { format!("'{argument}'") }
        });
        println!("$ nex {}", quoted.collect::<Vec<_>>().join(" "));
    }

    fn show(&self, output: &str) {
        for line in output.lines() {
            println!("  {line}");
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.node.as_mut()?.try_wait().ok().flatten()
    }

    fn signal(&mut self, signal: Signal) {
        if self.ended().is_none()
            && let Some(id) = self.node.as_ref().and_then(|node| i32::try_from(node.id()).ok())
        {
            // Not collected yet, so the id is still its own.
            let _gone = kill(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.kept {
            self.family.kill();
        }
    }
}

fn text(process: &Process) -> String {
    String::from_utf8_lossy(&process.stdout()).into_owned()
}
