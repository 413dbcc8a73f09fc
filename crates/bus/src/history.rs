//! Streams that keep what passes on subjects, and reading them from some point on.
//!
//! Owns: making such a stream, and a reader that knows what was there when it began and then goes on.
//! Never: has a part in publishing; the server captures what passes, and nobody waits for it.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType, Stream};
use async_nats::{Client, HeaderMap, Message};
use bytes::Bytes;
use futures::StreamExt;
use nex_api::Time;

use crate::streams::context;

/// JetStream makes and describes a stream within this, or the caller goes on without.
const BOUND: Duration = Duration::from_secs(4);
/// From one message to the next, while older ones are read.
const STALL: Duration = Duration::from_secs(5);
/// Between attempts to go on reading where JetStream was away.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);
/// A server may have less room than is wished for: an eighth, then an eighth of that.
const SMALLER: i64 = 8;
const ATTEMPTS: usize = 3;

/// What shall be kept. A stream that is there already is left as it is.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Keep {
    pub stream: String,
    pub description: String,
    pub subject: String,
    /// -1 means any number.
    pub max_messages: i64,
    pub max_messages_per_subject: i64,
    pub max_bytes: i64,
    pub max_age: Duration,
}

/// Makes the stream unless it is there.
///
/// # Errors
/// When there is no JetStream, or it does not take the stream.
pub async fn keep(client: &Client, wanted: &Keep) -> Result<(), String> {
    let making = async {
        let mut config = config(wanted);
        let mut refused = String::new();
        for _ in 0..ATTEMPTS {
            match context(client).get_or_create_stream(config.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    refused = error.to_string();
                    if !matches!(error.kind(), CreateStreamErrorKind::JetStream(_)) {
                        break;
                    }
                    config.max_bytes /= SMALLER;
                }
            }
        }
        Err(refused)
    };
    let made = tokio::time::timeout(BOUND, making).await;
    made.unwrap_or_else(|_| Err("JetStream did not answer".to_owned()))
}

fn config(wanted: &Keep) -> Config {
    Config {
        name: wanted.stream.clone(),
        description: Some(wanted.description.clone()),
        subjects: vec![wanted.subject.clone()],
        max_messages: wanted.max_messages,
        max_messages_per_subject: wanted.max_messages_per_subject,
        max_bytes: wanted.max_bytes,
        max_age: wanted.max_age,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        num_replicas: 1,
        // Who publishes does not wait for an acknowledgement, and a request gets no answer from here.
        no_ack: true,
        allow_direct: true,
        ..Config::default()
    }
}

/// A history that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum HistoryError {
    #[error("there is no stream {0}")]
    NoStream(String),
    #[error("NATS has no JetStream here, or it does not answer")]
    NoJetStream,
    #[error("stream {stream}: {reason}")]
    Other { stream: String, reason: String },
}

/// The streams whose names begin so.
///
/// # Errors
/// When JetStream is not there or does not answer.
pub async fn streams(client: &Client, prefix: &str) -> Result<Vec<String>, HistoryError> {
    let listing = async {
        let mut names = context(client).stream_names();
        let mut found = Vec::new();
        while let Some(name) = names.next().await {
            let name = name.map_err(|_| HistoryError::NoJetStream)?;
            if name.starts_with(prefix) {
                found.push(name);
            }
        }
        Ok(found)
    };
    tokio::time::timeout(BOUND, listing).await.unwrap_or(Err(HistoryError::NoJetStream))
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest.
    Oldest,
    /// With what came at this time or later, by the server's clock.
    At(Time),
    /// Among the last so many of the stream, whatever their subjects.
    Last(u64),
    /// After this sequence number.
    After(u64),
}

/// One message, kept or just passing.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Kept {
    pub subject: String,
    pub headers: Option<HeaderMap>,
    pub payload: Bytes,
    /// When the server got it.
    pub time: Time,
}

impl Kept {
    /// One that comes from nobody's store.
    #[must_use]
    pub fn passing(message: Message) -> Self {
        let Message { subject, headers, payload, .. } = message;
        Self { subject: subject.into_string(), headers, payload, time: Time::now() }
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.get(name).map(|value| value.as_str())
    }
}

/// Reads a stream in its order, without a gap and nothing twice.
pub struct Reader {
    client: Client,
    stream: String,
    filters: Vec<String>,
    messages: Ordered,
    /// The message that was read last.
    seen: u64,
    /// The last message that was there when reading began.
    last: u64,
    /// How many were still to come after the one that was read last.
    n_left: u64,
    is_whole: bool,
    is_cut: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Reader {
    /// Begins to read what `filters` match; all when there are none.
    ///
    /// # Errors
    /// When the stream or JetStream is not there.
    pub async fn open(
        client: &Client,
        stream: &str,
        filters: &[String],
        begin: Begin,
    ) -> Result<Self, HistoryError> {
        let opening = async {
            let found = context(client).get_stream(stream).await;
            let found = found.map_err(|error| match error.kind() {
                GetStreamErrorKind::JetStream(_) => HistoryError::NoStream(stream.to_owned()),
                _ => HistoryError::NoJetStream,
            })?;
            let state = found.cached_info().state.clone();
            let (messages, n_left) = consume(&found, filters, policy(&state, begin)).await?;
            Ok(Self {
                client: client.clone(),
                stream: stream.to_owned(),
                filters: filters.to_vec(),
                messages,
                seen: state.last_sequence,
                last: state.last_sequence,
                n_left,
                is_whole: is_whole(&state, begin),
                is_cut: false,
            })
        };
        tokio::time::timeout(BOUND, opening).await.unwrap_or(Err(HistoryError::NoJetStream))
    }

    /// Whether it began with the oldest message of the stream.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether the past stopped before its end: it stalled, or what was left had been removed.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The next message of those that were there when reading began; none when that was all.
    pub async fn past(&mut self) -> Option<Kept> {
        if self.n_left == 0 {
            return None;
        }
        // What waited may have been removed since.
        let next = tokio::time::timeout(STALL, self.read()).await.ok().flatten();
        match next {
            Some((kept, sequence)) => {
                if sequence >= self.last {
                    self.n_left = 0;
                }
                Some(kept)
            }
            None => {
                self.n_left = 0;
                self.is_cut = true;
                None
            }
        }
    }

    /// The next message, however long it takes, also when JetStream goes and comes back.
    pub async fn next(&mut self) -> Kept {
        loop {
            if let Some((kept, _)) = self.read().await {
                return kept;
            }
            tokio::time::sleep(REOPEN_PAUSE).await;
            let begin = Begin::After(self.seen);
            if let Ok(again) = Self::open(&self.client, &self.stream, &self.filters, begin).await {
                let seen = if again.last < self.seen { 0 } else { self.seen };
                *self = Self { seen, ..again };
            }
        }
    }

    async fn read(&mut self) -> Option<(Kept, u64)> {
        let message = self.messages.next().await?.ok()?;
        let (sequence, pending, time) = {
            let info = message.info().ok()?;
            let time = Time::from_unix_nanos(info.published.unix_timestamp_nanos());
            (info.stream_sequence, info.pending, time)
        };
        (self.n_left, self.seen) = (pending, sequence);
        let (Message { subject, headers, payload, .. }, _) = message.split();
        Some((Kept { subject: subject.into_string(), headers, payload, time }, sequence))
    }
}

async fn consume(
    stream: &Stream,
    filters: &[String],
    deliver_policy: DeliverPolicy,
) -> Result<(Ordered, u64), HistoryError> {
    let other = |reason: String| {
        let stream = stream.cached_info().config.name.clone();
        HistoryError::Other { stream, reason }
    };
    let config =
        OrderedConfig { filter_subjects: filters.to_vec(), deliver_policy, ..Default::default() };
    let made = stream.create_consumer(config).await.map_err(|error| other(error.to_string()))?;
    let n_left = made.cached_info().num_pending;
    let messages = made.messages().await.map_err(|error| other(error.to_string()))?;
    Ok((messages, n_left))
}

fn is_whole(state: &jetstream::stream::State, begin: Begin) -> bool {
    match policy(state, begin) {
        DeliverPolicy::ByStartSequence { start_sequence } => start_sequence <= state.first_sequence,
        DeliverPolicy::All => true,
        _ => false,
    }
}

fn policy(state: &jetstream::stream::State, begin: Begin) -> DeliverPolicy {
    match begin {
        Begin::Oldest => DeliverPolicy::All,
        Begin::Last(n) => {
            let start_sequence = (state.last_sequence + 1).saturating_sub(n);
            DeliverPolicy::ByStartSequence {
                start_sequence: start_sequence.max(state.first_sequence).max(1),
            }
        }
        Begin::At(time) => match async_nats::datetime::parse_rfc3339(&time.to_string()) {
            Ok(start_time) => DeliverPolicy::ByStartTime { start_time },
            // The library knows no such time: it is before all others.
            Err(_) => DeliverPolicy::All,
        },
        Begin::After(sequence) => DeliverPolicy::ByStartSequence {
            // A stream that was made anew counts from one again.
            start_sequence: if sequence > state.last_sequence { 1 } else { sequence + 1 },
        },
    }
}
