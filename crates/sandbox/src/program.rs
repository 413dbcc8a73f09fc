//! Starts programs: exact environment, a session of their own, an owner.
//!
//! Owns: the steps between fork and exec, and the child until it is reaped. Never: decides when to
//! restart one (`nex-policy`) or what its output means.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{SigHandler, Signal, signal};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

use crate::{Marker, tree};

/// Signals that ask a program to stop (spec: services, `stop.signal`).
const ASKING: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// Where a child's standard output and standard error go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Into pipes that its parent reads; when nobody does any more, the child is told by an error.
    Pipes,
    /// To the end of this file, which outlives both.
    AppendTo(PathBuf),
}

/// A program to start. Nothing is inherited: the environment is exactly what stands here.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// Working directory; the parent's when absent.
    pub directory: Option<PathBuf>,
    /// Standard output and standard error.
    pub output: Output,
    /// Whether standard input is a pipe that the parent writes; else it is empty.
    pub takes_input: bool,
}

impl Program {
    /// A program without arguments and with an empty environment.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            environment: BTreeMap::new(),
            directory: None,
            output: Output::Pipes,
            takes_input: false,
        }
    }

    /// Starts it, within a tokio runtime.
    ///
    /// # Errors
    /// What the kernel says: not found, not executable, no memory.
    pub fn spawn(&self) -> io::Result<Child> {
        #[expect(clippy::disallowed_methods, reason = "this is the place that starts processes")]
        let mut command = Command::new(&self.path);
        command.args(&self.args).env_clear().envs(&self.environment);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let (stdout, stderr) = self.output.open()?;
        let stdin = if self.takes_input { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        // SAFETY: between fork and exec only async-signal-safe calls are allowed: setsid and
        // sigaction are plain system calls, nothing is allocated, and errno is turned into an io::Error
        // without allocating. There is no safe interface to either before exec.
        unsafe {
            command.pre_exec(|| {
                // A session of its own, so that a terminal's Ctrl-C reaches only its owner, and so
                // that its process group can be signalled as a whole.
                nix::unistd::setsid()?;
                // A shell starts what runs in its background with some of them ignored, and a program
                // that inherits that cannot be asked to stop by them.
                for asking in ASKING {
                    signal(asking, SigHandler::SigDfl)?;
                }
                Ok(())
            });
        }
        let mut inner = command.spawn()?;
        let pid = inner.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        let (stdin, stdout, stderr) =
            (inner.stdin.take(), inner.stdout.take(), inner.stderr.take());
        Ok(Child { pid, stdin, stdout, stderr, inner })
    }
}

impl Output {
    fn open(&self) -> io::Result<(Stdio, Stdio)> {
        match self {
            Self::Pipes => Ok((Stdio::piped(), Stdio::piped())),
            Self::AppendTo(path) => {
                let file = File::options().append(true).create(true).mode(0o600).open(path)?;
                Ok((file.try_clone()?.into(), file.into()))
            }
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => f.write_str(signal.as_str()),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

/// A running child. Dropping it neither kills nor reaps it.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    /// Its standard input, where it takes any, to be taken once.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, to be taken once.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, to be taken once.
    pub stderr: Option<ChildStderr>,
    inner: tokio::process::Child,
}

impl Child {
    /// The process id, which is also its session and process group.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for its end and reaps it. Cancel-safe.
    ///
    /// # Errors
    /// Only when the kernel cannot tell, which does not happen to a child of ours.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        let status = self.inner.wait().await?;
        let by_signal = || Exit::Signal(status.signal().unwrap_or_default());
        Ok(status.code().map_or_else(by_signal, Exit::Code))
    }

    /// Asks with `signal`, waits up to `grace`, then kills the whole tree, and reaps the child.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub async fn stop(
        &mut self,
        signal: Signal,
        grace: Duration,
        marker: Option<Marker>,
    ) -> io::Result<Exit> {
        tree::signal(self.pid, signal);
        let ended = tokio::time::timeout(grace, self.wait()).await;
        let pid = self.pid;
        let bound = Duration::from_secs(5);
        let left =
            tokio::task::spawn_blocking(move || tree::kill_tree(pid, marker.as_ref(), bound)).await;
        if let Ok(left) = left
            && !left.is_empty()
        {
            tracing::error!(?left, "processes would not go");
        }
        match ended {
            Ok(exit) => exit,
            Err(_) => self.wait().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn shell(script: &str) -> Program {
        Program { args: vec!["-c".to_owned(), script.to_owned()], ..Program::new("/bin/sh") }
    }

    #[tokio::test]
    async fn a_child_sees_exactly_its_environment() {
        let mut program = shell("/usr/bin/env");
        program.environment.insert("ONLY".to_owned(), "this".to_owned());
        let mut child = program.spawn().unwrap();
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).await.unwrap();
        assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
        let unset: Vec<&str> = output
            .lines()
            .filter(|l| !l.starts_with("PWD=") && !l.starts_with("_=") && !l.starts_with("SHLVL="))
            .collect();
        assert_eq!(unset, ["ONLY=this"]);
    }

    #[tokio::test]
    async fn a_signal_that_the_spawner_ignores_still_ends_a_child() {
        // SAFETY: no handler is installed, and no other test of this process waits for the signal.
        unsafe { signal(Signal::SIGQUIT, SigHandler::SigIgn) }.unwrap();
        let mut child = shell("kill -QUIT $$; exit 0").spawn().unwrap();
        assert_eq!(child.wait().await.unwrap(), Exit::Signal(3));
    }

    #[tokio::test]
    async fn output_goes_to_the_end_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let program =
            Program { output: Output::AppendTo(path.clone()), ..shell("echo a; echo b >&2") };
        for _ in 0..2 {
            assert_eq!(program.spawn().unwrap().wait().await.unwrap(), Exit::Code(0));
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a\nb\na\nb\n");
    }

    #[tokio::test]
    async fn stop_kills_what_ignores_it_and_its_children() {
        let marker = Marker::new("MARK", "stop-kills-the-tree");
        let mut program = shell(
            "trap '' TERM; (trap '' TERM; setsid sleep 60 & exec sleep 60) & echo up; while :; do sleep 60; done",
        );
        program.environment.insert("MARK".to_owned(), "stop-kills-the-tree".to_owned());
        program.environment.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        let mut child = program.spawn().unwrap();
        let mut up = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut up).await.unwrap();
        let grace = Duration::from_millis(50);
        let exit = child.stop(Signal::SIGTERM, grace, Some(marker.clone())).await.unwrap();
        assert_eq!(exit, Exit::Signal(9));
        assert!(tree::processes_with(&marker).is_empty());
    }
}
