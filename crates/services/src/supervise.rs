//! The task that owns one native workload, from its first start until nothing is left of it.
//!
//! Owns: doing what its life says (`nex_policy::life`): starting, asking, killing, waiting; and telling what
//! happened. Never: decides what follows from an end.
//!
//! ```text
//! Fresh ──launch──┐                    ┌── Start: clear, launch
//! Runs ──connect──┼─► run ─► over ─► life ── Wait: pause
//! Ended ──read────┤    ▲                └── Settle: folder gone, ended
//! Lost ───clear───┘    └─ stop, kill, leave (the program goes on), unhealthy, timer
//! ```

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nex_api::Time;
use nex_api::event::StopError;
use nex_api::workload::fact;
use nex_nexlet::{Ended, EventFeed, LogFeed, ProcessMetrics};
use nex_policy::life::{Effect, Event, How, Life, Outcome, Phase, Policy, Why};
use nex_sandbox::jail::{Wall, sweep_group};
use nex_sandbox::{OnFailure, Signal, Tasks};
use nex_shim::{End, Order};
use nex_types::Id;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::health::{self, Health};
use crate::plan::with_sources;
use crate::programs::{Record, RunFolder, group_of, on_disk};
use crate::run::{Over, Run, Told, exit_text};
use crate::shim::{self, LaunchError, Launcher, Link};
use crate::uids::OwnUid;
use crate::walls;
use crate::workload::{NativeWorkload, Seen};

/// The message of a forced kill on the wire.
const KILLED: &str = "SYSKILL";
/// Last lines in the event of a restart, and in what is listed.
const FEW_BYTES: usize = 2 * 1024;
const MANY_BYTES: usize = 64 * 1024;
const USAGE_PERIOD: Duration = Duration::from_secs(5);
/// A kill that nobody answers within this is given up.
const KILL_BOUND: Duration = Duration::from_secs(6);

/// What is to be owned.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) id: Id,
    pub(crate) folder: RunFolder,
    pub(crate) record: Record,
    pub(crate) order: Order,
    pub(crate) origin: Origin,
    pub(crate) policy: Policy,
    pub(crate) signal: Signal,
    pub(crate) health: Option<Health>,
    pub(crate) client: nex_bus::Client,
    pub(crate) logs: LogFeed,
    pub(crate) events: EventFeed,
    pub(crate) facts: BTreeMap<String, String>,
    /// The first of the ports that it exposes; what ingress components are told.
    pub(crate) port: Option<u16>,
    /// Kept for as long as it lives.
    pub(crate) own_uid: Option<OwnUid>,
}

/// How the workload stands when it comes under this task's care.
#[derive(Debug)]
pub(crate) enum Origin {
    Fresh,
    Runs(Link, i32, Vec<nex_sandbox::jail::Wall>),
    /// And how far its output was taken.
    Ended(u64),
    Lost,
}

impl Origin {
    /// For the log.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Runs(..) => "runs",
            Self::Ended(_) => "ended meanwhile",
            Self::Lost => "lost",
        }
    }
}

/// What all workloads of a nexlet share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) kill: CancellationToken,
    /// The nexlet goes, and what runs goes on.
    pub(crate) leave: CancellationToken,
}

/// Takes a workload under care; it runs when this returns, or waits for its next start.
pub(crate) async fn supervise(
    launch: Launch,
    common: Common,
    tasks: &Tasks,
) -> Result<NativeWorkload, LaunchError> {
    let (ready, launched) = oneshot::channel();
    tasks.spawn("native workload", OnFailure::Log, own(launch, common, ready));
    launched.await.unwrap_or_else(|_| Err(io::Error::other("the nexlet is ending").into()))
}

async fn own(
    launch: Launch,
    common: Common,
    ready: oneshot::Sender<Result<NativeWorkload, LaunchError>>,
) {
    let (kill, stop) = (common.kill.child_token(), CancellationToken::new());
    let Launch {
        id,
        folder,
        record,
        order,
        origin,
        policy,
        signal,
        health,
        client,
        logs,
        events,
        facts,
        port,
        own_uid,
    } = launch;
    let grace = policy.grace;
    let life = Life::resumed(policy, record.restarts, Instant::now());
    let usage = ProcessMetrics { restarts: record.restarts.into(), ..ProcessMetrics::default() };
    let seen = watch::Sender::new(Seen {
        phase: life.phase(),
        facts,
        usage,
        is_metered: false,
        ended: None,
    });
    let mut owner = Owner {
        id: id.to_string(),
        folder,
        record,
        order,
        life,
        grace,
        signal,
        health,
        client,
        logs,
        events,
        launcher: common.launcher,
        stop: stop.clone(),
        kill: kill.clone(),
        leave: common.leave.clone(),
        run: None,
        timer: None,
        last: None,
        unhealthy: None,
        seen,
    };
    let effect = match owner.begin(origin).await {
        Ok(effect) => effect,
        Err(error) => {
            owner.clear().await;
            let _caller_left = ready.send(Err(error));
            return;
        }
    };
    let workload = NativeWorkload {
        seen: owner.seen.subscribe(),
        stop,
        port,
        folder: owner.folder.path().to_owned(),
        uid: owner.record.uid,
        // A handle that nobody takes comes back; dropped here and now, it kills.
        _kill: kill.drop_guard(),
        leave: owner.leave.clone(),
    };
    drop(ready.send(Ok(workload)));
    owner.live(effect).await;
    drop(own_uid);
}

/// What the task knows. Its folder stays when it is dropped; it goes only at the end.
struct Owner {
    id: String,
    folder: RunFolder,
    record: Record,
    order: Order,
    life: Life,
    grace: Duration,
    signal: Signal,
    health: Option<Health>,
    client: nex_bus::Client,
    logs: LogFeed,
    events: EventFeed,
    launcher: Arc<Launcher>,
    stop: CancellationToken,
    kill: CancellationToken,
    leave: CancellationToken,
    run: Option<Run>,
    /// The life's only timer.
    timer: Option<(tokio::time::Instant, Event)>,
    /// How the last run ended.
    last: Option<Last>,
    /// Why its probe gave it up lately.
    unhealthy: Option<String>,
    seen: watch::Sender<Seen>,
}

struct Last {
    end: Option<End>,
    output: (String, String),
}

/// Resolves to why it gave the service up.
type Probe = Pin<Box<dyn Future<Output = String> + Send>>;

impl Owner {
    /// The first step, by how the workload stands.
    async fn begin(&mut self, origin: Origin) -> Result<Option<Effect>, LaunchError> {
        match origin {
            Origin::Fresh => {
                self.launch().await?;
                self.folder.keep();
                Ok(self.on(Event::Started))
            }
            Origin::Runs(link, pid, walls) => {
                let (folder, id) = (self.folder.path().to_owned(), self.id.clone());
                self.run = Some(Run::begin(folder, id, Ok(link), self.logs.clone()).await);
                self.show_run(pid, &walls);
                Ok(self.on(Event::Started))
            }
            Origin::Ended(taken) => {
                let (folder, id) = (self.folder.path().to_owned(), self.id.clone());
                self.run = Some(Run::begin(folder, id, Err(taken), self.logs.clone()).await);
                let _it_has_ended = self.on(Event::Started);
                Ok(None)
            }
            Origin::Lost => {
                self.clear().await;
                Ok(self.on(Event::Interrupted))
            }
        }
    }

    /// Does what its life says until that is over.
    async fn live(mut self, mut effect: Option<Effect>) {
        let (mut probe, mut is_asked): (Option<Probe>, bool) = (None, false);
        let mut usage = tokio::time::interval(USAGE_PERIOD);
        usage.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let outcome = loop {
            if let Some(Effect::Settle(outcome)) = effect {
                break outcome;
            }
            if let Some(doing) = effect.take() {
                effect = self.act(doing).await;
                continue;
            }
            self.show();
            self.watch_health(&mut probe);
            let event = tokio::select! {
                // First, since handles are dropped then, and that must kill nobody.
                biased;
                () = self.leave.cancelled() => return,
                told = told(&mut self.run) => match told {
                    Told::Output => { self.pump().await; None }
                    Told::Usage { memory, cpu, pids } => { self.show_usage(memory, cpu, pids); None }
                    Told::Over => self.over().await,
                },
                () = self.kill.cancelled() => break self.force().await,
                () = self.stop.cancelled(), if !is_asked => { is_asked = true; Some(Event::StopAsked) }
                event = due(self.timer) => { self.timer = None; Some(event) }
                why = gone(&mut probe) => {
                    probe = None;
                    self.is_unhealthy(why);
                    Some(Event::Unhealthy)
                }
                _ = usage.tick() => { self.ask_usage().await; None }
            };
            effect = event.and_then(|event| self.on(event));
        };
        self.settle(outcome).await;
    }

    fn on(&mut self, event: Event) -> Option<Effect> {
        if matches!(event, Event::Ended(_) | Event::Interrupted) {
            self.timer = None;
        }
        self.life.on(event, Instant::now(), rand::random())
    }

    async fn act(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Start => return self.start_again().await,
            Effect::Ask => {
                self.show();
                if let Some(run) = &mut self.run {
                    run.signal(self.signal).await;
                }
                self.set_timer(self.grace, Event::GraceOver);
            }
            Effect::Kill => {
                if let Some(run) = &mut self.run {
                    run.kill().await;
                }
            }
            Effect::Watch(time) => self.set_timer(time, Event::TimeOver),
            Effect::Wait(pause) => {
                self.set_timer(pause, Event::PauseOver);
                self.tell_restart(pause).await;
            }
            Effect::Settle(_) => {}
        }
        None
    }

    fn set_timer(&mut self, after: Duration, event: Event) {
        // What lies further ahead than time goes never comes.
        self.timer = tokio::time::Instant::now().checked_add(after).map(|at| (at, event));
    }

    async fn start_again(&mut self) -> Option<Effect> {
        self.show();
        self.clear().await;
        self.record.restarts = self.life.restarts();
        match self.launch().await {
            Ok(()) => {
                self.events.started().await;
                self.on(Event::Started)
            }
            Err(error) => {
                let is_final = matches!(error, LaunchError::Refused { lacks_wall: true, .. });
                let words = with_sources(&error);
                tracing::warn!(workload.id = self.id, error = words, "program not started again");
                let line = format!("the program could not be started: {words}");
                self.logs.line(nex_api::log::Stream::Stderr, "error", line.as_bytes());
                self.last = None;
                self.on(Event::StartFailed { is_final })
            }
        }
    }

    async fn launch(&mut self) -> Result<(), LaunchError> {
        // Of an earlier run; this one must be looked after itself.
        self.last = None;
        let folder = self.folder.path().to_owned();
        let answered = self.launcher.launch(&self.id, &folder, &self.order).await?;
        self.record.missing = answered.missing;
        if let Err(error) = self.folder.note(&self.record) {
            tracing::error!(workload.id = self.id, %error, "record of a workload not written");
        }
        self.run = Some(
            Run::begin(folder, self.id.clone(), answered.link.ok_or(0), self.logs.clone()).await,
        );
        self.show_run(answered.pid, &answered.walls);
        self.seen.send_modify(|seen| seen.is_metered = true);
        Ok(())
    }

    async fn pump(&mut self) {
        if let Some(run) = &mut self.run {
            run.pump().await;
        }
    }

    async fn ask_usage(&mut self) {
        if let Some(run) = &mut self.run {
            run.ask_usage().await;
        }
    }

    /// The run's shim says no more.
    async fn over(&mut self) -> Option<Event> {
        let mut run = self.run.take()?;
        let (end, event) = match run.over().await {
            Over::GoesOn => {
                self.run = Some(run);
                return None;
            }
            Over::Ended(end) => {
                let how = match (end.out_of_memory, end.code) {
                    (_, Some(0)) => How::Success,
                    (true, _) => How::OutOfMemory,
                    (false, _) => How::Failure,
                };
                (Some(end), Event::Ended(how))
            }
            Over::Lost => {
                self.clear().await;
                (None, Event::Interrupted)
            }
        };
        self.show_last_usage(end.as_ref());
        let output = (run.last_output(FEW_BYTES), run.last_output(MANY_BYTES));
        self.last = Some(Last { end, output });
        Some(event)
    }

    /// The nexlet ends without leaving its workloads: nothing is asked.
    async fn force(&mut self) -> Outcome {
        if let Some(run) = &mut self.run {
            run.kill().await;
            let ending = async { while run.told().await != Told::Over {} };
            if tokio::time::timeout(KILL_BOUND, ending).await.is_err() {
                // Its end is not known, so everything of it is looked for and killed.
                tracing::error!(workload.id = self.id, "a shim did not end its program");
                (self.run, self.last) = (None, None);
                return Outcome::Failed(Why::Forced);
            }
            let _event = self.over().await;
        }
        Outcome::Failed(Why::Forced)
    }

    async fn settle(self, outcome: Outcome) {
        self.clear().await;
        let ended = self.ended(outcome);
        let folder = self.folder;
        let removing = move || {
            folder.remove();
            Ok(())
        };
        if let Err(error) = on_disk(removing).await {
            tracing::error!(workload.id = self.id, %error, "folder of a workload not removed");
        }
        self.seen.send_modify(|seen| {
            seen.phase = match outcome {
                Outcome::Stopped => Phase::Stopped,
                Outcome::Completed => Phase::Completed,
                Outcome::Failed(_) => Phase::Failed,
            };
            for fact in ["pid", "memory", "cpu_seconds", "pids", fact::NEXT_START] {
                seen.facts.remove(fact);
            }
            let short = ended.facts.iter().filter(|(name, _)| *name != fact::LAST_OUTPUT);
            seen.facts.extend(short.map(|(name, value)| (name.clone(), value.clone())));
            if let Some(last) = &self.last {
                seen.facts.insert(fact::LAST_OUTPUT.to_owned(), last.output.0.clone());
            }
            seen.ended = Some(ended);
        });
    }

    /// What the event says; see the specification of the control API, section 8.2.
    fn ended(&self, outcome: Outcome) -> Ended {
        let mut facts = self.end_facts();
        if let Some(last) = self.last.as_ref().filter(|last| !last.output.1.is_empty()) {
            facts.insert(fact::LAST_OUTPUT.to_owned(), last.output.1.clone());
        }
        facts.insert(fact::RESTARTS.to_owned(), self.life.restarts().to_string());
        let error = match outcome {
            Outcome::Stopped | Outcome::Completed => None,
            Outcome::Failed(why) => Some(self.error(why)),
        };
        let stays_listed = match outcome {
            Outcome::Stopped | Outcome::Failed(Why::Forced) => false,
            Outcome::Completed | Outcome::Failed(_) => true,
        };
        Ended { error, facts, stays_listed }
    }

    fn error(&self, why: Why) -> StopError {
        let end = self.last.as_ref().and_then(|last| last.end.as_ref());
        let code = end.and_then(|end| end.code).map(|code| code.to_string());
        let message = match why {
            Why::Forced => return StopError { code: String::new(), message: KILLED.to_owned() },
            Why::Ended if code.is_some() => String::new(),
            Why::Ended => end.map_or_else(|| "its end is not known".to_owned(), exit_text),
            Why::OutOfMemory => "it needed more memory than it may have".to_owned(),
            Why::StartFailed => "it could not be started".to_owned(),
            Why::Unhealthy => {
                format!("its health check failed: {}", self.unhealthy.as_deref().unwrap_or("?"))
            }
            Why::TimedOut => "it ran longer than its timeout".to_owned(),
            Why::Interrupted => "its machine was restarted, or its shim was killed".to_owned(),
            Why::TooManyRestarts => {
                let exit = end.map_or_else(|| "not known".to_owned(), exit_text);
                format!("it ended too often and is not started again; its last end: {exit}")
            }
        };
        StopError { code: code.unwrap_or_default(), message }
    }

    fn end_facts(&self) -> BTreeMap<String, String> {
        let end = self.last.as_ref().and_then(|last| last.end.as_ref());
        end.map(|end| (fact::EXIT.to_owned(), exit_text(end))).into_iter().collect()
    }

    async fn tell_restart(&mut self, pause: Duration) {
        let at = Time::now().after(pause).to_string();
        let mut facts = self.end_facts();
        facts.insert(fact::NEXT_START.to_owned(), at);
        facts.insert(fact::RESTARTS.to_owned(), self.life.restarts().to_string());
        self.seen.send_modify(|seen| seen.facts.extend(facts.clone()));
        self.show();
        if let Some(last) = self.last.as_ref().filter(|last| !last.output.0.is_empty()) {
            facts.insert(fact::LAST_OUTPUT.to_owned(), last.output.0.clone());
        }
        let end = self.last.as_ref().and_then(|last| last.end.as_ref());
        let error = end.filter(|end| end.code != Some(0)).map(|end| StopError {
            code: end.code.map(|code| code.to_string()).unwrap_or_default(),
            message: end.code.map_or_else(|| exit_text(end), |_| String::new()),
        });
        self.events.restarting(error, facts).await;
    }

    fn watch_health(&self, probe: &mut Option<Probe>) {
        match (&self.health, self.life.phase()) {
            (Some(health), Phase::Running) if probe.is_none() => {
                let watching = health::watch(health.clone(), self.client.clone());
                *probe = Some(Box::pin(watching));
            }
            (_, Phase::Running) => {}
            _ => *probe = None,
        }
    }

    fn is_unhealthy(&mut self, why: String) {
        tracing::warn!(workload.id = self.id, why, "health check failed");
        let line = format!("health check failed: {why}");
        self.logs.line(nex_api::log::Stream::Stderr, "error", line.as_bytes());
        self.unhealthy = Some(why);
    }

    fn show(&self) {
        let phase = self.life.phase();
        self.seen.send_if_modified(|seen| {
            let differs = seen.phase != phase;
            seen.phase = phase;
            differs
        });
    }

    fn show_run(&self, pid: i32, walls: &[Wall]) {
        let sandbox = walls::text(self.order.plan.isolation, walls);
        let missing = self.record.missing.join("; ");
        // A limit that nobody enforces is none.
        let limit = self.order.plan.limits.memory.filter(|_| walls.contains(&Wall::MemoryLimit));
        self.seen.send_modify(|seen| {
            seen.usage = ProcessMetrics {
                memory_limit_bytes: limit,
                restarts: self.life.restarts().into(),
                ..ProcessMetrics::default()
            };
            seen.facts.remove(fact::NEXT_START);
            let mut add = |name: &str, value: String| seen.facts.insert(name.to_owned(), value);
            add("pid", pid.to_string());
            add(fact::RESTARTS, self.life.restarts().to_string());
            add(fact::SANDBOX, sandbox);
            if !missing.is_empty() {
                add("sandbox_lacks", missing);
            }
        });
    }

    /// A zero is what a shim says of what nobody counts: nothing that runs has no process and no memory.
    fn show_usage(&self, memory: u64, cpu: u64, pids: u64) {
        let known = |n: u64| (n > 0).then_some(n);
        let counted = Duration::from_micros(cpu).as_secs_f64();
        self.seen.send_modify(|seen| {
            // What was added up from /proc may lack a process that just ended; time that was used stays used.
            let cpu_seconds = seen.usage.cpu_seconds.max(counted);
            seen.usage.cpu_seconds = cpu_seconds;
            seen.is_metered = true;
            (seen.usage.memory_bytes, seen.usage.processes) = (known(memory), known(pids));
            let facts = [
                ("memory", known(memory).map(|bytes| bytes.to_string())),
                ("cpu_seconds", (cpu_seconds > 0.0).then(|| format!("{cpu_seconds:.1}"))),
                ("pids", known(pids).map(|n| n.to_string())),
            ];
            for (name, value) in facts {
                match value {
                    Some(value) => drop(seen.facts.insert(name.to_owned(), value)),
                    None => drop(seen.facts.remove(name)),
                }
            }
        });
    }

    /// What is left to say of the usage of a program that has ended.
    fn show_last_usage(&self, end: Option<&End>) {
        self.seen.send_modify(|seen| {
            if let Some(cpu) = end.and_then(|end| end.cpu) {
                let last = Duration::from_micros(cpu).as_secs_f64();
                seen.usage.cpu_seconds = seen.usage.cpu_seconds.max(last);
            }
            seen.is_metered = true;
            (seen.usage.memory_bytes, seen.usage.processes) = (Some(0), Some(0));
        });
    }

    /// Nothing of the last run is left after this.
    async fn clear(&self) {
        let (folder, id) = (self.folder.path().to_owned(), self.id.clone());
        let has_ended = self.last.as_ref().is_some_and(|last| last.end.is_some());
        let clearing = move || {
            // A shim that told the end has ended the rest; only its group may be left.
            let ended = match has_ended {
                true => sweep_group(&group_of(&id)),
                false => shim::end_left(&folder, &id),
            };
            ended.and(shim::clear(&folder))
        };
        if let Err(error) = on_disk(clearing).await {
            tracing::error!(workload.id = self.id, %error, "something of the last run is left");
        }
    }
}

async fn told(run: &mut Option<Run>) -> Told {
    match run {
        Some(run) => run.told().await,
        None => std::future::pending().await,
    }
}

async fn due(timer: Option<(tokio::time::Instant, Event)>) -> Event {
    match timer {
        Some((at, event)) => {
            sleep_until(at).await;
            event
        }
        None => std::future::pending().await,
    }
}

async fn gone(probe: &mut Option<Probe>) -> String {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}
