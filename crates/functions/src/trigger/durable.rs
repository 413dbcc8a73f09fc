//! Reads a durable, runs what it delivers, and answers each message.
//!
//! Owns: the reader, and what is published of a message that is given up. Never: decides (`verdict`), or
//! takes in more than can run: what waits, waits on the server, where another copy can take it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nex_api::Code;
use nex_bus::durable::{self, ACK_WAIT, Delivery, Durable, Error};
use nex_bus::{Client, HeaderMap};
use nex_nexlet::StartFailure;
use nex_sandbox::{OnFailure, Tasks};
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::runs::Runs;
use super::verdict::{self, After, Ended, Record, Verdict};
use super::{DurableTrigger, Read, Rules};
use crate::dispatch::Dispatcher;
use crate::guest_log::FeedLog;
use crate::reply::Failure;
use crate::runtime::{CallError, GuestLog, Level, Stimulus};

/// How long one question for messages stands. After the server was away the next one is answered.
const QUESTION: Duration = Duration::from_secs(10);
/// Pauses after a durable could not be read: doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Before a message is tried again whose dead letter nobody took.
const NO_DEAD_LETTER: Duration = Duration::from_secs(120);
/// Headers with which a client talks to its stream; they do not hold for another.
const STREAM_HEADERS: &str = "Nats-";

/// What one trigger's runs share.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) trigger: DurableTrigger,
    pub(crate) client: Arc<Client>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) runs: Runs,
    pub(crate) logs: FeedLog,
    /// Of this process: records of another one's runs are of one that may have died.
    pub(crate) me: String,
    /// Suspects run alone.
    pub(crate) alone: RwLock<()>,
}

/// Where the reader and its runs are kept.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) tasks: Tasks,
    pub(crate) works: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Runs of this copy at the same time.
    pub(crate) places: usize,
}

/// Opens the durable of a trigger.
pub(crate) async fn open(
    client: &Client,
    trigger: &DurableTrigger,
) -> Result<Durable, StartFailure> {
    if !client.server_info().jetstream {
        let message =
            "triggers other than subjects need JetStream, which this server does not have";
        return Err(StartFailure::new(Code::TriggerInvalid, message));
    }
    Durable::open(client, &trigger.settings).await.map_err(|error| {
        let message = match (&error, &trigger.wire) {
            (Error::NoStream { stream }, _) => match stream.split_once('_') {
                Some(("KV", bucket)) => format!("there is no key-value bucket {bucket}"),
                Some(("OBJ", bucket)) => format!("there is no object store {bucket}"),
                _ => error.to_string(),
            },
            _ => error.to_string(),
        };
        StartFailure::new(Code::TriggerInvalid, message)
    })
}

/// Runs what is delivered until `stop`; what runs then is seen to its end by tasks of its own.
pub(crate) async fn read(mut durable: Durable, runner: Arc<Runner>, keeping: Keeping) {
    let places = Arc::new(Semaphore::new(keeping.places));
    let mut pause = PAUSES.0;
    while !keeping.stop.is_cancelled() {
        let read = one_question(&durable, &runner, &keeping, &places).await;
        let Err(error) = read else {
            pause = PAUSES.0;
            continue;
        };
        tracing::warn!(durable = runner.trigger.settings.name, %error, "trigger not read");
        tokio::select! {
            () = keeping.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSES.1);
        match Durable::open(&runner.client, &runner.trigger.settings).await {
            Ok(opened) => durable = opened,
            Err(error) => tracing::warn!(%error, "trigger's durable not there"),
        }
    }
}

async fn one_question(
    durable: &Durable,
    runner: &Arc<Runner>,
    keeping: &Keeping,
    places: &Arc<Semaphore>,
) -> Result<(), String> {
    let mut stopped = pin!(keeping.stop.cancelled());
    let mut taken = tokio::select! {
        taken = take_places(places) => taken,
        () = &mut stopped => return Ok(()),
    };
    let asked = durable.pull(taken.len(), QUESTION).await;
    let mut pulled = asked.map_err(|error| error.to_string())?;
    loop {
        let delivery = tokio::select! {
            biased;
            () = &mut stopped => {
                for delivery in pulled.end() {
                    runner.hand_back(&delivery).await;
                }
                return Ok(());
            }
            delivery = pulled.next() => delivery,
        };
        let Some(delivery) = delivery else { return Ok(()) };
        let (delivery, place) = (delivery?, taken.pop());
        let work = handle(Arc::clone(runner), delivery, place);
        let work = keeping.works.track_future(work);
        keeping.tasks.spawn("function trigger's run", OnFailure::Log, work);
    }
}

/// All places that are free, at least one.
async fn take_places(places: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    let first = Arc::clone(places).acquire_owned().await;
    let mut taken: Vec<_> = first.into_iter().collect();
    while let Ok(further) = Arc::clone(places).try_acquire_owned() {
        taken.push(further);
    }
    taken
}

/// One message, from its delivery to its answer.
async fn handle(runner: Arc<Runner>, delivery: Delivery, _place: Option<OwnedSemaphorePermit>) {
    let mut handled = pin!(runner.handle(&delivery));
    let mut signs = tokio::time::interval(ACK_WAIT / 3);
    signs.tick().await;
    loop {
        tokio::select! {
            biased;
            () = &mut handled => return,
            _ = signs.tick() => delivery.in_progress().await,
        }
    }
}

impl Runner {
    async fn handle(&self, delivery: &Delivery) {
        let Read::Run(stimulus) = self.trigger.source.read(delivery, Timestamp::now()) else {
            return delivery.done().await;
        };
        let record = self.record(delivery).await;
        match verdict::before(delivery.count, &self.trigger.rules, record.as_ref(), &self.me) {
            Verdict::GiveUp(reason) => self.give_up(delivery, &reason, true).await,
            Verdict::Run(None) => {
                let _with_others = self.alone.read().await;
                self.run(delivery, stimulus, None).await;
            }
            Verdict::Run(Some(record)) => {
                let _with_others = self.alone.read().await;
                self.run(delivery, stimulus, Some(record)).await;
            }
            Verdict::RunAlone(record) => {
                let _alone = self.alone.write().await;
                self.run(delivery, stimulus, Some(record)).await;
            }
        }
    }

    async fn run(&self, delivery: &Delivery, stimulus: Stimulus, record: Option<Record>) {
        let sequence = delivery.sequence;
        if let Some(record) = &record {
            self.runs.write(&self.client, sequence, record).await;
        }
        let outcome = self.dispatcher.run_for_source(delivery.message.clone(), stimulus).await;
        let ended = match outcome {
            Ok(reply) => match reply.error_status {
                None => Ended::Well,
                Some(status) => Ended::Badly(format!("the function answered with status {status}")),
            },
            Err(Failure::Draining) => Ended::CutOff,
            Err(Failure::Guest(CallError::Busy(_))) => Ended::NoRoom,
            Err(failure) => Ended::Badly(failure.to_string()),
        };
        match verdict::after(delivery.count, &self.trigger.rules, record.as_ref(), ended) {
            After::Done => {
                delivery.done().await;
                if record.is_some() {
                    self.runs.forget(&self.client, sequence).await;
                }
            }
            After::Again(pause) => {
                let record = Record { running: None, ..record.unwrap_or_default() };
                self.runs.write(&self.client, sequence, &record).await;
                delivery.again(pause).await;
            }
            After::HandBack => {
                let record = verdict::handed_back(delivery.count, record.as_ref(), &self.me);
                self.runs.write(&self.client, sequence, &record).await;
                delivery.again(Duration::ZERO).await;
            }
            After::GiveUp(reason) => self.give_up(delivery, &reason, record.is_some()).await,
        }
    }

    /// What was delivered and not begun when the function was stopped.
    async fn hand_back(&self, delivery: &Delivery) {
        let record = self.record(delivery).await;
        let record = verdict::handed_back(delivery.count, record.as_ref(), &self.me);
        self.runs.write(&self.client, delivery.sequence, &record).await;
        delivery.again(Duration::ZERO).await;
    }

    async fn record(&self, delivery: &Delivery) -> Option<Record> {
        match delivery.count {
            1 => None,
            _ => self.runs.read(&self.client, delivery.sequence).await,
        }
    }

    /// The dead letter is with a stream before the original is terminated.
    async fn give_up(&self, delivery: &Delivery, reason: &str, has_record: bool) {
        let Rules { dead_letter, .. } = &self.trigger.rules;
        let of =
            format!("message {} of stream {}", delivery.sequence, self.trigger.settings.stream);
        if let Some(subject) = dead_letter {
            let (headers, payload) =
                (self.dead_letter(delivery, reason), delivery.message.payload.clone());
            let sent = durable::publish(&self.client, subject.clone(), headers, payload).await;
            if let Err(error) = sent {
                let line =
                    format!("{of} is given up ({reason}), but no stream takes {subject}: {error}");
                self.logs.line(Level::Error, &line);
                return delivery.again(NO_DEAD_LETTER).await;
            }
            self.logs.line(Level::Error, &format!("{of} went to {subject}: {reason}"));
        } else {
            let line = format!("{of} is given up, and there is no dead_letter: {reason}");
            self.logs.line(Level::Error, &line);
        }
        delivery.give_up().await;
        if has_record {
            self.runs.forget(&self.client, delivery.sequence).await;
        }
    }

    /// The message's own headers, and where it came from and why.
    fn dead_letter(&self, delivery: &Delivery, reason: &str) -> HeaderMap {
        let settings = &self.trigger.settings;
        let mut headers = HeaderMap::new();
        for (name, values) in delivery.message.headers.iter().flat_map(HeaderMap::iter) {
            let text = name.to_string();
            if text.starts_with(STREAM_HEADERS) || nex_types::is_order_to_server(&text) {
                continue;
            }
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
        let reason = nex_bus::service::one_line(&reason.chars().take(512).collect::<String>());
        let id = format!("{}.{}.{}", settings.stream, settings.name, delivery.sequence);
        for (name, value) in [
            ("Nats-Msg-Id", id.as_str()),
            ("Nex-Reason", reason.as_ref()),
            ("Nex-Deliveries", &delivery.count.to_string()),
            ("Nex-Origin-Stream", &settings.stream),
            ("Nex-Origin-Sequence", &delivery.sequence.to_string()),
            ("Nex-Origin-Subject", &delivery.message.subject),
            ("Nex-Origin-Durable", &settings.name),
        ] {
            headers.insert(name, value);
        }
        headers
    }
}
