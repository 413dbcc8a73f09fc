//! From a received message to its answer: admission, concurrency, deadline, reply.
//!
//! Owns: the calls of one function, from receipt to answer. Never: shares a lock with another
//! function, reads NATS, or knows how a guest runs.
//!
//! While a slot is free a call goes straight to the guest threads, together with those that came with
//! it; else it waits in the gate until a slot is given back. There is no task and no instance per slot
//! while nothing runs.
//!
//! A call of a source that keeps its messages waits for a place instead of being refused; its outcome
//! goes back to the source, which acknowledges the message or keeps it.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use nex_bus::Message;
use nex_nexlet::LogFeed;
use nex_telemetry::traces::Span;
use nex_types::Id;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::GuestThreads;
use crate::admission::{Entered, Gate};
use crate::call_trace::{self, CallTraces};
use crate::guest_log::FeedLog;
use crate::limits::Limits;
use crate::refused::Refused;
use crate::reply::{Answer, Caller, Failure, Responder};
use crate::runtime::{Call, CallError, Guest, GuestLog, Level, Reply, Stimulus};
use crate::stats::Stats;
use crate::turns::Party;

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
    pub(crate) traces: CallTraces,
    pub(crate) guests: GuestThreads,
    pub(crate) party: Party,
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
    traces: CallTraces,
    guests: GuestThreads,
    party: Party,
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
    from: From,
}

/// Who is told how it ended.
#[derive(Debug)]
enum From {
    /// Whoever sent it, if they wait; time counts from receipt.
    Caller { received: Instant },
    /// The source, which waits; its deadline counts from the run's begin.
    Source { received: Instant, stimulus: Stimulus, tell: oneshot::Sender<Result<Reply, Failure>> },
}

impl Dispatcher {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { guest, responder, limits, stats, logs, traces, guests, party, gone } = parts;
        Self {
            guest,
            responder,
            limits,
            stats,
            logs: FeedLog(logs),
            traces,
            guests,
            party,
            gate: Mutex::new(Gate::new(limits.bounds)),
            quieted: Notify::new(),
            cut_off: CancellationToken::new(),
            _gone: gone,
        }
    }

    /// Takes messages in, and leaves `messages` empty: each runs, waits, or is refused; who waits for an answer
    /// then stands in `refused`, to be told by [`Self::tell_refused`].
    pub(crate) fn deliver(self: &Arc<Self>, messages: &mut Vec<Message>, refused: &mut Refused) {
        let received = Instant::now();
        self.stats.received(messages.len(), messages.iter().map(|m| m.payload.len()).sum());
        let (mut to_run, mut full) = (Vec::new(), Vec::new());
        {
            let mut gate = self.gate();
            for message in messages.drain(..) {
                match gate.enter(Job { message, from: From::Caller { received } }) {
                    Entered::Run(job) => to_run.push(job),
                    Entered::Waits => {}
                    Entered::Full(job) => full.push(job.message),
                }
            }
        }
        if !to_run.is_empty() {
            to_run.reverse();
            spawn_batch(self, Batch { jobs: to_run, ..Batch::default() });
        }
        if full.is_empty() {
            return;
        }
        // What is told is worked out when it is told; only the status counts here.
        let status = Failure::QueueFull { n_waiting: 0, retry_after_secs: 0 }.status();
        for message in full {
            self.stats.ended();
            self.stats.failed(status);
            if let Caller::Waits(to) = self.caller(&message) {
                refused.push(&to);
            }
        }
    }

    /// Tells one caller that there was no room. May be dropped at any moment; the caller then stays the first.
    pub(crate) async fn tell_refused(&self, refused: &mut Refused) {
        let Some(caller) = refused.first() else { return };
        let answer = self.responder.failure(caller, &self.queue_full(), &Id::random());
        let n_bytes = answer.n_bytes();
        self.responder.send(answer).await;
        self.stats.sent(n_bytes);
        refused.pop();
    }

    fn queue_full(&self) -> Failure {
        let n_waiting = self.gate().n_waiting();
        let retry_after_secs = retry_after(&self.limits, n_waiting, self.stats.ran_on_average());
        Failure::QueueFull { n_waiting, retry_after_secs }
    }

    /// Runs the call of a source that keeps its messages, when there is a place. The message's reply
    /// subject is the source's own: nobody is answered.
    pub(crate) async fn run_for_source(
        self: &Arc<Self>,
        message: Message,
        stimulus: Stimulus,
    ) -> Result<Reply, Failure> {
        if self.cut_off.is_cancelled() {
            return Err(Failure::Draining);
        }
        self.stats.received(1, message.payload.len());
        let (tell, told) = oneshot::channel();
        let received = Instant::now();
        let job = Job { message, from: From::Source { received, stimulus, tell } };
        let to_run = self.gate().enter_patiently(job);
        if let Some(job) = to_run {
            spawn_batch(self, Batch { jobs: vec![job], ..Batch::default() });
        }
        told.await.unwrap_or(Err(Failure::Draining))
    }

    /// Waits until all that was taken in is answered; at `deadline` answers the rest with 503.
    pub(crate) async fn drain(&self, deadline: Instant) {
        let quiet = tokio::time::timeout_at(deadline.into(), self.quiet()).await;
        // In any case, so that nothing begins after this.
        self.cut_off.cancel();
        if quiet.is_ok() {
            return;
        }
        let waiting = self.gate().take_waiting();
        let answering = async {
            for job in waiting {
                self.end_with(job, Failure::Draining).await;
            }
        };
        // While NATS is away, answers have nowhere to go.
        if tokio::time::timeout(CUT_OFF, answering).await.is_err() {
            tracing::warn!(workload.name = self.responder.workload, "calls left unanswered");
        }
        if tokio::time::timeout(CUT_OFF, self.quiet()).await.is_err() {
            tracing::error!(workload.name = self.responder.workload, "calls left after the drain");
        }
    }

    pub(crate) fn release_idle(&self) {
        self.guest.release_idle();
    }

    /// Ends a call that did not run.
    async fn end_with(&self, job: Job, failure: Failure) {
        self.stats.ended();
        match job.from {
            From::Caller { received } => {
                let stimulus = Stimulus::Subject;
                let mut span = self.traces.begin(&job.message, received, &stimulus);
                call_trace::fail(&mut span, &failure);
                let caller = self.caller(&job.message);
                self.send(self.failed(&caller, &job.message, &failure)).await;
            }
            From::Source { tell, received, stimulus } => {
                let mut span = self.traces.begin(&job.message, received, &stimulus);
                call_trace::fail(&mut span, &failure);
                self.count(&Caller::Nobody, &job.message, &failure);
                let _source_is_gone = tell.send(Err(failure));
            }
        }
    }

    /// Runs a call to its end. What comes back is to be sent; a call may have been answered before.
    async fn run(&self, job: Job) -> Option<Answer> {
        let Job { message, from } = job;
        match from {
            From::Caller { received } => self.run_for_caller(&message, received).await,
            From::Source { received, stimulus, tell } => {
                let outcome = self.run_to_the_end(&message, received, stimulus).await;
                let _source_is_gone = tell.send(outcome);
                None
            }
        }
    }

    async fn run_for_caller(&self, message: &Message, received: Instant) -> Option<Answer> {
        let caller = self.caller(message);
        let (early, early_reply) = oneshot::channel();
        let deadline = received + self.limits.timeout;
        let span = self.traces.begin(message, received, &Stimulus::Subject);
        let mut call = to_call(message, &caller, deadline, Stimulus::Subject, &span);
        call.early = Some(early);
        let scope = call.scope.clone();
        let listener = Listener { message, caller: &caller, early_reply };
        let outcome = self.outcome(call, received, Some(listener)).await;
        call_trace::end(span, &scope, outcome.as_ref());
        // Before the answer, so that who has it and asks for the status finds the function idle.
        self.stats.ended();
        self.answer(message, &caller, outcome?)
    }

    /// For a source, which keeps the message until also the last of `waitUntil` is done.
    async fn run_to_the_end(
        &self,
        message: &Message,
        received: Instant,
        stimulus: Stimulus,
    ) -> Result<Reply, Failure> {
        let deadline = Instant::now() + self.limits.timeout;
        let span = self.traces.begin(message, received, &stimulus);
        let call = to_call(message, &Caller::Nobody, deadline, stimulus, &span);
        let scope = call.scope.clone();
        let outcome = self.outcome(call, received, None).await;
        let outcome = outcome.unwrap_or(Err(Failure::Draining));
        call_trace::end(span, &scope, Some(&outcome));
        self.stats.ended();
        match &outcome {
            Err(failure) => drop(self.count(&Caller::Nobody, message, failure)),
            Ok(reply) => self.count_status(reply),
        }
        outcome
    }

    fn answer(
        &self,
        message: &Message,
        caller: &Caller,
        outcome: Result<Reply, Failure>,
    ) -> Option<Answer> {
        let answered = outcome.and_then(|reply| {
            self.count_status(&reply);
            match caller {
                Caller::Waits(to) => self.responder.reply(to, reply).map(Some),
                Caller::Nobody | Caller::Refused => Ok(None),
            }
        });
        answered.unwrap_or_else(|failure| self.failed(caller, message, &failure))
    }

    async fn send(&self, answers: impl IntoIterator<Item = Answer>) {
        for answer in answers {
            // First, so that who has it and asks for the counts finds it among them.
            self.stats.sent(answer.n_bytes());
            self.responder.send(answer).await;
        }
    }

    /// `None`: the call was answered before it ended.
    async fn outcome(
        &self,
        call: Call,
        received: Instant,
        listener: Option<Listener<'_>>,
    ) -> Option<Result<Reply, Failure>> {
        if self.cut_off.is_cancelled() {
            return Some(Err(Failure::Draining));
        }
        let began = Instant::now();
        self.stats.waited(began.saturating_duration_since(received));
        if began >= call.deadline {
            return Some(Err(Failure::Expired));
        }
        let outcome = self.call(call, listener).await;
        self.stats.ran(began.elapsed());
        outcome
    }

    async fn call(
        &self,
        call: Call,
        mut listener: Option<Listener<'_>>,
    ) -> Option<Result<Reply, Failure>> {
        let deadline = call.deadline;
        let mut running = AssertUnwindSafe(self.guest.call(call)).catch_unwind();
        // A call that ends at once needs neither timer nor signal.
        if let Poll::Ready(ended) = futures::poll!(&mut running) {
            return Some(given(&mut listener).map_or_else(|| outcome_of(ended), Ok));
        }
        let mut is_answered = false;
        let mut overtime = pin!(tokio::time::sleep_until((deadline + OVERTIME).into()));
        let outcome = loop {
            tokio::select! {
                biased;
                Some((reply, heard)) = early(&mut listener), if !is_answered => {
                    is_answered = true;
                    self.send(self.answer(heard.message, heard.caller, Ok(reply))).await;
                }
                ended = &mut running => break outcome_of(ended),
                () = self.cut_off.cancelled() => break Err(Failure::Draining),
                () = &mut overtime => break Err(CallError::DeadlinePassed.into()),
            }
        };
        if is_answered {
            return None;
        }
        Some(given(&mut listener).map_or(outcome, Ok))
    }

    fn failed(&self, caller: &Caller, message: &Message, failure: &Failure) -> Option<Answer> {
        let request_id = self.count(caller, message, failure)?;
        match caller {
            Caller::Waits(to) => Some(self.responder.failure(to, failure, &request_id)),
            Caller::Nobody | Caller::Refused => None,
        }
    }

    /// Counts and logs a failure, under the id that is returned; none is drawn where nobody would see it.
    fn count(&self, caller: &Caller, message: &Message, failure: &Failure) -> Option<Id> {
        self.stats.failed(failure.status());
        if !failure.is_logged() && !matches!(caller, Caller::Waits(_)) {
            return None;
        }
        let request_id = Id::random();
        if failure.is_logged() {
            let line =
                format!("call on {} failed: {failure} (request {request_id})", message.subject);
            self.logs.line(Level::Error, &line);
        }
        Some(request_id)
    }

    fn count_status(&self, reply: &Reply) {
        if let Some(status) = reply.error_status {
            self.stats.failed(status);
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

/// Calls that take longer than this on average are given a task each, so that all threads share them.
const LONG_CALL: Duration = Duration::from_micros(100);
/// No answer waits longer than this for those of the calls that came with its own.
const SENT_TOGETHER: Duration = Duration::from_micros(200);

/// Calls that came together, and the answers of those that have ended.
#[derive(Debug, Default)]
struct Batch {
    /// The next one last.
    jobs: Vec<Job>,
    answers: Vec<Answer>,
    /// Calls that ended and hold their slots until their answers are sent.
    n_ended: usize,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.n_ended == 0
    }

    /// Sends the answers together: each alone would wake the connection, and the server, for itself.
    async fn settle(&mut self, dispatcher: &Arc<Dispatcher>) {
        dispatcher.send(self.answers.drain(..)).await;
        for _ in 0..std::mem::take(&mut self.n_ended) {
            if let Some(job) = dispatcher.next_job() {
                spawn_batch(dispatcher, Self { jobs: vec![job], ..Self::default() });
            }
        }
    }
}

/// Runs a batch. One task does its calls one after the other while each ends at once, since a task
/// costs as much as a short call; what waits for something lets the others go on without it.
async fn run_batch(dispatcher: Arc<Dispatcher>, mut batch: Batch) {
    batch.settle(&dispatcher).await;
    if batch.jobs.len() > 1 && dispatcher.stats.ran_on_average() > LONG_CALL {
        for job in batch.jobs.drain(1..) {
            spawn_batch(&dispatcher, Batch { jobs: vec![job], ..Batch::default() });
        }
    }
    let mut began = Instant::now();
    while let Some(job) = batch.jobs.pop() {
        let mut run = pin!(dispatcher.run(job));
        let answer = poll_fn(|context| {
            let polled = run.as_mut().poll(context);
            if polled.is_pending() && !batch.is_empty() {
                spawn_batch(&dispatcher, std::mem::take(&mut batch));
            }
            polled
        });
        let answer = answer.await;
        batch.answers.extend(answer);
        batch.n_ended += 1;
        let now = Instant::now();
        if batch.jobs.is_empty() || now.duration_since(began) >= SENT_TOGETHER {
            began = now;
            batch.settle(&dispatcher).await;
        }
    }
}

fn spawn_batch(dispatcher: &Arc<Dispatcher>, batch: Batch) {
    let running: BoxFuture<'static, ()> = Box::pin(run_batch(Arc::clone(dispatcher), batch));
    dispatcher.guests.spawn_call(&dispatcher.party, running);
}

/// Who may have the reply before the call has ended.
#[derive(Debug)]
struct Listener<'a> {
    message: &'a Message,
    caller: &'a Caller,
    early_reply: oneshot::Receiver<Reply>,
}

/// An early reply, once; pending for ever where none can come any more.
async fn early<'a>(listener: &mut Option<Listener<'a>>) -> Option<(Reply, Listener<'a>)> {
    match listener {
        Some(heard) => {
            let reply = (&mut heard.early_reply).await;
            let heard = listener.take();
            reply.ok().zip(heard)
        }
        None => None,
    }
}

/// A reply that was given in the very poll that ended the call.
fn given(listener: &mut Option<Listener<'_>>) -> Option<Reply> {
    listener.as_mut()?.early_reply.try_recv().ok()
}

fn outcome_of(ended: std::thread::Result<Result<Reply, CallError>>) -> Result<Reply, Failure> {
    match ended {
        Ok(outcome) => outcome.map_err(Failure::Guest),
        Err(_panic) => Err(Failure::EnginePanicked),
    }
}

/// What the guest is given. Of headers it sees those of the message, but for the trace, which is the call's.
fn to_call(
    message: &Message,
    caller: &Caller,
    deadline: Instant,
    stimulus: Stimulus,
    span: &Span,
) -> Call {
    let mut headers = message.headers.as_ref().map_or_else(Vec::new, |headers| {
        let pairs = headers.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| (name.to_string(), value.to_string()))
        });
        pairs.collect()
    });
    let scope = span.scope();
    scope.replace(&mut headers);
    let reply = match caller {
        Caller::Waits(subject) => Some(subject.as_str().to_owned()),
        Caller::Nobody | Caller::Refused => None,
    };
    Call {
        subject: message.subject.as_str().to_owned(),
        payload: message.payload.clone(),
        headers,
        reply,
        deadline,
        stimulus,
        scope,
        early: None,
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
