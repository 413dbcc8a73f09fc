//! What is heard while a file is worked on: log lines, ends, counts, calls.
//!
//! Owns: a task per feed. Never: decides what of it concerns us. All go through one bounded queue; when it is
//! full, feeds wait and the server drops what nobody takes.

use nex_api::metrics::WorkloadMetrics;
use nex_bus::{Client as Nats, Message};
use nex_client::{
    Begin, Client, EventLine, Events, History, LogRecord, MetricsFeed, Observed, observe,
};
use nex_sandbox::{OnFailure, Tasks};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::happening::Happening;
use crate::error::CliError;
use crate::ui;

const QUEUE: usize = 256;

/// One thing that was heard.
#[derive(Debug)]
pub(super) enum Heard {
    Log(LogRecord),
    Event(EventLine),
    Counted(Box<WorkloadMetrics>),
    Call(Message),
    /// What came of a call of ours.
    Answer(Happening),
}

/// Where feeds come together.
#[derive(Debug)]
pub(super) struct Feeds {
    tasks: Tasks,
    sender: mpsc::Sender<Heard>,
    heard: mpsc::Receiver<Heard>,
    /// Ends the listening beside the function.
    observer: Option<DropGuard>,
}

impl Feeds {
    /// Hears from now on what the namespace's workloads write and count, and how they end.
    pub(super) async fn open(client: &Client) -> Result<Self, CliError> {
        let (tasks, (sender, heard)) = (Tasks::new(), mpsc::channel(QUEUE));
        let feeds = Self { tasks, sender, heard, observer: None };
        let token = feeds.tasks.token();
        let history = client.logs(Begin::Last(0), true).await?;
        feeds.spawn("logs", &token, logs(history, feeds.sender.clone()));
        let events = client.events().await?;
        feeds.spawn("events", &token, ends(events, feeds.sender.clone()));
        let counts = client.metrics().await?;
        feeds.spawn("counts", &token, counted(counts, feeds.sender.clone()));
        Ok(feeds)
    }

    /// The next that was heard.
    pub(super) async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }

    /// Sees calls on these subjects, in place of those before.
    pub(super) async fn observe(&mut self, nats: &Nats, subjects: &[String]) {
        self.observe_nothing();
        // Without this the flow lacks calls, and nothing else does.
        let seen = match observe(nats, subjects).await {
            Ok(seen) => seen,
            Err(error) => return ui::note(format_args!("calls of others are not seen: {error}")),
        };
        let token = self.tasks.token().child_token();
        self.spawn("calls", &token, calls(seen, self.sender.clone()));
        self.observer = Some(token.drop_guard());
    }

    /// Before the function goes: as long as somebody listens, callers are not told that nobody answers.
    pub(super) fn observe_nothing(&mut self) {
        self.observer = None;
    }

    /// Hears of an answer when it is there.
    pub(super) fn answer(&self, answer: impl Future<Output = Happening> + Send + 'static) {
        let sender = self.sender.clone();
        let work = async move {
            let _ended = sender.send(Heard::Answer(answer.await)).await;
        };
        self.spawn("call", &self.tasks.token(), work);
    }

    fn spawn(
        &self,
        name: &'static str,
        token: &CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn_until(token.clone(), name, OnFailure::Log, work);
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

async fn logs(mut history: History<LogRecord>, sender: mpsc::Sender<Heard>) {
    while history.past().await.is_some() {}
    while let Some(record) = history.next().await {
        if sender.send(Heard::Log(record)).await.is_err() {
            return;
        }
    }
}

async fn ends(mut events: Events, sender: mpsc::Sender<Heard>) {
    while let Some(event) = events.next().await {
        if sender.send(Heard::Event(event)).await.is_err() {
            return;
        }
    }
}

async fn counted(mut counts: MetricsFeed, sender: mpsc::Sender<Heard>) {
    while let Some(metrics) = counts.next().await {
        if sender.send(Heard::Counted(Box::new(metrics))).await.is_err() {
            return;
        }
    }
}

async fn calls(mut calls: Observed, sender: mpsc::Sender<Heard>) {
    while let Some(message) = calls.next().await {
        if sender.send(Heard::Call(message)).await.is_err() {
            return;
        }
    }
}
