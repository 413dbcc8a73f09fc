//! Log lines of workloads on their way to the feed.
//!
//! Owns: the bound on what waits, the rate per workload, the headers. Never: keeps history, or makes
//! a workload wait: past a bound lines are dropped, counted, and that is said once a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nex_api::log::{GROUP_HEADER, LEVEL_HEADER, NAMESPACE_HEADER, Stream, TIME_HEADER};
use nex_api::{Time, subject};
use nex_bus::Client;
use nex_bus::service::header_map;
use nex_types::{Id, Namespace};
use tokio::sync::mpsc;

/// Lines of all workloads that may wait for NATS; past it they are dropped and counted per workload.
const WAITING_LINES: usize = 8192;
/// A longer line is cut (spec: functions, section 4).
const LONGEST_LINE: usize = 16 * 1024;
/// Default of lines a second and workload.
const DEFAULT_RATE: u32 = 1000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it came from.
    pub stream: Stream,
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// Its bytes, without the newline; they need not be UTF-8.
    pub bytes: Vec<u8>,
}

/// Takes a nexlet's log lines to NATS.
#[derive(Debug, Clone)]
pub struct LogSink {
    outbox: mpsc::Sender<Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    subject: String,
    namespace: String,
    time: Time,
    line: LogLine,
}

impl LogSink {
    /// The sink, and the task that empties it into `client` until all feeds are gone.
    pub fn new(client: Client) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (outbox, inbox) = mpsc::channel(WAITING_LINES);
        (Self { outbox }, publish_all(client, inbox))
    }

    /// The feed of one workload.
    #[must_use]
    pub fn feed(&self, namespace: &Namespace, id: &Id) -> LogFeed {
        LogFeed {
            sink: self.clone(),
            namespace: Arc::from(namespace.as_str()),
            id: Arc::from(id.as_str()),
            budget: Arc::new(Mutex::new(Budget::new(DEFAULT_RATE, Instant::now()))),
        }
    }
}

/// One workload's log. Clones share its rate.
#[derive(Debug, Clone)]
pub struct LogFeed {
    sink: LogSink,
    namespace: Arc<str>,
    id: Arc<str>,
    budget: Arc<Mutex<Budget>>,
}

impl LogFeed {
    /// Sets how many lines a second are let through.
    pub fn set_rate(&self, lines_a_second: u32) {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        *budget = Budget::new(lines_a_second, Instant::now());
    }

    /// Sends one line, read now; never blocks.
    pub fn line(&self, stream: Stream, level: &'static str, bytes: &[u8]) {
        self.line_at(Time::now(), stream, level, bytes);
    }

    /// Sends one line that was read at `time`, as when somebody kept it meanwhile; never blocks.
    pub fn line_at(&self, time: Time, stream: Stream, level: &'static str, bytes: &[u8]) {
        let verdict = {
            let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
            budget.spend(Instant::now())
        };
        if let Some(dropped) = verdict.say_dropped {
            let notice = format!("{dropped} log lines were dropped: more than log_rate a second");
            self.send(Time::now(), Stream::Stderr, "warn", notice.as_bytes());
        }
        if verdict.pass && !self.send(time, stream, level, bytes) {
            self.budget.lock().unwrap_or_else(PoisonError::into_inner).dropped += 1;
        }
    }

    fn send(&self, time: Time, stream: Stream, level: &'static str, bytes: &[u8]) -> bool {
        let cut = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
        let outgoing = Outgoing {
            subject: subject::log(&self.namespace, &self.id, stream),
            namespace: self.namespace.to_string(),
            time,
            line: LogLine { stream, level, bytes: cut.to_vec() },
        };
        self.sink.outbox.try_send(outgoing).is_ok()
    }
}

async fn publish_all(client: Client, mut inbox: mpsc::Receiver<Outgoing>) {
    while let Some(outgoing) = inbox.recv().await {
        let headers = header_map(&[
            (LEVEL_HEADER.to_owned(), outgoing.line.level.to_owned()),
            (TIME_HEADER.to_owned(), outgoing.time.to_string()),
            (GROUP_HEADER.to_owned(), String::new()),
            (NAMESPACE_HEADER.to_owned(), outgoing.namespace),
        ]);
        let payload = outgoing.line.bytes.into();
        if client.publish_with_headers(outgoing.subject, headers, payload).await.is_err() {
            return;
        }
    }
}

/// Lines a second, counted per second.
#[derive(Debug)]
struct Budget {
    rate: u32,
    second: Instant,
    spent: u32,
    dropped: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    pass: bool,
    say_dropped: Option<u64>,
}

impl Budget {
    fn new(rate: u32, now: Instant) -> Self {
        Self { rate, second: now, spent: 0, dropped: 0 }
    }

    fn spend(&mut self, now: Instant) -> Verdict {
        let mut say_dropped = None;
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            say_dropped = (self.dropped > 0).then_some(self.dropped);
            *self = Self::new(self.rate, now);
        }
        if self.spent >= self.rate {
            self.dropped += 1;
            return Verdict { pass: false, say_dropped };
        }
        self.spent += 1;
        Verdict { pass: true, say_dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_dropped_counted_and_said() {
        let start = Instant::now();
        let mut budget = Budget::new(2, start);
        let passed: Vec<bool> = (0..5).map(|_| budget.spend(start).pass).collect();
        assert_eq!(passed, [true, true, false, false, false]);
        let later = budget.spend(start + Duration::from_secs(1));
        assert_eq!(later, Verdict { pass: true, say_dropped: Some(3) });
        assert_eq!(budget.spend(start + Duration::from_secs(1)).say_dropped, None);
    }
}
