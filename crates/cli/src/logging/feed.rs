//! The log over NATS: lines wait in a bounded queue until the node can publish them.
//!
//! Owns: the queue and its two subjects. Never: blocks who logs: when the queue is full, lines are lost.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nex_api::log::Stream;
use nex_api::subject;
use nex_bus::{Client, Settings, connect};
use nex_sandbox::{OnFailure, Tasks};
use nex_types::Namespace;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Lines from the time before the connection, and of a burst.
const WAITING: usize = 4096;
const FINISH_BOUND: Duration = Duration::from_secs(1);

/// A line and where it belongs.
type Line = (Stream, Vec<u8>);

/// Where the other end of the queue is until the node takes it.
static FEED: OnceLock<Mutex<Option<Receiver<Line>>>> = OnceLock::new();
/// The task that publishes.
static PUBLISHER: OnceLock<Tasks> = OnceLock::new();

/// Puts lines into the queue.
#[derive(Debug, Clone)]
pub(super) struct Lines(Sender<Line>);

/// One line that is being written.
#[derive(Debug)]
pub(super) struct OneLine {
    queue: Sender<Line>,
    stream: Stream,
    text: Vec<u8>,
}

/// Makes the queue.
pub(super) fn lines() -> Lines {
    let (sender, receiver) = channel(WAITING);
    let _only_once = FEED.set(Mutex::new(Some(receiver)));
    Lines(sender)
}

/// From now on the lines go out on a connection of their own, when the log goes over NATS.
pub(crate) fn publish(settings: Settings, node_id: String) {
    let Some(feed) = FEED.get() else { return };
    let Some(lines) = feed.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let tasks = PUBLISHER.get_or_init(Tasks::new);
    let work = send_all(lines, settings, node_id, tasks.token());
    tasks.spawn("log over NATS", OnFailure::Log, work);
}

/// Sends what is left, within a bound.
pub(crate) async fn finish() {
    if let Some(tasks) = PUBLISHER.get() {
        let _lost_at_the_end = tasks.shutdown(FINISH_BOUND).await;
    }
}

async fn send_all(
    mut lines: Receiver<Line>,
    settings: Settings,
    node_id: String,
    stop: CancellationToken,
) {
    let client = match connect(&settings).await {
        Ok(client) => client,
        Err(error) => return tracing::warn!(%error, "the log does not go over NATS"),
    };
    loop {
        tokio::select! {
            Some((stream, text)) = lines.recv() => send(&client, &node_id, stream, text).await,
            () = stop.cancelled() => break,
        }
    }
    while let Ok((stream, text)) = lines.try_recv() {
        send(&client, &node_id, stream, text).await;
    }
    let _already_closed = client.drain().await;
}

async fn send(client: &Client, node_id: &str, stream: Stream, text: Vec<u8>) {
    let subject = subject::log(Namespace::SYSTEM, node_id, stream);
    // A connection that is closed has nobody who could be told.
    let _closed = client.publish(subject, text.into()).await;
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = OneLine;

    fn make_writer(&'a self) -> OneLine {
        OneLine { queue: self.0.clone(), stream: Stream::Stdout, text: Vec::new() }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> OneLine {
        let stream =
            if *metadata.level() == Level::ERROR { Stream::Stderr } else { Stream::Stdout };
        OneLine { queue: self.0.clone(), stream, text: Vec::new() }
    }
}

impl io::Write for OneLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for OneLine {
    fn drop(&mut self) {
        // Full means that a line is lost; who logs must not wait.
        let _full = self.queue.try_send((self.stream, std::mem::take(&mut self.text)));
    }
}
