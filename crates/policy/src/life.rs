//! The life of one service or job.
//!
//! Owns: what follows from what happens to a program: whether it is asked, killed, started again and
//! after which pause, and when it is over. Never: starts, signals or waits; time and chance come in.
//!
//! ```text
//!              Started               StopAsked, Unhealthy, TimeOver: Ask
//! ──► Starting ──────► Running ─────────────────────────────────────────► Stopping ─┐ GraceOver:
//!       ▲  │              │                                                 │  ▲────┘   Kill
//!       │  │ StartFailed  │ Ended, Interrupted            Ended, Interrupted │
//!       │  ▼              ▼                                                 ▼
//!       │  ·──────────────·───────── what does the policy say? ─────────────·──► Settled:
//!       │                                    │ again: Wait                         Completed, Stopped
//!       └───────────────────────────── Restarting ──────── StopAsked ──────────►   or Failed(why)
//!            PauseOver: Start
//! ```
//!
//! A stop that is asked for while the program is starting is kept until it has, and then becomes `Ask`.
//!
//! The driver has **one** timer. `Ask`, `Wait` and `Watch` set it anew, and the end of a program drops
//! it. The first program is started by whoever makes the life; every other one by [`Effect::Start`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A program that ran this long starts again after the shortest pause.
const STEADY: Duration = Duration::from_secs(60);

/// What a life goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// A service is to run always, a job to its end once.
    pub kind: Kind,
    /// When to start again what ended by itself.
    pub restart: RestartWhen,
    /// So many restarts within `window` are allowed; a job's retries.
    pub max: u32,
    /// Restarts that lie further back do not count. A job has `Duration::MAX` here.
    pub window: Duration,
    /// The pause before the first restart; it doubles while programs end soon.
    pub backoff_first: Duration,
    /// The longest pause.
    pub backoff_longest: Duration,
    /// How long one attempt of a job may run.
    pub timeout: Option<Duration>,
    /// Between [`Effect::Ask`] and [`Event::GraceOver`].
    pub grace: Duration,
}

/// What a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It runs until it is told to stop.
    Service,
    /// It runs to its end once.
    Job,
}

/// When a program that ended by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartWhen {
    /// Whatever its end; for a job the same as `OnFailure`, since one that succeeded is done.
    Always,
    /// When it failed.
    OnFailure,
    /// Not at all.
    Never,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The program runs.
    Started,
    /// It could not be started; `is_final` when another attempt would fail alike.
    StartFailed {
        /// Trying again is of no use.
        is_final: bool,
    },
    /// The program and all that it started are gone.
    Ended(How),
    /// Its health probe gave it up.
    Unhealthy,
    /// Somebody wants it to stop.
    StopAsked,
    /// The time since [`Effect::Ask`] is over.
    GraceOver,
    /// The time since [`Effect::Watch`] is over.
    TimeOver,
    /// The time since [`Effect::Wait`] is over.
    PauseOver,
    /// The program is gone, but not by its own doing: its machine restarted, or its shim was killed.
    Interrupted,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Exit code 0.
    Success,
    /// Another exit code, or a signal.
    Failure,
    /// The kernel killed it for its memory.
    OutOfMemory,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Start the program again.
    Start,
    /// Send the stop signal; [`Event::GraceOver`] after the policy's grace.
    Ask,
    /// Kill the whole tree.
    Kill,
    /// [`Event::PauseOver`] after this.
    Wait(Duration),
    /// [`Event::TimeOver`] after this.
    Watch(Duration),
    /// It is over, and no effect follows.
    Settle(Outcome),
}

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody asked it to, and it did.
    Stopped,
    /// By itself, with success.
    Completed,
    /// It should have gone on.
    Failed(Why),
}

/// Why a life failed. Of a job: why its last attempt did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The program ended without success.
    Ended,
    /// It needed more memory than it may have.
    OutOfMemory,
    /// It could not be started.
    StartFailed,
    /// Its health probe gave it up.
    Unhealthy,
    /// A job ran too long.
    TimedOut,
    /// Its machine restarted, or its shim was killed.
    Interrupted,
    /// A service was started again as often as it may be.
    TooManyRestarts,
    /// It was asked to stop, did not within the grace, and was killed.
    Forced,
}

/// Where a life is, for those who look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the drawing above says it")]
pub enum Phase {
    Starting,
    Running,
    Stopping,
    Restarting,
    Stopped,
    Completed,
    Failed,
}

impl Phase {
    /// The word in a workload's `metadata.phase`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// The life of one service or job.
#[derive(Debug, Clone)]
pub struct Life {
    policy: Policy,
    state: State,
    /// When it was started again lately; never more than `policy.max`.
    recent: VecDeque<Instant>,
    restarts: u32,
    /// The latest pause, without its jitter.
    pause: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting {
        is_stop_asked: bool,
    },
    Running {
        since: Instant,
    },
    Stopping(Stopping),
    /// `at` is `None` when the pause is longer than time goes.
    Restarting {
        at: Option<Instant>,
    },
    Settled(Outcome),
}

/// A program that was asked to stop, and maybe killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stopping {
    /// Since when it has run.
    since: Instant,
    reason: Reason,
    is_killed: bool,
}

/// Why a program was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Wanted,
    Failing(Why),
}

impl Life {
    /// A life whose first program is being started by the caller.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let state = State::Starting { is_stop_asked: false };
        Self { policy, state, recent: VecDeque::new(), restarts: 0, pause: None }
    }

    /// Likewise, of a program that somebody else had started again so often. Earlier restarts do not
    /// count towards the policy's `max` of a service; those of a job do.
    #[must_use]
    pub fn resumed(policy: Policy, restarts: u32, now: Instant) -> Self {
        let n_recent = match policy.kind {
            Kind::Service => 0,
            Kind::Job => restarts.min(policy.max),
        };
        let recent = (0..n_recent).map(|_| now).collect();
        Self { recent, restarts, ..Self::new(policy) }
    }

    /// What follows from an event. `jitter` is a number from 0 to 1, drawn anew each time.
    #[must_use]
    pub fn on(&mut self, event: Event, now: Instant, jitter: f64) -> Option<Effect> {
        match self.state {
            State::Starting { is_stop_asked } => self.starting(is_stop_asked, event, now, jitter),
            State::Running { since } => self.running(since, event, now, jitter),
            State::Stopping(stopping) => self.stopping(stopping, event, now, jitter),
            State::Restarting { at } => self.restarting(at, event, now),
            State::Settled(_) => None,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Starting { is_stop_asked: false } => Phase::Starting,
            State::Running { .. } => Phase::Running,
            State::Starting { is_stop_asked: true } | State::Stopping(_) => Phase::Stopping,
            State::Restarting { .. } => Phase::Restarting,
            State::Settled(Outcome::Stopped) => Phase::Stopped,
            State::Settled(Outcome::Completed) => Phase::Completed,
            State::Settled(Outcome::Failed(_)) => Phase::Failed,
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self.state {
            State::Settled(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// How often it was started again.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// When it will be, while that is waited for.
    #[must_use]
    pub fn next_start(&self) -> Option<Instant> {
        match self.state {
            State::Restarting { at } => at,
            _ => None,
        }
    }

    fn starting(
        &mut self,
        is_stop_asked: bool,
        event: Event,
        now: Instant,
        jitter: f64,
    ) -> Option<Effect> {
        match event {
            Event::Started if is_stop_asked => self.ask(now, Reason::Wanted),
            Event::Started => {
                self.state = State::Running { since: now };
                self.policy.timeout.map(Effect::Watch)
            }
            Event::StopAsked => {
                self.state = State::Starting { is_stop_asked: true };
                None
            }
            Event::StartFailed { .. } | Event::Ended(_) | Event::Interrupted if is_stop_asked => {
                self.settle(Outcome::Stopped)
            }
            Event::StartFailed { is_final: true } => self.settle(Outcome::Failed(Why::StartFailed)),
            Event::StartFailed { is_final: false } => {
                self.failed(Why::StartFailed, Duration::ZERO, now, jitter)
            }
            // So short a life that its start was not told.
            Event::Ended(_) | Event::Interrupted => self.running(now, event, now, jitter),
            _ => None,
        }
    }

    fn running(
        &mut self,
        since: Instant,
        event: Event,
        now: Instant,
        jitter: f64,
    ) -> Option<Effect> {
        let ran = now.saturating_duration_since(since);
        match event {
            Event::StopAsked => self.ask(now, Reason::Wanted),
            Event::Unhealthy => self.ask(now, Reason::Failing(Why::Unhealthy)),
            Event::TimeOver if self.policy.timeout.is_some() => {
                self.ask(now, Reason::Failing(Why::TimedOut))
            }
            Event::Ended(How::Success) => match (self.policy.kind, self.policy.restart) {
                (Kind::Service, RestartWhen::Always) => self.failed(Why::Ended, ran, now, jitter),
                _ => self.settle(Outcome::Completed),
            },
            Event::Ended(How::Failure) => self.failed(Why::Ended, ran, now, jitter),
            Event::Ended(How::OutOfMemory) => self.failed(Why::OutOfMemory, ran, now, jitter),
            Event::Interrupted => self.failed(Why::Interrupted, ran, now, jitter),
            _ => None,
        }
    }

    fn stopping(
        &mut self,
        stopping: Stopping,
        event: Event,
        now: Instant,
        jitter: f64,
    ) -> Option<Effect> {
        match event {
            Event::StopAsked => {
                self.state = State::Stopping(Stopping { reason: Reason::Wanted, ..stopping });
                None
            }
            Event::GraceOver if !stopping.is_killed => {
                self.state = State::Stopping(Stopping { is_killed: true, ..stopping });
                Some(Effect::Kill)
            }
            Event::Ended(_) | Event::Interrupted => match stopping.reason {
                Reason::Wanted if stopping.is_killed => self.settle(Outcome::Failed(Why::Forced)),
                Reason::Wanted => self.settle(Outcome::Stopped),
                Reason::Failing(why) => {
                    let ran = now.saturating_duration_since(stopping.since);
                    self.failed(why, ran, now, jitter)
                }
            },
            _ => None,
        }
    }

    fn restarting(&mut self, at: Option<Instant>, event: Event, now: Instant) -> Option<Effect> {
        match event {
            Event::PauseOver => self.start_again(now),
            Event::StopAsked => self.settle(Outcome::Stopped),
            // The timer went with the machine.
            Event::Interrupted => {
                let left = at.map_or(Duration::MAX, |at| at.saturating_duration_since(now));
                Some(Effect::Wait(left))
            }
            _ => None,
        }
    }

    /// No program is there any more, and that was not wanted.
    fn failed(&mut self, why: Why, ran: Duration, now: Instant, jitter: f64) -> Option<Effect> {
        let is_service = self.policy.kind == Kind::Service;
        // That a machine restarted says nothing about the service.
        let is_interrupted_service = is_service && why == Why::Interrupted;
        if self.policy.restart == RestartWhen::Never && !is_interrupted_service {
            return self.settle(Outcome::Failed(why));
        }
        let window = self.policy.window;
        self.recent.retain(|start| now.saturating_duration_since(*start) <= window);
        if self.recent.len() >= usize::try_from(self.policy.max).unwrap_or(usize::MAX) {
            let why = if is_service { Why::TooManyRestarts } else { why };
            return self.settle(Outcome::Failed(why));
        }
        let pause = self.next_pause(ran, jitter);
        self.state = State::Restarting { at: now.checked_add(pause) };
        Some(Effect::Wait(pause))
    }

    fn next_pause(&mut self, ran: Duration, jitter: f64) -> Duration {
        let is_steady = ran >= STEADY.min(self.policy.window);
        let pause = match self.pause {
            Some(pause) if !is_steady => pause.saturating_mul(2),
            _ => self.policy.backoff_first,
        };
        let pause = pause.min(self.policy.backoff_longest);
        self.pause = Some(pause);
        let jitter = if (0.0..=1.0).contains(&jitter) { jitter } else { 0.5 };
        let seconds = pause.as_secs_f64() * (0.8 + 0.4 * jitter);
        Duration::try_from_secs_f64(seconds).unwrap_or(pause)
    }

    fn start_again(&mut self, now: Instant) -> Option<Effect> {
        self.recent.push_back(now);
        self.restarts = self.restarts.saturating_add(1);
        self.state = State::Starting { is_stop_asked: false };
        Some(Effect::Start)
    }

    fn ask(&mut self, now: Instant, reason: Reason) -> Option<Effect> {
        let since = match self.state {
            State::Running { since } => since,
            _ => now,
        };
        self.state = State::Stopping(Stopping { since, reason, is_killed: false });
        Some(Effect::Ask)
    }

    fn settle(&mut self, outcome: Outcome) -> Option<Effect> {
        self.state = State::Settled(outcome);
        Some(Effect::Settle(outcome))
    }
}

#[cfg(test)]
mod tests;
