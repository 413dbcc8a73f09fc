//! The handle of a native workload: what the nexlet may ask of it, and see of it.
//!
//! Owns: how a life is told on the wire. Never: acts; the task that owns the workload does (`supervise`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use nex_api::NatsConnectionData;
use nex_api::event::StopError;
use nex_api::workload::WorkloadState;
use nex_nexlet::{Ended, Metrics, ProcessMetrics, Status, Workload};
use nex_policy::life::Phase;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::credentials;
use crate::programs::on_disk;

/// A handle. When the last one is dropped, and the nexlet did not say that it leaves, the program is killed.
#[derive(Debug)]
pub(crate) struct NativeWorkload {
    pub(crate) seen: watch::Receiver<Seen>,
    pub(crate) stop: CancellationToken,
    pub(crate) port: Option<u16>,
    /// Where its credentials are, and whose they are on the host.
    pub(crate) folder: PathBuf,
    pub(crate) uid: Option<u32>,
    pub(crate) _kill: DropGuard,
    /// The nexlet goes, and what runs goes on.
    pub(crate) leave: CancellationToken,
}

/// What is seen of a workload.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) phase: Phase,
    pub(crate) facts: BTreeMap<String, String>,
    /// Stays as it was when the program ends.
    pub(crate) usage: ProcessMetrics,
    /// Its usage is known: of a program that ran before, not before its shim was asked.
    pub(crate) is_metered: bool,
    /// Set at last.
    pub(crate) ended: Option<Ended>,
}

#[async_trait]
impl Workload for NativeWorkload {
    fn status(&self) -> Status {
        let seen = self.seen.borrow();
        let state = match seen.phase {
            Phase::Starting | Phase::Restarting => WorkloadState::Starting,
            Phase::Running => WorkloadState::Running,
            Phase::Stopping => WorkloadState::Stopping,
            Phase::Stopped | Phase::Completed => WorkloadState::Stopped,
            Phase::Failed => WorkloadState::Error,
        };
        Status { state, phase: seen.phase.as_str(), facts: seen.facts.clone(), runtime: None }
    }

    async fn stop(&self) {
        self.stop.cancel();
        let mut seen = self.seen.clone();
        let heard = |seen: &Seen| !matches!(seen.phase, Phase::Running | Phase::Restarting);
        let _owner_gone = seen.wait_for(heard).await;
    }

    async fn renew(&self, connection: &NatsConnectionData) {
        if self.seen.borrow().ended.is_some() {
            return;
        }
        let (folder, uid, connection) = (self.folder.clone(), self.uid, connection.clone());
        let writing = move || credentials::write(&folder, uid, &connection);
        if let Err(error) = on_disk(writing).await {
            tracing::error!(%error, "renewed credentials not written");
        }
    }

    fn metrics(&self) -> Option<Metrics> {
        let seen = self.seen.borrow();
        seen.is_metered.then(|| Metrics { function: None, process: Some(seen.usage.clone()) })
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    async fn ended(&self) -> Ended {
        let mut seen = self.seen.clone();
        let ended = seen.wait_for(|seen| seen.ended.is_some()).await.ok();
        if let Some(ended) = ended.and_then(|seen| seen.ended.clone()) {
            return ended;
        }
        if self.leave.is_cancelled() {
            // It goes on, and nobody here will know how it ends.
            std::future::pending::<()>().await;
        }
        let message = "the task of the workload failed".to_owned();
        Ended { error: Some(StopError { code: String::new(), message }), ..Ended::default() }
    }
}
