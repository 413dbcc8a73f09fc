//! Makes the streams that keep log lines and events.
//!
//! Owns: which are wanted, their bounds, and making them again when JetStream comes back without them.
//! Never: has a part in what is kept; a workload that starts waits for its stream, and not for long.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use nex_api::{event, log, subject};
use nex_bus::Client;
use nex_bus::history::{self, Keep};
use tokio_util::sync::CancellationToken;

use crate::control::Shared;
use crate::events::EventSink;

/// Neither a start of the node nor that of a workload waits longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether the streams are there.
const LOOK: Duration = Duration::from_secs(30);
/// Streams that are made at a time.
const AT_ONCE: usize = 8;
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What this node sees to that it is kept.
#[derive(Debug)]
pub(crate) struct History {
    client: Client,
    keeps_logs: bool,
    keeps_events: bool,
    /// Namespaces whose stream was there when it was last looked.
    known: Mutex<BTreeSet<String>>,
    /// Whether it was said that they are not kept; events and log lines each by themselves.
    events_said: AtomicBool,
    logs_said: AtomicBool,
}

impl History {
    pub(crate) fn new(client: Client, keeps_logs: bool, events: EventSink) -> Self {
        Self {
            client,
            keeps_logs,
            keeps_events: events == EventSink::Nats,
            known: Mutex::default(),
            events_said: AtomicBool::new(false),
            logs_said: AtomicBool::new(false),
        }
    }

    /// Before the first workload of a namespace starts: so that its first line is kept too.
    pub(crate) async fn keep_logs(&self, namespace: &str) {
        let is_known = self.known().contains(namespace);
        if self.keeps_logs && !is_known {
            // The next look makes it when this is not enough; the first lines are then missing.
            let _later = tokio::time::timeout(PATIENCE, self.ensure(namespace)).await;
        }
    }

    async fn ensure(&self, namespace: &str) {
        match history::keep(&self.client, &logs_of(namespace)).await {
            Ok(()) => drop(self.known().insert(namespace.to_owned())),
            Err(error) => {
                self.known().remove(namespace);
                say_missing(&self.logs_said, "log lines", &error);
            }
        }
    }

    async fn ensure_all(&self, namespaces: BTreeSet<String>) {
        if self.keeps_events
            && let Err(error) = history::keep(&self.client, &events()).await
        {
            say_missing(&self.events_said, "events", &error);
        }
        if self.keeps_logs {
            let each = |namespace: String| async move { self.ensure(&namespace).await };
            futures::stream::iter(namespaces).for_each_concurrent(AT_ONCE, each).await;
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say_missing(is_said: &AtomicBool, what: &str, error: &str) {
    if !is_said.swap(true, Ordering::Relaxed) {
        tracing::warn!(error, "{what} are not kept, they can only be followed");
    }
}

/// Before the node's first event: so that it is kept too.
pub(crate) async fn begin(shared: &Shared) {
    let all = shared.history.ensure_all(shared.workloads.namespaces());
    let _later = tokio::time::timeout(PATIENCE, all).await;
}

/// Looks after the streams until `token` is cancelled.
pub(crate) async fn attend(shared: Arc<Shared>, token: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = token.cancelled() => return,
        }
        tokio::select! {
            () = shared.history.ensure_all(shared.workloads.namespaces()) => {}
            () = token.cancelled() => return,
        }
    }
}

fn logs_of(namespace: &str) -> Keep {
    Keep {
        stream: log::history(namespace),
        description: "log lines of workloads (nex)".to_owned(),
        subject: subject::logs(namespace),
        max_messages: -1,
        max_messages_per_subject: 10_000,
        max_bytes: 1 << 30,
        max_age: WEEK,
    }
}

fn events() -> Keep {
    Keep {
        stream: event::HISTORY.to_owned(),
        description: "events of nodes and workloads (nex)".to_owned(),
        subject: subject::event("*", "*"),
        max_messages: 100_000,
        max_messages_per_subject: -1,
        max_bytes: 256 << 20,
        max_age: WEEK,
    }
}
