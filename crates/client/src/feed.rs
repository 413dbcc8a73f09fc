//! Live logs and events.
//!
//! Owns: the subscriptions and reading their messages. Never: keeps history.

use futures::StreamExt;
use nex_api::log::{LEVEL_HEADER, TIME_HEADER};
use nex_api::{Time, subject};
use nex_bus::{Message, Subscriber};
use nex_types::Namespace;

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

/// One line of a workload's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Which workload.
    pub workload_id: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// `info` when the sender did not tell.
    pub level: String,
    /// The time of arrival when the sender did not tell.
    pub time: Time,
    /// Its bytes, without a trailing newline.
    pub bytes: Vec<u8>,
}

/// A live log.
#[derive(Debug)]
pub struct Logs(Subscriber);

impl Logs {
    /// The next line; none when the connection is closed.
    pub async fn next(&mut self) -> Option<LogRecord> {
        loop {
            let message = self.0.next().await?;
            if let Some(record) = log_record(&message) {
                return Some(record);
            }
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventLine {
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
            if let Some(event) = event_line(&message) {
                return Some(event);
            }
        }
    }
}

impl Client {
    /// Follows the logs of all workloads that this client may see.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn logs(&self) -> Result<Logs, Error> {
        let namespace = if self.is_system() { "*" } else { self.namespace.as_str() };
        let subject = format!("$NEX.FEED.{namespace}.logs.*.*");
        let subscriber = self.subscribe(subject).await?;
        nex_bus::round_trip(&self.nats, nex_bus::ROUND_TRIP_BOUND).await;
        Ok(Logs(subscriber))
    }

    /// Follows the events of nodes and of the workloads that this client may see.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn events(&self) -> Result<Events, Error> {
        let mut subscribers = Vec::new();
        if self.namespace.as_str() == Namespace::SYSTEM {
            subscribers.push(self.subscribe(subject::event("*", "*")).await?);
        } else {
            subscribers.push(self.subscribe(subject::event(self.namespace.as_str(), "*")).await?);
            for kind in NODE_EVENTS {
                subscribers.push(self.subscribe(subject::event("*", kind)).await?);
            }
        }
        nex_bus::round_trip(&self.nats, nex_bus::ROUND_TRIP_BOUND).await;
        Ok(Events(futures::stream::select_all(subscribers)))
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, Error> {
        self.nats.subscribe(subject).await.map_err(|error| Error::Nats(error.to_string()))
    }
}

fn log_record(message: &Message) -> Option<LogRecord> {
    let mut tokens = message.subject.split('.').skip(4);
    let (workload_id, stream) = (tokens.next()?.to_owned(), tokens.next()?.to_owned());
    let header =
        |name: &str| message.headers.as_ref().and_then(|h| h.get(name)).map(|v| v.as_str());
    let bytes = message.payload.strip_suffix(b"\n").unwrap_or(&message.payload);
    Some(LogRecord {
        workload_id,
        stream,
        level: header(LEVEL_HEADER).unwrap_or("info").to_owned(),
        time: header(TIME_HEADER).and_then(Time::parse).unwrap_or_else(Time::now),
        bytes: bytes.to_vec(),
    })
}

fn event_line(message: &Message) -> Option<EventLine> {
    let mut tokens = message.subject.split('.').skip(2);
    let from = tokens.next()?.to_owned();
    let kind = tokens.nth(1)?.to_owned();
    let payload = serde_json::from_slice(&message.payload).unwrap_or_else(|_| {
        serde_json::Value::String(String::from_utf8_lossy(&message.payload).into_owned())
    });
    Some(EventLine { from, kind, payload })
}
