//! `nex node upgrade`: the program on disk takes the running node's place.
//!
//! Owns: asking the node and waiting for its successor, and, inside the node, the step to it. Never:
//! ends a nexlet; the successor replaces those that run another program.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nex_node::NodeStatus;
use nex_sandbox::{Program, Signal, replace_self};
use tokio::io::AsyncReadExt;

use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

/// Nexlets are replaced within this: programs drain, engines compile, functions come up again.
const UPGRADE_BOUND: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);
const VERSION_BOUND: Duration = Duration::from_secs(10);

/// The program that lies where the running one was started from, and how to run it.
#[derive(Debug, Clone)]
pub(crate) struct Successor {
    program: PathBuf,
    arguments: Vec<OsString>,
}

pub(crate) async fn run(globals: &Globals) -> Result<(), CliError> {
    let (state, start) = (globals.state_dir(), Instant::now());
    let before = NodeStatus::read(&state);
    let no_node = || {
        let message = format!("no node is ready with the state directory {}", state.display());
        CliError::other(message).hint("name its state directory with: --state-dir DIR")
    };
    let Some(before) = before.filter(|_| NodeStatus::ask_to_upgrade(&state)) else {
        return Err(no_node());
    };
    while start.elapsed() < UPGRADE_BOUND {
        tokio::time::sleep(POLL).await;
        let Some(now) = NodeStatus::read(&state) else { return Err(no_node()) };
        if let Some(reason) = now.upgrade_refused {
            let message = format!("the node goes on as it is: {reason}");
            return Err(CliError::other(message).hint("put a nex that runs in its place"));
        }
        if now.started != before.started {
            let (was, is) = (before.version, now.version);
            ui::line(format_args!("node {} upgraded: {was} to {is}", now.node_id));
            return Ok(());
        }
    }
    let message = format!("the new node was not ready within {}s", UPGRADE_BOUND.as_secs());
    Err(CliError::other(message).hint("see the node's log"))
}

impl Successor {
    /// Looked at before anything replaces the file, since afterwards the kernel calls it deleted.
    pub(crate) fn of_this_program() -> Result<Self, CliError> {
        let program = std::env::current_exe().map_err(|error| CliError::chain(&error))?;
        Ok(Self { program, arguments: std::env::args_os().skip(1).collect() })
    }

    /// The version of the program on disk, which shows that it runs.
    pub(crate) async fn check(&self) -> Result<String, String> {
        let path = self.program.display();
        let wrap = |error: std::io::Error| format!("{path} cannot be run: {error}");
        let program = Program { args: vec!["--version".to_owned()], ..Program::new(&self.program) };
        let mut child = program.spawn().map_err(wrap)?;
        let mut said = String::new();
        let stdout = child.stdout.take();
        let asked = tokio::time::timeout(VERSION_BOUND, async {
            if let Some(stdout) = stdout {
                let _not_text = stdout.take(256).read_to_string(&mut said).await;
            }
        });
        let in_time = asked.await.is_ok();
        let ended = child.stop(Signal::SIGTERM, VERSION_BOUND, None).await;
        ended.map_err(wrap)?;
        match said.trim().strip_prefix("nex ") {
            Some(version) if in_time => Ok(version.to_owned()),
            _ => Err(format!("{path} is no nex that tells its version")),
        }
    }

    /// Goes on as that program, in this process. Returns only when that fails.
    pub(crate) fn take_over(&self) -> CliError {
        let error = replace_self(&self.program, self.arguments.clone());
        let message = format!("cannot go on as {}: {error}", self.program.display());
        CliError::other(message).hint("the nexlets go on; start the node again")
    }
}
