//! Subject triggers: subscribing, reading, and unsubscribing without losing a message.
//!
//! Owns: the subscription and its reader. Never: awaits work, nor its own answers while there is something to
//! read: it enqueues or refuses, and whoever is refused is told 429 as soon as nothing waits to be read.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use nex_api::Code;
use nex_bus::{Client, Message, Subscriber, round_trip};
use nex_nexlet::StartFailure;
use tokio_util::sync::CancellationToken;

use crate::dispatch::Dispatcher;
use crate::refused::Refused;
use crate::trigger::SubjectTrigger;

/// How long the end waits for what the server sent before it read the unsubscription.
const LAST_MESSAGES: Duration = Duration::from_millis(500);
/// How long it takes at most to tell those that were refused at the end.
const LAST_REFUSALS: Duration = Duration::from_secs(5);
/// Messages that are handed on together.
const LARGEST_BATCH: usize = 64;
/// A bound on further messages that a server cannot read (it takes nine digits) and therefore takes
/// for "now", while the client's library, which can, keeps the subscription open for what is on its way.
/// Both other ways of unsubscribing close it at once and lose those messages.
const UNSUBSCRIBE_AND_KEEP_READING: u64 = 1_000_000_000_000;

/// Subscribes; dropping the subscriber unsubscribes.
pub(crate) async fn subscribe(
    client: &Client,
    trigger: &SubjectTrigger,
) -> Result<Subscriber, StartFailure> {
    let subject = trigger.pattern.to_string();
    let subscribed = match &trigger.queue {
        Some(queue) => client.queue_subscribe(subject, queue.clone()).await,
        None => client.subscribe(subject).await,
    };
    subscribed.map_err(|error| {
        let message = format!("cannot subscribe to {}: {error}", trigger.pattern);
        StartFailure::new(Code::TriggerInvalid, message)
    })
}

/// Hands on what arrives until `stop`, then unsubscribes and hands on the rest. Also returns when
/// the connection is closed for good. What it returns may owe answers.
pub(crate) async fn read(
    mut subscriber: Subscriber,
    client: Arc<Client>,
    dispatcher: Arc<Dispatcher>,
    stop: CancellationToken,
) -> Reader {
    let mut reader = Reader { dispatcher, batch: Vec::new(), refused: Refused::default() };
    let mut stopped = pin!(stop.cancelled());
    // Also looked at after each batch, since a flood would keep the first branch ready for ever.
    while !stop.is_cancelled() {
        tokio::select! {
            biased;
            message = subscriber.next() => match message {
                Some(message) => reader.take(message, &mut subscriber).await,
                None => return reader,
            },
            () = reader.tell(), if reader.owes() => {}
            () = &mut stopped => break,
        }
    }
    if subscriber.unsubscribe_after(UNSUBSCRIBE_AND_KEEP_READING).await.is_err() {
        return reader;
    }
    let mut last = pin!(round_trip(&client, LAST_MESSAGES));
    loop {
        tokio::select! {
            biased;
            _crossed = &mut last => break,
            message = subscriber.next() => match message {
                Some(message) => reader.take(message, &mut subscriber).await,
                None => return reader,
            },
            () = reader.tell(), if reader.owes() => {}
        }
    }
    while let Some(message) = ready(&mut subscriber) {
        reader.take(message, &mut subscriber).await;
    }
    reader
}

/// What was read and is not settled.
pub(crate) struct Reader {
    dispatcher: Arc<Dispatcher>,
    batch: Vec<Message>,
    refused: Refused,
}

impl Reader {
    /// Hands a message on, with what is there already.
    async fn take(&mut self, message: Message, subscriber: &mut Subscriber) {
        gather(message, subscriber, &mut self.batch);
        self.dispatcher.deliver(&mut self.batch, &mut self.refused);
        while self.refused.is_full() {
            self.tell().await;
        }
    }

    /// Tells those that were refused at the end; a part of the drain, since nothing is read any more.
    pub(crate) async fn settle(mut self) {
        let telling = async {
            while self.owes() {
                self.tell().await;
            }
        };
        if tokio::time::timeout(LAST_REFUSALS, telling).await.is_err() {
            tracing::warn!("callers that were refused are left unanswered");
        }
    }

    /// Whether somebody waits to be told that there was no room.
    fn owes(&self) -> bool {
        !self.refused.is_empty()
    }

    async fn tell(&mut self) {
        self.dispatcher.tell_refused(&mut self.refused).await;
    }
}

/// Puts into `batch` what is there already, so that it goes to the guest threads together.
fn gather(first: Message, subscriber: &mut Subscriber, batch: &mut Vec<Message>) {
    batch.push(first);
    while batch.len() < LARGEST_BATCH
        && let Some(message) = ready(subscriber)
    {
        batch.push(message);
    }
}

/// A message that is there already. Unconstrained, since a used-up budget would look like none.
fn ready(subscriber: &mut Subscriber) -> Option<Message> {
    tokio::task::unconstrained(subscriber.next()).now_or_never().flatten()
}
