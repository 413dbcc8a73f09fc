//! The table of background tasks: each has a name and an answer to "and when it fails?".
//!
//! Owns: spawning, counting, cancelling and joining tasks. Never: restarts one by itself.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// What the end of a task means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// A request, a workload: its panic is logged, others go on.
    Log,
    /// A part of the system: when it ends before the table is cancelled, the process must end, loudly.
    EndProcess,
}

/// A handle to the table; clones share it.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
    failed: Arc<watch::Sender<Option<&'static str>>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        let (failed, _) = watch::channel(None);
        Self {
            tracker: TaskTracker::new(),
            token: CancellationToken::new(),
            failed: Arc::new(failed),
        }
    }

    /// Cancelled when the table is; tasks that loop select on it.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Starts a task on the current runtime.
    pub fn spawn<F>(&self, name: &'static str, on_failure: OnFailure, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(self.guarded(name, on_failure, future));
    }

    /// Likewise, until `token` is cancelled: the table's own, or a child of it.
    pub fn spawn_until<F>(
        &self,
        token: CancellationToken,
        name: &'static str,
        on_failure: OnFailure,
        future: F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, on_failure, async move {
            let _cancelled = token.run_until_cancelled(future).await;
        });
    }

    /// Starts a task on another runtime, for instance that of the guests.
    pub fn spawn_on<F>(
        &self,
        runtime: &tokio::runtime::Handle,
        name: &'static str,
        on_failure: OnFailure,
        future: F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn_on(self.guarded(name, on_failure, future), runtime);
    }

    /// Waits until a part of the system has failed and tells which; for ever when none does.
    pub async fn failure(&self) -> &'static str {
        let mut failed = self.failed.subscribe();
        loop {
            if let Some(name) = *failed.borrow_and_update() {
                return name;
            }
            if failed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Cancels all tasks and waits for their end. Returns false when some are left after `bound`.
    pub async fn shutdown(&self, bound: Duration) -> bool {
        self.token.cancel();
        self.tracker.close();
        tokio::time::timeout(bound, self.tracker.wait()).await.is_ok()
    }

    fn guarded<F>(
        &self,
        name: &'static str,
        on_failure: OnFailure,
        future: F,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (token, failed) = (self.token.clone(), Arc::clone(&self.failed));
        let guarded = async move {
            let panicked = AssertUnwindSafe(future).catch_unwind().await.is_err();
            let ended_early = on_failure == OnFailure::EndProcess && !token.is_cancelled();
            if panicked {
                tracing::error!(task = name, "task panicked");
            }
            if ended_early {
                tracing::error!(task = name, "system task ended");
                failed.send_replace(Some(name));
            }
        };
        guarded.instrument(tracing::debug_span!("task", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_system_task_that_panics_is_reported_by_name() {
        let tasks = Tasks::new();
        tasks.spawn("request", OnFailure::Log, async { panic!("one request") });
        tasks.spawn("heartbeat", OnFailure::EndProcess, async { panic!("on purpose") });
        assert_eq!(tasks.failure().await, "heartbeat");
    }

    #[tokio::test]
    async fn shutdown_waits_for_tasks_that_obey() {
        let tasks = Tasks::new();
        let token = tasks.token();
        tasks.spawn("loop", OnFailure::EndProcess, async move { token.cancelled().await });
        assert!(tasks.shutdown(Duration::from_secs(5)).await);
        let stubborn = Tasks::new();
        stubborn.spawn("stubborn", OnFailure::Log, std::future::pending());
        assert!(!stubborn.shutdown(Duration::from_millis(1)).await);
    }
}
