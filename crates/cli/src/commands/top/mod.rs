//! `nex top`: nodes and workloads on a screen that stays up to date.
//!
//! Owns: the loop of keys, news and drawing. Never: shows what nobody told; that is `–`.
//!
//! ```text
//! keys ──► keys.rs ──► effects (quit, follow, stop, clone) ──► feed.rs, act.rs
//!             │                                                  │
//!             ▼                                                  ▼
//!          state.rs ◄──────────────── news ◄─────────────────────┘
//!             │
//!             ▼
//!          screen/   draws the state, at most ten times a second
//! ```

mod act;
mod detail;
mod feed;
mod keys;
mod meter;
mod order;
mod screen;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use crossterm::event::{Event, KeyEventKind};
use nex_api::Time;
use nex_bus::connect;
use nex_client::Client;
use nex_sandbox::{OnFailure, Tasks};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use self::keys::Effect;
use self::screen::{Theme, View};
use self::state::{Moment, News, Setting, State};
use self::terminal::Canvas;
use crate::args::Globals;
use crate::commands::signals::Signals;
use crate::error::CliError;
use crate::ui;

/// News that come faster are drawn together; keys are drawn at once.
const FRAME: Duration = Duration::from_millis(100);
/// The screen is drawn so often without news.
const IDLE: Duration = Duration::from_secs(1);
/// Background tasks obey within this, or end with the process.
const SHUTDOWN: Duration = Duration::from_millis(500);
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(3600);

/// Watch nodes and workloads on a screen that stays up to date
///
/// Rates and percentiles are those between the last two readings that a workload's nexlet sent, every
/// five seconds; what is not known is shown as –. Press ? for the keys.
///
///   nex top
///   nex top -A --interval 2s     all namespaces, drawn anew every two seconds
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct TopArgs {
    /// In all namespaces that one may see
    #[arg(short = 'A', long)]
    all: bool,
    /// How often to look again, from 500ms to 1h
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    interval: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = crate::args::duration(text)?;
    match (SHORTEST..=LONGEST).contains(&interval) {
        true => Ok(interval),
        false => Err("not between 500ms and 1h".to_owned()),
    }
}

pub(crate) async fn run(globals: Globals, args: TopArgs) -> Result<(), CliError> {
    must_be_on_a_terminal(&globals)?;
    let globals = if args.all {
        Globals { namespace: Some("system".to_owned()), ..globals }
    } else {
        globals
    };
    let (namespace, settings) = (globals.namespace()?, globals.settings()?);
    let client = Client::new(connect(&settings).await?, namespace);
    let setting = Setting {
        namespace: client.namespace().to_string(),
        is_system: client.is_system(),
        server: settings.servers_text(),
        interval: args.interval,
    };
    let tasks = Tasks::new();
    let outcome = Top::start(client, setting, tasks.clone())?.run().await;
    tasks.shutdown(SHUTDOWN).await;
    outcome
}

fn must_be_on_a_terminal(globals: &Globals) -> Result<(), CliError> {
    let why = match globals.json {
        true => "nex top draws on a terminal, and prints no JSON",
        false if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() => return Ok(()),
        false => "nex top draws on a terminal, and there is none",
    };
    Err(CliError::usage(why).hint("once, as data: nex ls --json   nex nodes --json"))
}

/// All that the loop holds.
struct Top {
    state: State,
    theme: Theme,
    begin: Instant,
    client: Client,
    tasks: Tasks,
    /// Looks at the lists at once.
    now: Arc<Notify>,
    sender: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    /// Ends the reading of one workload's lines and events.
    following: Option<CancellationToken>,
}

impl Top {
    fn start(client: Client, setting: Setting, tasks: Tasks) -> Result<Self, CliError> {
        let size = terminal::size().map_err(|error| broken(&error))?;
        let (sender, news) = mpsc::channel(feed::WAITING);
        let now = Arc::new(Notify::new());
        let interval = setting.interval;
        let top = Self {
            state: State::new(setting, size),
            theme: Theme::new(ui::wants_colour()),
            begin: Instant::now(),
            client,
            tasks,
            now,
            sender,
            news,
            following: None,
        };
        let watch =
            feed::watch(top.client.clone(), interval, Arc::clone(&top.now), top.sender.clone());
        top.spawn("lists", top.tasks.token(), watch);
        top.spawn(
            "metrics",
            top.tasks.token(),
            feed::count(top.client.clone(), top.sender.clone()),
        );
        Ok(top)
    }

    fn spawn(
        &self,
        name: &'static str,
        token: CancellationToken,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn_until(token, name, OnFailure::Log, future);
    }

    /// Until a key or a signal ends it, or the terminal is gone.
    async fn run(mut self) -> Result<(), CliError> {
        let mut signals = Signals::listen(true)?;
        let mut canvas = Canvas::open().map_err(|error| broken(&error))?;
        let mut events = terminal::keys().map_err(|error| broken(&error))?;
        // When the screen is to be drawn next.
        let mut due = tokio::time::Instant::now();
        loop {
            if terminal::has_panicked() {
                return Err(CliError::other("nex top met an error of its own, told above"));
            }
            tokio::select! {
                biased;
                () = signals.recv() => return Ok(()),
                event = events.recv() => {
                    let Some(event) = event else { return Ok(()) };
                    if let Some(Effect::Quit) = self.event(&event) {
                        return Ok(());
                    }
                    due = tokio::time::Instant::now();
                }
                () = tokio::time::sleep_until(due) => {
                    // Uptimes go on, and a task that died is noticed.
                    due = tokio::time::Instant::now() + IDLE;
                    if terminal::has_panicked() {
                        continue;
                    }
                    let (state, at, theme) = (&self.state, self.moment(), self.theme);
                    canvas.draw(&View { state, at, theme }).map_err(|error| broken(&error))?;
                }
                Some(news) = self.news.recv() => {
                    let at = self.moment();
                    if self.state.apply(news, &at) {
                        due = due.min(tokio::time::Instant::now() + FRAME);
                    }
                }
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment { clock: self.begin.elapsed(), time: Time::now() }
    }

    fn event(&mut self, event: &Event) -> Option<Effect> {
        let at = self.moment();
        match event {
            Event::Resize(columns, rows) => self.state.size = (*columns, *rows),
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                let effect = keys::press(&mut self.state, *key, &at)?;
                self.cause(&effect);
                return Some(effect);
            }
            _ => {}
        }
        None
    }

    fn cause(&mut self, effect: &Effect) {
        match effect {
            Effect::Quit => {}
            Effect::Follow(workload) => {
                let token = self.tasks.token().child_token();
                let (client, sender) = (self.client.clone(), self.sender.clone());
                let follow = feed::follow(client, Arc::clone(workload), sender);
                self.spawn("follow", token.clone(), follow);
                self.follow(Some(token));
            }
            Effect::Unfollow => self.follow(None),
            Effect::Act(action, workload) => {
                let (client, sender, now) =
                    (self.client.clone(), self.sender.clone(), Arc::clone(&self.now));
                let (action, workload) = (*action, Arc::clone(workload));
                let work = async move {
                    let done = act::act(&client, action, &workload).await;
                    // Without a reader, the program is about to end.
                    let _ends = sender.send(News::Done(done)).await;
                    now.notify_one();
                };
                self.spawn("act", self.tasks.token(), work);
            }
        }
    }

    fn follow(&mut self, token: Option<CancellationToken>) {
        if let Some(before) = std::mem::replace(&mut self.following, token) {
            before.cancel();
        }
    }
}

fn broken(error: &std::io::Error) -> CliError {
    CliError::other(format!("the terminal cannot be used: {error}"))
        .hint("without a screen: nex ls   nex nodes")
}
