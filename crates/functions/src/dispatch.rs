//! From a received message to its answer: admission, concurrency, deadline, reply.
//!
//! Owns: the calls of one function, from receipt to answer. Never: shares a lock with another
//! function, reads NATS, or knows how a guest runs.
//!
//! While a slot is free a call goes straight to the guest threads; else it waits in the gate, and the
//! worker whose call ends takes it. There is no task and no instance per slot while nothing runs.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use nex_bus::Message;
use nex_nexlet::LogFeed;
use nex_types::Id;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::GuestThreads;
use crate::admission::{Entered, Gate};
use crate::guest_log::FeedLog;
use crate::limits::Limits;
use crate::reply::{Caller, Failure, Responder};
use crate::runtime::{Call, CallError, Guest, GuestLog, Level, Reply};
use crate::stats::Stats;

/// An engine ends a call by its deadline; past this much more it is dropped.
const OVERTIME: Duration = Duration::from_millis(100);
/// How long calls that were cut off at the drain deadline may take to be answered.
const CUT_OFF: Duration = Duration::from_secs(1);

/// What a dispatcher is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) guest: Arc<dyn Guest>,
    pub(crate) responder: Responder,
    pub(crate) limits: Limits,
    pub(crate) stats: Arc<Stats>,
    pub(crate) logs: LogFeed,
    pub(crate) guests: GuestThreads,
    /// Dropped after all else, so that it tells when nothing of the function is left.
    pub(crate) gone: DropGuard,
}

/// Runs the calls of one function.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    guest: Arc<dyn Guest>,
    responder: Responder,
    limits: Limits,
    stats: Arc<Stats>,
    logs: FeedLog,
    guests: GuestThreads,
    gate: Mutex<Gate<Job>>,
    /// Told whenever the gate becomes quiet.
    quieted: Notify,
    /// Cancelled at the drain deadline: what has not ended is answered 503.
    cut_off: CancellationToken,
    // The last field, since fields are dropped in order: the guest is freed before this tells so.
    _gone: DropGuard,
}

/// A call on its way.
#[derive(Debug)]
struct Job {
    message: Message,
    received: Instant,
}

impl Dispatcher {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { guest, responder, limits, stats, logs, guests, gone } = parts;
        Self {
            guest,
            responder,
            limits,
            stats,
            logs: FeedLog(logs),
            guests,
            gate: Mutex::new(Gate::new(limits.bounds)),
            quieted: Notify::new(),
            cut_off: CancellationToken::new(),
            _gone: gone,
        }
    }

    /// Takes messages in, and leaves `messages` empty: each runs, waits, or is answered 429 here and now.
    pub(crate) async fn deliver(self: &Arc<Self>, messages: &mut Vec<Message>) {
        let received = Instant::now();
        let (mut to_run, mut refused) = (Vec::new(), Vec::new());
        {
            let mut gate = self.gate();
            for message in messages.drain(..) {
                self.stats.received();
                match gate.enter(Job { message, received }) {
                    Entered::Run(job) => to_run.push(job),
                    Entered::Waits => {}
                    Entered::Full(job) => refused.push(job),
                }
            }
        }
        if !to_run.is_empty() {
            self.guests.spawn_call(fan_out(Arc::clone(self), to_run));
        }
        for job in refused {
            self.refuse(job).await;
        }
    }

    /// Waits until all that was taken in is answered; at `deadline` answers the rest with 503.
    pub(crate) async fn drain(&self, deadline: Instant) {
        if tokio::time::timeout_at(deadline.into(), self.quiet()).await.is_ok() {
            return;
        }
        self.cut_off.cancel();
        let waiting = self.gate().take_waiting();
        for job in waiting {
            let caller = self.caller(&job.message);
            self.stats.ended();
            self.fail(&caller, &job.message, &Failure::Draining).await;
        }
        if tokio::time::timeout(CUT_OFF, self.quiet()).await.is_err() {
            tracing::error!(workload.name = self.responder.workload, "calls left after the drain");
        }
    }

    pub(crate) fn release_idle(&self) {
        self.guest.release_idle();
    }

    async fn refuse(&self, job: Job) {
        let n_waiting = self.gate().n_waiting();
        let retry_after_secs = retry_after(&self.limits, n_waiting, self.stats.ran_on_average());
        let caller = self.caller(&job.message);
        let failure = Failure::QueueFull { n_waiting, retry_after_secs };
        self.stats.ended();
        self.fail(&caller, &job.message, &failure).await;
    }

    async fn run(&self, job: Job) {
        let Job { message, received } = job;
        let caller = self.caller(&message);
        let outcome = self.outcome(&message, &caller, received + self.limits.timeout).await;
        // Before the answer, so that who has it and asks for the status finds the function idle.
        self.stats.ended();
        let failure = match (outcome, &caller) {
            (Ok(reply), caller) => {
                if let Some(status) = reply.error_status {
                    self.stats.failed(status);
                }
                match caller {
                    Caller::Waits(to) => self.responder.reply(to, reply).await.err(),
                    Caller::Nobody | Caller::Refused => None,
                }
            }
            (Err(failure), _) => Some(failure),
        };
        if let Some(failure) = failure {
            self.fail(&caller, &message, &failure).await;
        }
    }

    async fn outcome(
        &self,
        message: &Message,
        caller: &Caller,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        if self.cut_off.is_cancelled() {
            return Err(Failure::Draining);
        }
        let began = Instant::now();
        if began >= deadline {
            return Err(Failure::Expired);
        }
        let outcome = self.call(to_call(message, caller, deadline), deadline).await;
        self.stats.ran(began.elapsed());
        outcome
    }

    async fn call(&self, call: Call, deadline: Instant) -> Result<Reply, Failure> {
        let mut running = AssertUnwindSafe(self.guest.call(call)).catch_unwind();
        let overtime = (deadline + OVERTIME).into();
        // Biased, so that a call that ends at once never touches the timer.
        tokio::select! {
            biased;
            ended = &mut running => match ended {
                Ok(outcome) => outcome.map_err(Failure::Guest),
                Err(_panic) => Err(Failure::EnginePanicked),
            },
            () = self.cut_off.cancelled() => Err(Failure::Draining),
            () = tokio::time::sleep_until(overtime) => Err(CallError::DeadlinePassed.into()),
        }
    }

    async fn fail(&self, caller: &Caller, message: &Message, failure: &Failure) {
        self.stats.failed(failure.status());
        let request_id = Id::random();
        if failure.is_logged() {
            let line =
                format!("call on {} failed: {failure} (request {request_id})", message.subject);
            self.logs.line(Level::Error, &line);
        }
        if let Caller::Waits(to) = caller {
            self.responder.fail(to, failure, &request_id).await;
        }
    }

    fn caller(&self, message: &Message) -> Caller {
        let caller = self.responder.caller(message.reply.clone());
        if caller == Caller::Refused {
            self.stats.reply_refused();
        }
        caller
    }

    /// Gives the slot on: to the call that waits longest, else back to the gate.
    fn next_job(&self) -> Option<Job> {
        let mut gate = self.gate();
        let next = gate.leave();
        if next.is_none() && gate.is_quiet() {
            self.quieted.notify_one();
        }
        next
    }

    async fn quiet(&self) {
        while !self.gate().is_quiet() {
            self.quieted.notified().await;
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate<Job>> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a worker per call. Runs on the guest threads, where a further task is cheap: the way here
/// from the thread that reads NATS is the dear part, and is gone once for all that came together.
async fn fan_out(dispatcher: Arc<Dispatcher>, mut jobs: Vec<Job>) {
    let own = jobs.pop();
    for job in jobs {
        dispatcher.guests.spawn_call(work(Arc::clone(&dispatcher), job));
    }
    if let Some(job) = own {
        work(dispatcher, job).await;
    }
}

/// Runs a call and, in the same slot, those that waited for it.
async fn work(dispatcher: Arc<Dispatcher>, first: Job) {
    let mut next = Some(first);
    while let Some(job) = next {
        dispatcher.run(job).await;
        next = dispatcher.next_job();
        if next.is_some() {
            // Others' calls come in between, also when this function's never pause by themselves.
            tokio::task::yield_now().await;
        }
    }
}

fn to_call(message: &Message, caller: &Caller, deadline: Instant) -> Call {
    let headers = message.headers.as_ref().map_or_else(Vec::new, |headers| {
        let pairs = headers.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| (name.to_string(), value.to_string()))
        });
        pairs.collect()
    });
    let reply = match caller {
        Caller::Waits(subject) => Some(subject.to_string()),
        Caller::Nobody | Caller::Refused => None,
    };
    Call {
        subject: message.subject.to_string(),
        payload: message.payload.clone(),
        headers,
        reply,
        deadline,
    }
}

/// Seconds until the queue has probably moved on: its length at the average pace, at least one second,
/// at most the function's timeout.
fn retry_after(limits: &Limits, n_waiting: usize, average: Duration) -> u64 {
    let n_waiting = u32::try_from(n_waiting).unwrap_or(u32::MAX);
    let wait = average.saturating_mul(n_waiting) / limits.bounds.concurrency.max(1);
    let wait = wait.min(limits.timeout);
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use nex_api::start::FunctionLimits;

    use super::*;

    #[test]
    fn retry_after_is_between_a_second_and_the_timeout() {
        let limits = Limits::parse(&FunctionLimits::default()).unwrap();
        assert_eq!(retry_after(&limits, 1024, Duration::ZERO), 1);
        assert_eq!(retry_after(&limits, 1024, Duration::from_millis(100)), 2);
        assert_eq!(retry_after(&limits, 1024, Duration::from_secs(60)), 4);
    }
}
