//! One native workload: a program, its output, and its end.
//!
//! Owns: the tree of processes from spawn to the last of them, and the folder they lived in. Never:
//! restarts anything. One task owns all of it; handles only ask, by tokens, and see a watch.
//!
//! ```text
//! spawn ─► running ─► (stop asked: signal) ─► stopping ─► tree killed ─► output read ─► folder gone ─► ended
//!              └─────────── by itself, or kill ──────────────┘
//! ```

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{self, Either};
use nex_api::NatsConnectionData;
use nex_api::event::StopError;
use nex_api::log::Stream;
use nex_api::workload::{WorkloadState, fact};
use nex_nexlet::{Ended, LogFeed, Status, Workload};
use nex_sandbox::{Child, Exit, Marker, OnFailure, Program, Spawner, Tasks, kill_tree, signal};
use tokio::io::AsyncRead;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::credentials;
use crate::output;
use crate::plan::StopPlan;
use crate::programs::RunFolder;

const KILL_BOUND: Duration = Duration::from_secs(5);
/// When no process is left, pipes end at once, unless a process that escaped holds them.
const OUTPUT_BOUND: Duration = Duration::from_secs(1);
/// A fork elsewhere in this process may hold the file open for writing until its exec.
const BUSY_ATTEMPTS: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// The level of all lines: programs write to either stream what they like.
const LEVEL: &str = "info";
/// The message of a forced kill on the wire.
const KILLED: &str = "SYSKILL";

/// What is to be started, and all that belongs to it.
pub(crate) struct Launch {
    pub(crate) program: Program,
    pub(crate) marker: Marker,
    pub(crate) folder: RunFolder,
    pub(crate) stop: StopPlan,
    pub(crate) logs: LogFeed,
    pub(crate) facts: BTreeMap<String, String>,
    /// The first of the ports that it exposes; what ingress components are told.
    pub(crate) port: Option<u16>,
}

/// A handle to a running program. When the last one is dropped, the program is killed.
#[derive(Debug)]
pub(crate) struct NativeWorkload {
    state: watch::Receiver<State>,
    stop: CancellationToken,
    facts: BTreeMap<String, String>,
    port: Option<u16>,
    /// Where its credentials are, for as long as it lives.
    folder: Weak<RunFolder>,
    _kill: DropGuard,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Running,
    Stopping,
    Ended(Ended),
}

/// What may be asked of the owner.
struct Orders {
    plan: StopPlan,
    stop: CancellationToken,
    kill: CancellationToken,
}

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    ByItself,
    Asked,
    Forced,
}

/// Starts a program; it runs when this returns. Dropping the future, or `kill`, ends it.
pub(crate) async fn launch(
    launch: Launch,
    spawner: Arc<Spawner>,
    kill: CancellationToken,
    tasks: &Tasks,
) -> io::Result<NativeWorkload> {
    let (ready, launched) = oneshot::channel();
    tasks.spawn("native workload", OnFailure::Log, own(launch, spawner, kill, ready));
    launched.await.unwrap_or_else(|_| Err(io::Error::other("the task of the workload failed")))
}

#[async_trait]
impl Workload for NativeWorkload {
    fn status(&self) -> Status {
        let mut facts = self.facts.clone();
        let (state, phase) = match &*self.state.borrow() {
            State::Running => (WorkloadState::Running, "running"),
            State::Stopping => (WorkloadState::Stopping, "stopping"),
            State::Ended(ended) => {
                facts.extend(ended.facts.clone());
                match ended.error {
                    Some(_) => (WorkloadState::Error, "failed"),
                    None => (WorkloadState::Stopped, "completed"),
                }
            }
        };
        Status { state, phase, facts, runtime: None }
    }

    async fn stop(&self) {
        self.stop.cancel();
        let mut state = self.state.clone();
        let _owner_gone = state.wait_for(|state| *state != State::Running).await;
    }

    async fn renew(&self, connection: &NatsConnectionData) {
        let Some(folder) = self.folder.upgrade() else { return };
        let connection = connection.clone();
        let writing = move || credentials::write(folder.path(), &connection);
        let written = tokio::task::spawn_blocking(writing).await.map_err(io::Error::other);
        if let Err(error) = written.and_then(|written| written) {
            tracing::error!(%error, "renewed credentials not written");
        }
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    async fn ended(&self) -> Ended {
        let mut state = self.state.clone();
        let is_ended = |state: &State| matches!(state, State::Ended(_));
        match state.wait_for(is_ended).await.as_deref() {
            Ok(State::Ended(ended)) => ended.clone(),
            _ => {
                let message = "the task of the workload failed".to_owned();
                let error = Some(StopError { code: String::new(), message });
                Ended { error, facts: BTreeMap::new() }
            }
        }
    }
}

/// The task that owns the program from before its first instruction until nothing is left of it.
async fn own(
    launch: Launch,
    spawner: Arc<Spawner>,
    kill: CancellationToken,
    ready: oneshot::Sender<io::Result<NativeWorkload>>,
) {
    let Launch { program, marker, folder, stop: plan, logs, mut facts, port } = launch;
    let folder = Arc::new(folder);
    let child = match spawn(&spawner, program).await {
        Ok(child) => child,
        Err(error) => {
            remove(folder).await;
            let _caller_left = ready.send(Err(error));
            return;
        }
    };
    facts.insert("pid".to_owned(), child.pid().to_string());
    let (state, seen) = watch::channel(State::Running);
    let orders = Orders { plan, stop: CancellationToken::new(), kill: kill.clone() };
    let (stop, _kill) = (orders.stop.clone(), kill.drop_guard());
    // A handle that nobody takes comes back; dropped here and now, it kills.
    let weak = Arc::downgrade(&folder);
    let workload = NativeWorkload { state: seen, stop, facts, port, folder: weak, _kill };
    drop(ready.send(Ok(workload)));
    let ended = run(child, marker, &orders, &logs, &state).await;
    remove(folder).await;
    state.send_replace(State::Ended(ended));
}

/// Reads the output until the program has ended, and ends what it leaves.
async fn run(
    mut child: Child,
    marker: Marker,
    orders: &Orders,
    logs: &LogFeed,
    state: &watch::Sender<State>,
) -> Ended {
    let mut tree = Tree { root: child.pid(), marker, is_gone: false };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output =
        future::join(forward(stdout, Stream::Stdout, logs), forward(stderr, Stream::Stderr, logs));
    let life = async {
        let (manner, exit) = live(&mut child, orders, state).await;
        tree.kill().await;
        let exit = if let Some(exit) = exit { Some(exit) } else { child.wait().await.ok() };
        judge(manner, exit)
    };
    with_output(life, output).await
}

/// Waits for the program's end, or until it must be killed.
async fn live(
    child: &mut Child,
    orders: &Orders,
    state: &watch::Sender<State>,
) -> (Manner, Option<Exit>) {
    tokio::select! {
        biased;
        exit = child.wait() => return (Manner::ByItself, exit.ok()),
        () = orders.kill.cancelled() => {
            state.send_replace(State::Stopping);
            return (Manner::Forced, None);
        }
        () = orders.stop.cancelled() => {}
    }
    signal(child.pid(), orders.plan.signal);
    state.send_replace(State::Stopping);
    tokio::select! {
        biased;
        exit = child.wait() => (Manner::Asked, exit.ok()),
        () = orders.kill.cancelled() => (Manner::Forced, None),
        () = sleep(orders.plan.grace) => (Manner::Forced, None),
    }
}

/// Output is read while the program lives, and a little longer.
async fn with_output<T>(life: impl Future<Output = T>, output: impl Future) -> T {
    match future::select(pin!(life), pin!(output)).await {
        Either::Left((lived, output)) => {
            if timeout(OUTPUT_BOUND, output).await.is_err() {
                tracing::warn!("a process that escaped holds the output of its workload");
            }
            lived
        }
        Either::Right((_, life)) => life.await,
    }
}

async fn forward(pipe: Option<impl AsyncRead + Unpin>, stream: Stream, logs: &LogFeed) {
    if let Some(pipe) = pipe {
        output::forward(pipe, |line| logs.line(stream, LEVEL, line)).await;
    }
}

async fn spawn(spawner: &Spawner, program: Program) -> io::Result<Child> {
    for _ in 1..BUSY_ATTEMPTS {
        match spawner.spawn(program.clone()).await {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                sleep(BUSY_PAUSE).await;
            }
            spawned => return spawned,
        }
    }
    spawner.spawn(program).await
}

/// What the event says; see the specification's section 8.2.
fn judge(manner: Manner, exit: Option<Exit>) -> Ended {
    let error = match (manner, exit) {
        (Manner::Forced, _) => Some((String::new(), KILLED.to_owned())),
        (Manner::Asked, _) | (Manner::ByItself, Some(Exit::Code(0))) => None,
        (Manner::ByItself, Some(Exit::Code(code))) => Some((code.to_string(), String::new())),
        (Manner::ByItself, Some(by_signal)) => Some((String::new(), by_signal.to_string())),
        (Manner::ByItself, None) => Some((String::new(), "its end is not known".to_owned())),
    };
    let error = error.map(|(code, message)| StopError { code, message });
    let facts = exit.map(|exit| (fact::EXIT.to_owned(), exit.to_string()));
    Ended { error, facts: facts.into_iter().collect() }
}

async fn remove(folder: Arc<RunFolder>) {
    let _removed = tokio::task::spawn_blocking(move || drop(folder)).await;
}

/// All processes of a workload. Killed when dropped before they are gone.
#[derive(Debug)]
struct Tree {
    root: i32,
    marker: Marker,
    is_gone: bool,
}

impl Tree {
    async fn kill(&mut self) {
        let (root, marker) = (self.root, self.marker.clone());
        let killing = move || kill_tree(root, Some(&marker), KILL_BOUND);
        match tokio::task::spawn_blocking(killing).await {
            Ok(left) if left.is_empty() => {}
            left => tracing::error!(?left, "processes of a workload would not go"),
        }
        self.is_gone = true;
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.is_gone {
            kill_tree(self.root, Some(&self.marker), KILL_BOUND);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ends_that_nobody_asked_for_and_forced_ones_are_errors() {
        let error = |manner, exit| judge(manner, Some(exit)).error.map(|e| (e.code, e.message));
        let words = |code: &str, message: &str| Some((code.to_owned(), message.to_owned()));
        assert_eq!(error(Manner::ByItself, Exit::Code(0)), None);
        assert_eq!(error(Manner::ByItself, Exit::Code(3)), words("3", ""));
        assert_eq!(error(Manner::ByItself, Exit::Signal(11)), words("", "SIGSEGV"));
        assert_eq!(error(Manner::Asked, Exit::Signal(15)), None);
        assert_eq!(error(Manner::Asked, Exit::Code(1)), None);
        assert_eq!(error(Manner::Forced, Exit::Signal(9)), words("", "SYSKILL"));
        let facts = judge(Manner::Forced, Some(Exit::Signal(9))).facts;
        assert_eq!(facts, [("exit".to_owned(), "SIGKILL".to_owned())].into());
    }
}
