//! One child process: its output as it comes, its end, and a signal by its id.
//!
//! Owns: pipes and reaping. Never: knows what the process is. On drop the child and all its descendants are killed.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::{Failure, Family, patience, poll};

/// A running child whose output is kept.
#[derive(Debug)]
pub struct Process {
    what: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` in a process group of its own, so that Ctrl-C reaches it only through its owner.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(command: Command) -> Result<Self, Failure> {
        Self::spawn_with_input(command, Vec::new())
    }

    /// Likewise, with `input` on its standard input.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn_with_input(mut command: Command, input: Vec<u8>) -> Result<Self, Failure> {
        let what = line_of(&command);
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start `{what}`: {error}")))?;
        if let Some(mut pipe) = child.stdin.take() {
            // A child that does not read its input is no failure of ours.
            std::thread::spawn(move || pipe.write_all(&input));
        }
        let stdout = Stream::of(child.stdout.take().expect("stdout was piped"));
        let stderr = Stream::of(child.stderr.take().expect("stderr was piped"));
        Ok(Self { what, child, stdout, stderr, ended: None })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).expect("Linux process ids fit")
    }

    /// The command line, for messages.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The next line of standard output for which `wanted` holds; earlier ones are passed over.
    ///
    /// # Errors
    /// When the deadline passes or the output ends first; tells all output so far.
    pub async fn line(
        &mut self,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, Failure> {
        let deadline = tokio::time::Instant::now() + patience(within);
        loop {
            let next = tokio::time::timeout_at(deadline, self.stdout.next_line()).await;
            match next {
                Ok(Some(line)) if wanted(&line) => return Ok(line),
                Ok(Some(_)) => {}
                Ok(None) => return Err(self.failure("ended its output without the line awaited")),
                Err(_) => return Err(self.failure("did not print the line awaited in time")),
            }
        }
    }

    /// Waits for the end; the child is reaped.
    ///
    /// # Errors
    /// When it is still running after `within`; tells all output so far.
    pub async fn exit(&mut self, within: Duration) -> Result<ExitStatus, Failure> {
        let ended = poll(&self.what.clone(), within, async || self.try_exit().ok_or(())).await;
        let Ok(status) = ended else {
            return Err(self.failure("is still running after its deadline"));
        };
        // A grandchild that holds the pipe must not hold us up.
        let drained = async { tokio::join!(self.stdout.closed(), self.stderr.closed()) };
        if tokio::time::timeout(Duration::from_secs(1), drained).await.is_err() {
            self.what.push_str(" (its output is held open by a descendant)");
        }
        Ok(status)
    }

    /// The exit status, if it has ended.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Sends a signal to this process alone. Nothing happens when it has been reaped.
    pub fn signal(&mut self, signal: Signal) {
        if self.try_exit().is_none() {
            // It can only have ended meanwhile, which is what a signal is sent for.
            let _gone = kill(Pid::from_raw(self.id()), signal);
        }
    }

    /// Everything written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.seen()
    }

    /// Everything written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.seen()).into_owned()
    }

    /// A failure that names this process and shows what it printed.
    #[must_use]
    pub fn failure(&mut self, why: &str) -> Failure {
        let state = match self.try_exit() {
            Some(status) => format!(" ({status})"),
            None => String::new(),
        };
        let stdout = String::from_utf8_lossy(&self.stdout()).into_owned();
        let stderr = self.stderr();
        Failure::new(format!(
            "`{}`{state} {why}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
            self.what
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.try_exit().is_none() {
            Family::of(self.id()).kill();
            // Killed just now by its id; waiting only collects it.
            let _status = self.child.wait();
        }
    }
}

/// The bytes of one pipe, read by a thread; lines are handed out in order.
#[derive(Debug)]
struct Stream {
    captured: watch::Receiver<Captured>,
    handed_out: usize,
}

#[derive(Debug, Default)]
struct Captured {
    bytes: Vec<u8>,
    closed: bool,
}

impl Stream {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let (sender, captured) = watch::channel(Captured::default());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                sender.send_modify(|captured| captured.bytes.extend_from_slice(&buffer[..n]));
            }
            sender.send_modify(|captured| captured.closed = true);
        });
        Self { captured, handed_out: 0 }
    }

    async fn next_line(&mut self) -> Option<String> {
        let from = self.handed_out;
        let has_line =
            |captured: &Captured| captured.closed || captured.bytes[from..].contains(&b'\n');
        let captured = self.captured.wait_for(has_line).await.ok()?;
        let rest = &captured.bytes[from..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        if length == rest.len() && length == 0 {
            return None;
        }
        self.handed_out = (from + length + 1).min(captured.bytes.len());
        Some(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    async fn closed(&self) {
        // The sender goes away only after it has said that the pipe is closed.
        let mut captured = self.captured.clone();
        let _closed = captured.wait_for(|captured| captured.closed).await;
    }

    fn seen(&self) -> Vec<u8> {
        self.captured.borrow().bytes.clone()
    }
}

fn line_of(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}
