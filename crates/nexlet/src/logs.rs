//! Log lines of workloads on their way to the feed.
//!
//! Owns: the headers, and the turns that workloads take. Never: keeps history, or makes a workload wait:
//! past a bound lines are dropped, counted, and that is said within about a second.
//!
//! ```text
//! line ─► waits with its workload ─► a few lines each turn ─► NATS
//!             └ no room or over the rate: counted ─► told a second later, also when nothing follows
//! ```

mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use nex_api::log::{
    GROUP_HEADER, LEVEL_HEADER, NAME_HEADER, NAMESPACE_HEADER, NODE_HEADER, Stream, TIME_HEADER,
};
use nex_api::{Time, subject};
use nex_bus::Client;
use nex_bus::service::header_map;
use nex_types::{Id, Namespace, WorkloadName, unfinished_character};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use waiting::{Dropped, Line, Owed, Waiting};

/// A longer line is cut (spec: functions, section 4).
const LONGEST_LINE: usize = 16 * 1024;
/// Default of lines a second and workload.
const DEFAULT_RATE: u32 = 1000;
/// Lines of one workload before it is another's turn.
const TURN: usize = 32;
/// What was dropped is told so long after the first of it.
const TELL_AFTER: Duration = Duration::from_secs(1);
/// At its end a nexlet does not wait longer for lines that NATS does not take.
const FLUSH_BOUND: Duration = Duration::from_secs(2);

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
    signals: mpsc::UnboundedSender<Signal>,
    n_bytes: Arc<AtomicUsize>,
    node_id: Arc<str>,
}

/// What the publisher is told. Of each workload there is at most one of the first two on the way.
#[derive(Debug)]
enum Signal {
    HasLines(Arc<Waiting>),
    HasDropped(Arc<Waiting>),
    Flush(oneshot::Sender<()>),
}

impl LogSink {
    /// The sink, and the task that empties it into `client` until all feeds are gone.
    pub fn new(client: Client) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (signals, inbox) = mpsc::unbounded_channel();
        let sink = Self { signals, n_bytes: Arc::default(), node_id: Arc::from("") };
        let publisher = Publisher {
            client,
            inbox,
            ready: VecDeque::new(),
            owing: Vec::new(),
            due: None,
            flushes: Vec::new(),
        };
        (sink, publisher.run())
    }

    /// The same sink; its lines say that they are from this node.
    #[must_use]
    pub fn on_node(self, node_id: &str) -> Self {
        Self { node_id: Arc::from(node_id), ..self }
    }

    /// The feed of one workload.
    #[must_use]
    pub fn feed(&self, namespace: &Namespace, id: &Id) -> LogFeed {
        self.feed_of(namespace, id, "")
    }

    /// The feed of one workload, by whose name its lines can be found.
    #[must_use]
    pub fn named_feed(&self, namespace: &Namespace, id: &Id, name: &WorkloadName) -> LogFeed {
        self.feed_of(namespace, id, name.as_str())
    }

    fn feed_of(&self, namespace: &Namespace, id: &Id, name: &str) -> LogFeed {
        let owner = Owner {
            namespace: namespace.to_string(),
            id: id.to_string(),
            name: name.to_owned(),
            node_id: Arc::clone(&self.node_id),
        };
        let waiting = Waiting::new(owner, DEFAULT_RATE, Arc::clone(&self.n_bytes));
        LogFeed { signals: self.signals.clone(), waiting: Arc::new(waiting) }
    }

    /// Waits until what was written so far is on its way, and what was dropped is told; not for long.
    pub async fn flush(&self) {
        let (flushed, done) = oneshot::channel();
        if self.signals.send(Signal::Flush(flushed)).is_ok() {
            let _not_in_time = tokio::time::timeout(FLUSH_BOUND, done).await;
        }
    }
}

/// Whose lines they are.
#[derive(Debug)]
struct Owner {
    namespace: String,
    id: String,
    name: String,
    node_id: Arc<str>,
}

/// One workload's log. Clones share its rate and its room.
#[derive(Debug, Clone)]
pub struct LogFeed {
    signals: mpsc::UnboundedSender<Signal>,
    waiting: Arc<Waiting>,
}

impl LogFeed {
    /// Sets how many lines a second are let through.
    pub fn set_rate(&self, lines_a_second: u32) {
        self.waiting.set_rate(lines_a_second);
    }

    /// Sends one line, read now; never blocks.
    pub fn line(&self, stream: Stream, level: &'static str, bytes: &[u8]) {
        self.line_at(Time::now(), stream, level, bytes);
    }

    /// Sends one line that was read at `time`, as when somebody kept it meanwhile; never blocks.
    pub fn line_at(&self, time: Time, stream: Stream, level: &'static str, bytes: &[u8]) {
        let line = LogLine { stream, level, bytes: cut(bytes).to_vec() };
        let signal = match self.waiting.push(Line { time, line }) {
            Owed::Nothing => return,
            Owed::Lines => Signal::HasLines,
            Owed::Notice => Signal::HasDropped,
        };
        // Without a publisher nobody would hear it.
        let _gone = self.signals.send(signal(Arc::clone(&self.waiting)));
    }
}

/// A line that is not too long; text is cut between characters.
fn cut(line: &[u8]) -> &[u8] {
    let Some(head) = line.get(..LONGEST_LINE) else { return line };
    let is_whole = head.len() == line.len();
    let n_unfinished = if is_whole { 0 } else { unfinished_character(head) };
    head.get(..head.len() - n_unfinished).unwrap_or(head)
}

#[derive(Debug)]
struct Publisher {
    client: Client,
    inbox: mpsc::UnboundedReceiver<Signal>,
    /// Workloads that have lines, in the order of their turns.
    ready: VecDeque<Arc<Waiting>>,
    /// Workloads of which lines were dropped and not told yet.
    owing: Vec<Arc<Waiting>>,
    due: Option<Instant>,
    flushes: Vec<oneshot::Sender<()>>,
}

/// The connection is closed.
#[derive(Debug)]
struct Closed;

impl Publisher {
    async fn run(mut self) {
        while self.hear().await {
            if self.turns().await.is_err() {
                return;
            }
        }
        let _closed = self.tell_dropped().await;
    }

    /// Waits until there is something to do; false when all feeds are gone.
    async fn hear(&mut self) -> bool {
        let due = self.due;
        let is_due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            signal = self.inbox.recv() => match signal {
                Some(signal) => self.note(signal),
                None => return false,
            },
            () = is_due => {}
        }
        true
    }

    fn note(&mut self, signal: Signal) {
        match signal {
            Signal::HasLines(waiting) => self.ready.push_back(waiting),
            Signal::HasDropped(waiting) => {
                self.due.get_or_insert_with(|| Instant::now() + TELL_AFTER);
                self.owing.push(waiting);
            }
            Signal::Flush(flushed) => self.flushes.push(flushed),
        }
    }

    /// Publishes until no line waits; whoever comes meanwhile gets its turn.
    async fn turns(&mut self) -> Result<(), Closed> {
        while let Some(waiting) = self.ready.pop_front() {
            let (lines, has_more) = waiting.take(TURN);
            for line in lines {
                self.publish(waiting.owner(), line).await?;
            }
            if has_more {
                self.ready.push_back(waiting);
            }
            while let Ok(signal) = self.inbox.try_recv() {
                self.note(signal);
            }
            self.tell_when_due().await?;
        }
        if !self.flushes.is_empty() {
            self.tell_dropped().await?;
            for flushed in self.flushes.drain(..) {
                let _not_waiting = flushed.send(());
            }
        }
        self.tell_when_due().await
    }

    async fn tell_when_due(&mut self) -> Result<(), Closed> {
        match self.due {
            Some(due) if due <= Instant::now() => self.tell_dropped().await,
            _ => Ok(()),
        }
    }

    async fn tell_dropped(&mut self) -> Result<(), Closed> {
        self.due = None;
        for waiting in std::mem::take(&mut self.owing) {
            let Dropped { over_rate, no_room } = waiting.take_dropped();
            for (n, why) in [
                (over_rate, "more than log_rate a second"),
                (no_room, "more than NATS took while they waited"),
            ] {
                if n > 0 {
                    let bytes = format!("{n} log lines were dropped: {why}").into_bytes();
                    let line = LogLine { stream: Stream::Stderr, level: "warn", bytes };
                    self.publish(waiting.owner(), Line { time: Time::now(), line }).await?;
                }
            }
        }
        Ok(())
    }

    async fn publish(&self, owner: &Owner, Line { time, line }: Line) -> Result<(), Closed> {
        let headers = [
            (LEVEL_HEADER, line.level.to_owned()),
            (TIME_HEADER, time.to_string()),
            (GROUP_HEADER, String::new()),
            (NAMESPACE_HEADER, owner.namespace.clone()),
        ];
        let ours = [(NAME_HEADER, owner.name.clone()), (NODE_HEADER, owner.node_id.to_string())];
        let ours = ours.into_iter().filter(|(_, value)| !value.is_empty());
        let headers: Vec<(String, String)> =
            headers.into_iter().chain(ours).map(|(name, value)| (name.to_owned(), value)).collect();
        let subject = subject::log(&owner.namespace, &owner.id, line.stream);
        let sent =
            self.client.publish_with_headers(subject, header_map(&headers), line.bytes.into());
        sent.await.map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters_and_what_is_no_text_at_its_bound() {
        let euros = "€".repeat(LONGEST_LINE);
        let head = cut(euros.as_bytes());
        assert_eq!(head.len(), LONGEST_LINE - LONGEST_LINE % 3);
        assert!(std::str::from_utf8(head).is_ok());
        assert_eq!(cut(&vec![0xff; LONGEST_LINE + 9]).len(), LONGEST_LINE);
        let exact = [vec![b'a'; LONGEST_LINE - 1], vec![0xe2]].concat();
        assert_eq!(cut(&exact), exact, "what fits is not touched");
    }
}
