//! Durable pull consumers: made, read, answered, removed.
//!
//! Owns: what such a consumer is like on the server, and the four answers to a message. Never: decides
//! which answer.
//!
//! The server redelivers for ever and without a back-off: a back-off of the server's would overwrite the
//! ack wait, and a death on the last delivery would lose the message silently. Who reads counts.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Batch, Config};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::{self, AckKind, ErrorCode};
use async_nats::{Client, HeaderMap, Message};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};

use crate::streams::context;

/// A message whose reader is silent for this long is delivered again.
pub const ACK_WAIT: Duration = Duration::from_secs(10);
/// JetStream answers within this, or the caller is told that it did not.
const PATIENCE: Duration = Duration::from_secs(4);

/// What a durable shall be like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Settings {
    pub stream: String,
    pub name: String,
    pub filter: Option<String>,
    /// Counts when the durable is made.
    pub begin: Begin,
    /// Messages that are delivered and not answered, by all readers together.
    pub max_in_flight: u32,
    /// The server removes it when nobody reads for so long.
    pub expires: Duration,
}

/// Where a new durable begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Begin {
    New,
    All,
    Last,
    LastOfEachSubject,
}

/// A durable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("there is no stream {stream}")]
    NoStream { stream: String },
    #[error("durable {name} of stream {stream}: {reason}")]
    Other { stream: String, name: String, reason: String },
}

/// An open durable; clones share it.
#[derive(Debug, Clone)]
pub struct Durable {
    consumer: PullConsumer,
    stream: String,
    name: String,
    /// It was there already and began elsewhere than is wanted now, which is not changed.
    pub began_otherwise: bool,
}

impl Durable {
    /// Opens it; makes it if it is not there. Of one that is there, filter and bounds are changed, and its
    /// position is kept.
    ///
    /// # Errors
    /// When there is no such stream, or JetStream is away or refuses.
    pub async fn open(client: &Client, settings: &Settings) -> Result<Self, Error> {
        let context = context(client);
        let Settings { stream, name, .. } = settings;
        let opening = async {
            let there = context.get_consumer_from_stream::<Config, _, _>(name, stream).await;
            let wanted = settings.begin.policy();
            let begin = match &there {
                Ok(there) => there.cached_info().config.deliver_policy,
                Err(_) => wanted,
            };
            let config = settings.config(begin);
            let consumer = context.create_consumer_on_stream(config, stream).await;
            let consumer = consumer.map_err(|error| settings.failed(&error))?;
            let began_otherwise = begin != wanted;
            Ok(Self { consumer, stream: stream.clone(), name: name.clone(), began_otherwise })
        };
        match tokio::time::timeout(PATIENCE, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(settings.other("JetStream did not answer in time")),
        }
    }

    /// Asks for up to `n` messages, which come for as long as `wait`.
    ///
    /// # Errors
    /// When the question cannot be sent.
    pub async fn pull(&self, n: usize, wait: Duration) -> Result<Pulled, Error> {
        let asked = self.consumer.batch().max_messages(n).expires(wait).messages();
        let failed = |reason: String| Error::Other {
            stream: self.stream.clone(),
            name: self.name.clone(),
            reason,
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(batch)) => Ok(Pulled { batch: Some(batch) }),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("the question could not be sent".to_owned())),
        }
    }
}

/// Whether a durable was there, and is not any more.
///
/// # Errors
/// When JetStream is away or refuses.
pub async fn remove(client: &Client, stream: &str, name: &str) -> Result<bool, Error> {
    let removed = context(client).delete_consumer_from_stream(name, stream).await;
    match removed {
        Ok(_) => Ok(true),
        Err(error) if is_missing(&error.to_string()) => Ok(false),
        Err(error) => Err(Error::Other {
            stream: stream.to_owned(),
            name: name.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// Publishes, and waits until a stream has it.
///
/// # Errors
/// When no stream takes it.
pub async fn publish(
    client: &Client,
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<(), String> {
    let publishing = async {
        let sent = context(client).publish_with_headers(subject, headers, payload).await;
        sent.map_err(|error| error.to_string())?.await.map_err(|error| error.to_string())
    };
    match tokio::time::timeout(PATIENCE, publishing).await {
        Ok(published) => published.map(|_| ()),
        Err(_) => Err("no stream acknowledged in time".to_owned()),
    }
}

impl Settings {
    fn config(&self, begin: DeliverPolicy) -> Config {
        Config {
            durable_name: Some(self.name.clone()),
            description: Some("trigger of a function of Nex".to_owned()),
            deliver_policy: begin,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            filter_subject: self.filter.clone().unwrap_or_default(),
            max_ack_pending: i64::from(self.max_in_flight),
            inactive_threshold: self.expires,
            ..Config::default()
        }
    }

    fn failed(&self, error: &jetstream::stream::ConsumerError) -> Error {
        use jetstream::stream::ConsumerErrorKind::JetStream;
        match error.kind() {
            JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Error::NoStream { stream: self.stream.clone() }
            }
            _ => self.other(&error.to_string()),
        }
    }

    fn other(&self, reason: &str) -> Error {
        let (stream, name) = (self.stream.clone(), self.name.clone());
        Error::Other { stream, name, reason: reason.to_owned() }
    }
}

impl Begin {
    fn policy(self) -> DeliverPolicy {
        match self {
            Self::New => DeliverPolicy::New,
            Self::All => DeliverPolicy::All,
            Self::Last => DeliverPolicy::Last,
            Self::LastOfEachSubject => DeliverPolicy::LastPerSubject,
        }
    }
}

/// Messages that come in answer to one question.
pub struct Pulled {
    batch: Option<Batch>,
}

impl Pulled {
    /// The next one; `None` when all came or the time is over.
    ///
    /// # Errors
    /// When the durable is gone, or the server went away.
    pub async fn next(&mut self) -> Option<Result<Delivery, String>> {
        let batch = self.batch.as_mut()?;
        Some(match batch.next().await? {
            Ok(message) => Delivery::read(message),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Stops asking, and returns what came and was not read.
    pub fn end(&mut self) -> Vec<Delivery> {
        let Some(mut batch) = self.batch.take() else { return Vec::new() };
        let mut left = Vec::new();
        // Unconstrained, since a used-up budget would look like none.
        while let Some(Some(Ok(message))) = tokio::task::unconstrained(batch.next()).now_or_never()
        {
            left.extend(Delivery::read(message));
        }
        left
    }
}

/// A message that waits for an answer.
pub struct Delivery {
    /// As it was published; its reply subject is for the answer.
    pub message: Message,
    /// Where it stands in its stream.
    pub sequence: u64,
    /// How often it was delivered, from 1.
    pub count: u64,
    acker: jetstream::message::Acker,
}

impl Delivery {
    fn read(message: jetstream::Message) -> Result<Self, String> {
        let info = message.info().map_err(|error| error.to_string())?;
        let (sequence, count) = (info.stream_sequence, info.delivered);
        let (message, acker) = message.split();
        Ok(Self { message, sequence, count: u64::try_from(count).unwrap_or(1).max(1), acker })
    }

    /// It is done.
    pub async fn done(&self) {
        self.answer(AckKind::Ack).await;
    }

    /// It shall come again after `delay`.
    pub async fn again(&self, delay: Duration) {
        let delay = (!delay.is_zero()).then_some(delay);
        self.answer(AckKind::Nak(delay)).await;
    }

    /// It is being worked at.
    pub async fn in_progress(&self) {
        self.answer(AckKind::Progress).await;
    }

    /// It shall never come again.
    pub async fn give_up(&self) {
        self.answer(AckKind::Term).await;
    }

    /// What is not answered comes again, so that a lost answer loses nothing.
    async fn answer(&self, kind: AckKind) {
        if let Err(error) = self.acker.ack_with(kind).await {
            tracing::debug!(%error, "answer to a message not sent");
        }
    }
}

impl std::fmt::Debug for Pulled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulled").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sequence, count, .. } = self;
        f.debug_struct("Delivery")
            .field("sequence", sequence)
            .field("count", count)
            .finish_non_exhaustive()
    }
}

fn is_missing(reason: &str) -> bool {
    reason.contains("consumer not found") || reason.contains("stream not found")
}
