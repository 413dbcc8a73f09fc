//! How many requests of one endpoint run, and how many wait to run.
//!
//! Owns: the two bounds, which no other endpoint shares, and telling the log what was refused. Never:
//! makes the reader wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nex_sandbox::{OnFailure, Tasks};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of one endpoint that may run at once.
const RUNNING: usize = 256;
/// Requests of one endpoint that may wait beside them; more are refused at once.
const WAITING: usize = 256;
/// Who has waited for so long is refused.
const WAIT: Duration = Duration::from_secs(1);
/// How often the log tells of refusals.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// The bounds of one endpoint.
#[derive(Debug)]
pub(super) struct Gate {
    endpoint: &'static str,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    n_refused: AtomicU64,
}

/// A request that was let in.
#[derive(Debug)]
pub(super) enum Place {
    /// It may run.
    Runs(OwnedSemaphorePermit),
    /// It may wait to run.
    Waits(OwnedSemaphorePermit),
}

impl Gate {
    pub(super) fn new(endpoint: &'static str) -> Self {
        let (running, waiting) = (Semaphore::new(RUNNING), Semaphore::new(WAITING));
        let (running, waiting) = (Arc::new(running), Arc::new(waiting));
        Self { endpoint, running, waiting, n_refused: AtomicU64::new(0) }
    }

    /// A place for one more request, if there is one. Does not wait.
    pub(super) fn enter(&self) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Some(Place::Runs(permit));
        }
        Arc::clone(&self.waiting).try_acquire_owned().ok().map(Place::Waits)
    }

    /// What a request holds while it runs; none when it has waited too long.
    pub(super) async fn pass(&self, place: Place) -> Option<OwnedSemaphorePermit> {
        let _until_it_runs = match place {
            Place::Runs(permit) => return Some(permit),
            Place::Waits(permit) => permit,
        };
        let permit = Arc::clone(&self.running).acquire_owned();
        tokio::time::timeout(WAIT, permit).await.ok()?.ok()
    }

    /// Counts a refusal; the log tells of all within a second at once.
    pub(super) fn refused(self: &Arc<Self>, tasks: &Tasks) {
        if self.n_refused.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        let gate = Arc::clone(self);
        tasks.spawn("refusals", OnFailure::Log, async move {
            tokio::time::sleep(LOG_EVERY).await;
            let requests = gate.n_refused.swap(0, Ordering::Relaxed);
            tracing::warn!(endpoint = gate.endpoint, requests, "refused: too many at once");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_those_that_run_some_wait_and_the_rest_is_refused() {
        let gate = Gate::new("x");
        let mut running: Vec<Place> = (0..RUNNING).map(|_| gate.enter().unwrap()).collect();
        let mut waiting: Vec<Place> = (0..WAITING).map(|_| gate.enter().unwrap()).collect();
        assert!(gate.enter().is_none());
        assert!(gate.pass(waiting.pop().unwrap()).await.is_none(), "it waited for a second");
        assert!(matches!(gate.enter(), Some(Place::Waits(_))), "its place is free again");
        drop(running.pop());
        assert!(gate.pass(waiting.pop().unwrap()).await.is_some());
        assert!(matches!(Gate::new("y").enter(), Some(Place::Runs(_))), "another has its own");
    }
}
