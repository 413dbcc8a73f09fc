//! Keeps the nexlet processes running, over the node's own life.
//!
//! Owns: taking over what an earlier node left, launching what is missing, starting again with back-off
//! (1 s doubling to 30 s, never given up), and ending. Never: runs two processes of one nexlet, but while
//! one hands over to the other (`replace`).
//!
//! ```text
//! record alive? ──yes──► PING, 2 s ──registers──► another program on disk? ──yes──► replace ─┐
//!      │no                  │no: kill                     │no                                │
//!      └───────► launch ◄───┘                             ▼                                  │
//!                  │  ▲                                running ◄────────────────────────────┘
//!                  │  └── pause ◄── ended unasked, or silent for too long ┘  │
//!                  └───────────────────────────────────────────────────► asked: SIGTERM, drain, SIGKILL
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nex_api::Time;
use nex_api::event::Event;
use nex_policy::restart::Restarts;
use nex_sandbox::{Adopted, OnFailure, ProcessIdentity, Signal, Tasks};
use nex_types::Id;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::{NexletProgram, Replacement};
use crate::control::Shared;
use crate::presence;
use crate::process::{Process, fingerprint, spawn};
use crate::records::{Record, Records, Role};
use crate::replace::{RETIRE, replace};
use crate::spool;

/// A nexlet drains for at most 35 s; then it is killed.
pub(crate) const DRAIN_BOUND: Duration = Duration::from_secs(40);
/// What a nexlet that lives has to register again with a new node.
const TAKE_OVER_BOUND: Duration = Duration::from_secs(2);
const PING_AGAIN: Duration = Duration::from_millis(250);
const POLL: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_secs(1);

/// What the supervisors of one node share.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) state: PathBuf,
    pub(crate) orphan_after: Duration,
    pub(crate) leave_services: bool,
    /// Supervisors, and what they wait for when everything ends.
    pub(crate) tasks: Tasks,
    /// Held while a process is started and recorded: whoever replaces the node's program takes it
    /// first. A tokio mutex, since launches wait for it.
    pub(crate) launches: Mutex<()>,
    /// Nexlets that do not run the program that they should, yet.
    pub(crate) unsettled: AtomicUsize,
}

/// One nexlet's supervisor.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) house: Arc<House>,
    pub(crate) program: NexletProgram,
    pub(crate) records: Records,
}

/// A process that runs under an agent id.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) agent_id: String,
    /// The fingerprint of what it was started from.
    pub(crate) program: String,
    pub(crate) process: Process,
}

/// Keeps one nexlet running until `token` is cancelled, then ends it.
pub(crate) async fn supervise(supervisor: Supervisor, token: CancellationToken) {
    let this = &supervisor;
    let (name, log) = (this.program.name.clone(), this.records.log());
    let showing = spool::show(name, log, this.shared.tasks.token());
    this.shared.tasks.spawn("nexlet output", OnFailure::Log, showing);
    let mut restarts = Restarts::default();
    this.shared.nexlet_restarts.begin(&this.program.name);
    this.records.settle();
    let mut agent_id = this.known_id();
    let mut found = this.take_over(&token).await;
    let mut is_settled = false;
    while !token.is_cancelled() {
        let started = Instant::now();
        let running = match found.take() {
            Some(running) => Ok(replace(this, running, &token).await),
            None => this.launch(&agent_id, Role::Current).await,
        };
        if !std::mem::replace(&mut is_settled, true) {
            this.house.unsettled.fetch_sub(1, Ordering::Relaxed);
        }
        let reason = match running {
            Ok(running) => {
                agent_id.clone_from(&running.agent_id);
                this.watch(running, &token).await
            }
            Err(error) => format!("cannot be started: {error}"),
        };
        if this.shared.is_lameduck() {
            // A lame duck starts nothing again.
            token.cancelled().await;
        }
        if token.is_cancelled() {
            return;
        }
        let restart = restarts.ended(started, Instant::now());
        this.shared.agents.set_degraded(&agent_id, restart.degraded);
        let (nexlet, after) = (&this.program.name, restart.after);
        this.shared.nexlet_restarts.restarted(nexlet);
        tracing::error!(nexlet, reason, ?after, "nexlet ended, starting it again");
        tokio::select! {
            () = tokio::time::sleep(after) => {}
            () = token.cancelled() => {}
        }
    }
}

/// Ends what an earlier node launched and this one is not configured to run.
pub(crate) async fn end_unconfigured(shared: &Shared, house: &House, names: &[String]) {
    for (name, records) in Records::all(&house.state) {
        if names.contains(&name) {
            continue;
        }
        for role in [Role::Current, Role::Heir, Role::Retiring] {
            let Some(record) = records.read(role) else { continue };
            if let Ok(Some(process)) = Adopted::take(&record.identity()) {
                tracing::warn!(nexlet = name, "not configured any more, ending it");
                process.stop(Signal::SIGTERM, DRAIN_BOUND).await;
                announce_end(shared, &record.agent_id, &name, "not configured any more").await;
            }
            records.remove(role);
        }
    }
}

/// AGENTSTOPPED.
pub(crate) async fn announce_end(shared: &Shared, agent_id: &str, name: &str, reason: &str) {
    let event = Event::AgentStopped {
        id: agent_id.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
        timestamp: Time::now(),
    };
    shared.events.emit(&event).await;
}

impl Supervisor {
    /// Starts a process and writes its record, before anybody may replace this program.
    pub(crate) async fn launch(&self, agent_id: &str, role: Role) -> io::Result<Running> {
        let _no_exec_meanwhile = self.house.launches.lock().await;
        let (shared, program) = (&self.shared, &self.program);
        let orphan_after = self.house.orphan_after;
        let fingerprint = fingerprint(program, orphan_after)?;
        let token = Id::random().to_string();
        shared.agents.launched(agent_id, &program.name, &token);
        let child = spawn(shared, program, agent_id, &token, orphan_after, &self.records.log())?;
        let mut process = Process::Child(Box::new(child));
        // Gone already: its end is seen by whoever waits for it.
        if let Some(identity) = ProcessIdentity::of(process.pid()) {
            let record = Record::new(agent_id, &token, &fingerprint, identity);
            if let Err(error) = self.records.write(role, &record) {
                // Unrecorded it could become a stray.
                process.stop(Signal::SIGKILL, Duration::ZERO).await;
                return Err(error);
            }
        }
        let (nexlet, pid) = (&program.name, process.pid());
        tracing::info!(nexlet, pid, agent.id = agent_id, "nexlet launched");
        Ok(Running { agent_id: agent_id.to_owned(), program: fingerprint, process })
    }

    /// The nexlet that an earlier node left, once it has registered with this one.
    async fn take_over(&self, token: &CancellationToken) -> Option<Running> {
        self.retire_left(Role::Heir);
        self.retire_left(Role::Retiring);
        let record = self.records.read(Role::Current)?;
        let process = match Adopted::take(&record.identity()) {
            Ok(process) => process?,
            Err(error) => {
                let name = &self.program.name;
                tracing::error!(nexlet = name, %error, "a running nexlet cannot be taken over");
                return None;
            }
        };
        let agent_id = record.agent_id;
        self.shared.agents.launched(&agent_id, &self.program.name, &record.register_token);
        let pid = process.pid();
        if self.registers(&agent_id, token).await {
            tracing::info!(
                nexlet = self.program.name,
                pid,
                agent.id = agent_id,
                "nexlet taken over"
            );
            let process = Process::Adopted(process);
            return Some(Running { agent_id, program: record.program, process });
        }
        // Told to end meanwhile, it may drain as all do; else it does not hear us.
        let (signal, grace) = match token.is_cancelled() {
            true => (Signal::SIGTERM, DRAIN_BOUND),
            false => (Signal::SIGKILL, Duration::ZERO),
        };
        process.stop(signal, grace).await;
        self.records.remove(Role::Current);
        self.shared.agents.process_ended(&agent_id);
        let reason = "did not register with its new node";
        tracing::warn!(nexlet = self.program.name, pid, reason, "nexlet ended");
        announce_end(&self.shared, &agent_id, &self.program.name, reason).await;
        None
    }

    async fn registers(&self, agent_id: &str, token: &CancellationToken) -> bool {
        let link = &self.shared.agents.link;
        let start = link.mark();
        let mut pinged = None;
        while link.since(&start, Instant::now()) < TAKE_OVER_BOUND && !token.is_cancelled() {
            if pinged.is_none_or(|at: Instant| at.elapsed() >= PING_AGAIN) {
                presence::ping(&self.shared, agent_id).await;
                pinged = Some(Instant::now());
            }
            if self.shared.agents.get(agent_id).is_some() {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// A hand-over that an earlier node did not live to finish: one of the two has the workloads.
    fn retire_left(&self, role: Role) {
        let Some(record) = self.records.read(role) else { return };
        let records = self.records.clone();
        self.house.tasks.spawn("retire", OnFailure::Log, async move {
            if let Ok(Some(process)) = Adopted::take(&record.identity()) {
                process.stop(RETIRE, DRAIN_BOUND).await;
            }
            if records.read(role).as_ref() == Some(&record) {
                records.remove(role);
            }
        });
    }

    /// The agent id that the nexlet had, so that it keeps it over the node's end; else a new one.
    fn known_id(&self) -> String {
        let record = self.records.read(Role::Current);
        record.map_or_else(|| Id::random().to_string(), |record| record.agent_id)
    }

    /// Waits for the end; asks for it when the token says so. Returns how it ended.
    async fn watch(&self, mut running: Running, token: &CancellationToken) -> String {
        let Running { agent_id, process, .. } = &mut running;
        let reason = tokio::select! {
            reason = process.wait() => reason,
            () = self.is_given_up(agent_id) => {
                process.stop(Signal::SIGKILL, Duration::ZERO).await;
                "silent for too long".to_owned()
            }
            () = token.cancelled() => process.stop(self.last_word(), DRAIN_BOUND).await,
        };
        // The record stays: it tells the next one's agent id, and nobody lives under it any more.
        self.shared.agents.process_ended(agent_id);
        announce_end(&self.shared, agent_id, &self.program.name, &reason).await;
        reason
    }

    /// What a nexlet is told when the node ends. A lame duck ends everything.
    fn last_word(&self) -> Signal {
        let can_leave = self.program.replacement == Replacement::Leave;
        let leaves = can_leave && self.house.leave_services && !self.shared.is_lameduck();
        if leaves { RETIRE } else { Signal::SIGTERM }
    }

    async fn is_given_up(&self, agent_id: &str) {
        while !self.shared.agents.is_given_up(agent_id) {
            tokio::time::sleep(LOOK).await;
        }
    }
}
