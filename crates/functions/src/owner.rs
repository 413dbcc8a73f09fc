//! The task that owns one function: lets go of idle instances, and sees it to its end.
//!
//! Owns: the order of the end. Never: runs a call or reads a message.
//!
//! ```text
//! serving ──stop asked──▶ unsubscribing ──readers ended──▶ draining ──quiet, or deadline──▶ gone
//!    └──────connection closed for good──────────▲
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use nex_bus::Client;
use tokio_util::task::TaskTracker;

use crate::dispatch::Dispatcher;
use crate::workload::Shared;

/// Instances that did nothing for this long are let go.
const IDLE: Duration = Duration::from_secs(30);
/// How long a worker may hold the guest after its last call.
const LAST_CALL: Duration = Duration::from_secs(1);
/// How long the answers to a source may take, with what is remembered of their messages.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long the last replies may take into the socket.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// What the task is given.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) client: Arc<Client>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) readers: TaskTracker,
    /// Messages of sources that keep them, until they are answered.
    pub(crate) works: TaskTracker,
    /// From the end of the subscriptions.
    pub(crate) drain: Duration,
}

impl Owner {
    pub(crate) async fn run(self) {
        let Self { dispatcher, client, shared, readers, works, drain } = self;
        readers.close();
        tokio::select! {
            () = readers.wait() => {}
            () = release_idle(&dispatcher, &shared) => {}
        }
        shared.unsubscribed();
        works.close();
        let deadline = Instant::now() + drain;
        // Runs of sources may not have come to the dispatcher yet.
        let _in_time = tokio::time::timeout_at(deadline.into(), works.wait()).await;
        dispatcher.drain(deadline).await;
        if tokio::time::timeout(LAST_ANSWERS, works.wait()).await.is_err() {
            tracing::warn!("messages are left unanswered; they will be delivered again");
        }
        // The last lease of a connection may be dropped next, and with it what was not sent.
        let _away = tokio::time::timeout(LAST_FLUSH, client.flush()).await;
        drop((dispatcher, client));
        shared.see_gone(LAST_CALL).await;
    }
}

/// Looks once per idle time whether there were calls, so that nothing is measured in the calls' way.
async fn release_idle(dispatcher: &Dispatcher, shared: &Shared) {
    let mut watch = IdleWatch::default();
    loop {
        tokio::time::sleep(IDLE).await;
        if watch.look(shared.stats().calls(), shared.stats().in_flight()) {
            dispatcher.release_idle();
        }
    }
}

/// Decides when to let go: at the first look that finds no call since the look before.
#[derive(Debug, Default)]
struct IdleWatch {
    seen_calls: u64,
    released: bool,
}

impl IdleWatch {
    fn look(&mut self, calls: u64, in_flight: u64) -> bool {
        let was_idle = calls == self.seen_calls && in_flight == 0;
        let release = was_idle && !self.released;
        self.seen_calls = calls;
        self.released = was_idle;
        release
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_let_go_once_per_pause() {
        let mut watch = IdleWatch::default();
        let looks = [(3, 0), (3, 0), (3, 0), (4, 1), (4, 1), (4, 0), (4, 0)];
        let released: Vec<bool> =
            looks.map(|(calls, in_flight)| watch.look(calls, in_flight)).into();
        assert_eq!(released, [false, true, false, false, false, true, false]);
    }
}
