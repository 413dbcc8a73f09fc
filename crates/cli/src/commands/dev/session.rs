//! A session of work on one file, from its first deploy to the removal of what it deployed.
//!
//! Owns: what follows from a save, a key, and what is heard. Never: waits for a deploy or a reply before it
//! takes the next key.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use crossterm::event::Event;
use nex_api::event::{WORKLOAD_RESTARTING, WORKLOAD_STOPPED, WorkloadStopped};
use nex_api::workload::{StartWorkloadRequest, fact};
use nex_bus::{Client as Nats, Message};
use nex_client::{Client, EventLine, LogRecord};
use tokio::time::{Instant, Interval, interval};

use super::attempt::{Attempt, attempt};
use super::calls::{Caller, Limiter, Request, only, subjects_of};
use super::feeds::{Feeds, Heard};
use super::flow::Flow;
use super::happening::{Call, Copy, Deployed, Happening, NotDeployed, Payload, milliseconds};
use super::keys::{Action, Keys, RawTerminal};
use super::meter::Meter;
use super::ours::Ours;
use super::signals::Signals;
use super::watch::{Change, Watch};
use crate::commands::run::RunArgs;
use crate::error::{CliError, Kind};
use crate::ui;

/// Calls of ours that wait for their replies; more are refused.
const MOST_CALLS: usize = 16;
const SECOND: Duration = Duration::from_secs(1);

type Deploying = Pin<Box<dyn Future<Output = Attempt>>>;

/// What a session works with.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) client: Client,
    /// Where workloads are called.
    pub(super) workloads: Nats,
    pub(super) state_dir: PathBuf,
    pub(super) args: RunArgs,
    pub(super) watch: Watch,
    pub(super) flow: Flow,
    pub(super) terminal: Option<RawTerminal>,
    pub(super) signals: Signals,
}

/// The version that runs.
#[derive(Debug, Default)]
struct Running {
    name: String,
    version: u32,
    ids: Vec<String>,
    subjects: Vec<String>,
}

pub(super) struct Session {
    setup: Setup,
    feeds: Feeds,
    caller: Caller,
    keys: Keys,
    limiter: Limiter,
    meter: Meter,
    ours: Ours,
    tick: Interval,
    deploying: Option<Deploying>,
    /// A save that came while another version was being deployed.
    pending: Option<Instant>,
    running: Option<Running>,
    n_versions: u32,
    last_call: Option<Request>,
    n_calls: usize,
    hides_logs: bool,
}

/// What comes next.
enum Turn {
    Told,
    Key(Event),
    Changed(Change),
    Attempted(Box<Attempt>),
    Heard(Box<Heard>),
    Tick,
}

/// Whether the session goes on.
enum Next {
    GoOn,
    End(Result<(), CliError>),
}

/// Works until somebody ends it; then nothing of it is left.
pub(super) async fn run(setup: Setup) -> Result<(), CliError> {
    let feeds = Feeds::open(&setup.client).await?;
    let caller = Caller::new(setup.workloads.clone());
    let mut session = Session {
        feeds,
        caller,
        setup,
        keys: Keys::default(),
        limiter: Limiter::default(),
        meter: Meter::default(),
        ours: Ours::default(),
        tick: interval(SECOND),
        deploying: None,
        pending: None,
        running: None,
        n_versions: 0,
        last_call: None,
        n_calls: 0,
        hides_logs: false,
    };
    session.deploy(Instant::now());
    let ended = loop {
        let turn = session.turn().await;
        if let Next::End(ended) = session.take(turn).await {
            break ended;
        }
        if !session.setup.flow.is_open() {
            break Ok(());
        }
    };
    let removed = Box::pin(session.end()).await;
    ended.and(removed)
}

impl Session {
    /// Waits for whatever comes first.
    async fn turn(&mut self) -> Turn {
        let Setup { watch, terminal, signals, .. } = &mut self.setup;
        tokio::select! {
            () = signals.recv() => Turn::Told,
            event = next_key(terminal.as_mut()) => Turn::Key(event),
            change = watch.changed() => Turn::Changed(change),
            done = finished(&mut self.deploying) => Turn::Attempted(Box::new(done)),
            heard = self.feeds.next() => Turn::Heard(Box::new(heard)),
            _ = self.tick.tick() => Turn::Tick,
        }
    }

    async fn take(&mut self, turn: Turn) -> Next {
        match turn {
            Turn::Told => return Next::End(Ok(())),
            Turn::Key(event) => return self.key(&event),
            Turn::Changed(Change::Saved(saved)) => self.deploy(saved),
            Turn::Changed(Change::Gone(file)) => {
                let file = file.display().to_string();
                self.setup.flow.show(&Happening::FileGone { file });
            }
            Turn::Attempted(attempt) => return self.attempted(*attempt).await,
            Turn::Heard(heard) => self.hear(*heard),
            Turn::Tick => {
                if let Some(calls) = self.limiter.held() {
                    self.setup.flow.show(&Happening::CallsNotShown { calls });
                }
            }
        }
        Next::GoOn
    }

    /// Deploys what the file has now, or after what is being deployed.
    fn deploy(&mut self, saved: Instant) {
        if self.deploying.is_some() {
            self.pending = Some(saved);
            return;
        }
        let Setup { client, state_dir, args, .. } = &self.setup;
        let known = self.ours.names();
        self.deploying =
            Some(Box::pin(attempt(client.clone(), state_dir.clone(), args.clone(), known, saved)));
    }

    /// Takes in what came of a deploy.
    async fn attempted(&mut self, attempt: Attempt) -> Next {
        self.take_in(&attempt);
        match attempt.result {
            Ok(done) => {
                let request = done.request().clone();
                match done.already() {
                    Some(workload) => self.runs_already(&request, &workload.id),
                    None => {
                        let copies = done.placed().iter().map(|placed| Copy {
                            id: placed.response.id.clone(),
                            node: placed.node.clone(),
                        });
                        let warnings =
                            done.placed().iter().flat_map(|p| p.response.warnings.clone());
                        let (copies, warnings) = (copies.collect(), warnings.collect());
                        self.runs(&request, copies, done.n_replaced(), attempt.saved, warnings);
                    }
                }
                self.retire_other_names(&request.name).await;
            }
            Err(error) => {
                // What nobody but the user can mend ends the first deploy, as it ends `nex run`.
                if self.n_versions == 0
                    && error.kind != Kind::Failed
                    && error.kind != Kind::TimedOut
                {
                    return Next::End(Err(error));
                }
                self.setup.watch.forget();
                let still = self.running.as_ref().map(|running| running.version);
                self.setup.flow.show(&Happening::NotDeployed(NotDeployed::new(error, still)));
                if self.n_versions == 0 {
                    self.tell_keys();
                }
            }
        }
        if let Some(saved) = self.pending.take() {
            self.deploy(saved);
        }
        Next::GoOn
    }

    /// What is known whether it succeeded or not.
    fn take_in(&mut self, attempt: &Attempt) {
        self.setup.watch.turn_to(attempt.files.clone());
        if let Some((name, version)) = &attempt.asked_for {
            if !self.ours.knows(name) {
                self.ours.begin(name, attempt.before.iter().cloned());
            }
            self.ours.asked_for(name, version);
        }
    }

    fn runs(
        &mut self,
        request: &StartWorkloadRequest,
        copies: Vec<Copy>,
        replaced: usize,
        saved: Instant,
        warnings: Vec<String>,
    ) {
        let is_first = self.n_versions == 0;
        self.n_versions += 1;
        let ids: Vec<String> = copies.iter().map(|copy| copy.id.clone()).collect();
        ids.iter().for_each(|id| self.ours.started(&request.name, id));
        self.meter.begin(ids.iter().cloned());
        self.now_runs(request, ids, self.n_versions);
        self.setup.flow.show(&Happening::Deployed(Deployed {
            name: request.name.clone(),
            version: self.n_versions,
            kind: request.workload_type.clone(),
            lifecycle: request.workload_lifecycle.to_string(),
            workloads: copies,
            replaced,
            milliseconds: milliseconds(saved.elapsed()),
            warnings,
        }));
        if is_first {
            self.tell_keys();
        }
    }

    /// A broken file was mended into what runs, or what runs was there before us.
    fn runs_already(&mut self, request: &StartWorkloadRequest, id: &str) {
        let version = self.running.as_ref().filter(|running| running.ids.iter().any(|i| i == id));
        let (name, version) = (request.name.clone(), version.map(|running| running.version));
        let is_first = self.n_versions == 0;
        if version.is_none() {
            self.n_versions += 1;
            self.meter.begin([]);
            self.now_runs(request, vec![id.to_owned()], self.n_versions);
        }
        self.setup.flow.show(&Happening::AlreadyRunning { name, id: id.to_owned(), version });
        if is_first {
            self.tell_keys();
        }
    }

    fn now_runs(&mut self, request: &StartWorkloadRequest, ids: Vec<String>, version: u32) {
        let subjects = subjects_of(request);
        let is_observed = self.running.as_ref().is_some_and(|running| running.subjects == subjects);
        if !is_observed {
            self.feeds.observe(&self.setup.workloads, subjects.clone());
        }
        self.running = Some(Running { name: request.name.clone(), version, ids, subjects });
    }

    /// A Nexfile that changed the name leaves the old one behind. Keys wait meanwhile; it is rare.
    async fn retire_other_names(&mut self, name: &str) {
        for other in self.ours.names().into_iter().filter(|other| other != name) {
            match self.ours.remove(&self.setup.client, &other).await {
                Ok(ids) => self.setup.flow.show(&Happening::Removed { name: other, ids }),
                Err(error) => {
                    let still = self.running.as_ref().map(|running| running.version);
                    self.setup.flow.show(&Happening::NotDeployed(NotDeployed::new(error, still)));
                }
            }
        }
    }

    fn key(&mut self, event: &Event) -> Next {
        let action = self.keys.decide(event);
        match action {
            Action::Quit => return Next::End(Ok(())),
            Action::Nothing => {}
            Action::Ask | Action::Edited | Action::Dismiss => self.draw_line(),
            Action::Send(line) => {
                self.draw_line();
                let subjects = self.running.as_ref().map(|running| running.subjects.as_slice());
                match Request::typed(&line, only(subjects.unwrap_or_default())) {
                    Ok(request) => self.call(request),
                    Err(error) => self.remark(error.message),
                }
            }
            Action::Repeat => match self.last_call.clone() {
                Some(request) => self.call(request),
                None => self.remark("no call was made or seen yet; c makes one".to_owned()),
            },
            Action::ToggleLogs => {
                self.hides_logs = !self.hides_logs;
                let state = if self.hides_logs { "hidden" } else { "shown" };
                self.remark(format!("logs are {state} from now on; l changes it"));
            }
            Action::Help => self.tell_keys(),
        }
        Next::GoOn
    }

    /// The question of `c` with what is typed, or none.
    fn draw_line(&mut self) {
        let subjects = self.running.as_ref().map(|running| running.subjects.as_slice());
        let question = match only(subjects.unwrap_or_default()) {
            Some(subject) => format!("send to {subject} (@file, Esc):"),
            None => "SUBJECT PAYLOAD (Esc):".to_owned(),
        };
        self.setup.flow.ask(&question, self.keys.line());
    }

    fn call(&mut self, request: Request) {
        if self.n_calls >= MOST_CALLS {
            return self.remark(format!("{MOST_CALLS} calls wait for their replies already"));
        }
        self.n_calls += 1;
        self.meter.ours();
        let (subject, payload) = (request.subject.clone(), Payload::of(&request.payload));
        self.setup.flow.show(&Happening::Call(Call { subject, ours: true, payload }));
        self.last_call = Some(request.clone());
        let answer = self.caller.call(request);
        self.feeds.answer(answer);
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Answer(answer) => {
                self.n_calls -= 1;
                self.setup.flow.show(&answer);
            }
            Heard::Log(record) => self.hear_log(record),
            Heard::Event(event) => self.hear_event(&event),
            Heard::Counted(metrics) => {
                let runs = |running: &Running| running.ids.contains(&metrics.id);
                if self.running.as_ref().is_some_and(runs)
                    && let Some(counted) = self.meter.read(*metrics)
                {
                    self.setup.flow.show(&counted);
                }
            }
            Heard::Call(message) => self.hear_call(message),
        }
    }

    fn hear_log(&mut self, record: LogRecord) {
        if self.hides_logs || !self.ours.concerns(record.name.as_deref(), &record.workload_id) {
            return;
        }
        let payload = Payload::of(&record.bytes);
        let LogRecord { level, stream, workload_id: id, .. } = record;
        self.setup.flow.show(&Happening::Log { level, stream, id, payload });
    }

    /// What ends while it is being replaced ends as it should.
    fn hear_event(&mut self, event: &EventLine) {
        let starts_again = event.kind == WORKLOAD_RESTARTING;
        if self.deploying.is_some() || !(starts_again || event.kind == WORKLOAD_STOPPED) {
            return;
        }
        let Ok(ended) = serde_json::from_value::<WorkloadStopped>(event.payload.clone()) else {
            return;
        };
        let Some(running) = &mut self.running else { return };
        if !running.ids.contains(&ended.id) {
            return;
        }
        let name = running.name.clone();
        if !starts_again {
            running.ids.retain(|id| *id != ended.id);
            if running.ids.is_empty() {
                self.running = None;
                self.feeds.observe_nothing();
                self.setup.watch.forget();
            }
        }
        let said = ended.error.map(|error| error.message).filter(|message| !message.is_empty());
        let why = said.or_else(|| ended.metadata.get(fact::EXIT).cloned());
        self.setup.flow.show(&Happening::Ended { name, id: ended.id, why, starts_again });
    }

    fn hear_call(&mut self, message: Message) {
        if self.caller.is_ours(&message) {
            return;
        }
        let request = Request::seen(message);
        if self.limiter.admits(Instant::now()) {
            let (subject, payload) = (request.subject.clone(), Payload::of(&request.payload));
            self.setup.flow.show(&Happening::Call(Call { subject, ours: false, payload }));
        }
        self.last_call = Some(request);
    }

    fn remark(&mut self, text: String) {
        self.setup.flow.show(&Happening::Remark { text });
    }

    fn tell_keys(&mut self) {
        if self.setup.terminal.is_none() {
            return ui::note(
                "following the file, its logs and its calls; Ctrl-C ends it and removes what it deployed",
            );
        }
        let name = self.running.as_ref().map_or("it", |running| running.name.as_str());
        self.remark(format!(
            "c calls {name} · r calls again as before · l hides or shows logs · q quits and removes it"
        ));
    }

    /// Removes what was deployed; told a second time, it gives up.
    async fn end(mut self) -> Result<(), CliError> {
        self.feeds.observe_nothing();
        self.setup.flow.ask("", None);
        let names = self.ours.names().join(" ");
        let Self { setup, deploying, mut ours, .. } = self;
        let Setup { client, mut flow, mut terminal, mut signals, .. } = setup;
        let removing = async {
            if let Some(deploying) = deploying
                && let Some((name, version)) = deploying.await.asked_for
            {
                ours.asked_for(&name, &version);
            }
            for name in ours.names() {
                let ids = ours.remove(&client, &name).await?;
                flow.show(&Happening::Removed { name, ids });
            }
            Ok(())
        };
        let told_again = async {
            tokio::select! {
                () = signals.recv() => {}
                () = until_quit(terminal.as_mut()) => {}
            }
        };
        let removed = tokio::select! {
            removed = removing => removed,
            () = told_again => Err(CliError::other("ended before it was removed")),
        };
        removed.map_err(|error: CliError| match names.is_empty() {
            true => error,
            false => CliError { hint: None, ..error }.hint(format!("nex stop {names}")),
        })
    }
}

async fn next_key(terminal: Option<&mut RawTerminal>) -> Event {
    match terminal {
        Some(terminal) => terminal.next().await,
        None => std::future::pending().await,
    }
}

async fn until_quit(mut terminal: Option<&mut RawTerminal>) {
    let mut keys = Keys::default();
    while keys.decide(&next_key(terminal.as_deref_mut()).await) != Action::Quit {}
}

async fn finished(deploying: &mut Option<Deploying>) -> Attempt {
    let Some(future) = deploying else { return std::future::pending().await };
    let attempt = future.await;
    *deploying = None;
    attempt
}
