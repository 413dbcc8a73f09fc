//! Logs and events as they pass, and what of them is kept.
//!
//! Owns: what a line and an event are, and which subjects and streams they are on. Never: makes a stream.

use futures::StreamExt;
use nex_api::log::{LEVEL_HEADER, NAME_HEADER, NODE_HEADER, TIME_HEADER};
use nex_api::{Time, event, log, subject};
use nex_bus::Subscriber;
use nex_bus::history::{Begin, HistoryError, Kept};
use nex_types::Namespace;

use crate::history::{Feed, History, Source};
use crate::{Client, Error};

/// Events of nodes and nexlets, which everybody may see.
const NODE_EVENTS: [&str; 7] = [
    "NODESTARTED",
    "NODELAMEDUCKSET",
    "NODESTATE",
    "NODESTOPPED",
    "AGENTSTARTED",
    "AGENTLAMEDUCKSET",
    "AGENTSTOPPED",
];

/// Events of workloads, for their namespaces.
const WORKLOAD_EVENTS: [&str; 4] = [
    event::WORKLOAD_STARTED,
    event::WORKLOAD_RESTARTING,
    event::WORKLOAD_STOPPED,
    "WORKLOADTRIGGERED",
];

/// One line of a workload's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Whose.
    pub namespace: String,
    /// Which workload.
    pub workload_id: String,
    /// Its name; none when the sender did not tell.
    pub name: Option<String>,
    /// The node on which it ran; none when the sender did not tell.
    pub node_id: Option<String>,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// `info` when the sender did not tell.
    pub level: String,
    /// The time of arrival when the sender did not tell.
    pub time: Time,
    /// Its bytes, without a trailing newline.
    pub bytes: Vec<u8>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventLine {
    /// When it arrived.
    pub time: Time,
    /// A node id, or a workload's namespace.
    pub from: String,
    /// The type token, for instance `WORKLOADSTOPPED`.
    pub kind: String,
    /// The payload; text when it is not JSON.
    pub payload: serde_json::Value,
}

/// Live events.
#[derive(Debug)]
pub struct Events(futures::stream::SelectAll<Subscriber>);

impl Events {
    /// The next event; none when the connection is closed.
    pub async fn next(&mut self) -> Option<EventLine> {
        loop {
            let message = self.0.next().await?;
            if let Some(event) = EventLine::read(&Kept::passing(message)) {
                return Some(event);
            }
        }
    }
}

impl Client {
    /// The logs of all workloads that this client may see: what is kept of them from `begin` on, and
    /// with `follow` what comes then.
    ///
    /// # Errors
    /// When NATS fails. That nothing is kept is no error.
    pub async fn logs(&self, begin: Begin, follow: bool) -> Result<History<LogRecord>, Error> {
        let streams = match self.is_system() {
            true => nex_bus::history::streams(&self.nats, log::HISTORY_PREFIX).await,
            false => Ok(vec![log::history(self.namespace.as_str())]),
        };
        let (mut sources, mut missing) = (Vec::new(), None);
        match streams {
            Ok(streams) => {
                for stream in streams {
                    match Source::open(&self.nats, &stream, &[], begin).await {
                        Ok(source) => sources.push(source),
                        Err(error) => missing = Some(error),
                    }
                }
            }
            Err(error) => missing = Some(error),
        }
        if sources.is_empty() && missing.is_none() {
            missing = Some(HistoryError::NoStream(log::history("*")));
        }
        // Namespaces whose lines nobody keeps, or not yet, are heard as they pass.
        let passes = follow && (self.is_system() || sources.is_empty());
        let namespace = if self.is_system() { "*" } else { self.namespace.as_str() };
        let subjects = passes.then(|| subject::logs(namespace));
        let live = self.live(subjects.into_iter().collect()).await?;
        Ok(History::new(sources, live, missing))
    }

    /// The log of one workload: what is kept of it from `begin` on, and then what comes.
    ///
    /// # Errors
    /// When NATS fails, or `namespace` and `id` are none. That nothing is kept is no error.
    pub async fn workload_logs(
        &self,
        namespace: &str,
        id: &str,
        begin: Begin,
    ) -> Result<History<LogRecord>, Error> {
        if !is_token(namespace) || !is_token(id) {
            return Err(Error::NotFound);
        }
        let subject = subject::workload_logs(namespace, id);
        let filters = [subject.clone()];
        match Source::open(&self.nats, &log::history(namespace), &filters, begin).await {
            Ok(source) => Ok(History::new(vec![source], Vec::new(), None)),
            Err(error) => {
                let live = self.live(vec![subject]).await?;
                Ok(History::new(Vec::new(), live, Some(error)))
            }
        }
    }

    /// What is kept of the events that this client may see from `begin` on, and with `follow` what
    /// comes then.
    ///
    /// # Errors
    /// When NATS fails. That nothing is kept is no error.
    pub async fn past_events(
        &self,
        begin: Begin,
        follow: bool,
    ) -> Result<History<EventLine>, Error> {
        let subjects = self.event_subjects();
        match Source::open(&self.nats, event::HISTORY, &subjects, begin).await {
            Ok(source) => Ok(History::new(vec![source], Vec::new(), None)),
            Err(error) => {
                let live = self.live(if follow { subjects } else { Vec::new() }).await?;
                Ok(History::new(Vec::new(), live, Some(error)))
            }
        }
    }

    /// Follows the events of nodes and of the workloads that this client may see.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn events(&self) -> Result<Events, Error> {
        Ok(Events(futures::stream::select_all(self.live(self.event_subjects()).await?)))
    }

    fn event_subjects(&self) -> Vec<String> {
        if self.namespace.as_str() == Namespace::SYSTEM {
            return vec![subject::event("*", "*")];
        }
        // One by one, since a consumer's filters may not overlap.
        let own = WORKLOAD_EVENTS.map(|kind| subject::event(self.namespace.as_str(), kind));
        own.into_iter().chain(NODE_EVENTS.map(|kind| subject::event("*", kind))).collect()
    }

    async fn live(&self, subjects: Vec<String>) -> Result<Vec<Subscriber>, Error> {
        let mut subscribers = Vec::new();
        for subject in subjects {
            let subscriber = self.nats.subscribe(subject).await;
            subscribers.push(subscriber.map_err(|error| Error::Nats(error.to_string()))?);
        }
        if !subscribers.is_empty() {
            nex_bus::round_trip(&self.nats, nex_bus::ROUND_TRIP_BOUND).await;
        }
        Ok(subscribers)
    }
}

/// Whether it is one token of a subject, and stands for nothing else.
fn is_token(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || ".*>".contains(c))
}

impl Feed for LogRecord {
    fn read(kept: &Kept) -> Option<Self> {
        let mut tokens = kept.subject.split('.').skip(2);
        let namespace = tokens.next()?.to_owned();
        let mut tokens = tokens.skip(1);
        let (workload_id, stream) = (tokens.next()?.to_owned(), tokens.next()?.to_owned());
        let header = |name: &str| kept.header(name).filter(|value| !value.is_empty());
        let bytes = kept.payload.strip_suffix(b"\n").unwrap_or(&kept.payload);
        Some(Self {
            namespace,
            workload_id,
            stream,
            name: header(NAME_HEADER).map(str::to_owned),
            node_id: header(NODE_HEADER).map(str::to_owned),
            level: header(LEVEL_HEADER).unwrap_or("info").to_owned(),
            time: header(TIME_HEADER).and_then(Time::parse).unwrap_or(kept.time),
            bytes: bytes.to_vec(),
        })
    }

    fn time(&self) -> Time {
        self.time
    }

    fn stream(&self) -> String {
        log::history(&self.namespace)
    }
}

impl Feed for EventLine {
    fn read(kept: &Kept) -> Option<Self> {
        let mut tokens = kept.subject.split('.').skip(2);
        let from = tokens.next()?.to_owned();
        let kind = tokens.nth(1)?.to_owned();
        let payload = serde_json::from_slice(&kept.payload).unwrap_or_else(|_| {
            serde_json::Value::String(String::from_utf8_lossy(&kept.payload).into_owned())
        });
        Some(Self { time: kept.time, from, kind, payload })
    }

    fn time(&self) -> Time {
        self.time
    }

    fn stream(&self) -> String {
        event::HISTORY.to_owned()
    }
}
