//! The simplest workload: one future, which runs until it ends or is told to stop.
//!
//! Owns: its state, its facts and its end. Never: knows what the future does.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use nex_api::event::StopError;
use nex_api::workload::WorkloadState;
use nex_sandbox::{OnFailure, Tasks};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Ended, Started, Status, Workload};

/// Facts that a workload tells of itself; they stand in `metadata` of lists. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Facts(Arc<Mutex<BTreeMap<String, String>>>);

impl Facts {
    /// Sets one fact.
    pub fn set(&self, key: &str, value: impl Display) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        facts.insert(key.to_owned(), value.to_string());
    }

    fn all(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A workload that is one future. Stopping it drops the future at its next `.await`.
#[derive(Debug)]
pub struct TaskWorkload {
    stop: CancellationToken,
    facts: Facts,
    ended: watch::Receiver<Option<Ended>>,
}

impl TaskWorkload {
    /// Starts the future that `work` makes, and is what `Nexlet::start` returns. An `Err` is how a
    /// workload says that it failed.
    pub fn spawn<F, E>(work: impl FnOnce(Facts) -> F) -> Started
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let (facts, stop) = (Facts::default(), CancellationToken::new());
        let (announce, ended) = watch::channel(None);
        let (work, token) = (work(facts.clone()), stop.clone());
        Tasks::new().spawn("workload", OnFailure::Log, async move {
            let error = tokio::select! {
                result = work => result.err().map(|error| failed(error.to_string())),
                () = token.cancelled() => None,
            };
            announce.send_replace(Some(Ended { error, ..Ended::default() }));
        });
        Started { workload: Arc::new(Self { stop, facts, ended }), warnings: Vec::new() }
    }
}

#[async_trait]
impl Workload for TaskWorkload {
    fn status(&self) -> Status {
        let (state, phase) = match (self.ended.borrow().is_some(), self.stop.is_cancelled()) {
            (true, _) => (WorkloadState::Stopped, "completed"),
            (false, true) => (WorkloadState::Stopping, "stopping"),
            (false, false) => (WorkloadState::Running, "running"),
        };
        Status { state, phase, facts: self.facts.all(), runtime: None }
    }

    async fn stop(&self) {
        self.stop.cancel();
    }

    async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        // The sender goes away without a word only when the future panicked.
        let panicked = || Ended { error: Some(failed("panicked".to_owned())), ..Ended::default() };
        let said = ended.wait_for(Option::is_some).await;
        let mut end = said.ok().and_then(|ended| ended.clone()).unwrap_or_else(panicked);
        end.facts = self.facts.all();
        end
    }
}

fn failed(message: String) -> StopError {
    StopError { code: "1".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn it_runs_until_it_is_told_to_stop() {
        let workload = TaskWorkload::spawn(|facts| async move {
            facts.set("seen", 7);
            std::future::pending::<Result<(), String>>().await
        })
        .workload;
        tokio::task::yield_now().await;
        assert_eq!(workload.status().phase, "running");
        workload.stop().await;
        workload.stop().await;
        let ended = workload.ended().await;
        assert_eq!(ended.error, None);
        assert_eq!(ended.facts["seen"], "7");
        assert_eq!(workload.status().state, WorkloadState::Stopped);
    }

    #[tokio::test]
    async fn failures_and_panics_are_told() {
        let failing = TaskWorkload::spawn(|_| async { Err("no such thing") }).workload;
        assert_eq!(failing.ended().await.error.unwrap().message, "no such thing");
        let panicking = TaskWorkload::spawn(|_| {
            std::future::poll_fn(|_| -> Poll<Result<(), String>> { panic!("on purpose") })
        })
        .workload;
        assert_eq!(panicking.ended().await.error.unwrap().message, "panicked");
    }
}
