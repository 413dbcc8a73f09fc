//! A session of work on one file, from its first deploy to the removal of what it deployed.
//!
//! Owns: what follows from a save; from keys and from what is heard see `react`. Never: waits for a deploy or a reply before it
//! takes the next key.

mod react;

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use crossterm::event::Event;
use nex_api::workload::StartWorkloadRequest;
use nex_bus::Client as Nats;
use nex_client::Client;
use tokio::time::{Instant, Interval, interval};

use super::attempt::{Attempt, attempt};
use super::calls::{Caller, Limiter, Request, subjects_of};
use super::feeds::{Feeds, Heard};
use super::flow::Flow;
use super::happening::{Copy, Deployed, Happening, NotDeployed, milliseconds};
use super::keys::{Action, Keys, RawTerminal};
use super::meter::Meter;
use super::ours::Ours;
use super::watch::{Change, Watch};
use crate::commands::run::{Fulfilled, Newest, Placed, RunArgs};
use crate::commands::signals::Signals;
use crate::error::{CliError, Kind};
use crate::ui;

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
    /// Uploads of all saves stay until the end: looking for what needs them takes longer than a deploy.
    newest: Option<Newest>,
    /// A save that came while another version was being deployed.
    pending: Option<Instant>,
    running: Option<Running>,
    n_versions: u32,
    last_call: Option<Request>,
    n_calls: usize,
    hides_logs: bool,
    /// Whether a deploy has ended, well or not.
    has_tried: bool,
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
        newest: None,
        pending: None,
        running: None,
        n_versions: 0,
        last_call: None,
        n_calls: 0,
        hides_logs: false,
        has_tried: false,
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
        let is_first = !std::mem::replace(&mut self.has_tried, true);
        match attempt.result {
            Ok(done) => self.succeeded(&done, attempt.took).await,
            // What nobody but the user can mend ends the first deploy, as it ends `nex run`.
            Err(error) if is_first && !matches!(error.kind, Kind::Failed | Kind::TimedOut) => {
                return Next::End(Err(error));
            }
            Err(error) => self.failed(error),
        }
        if is_first {
            self.tell_keys();
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
            self.ours.asked_for(name, started(attempt, version), &attempt.before);
        }
    }

    async fn succeeded(&mut self, done: &Fulfilled, took: Duration) {
        let request = done.request();
        match done.already() {
            Some(workload) => self.runs_already(request, &workload.id).await,
            None => self.runs(done, took).await,
        }
        self.retire_other_names(&request.name).await;
    }

    fn failed(&mut self, error: CliError) {
        self.setup.watch.forget();
        let still = self.running.as_ref().map(|_| self.n_versions);
        self.setup.flow.show(&Happening::NotDeployed(NotDeployed::new(error, still)));
    }

    async fn runs(&mut self, done: &Fulfilled, took: Duration) {
        let (request, placed) = (done.request(), done.placed());
        self.newest = done.newest();
        let replaces_others = !self.ours.has_started(&request.name);
        let ids: Vec<String> = placed.iter().map(|placed| placed.response.id.clone()).collect();
        ids.iter().for_each(|id| self.ours.started(&request.name, id));
        self.meter.begin(ids.iter().cloned());
        self.now_runs(request, ids).await;
        let copy =
            |placed: &Placed| Copy { id: placed.response.id.clone(), node: placed.node.clone() };
        self.setup.flow.show(&Happening::Deployed(Deployed {
            name: request.name.clone(),
            version: self.n_versions,
            kind: request.workload_type.clone(),
            lifecycle: request.workload_lifecycle.to_string(),
            workloads: placed.iter().map(copy).collect(),
            replaced: done.n_replaced(),
            replaces_others,
            milliseconds: milliseconds(took),
            warnings: placed.iter().flat_map(|placed| placed.response.warnings.clone()).collect(),
        }));
    }

    /// A broken file was mended into what runs, or what runs was there before us.
    async fn runs_already(&mut self, request: &StartWorkloadRequest, id: &str) {
        let is_it = |running: &&Running| running.ids.iter().any(|ours| ours == id);
        let version = self.running.as_ref().filter(is_it).map(|_| self.n_versions);
        if version.is_none() {
            self.meter.begin([]);
            self.now_runs(request, vec![id.to_owned()]).await;
        }
        let name = request.name.clone();
        self.setup.flow.show(&Happening::AlreadyRunning { name, id: id.to_owned(), version });
    }

    async fn now_runs(&mut self, request: &StartWorkloadRequest, ids: Vec<String>) {
        self.n_versions += 1;
        let subjects = subjects_of(request);
        let is_observed = self.running.as_ref().is_some_and(|running| running.subjects == subjects);
        if !is_observed {
            self.feeds.observe(&self.setup.workloads, &subjects).await;
        }
        self.running = Some(Running { name: request.name.clone(), ids, subjects });
    }

    /// A Nexfile that changed the name leaves the old one behind. Keys wait meanwhile; it is rare.
    async fn retire_other_names(&mut self, name: &str) {
        for other in self.ours.names().into_iter().filter(|other| other != name) {
            match self.ours.remove(&self.setup.client, &other).await {
                Ok(ids) if ids.is_empty() => {}
                Ok(ids) => self.setup.flow.show(&Happening::Removed { name: other, ids }),
                Err(error) => ui::note(format_args!(
                    "{other} was not removed: {}; try: nex stop {other}",
                    ui::harmless(&error.message)
                )),
            }
        }
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
        let Self { setup, deploying, newest, mut ours, .. } = self;
        let Setup { client, mut flow, mut terminal, mut signals, .. } = setup;
        let removing = async {
            if let Some(deploying) = deploying {
                let attempt = deploying.await;
                if let Some((name, version)) = &attempt.asked_for {
                    ours.asked_for(name, started(&attempt, version), &attempt.before);
                }
            }
            let mut failed = Ok(());
            for name in ours.names() {
                match ours.remove(&client, &name).await {
                    // What runs no more was told of when it ended.
                    Ok(ids) if ids.is_empty() => {}
                    Ok(ids) => flow.show(&Happening::Removed { name, ids }),
                    Err(error) => {
                        let hint = Some(format!("nex stop {name}"));
                        failed = failed.and(Err(CliError { hint, ..error }));
                    }
                }
            }
            if let Some(newest) = newest {
                newest.prune(&client).await;
            }
            failed
        };
        let told_again = async {
            tokio::select! {
                () = signals.recv() => {}
                () = until_quit(terminal.as_mut()) => {}
            }
        };
        tokio::select! {
            removed = removing => removed,
            () = told_again => Err(CliError::other("ended before what it deployed was removed")
                .hint("see what runs: nex ls")),
        }
    }
}

/// The version, if something of it was to be started.
fn started<'a>(attempt: &Attempt, version: &'a str) -> Option<&'a str> {
    let ran = attempt.result.as_ref().is_ok_and(|done| done.already().is_some());
    (!ran).then_some(version)
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
