//! A deployed function as the SDK sees it: its status, and its end.
//!
//! Owns: the handle. Never: holds the guest, so that it is freed with its last call, whoever keeps
//! the handle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nex_api::NatsConnectionData;
use nex_api::event::StopError;
use nex_api::workload::{WorkloadState, fact};
use nex_bus::Renewer;
use nex_nexlet::{Ended, Metrics, Status, Workload};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::stats::Stats;

/// `Workload::stop` returns within a second.
const STOP_BOUND: Duration = Duration::from_millis(900);

/// What the handle, the readers and the owner of one function share.
#[derive(Debug)]
pub(crate) struct Shared {
    stats: Arc<Stats>,
    /// What never changes: digest, shape, triggers.
    facts: BTreeMap<String, String>,
    stop: CancellationToken,
    unsubscribed: CancellationToken,
    gone: CancellationToken,
}

impl Shared {
    /// `stop` is cancelled when the function is to end, by the handle or with the whole process.
    pub(crate) fn new(
        stats: Arc<Stats>,
        facts: BTreeMap<String, String>,
        stop: CancellationToken,
    ) -> Self {
        let (unsubscribed, gone) = (CancellationToken::new(), CancellationToken::new());
        Self { stats, facts, stop, unsubscribed, gone }
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(crate) fn unsubscribed(&self) {
        self.unsubscribed.cancel();
    }

    /// Dropping it says that the function is gone.
    pub(crate) fn gone_when_dropped(&self) -> DropGuard {
        self.gone.clone().drop_guard()
    }

    /// Waits for that; past `bound` says so itself, since a guest that cannot be stopped must not keep
    /// the workload listed.
    pub(crate) async fn see_gone(&self, bound: Duration) {
        if tokio::time::timeout(bound, self.gone.cancelled()).await.is_err() {
            tracing::error!("function ended, but its guest is still in use");
            self.gone.cancel();
        }
    }

    fn state(&self) -> (WorkloadState, &'static str) {
        if self.gone.is_cancelled() {
            return (WorkloadState::Stopped, "completed");
        }
        if self.stop.is_cancelled() || self.unsubscribed.is_cancelled() {
            return (WorkloadState::Stopping, "draining");
        }
        match self.stats.in_flight() {
            0 => (WorkloadState::Warm, "idle"),
            _ => (WorkloadState::Running, "running"),
        }
    }

    fn counts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        facts.insert(fact::CALLS.to_owned(), self.stats.calls().to_string());
        facts.insert(fact::ERRORS.to_owned(), self.stats.errors().to_string());
        for (status, n) in self.stats.errors_by_status() {
            facts.insert(format!("{}_{status}", fact::ERRORS), n.to_string());
        }
        let refused = self.stats.refused_replies();
        if refused > 0 {
            facts.insert("replies_refused".to_owned(), refused.to_string());
        }
        facts
    }
}

/// The handle.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) shared: Arc<Shared>,
    /// Of its connection, which others of equal credentials may share.
    pub(crate) renewer: Renewer,
}

#[async_trait]
impl Workload for Function {
    fn status(&self) -> Status {
        let (state, phase) = self.shared.state();
        let mut facts = self.shared.facts.clone();
        facts.append(&mut self.shared.counts());
        Status { state, phase, facts, runtime: Some(self.shared.stats.ran_in_all()) }
    }

    async fn stop(&self) {
        self.shared.stop.cancel();
        let unsubscribed = self.shared.unsubscribed.cancelled();
        if tokio::time::timeout(STOP_BOUND, unsubscribed).await.is_err() {
            tracing::warn!("function still unsubscribing; it goes on in its own task");
        }
    }

    async fn renew(&self, connection: &NatsConnectionData) {
        if let Err(error) = self.renewer.renew(connection) {
            tracing::error!(%error, "renewed credentials refused");
        }
    }

    fn metrics(&self) -> Option<Metrics> {
        Some(Metrics { function: Some(self.shared.stats.metrics()), process: None })
    }

    async fn ended(&self) -> Ended {
        self.shared.gone.cancelled().await;
        let error = (!self.shared.stop.is_cancelled()).then(|| StopError {
            code: String::new(),
            message: "the workload's connection to NATS was closed".to_owned(),
        });
        Ended { error, facts: self.shared.counts(), stays_listed: false }
    }
}
