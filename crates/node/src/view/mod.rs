//! The node's part of the view: what others may know of it and its workloads without asking
//! (spec: control API, section 13, "The view").
//!
//! Owns: what the rest of the node tells of changes, coalesced and bounded: of each workload only
//! that it changed, and when too many did, that all did. Never: holds up who tells.
//!
//! ```text
//! deploys, stops, events ─► View (a set of ids) ─► publisher: asks the nexlets ─► writes what differs
//! ```

mod observe;
mod publisher;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

pub(crate) use publisher::publish;

/// More than this changed at once is "all".
const MOST_CHANGED: usize = 1024;
/// How long a reply may wait until a list shows what it tells.
const SETTLE_BOUND: Duration = Duration::from_millis(500);

/// How many workloads there are, by type and state.
pub(crate) type Counts = BTreeMap<(String, &'static str), u64>;

/// What is to be looked at again.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Told {
    changed: BTreeSet<String>,
    /// With the namespaces that said so.
    ended: BTreeMap<String, String>,
    all: bool,
    /// The connection is back: JetStream may be too.
    back: bool,
    generation: u64,
}

/// Where changes are told.
#[derive(Debug)]
pub(crate) struct View {
    told: Mutex<Told>,
    wake: Notify,
    /// The last generation that is in the view; none while JetStream is away and nobody shall wait.
    written: watch::Sender<Option<u64>>,
    /// A successor is about to start in this process, and finds the entries as they are.
    stays: AtomicBool,
    /// Absent until somebody asks for them.
    counts: OnceLock<Mutex<Counts>>,
}

impl Default for View {
    fn default() -> Self {
        let written = watch::Sender::new(None);
        Self {
            told: Mutex::default(),
            wake: Notify::new(),
            written,
            stays: AtomicBool::new(false),
            counts: OnceLock::new(),
        }
    }
}

impl View {
    /// What stands in the view is left there when the node ends.
    pub(crate) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    /// A workload of this node started, changed or is about to end.
    pub(crate) fn changed(&self, id: &str) {
        self.tell(|told| {
            told.changed.insert(id.to_owned());
        });
    }

    /// A workload of `namespace` is gone.
    pub(crate) fn ended(&self, id: &str, namespace: &str) {
        self.tell(|told| {
            told.ended.insert(id.to_owned(), namespace.to_owned());
        });
    }

    /// The node's own state or its nexlets changed.
    pub(crate) fn node_changed(&self) {
        self.wake.notify_one();
    }

    /// A nexlet came (back): whatever it runs may have changed.
    pub(crate) fn all_changed(&self) {
        self.told().all = true;
        self.wake.notify_one();
    }

    /// The connection was lost and is back.
    pub(crate) fn reconnected(&self) {
        let mut told = self.told();
        (told.all, told.back) = (true, true);
        drop(told);
        self.wake.notify_one();
    }

    /// The workloads at the last look. They are counted from the first time that somebody asks.
    pub(crate) fn counts(&self) -> Counts {
        let counts = self.counts.get_or_init(Mutex::default);
        counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn counted(&self, count: impl FnOnce() -> Counts) {
        if let Some(counts) = self.counts.get() {
            *counts.lock().unwrap_or_else(PoisonError::into_inner) = count();
        }
    }

    /// Whether the connection came back since the last look; told once.
    fn is_back(&self) -> bool {
        std::mem::take(&mut self.told().back)
    }

    /// Waits until what was told before stands in the view; not for long, and not at all while
    /// JetStream is away.
    pub(crate) async fn settled(&self) {
        let generation = self.told().generation;
        let mut written = self.written.subscribe();
        let is_there = written.wait_for(|written| written.is_none_or(|w| w >= generation));
        if tokio::time::timeout(SETTLE_BOUND, is_there).await.is_err() {
            tracing::debug!("the view lags behind a reply");
        }
    }

    fn tell(&self, note: impl Fn(&mut Told)) {
        let mut told = self.told();
        told.generation += 1;
        note(&mut told);
        if told.changed.len() + told.ended.len() > MOST_CHANGED {
            let generation = told.generation;
            *told = Told { all: true, generation, ..Told::default() };
        }
        drop(told);
        self.wake.notify_one();
    }

    fn take(&self) -> Told {
        let mut told = self.told();
        let generation = told.generation;
        std::mem::replace(&mut *told, Told { generation, ..Told::default() })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_changes_becomes_one() {
        let view = View::default();
        view.changed("a");
        view.changed("a");
        view.ended("b", "default");
        let told = view.take();
        assert_eq!((told.changed.len(), told.ended.len(), told.all), (1, 1, false));
        for n in 0..=MOST_CHANGED {
            view.changed(&n.to_string());
        }
        let told = view.take();
        assert!(told.all && told.changed.is_empty() && told.generation > 1000);
        assert_eq!(view.take(), Told { generation: told.generation, ..Told::default() });
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_view_that_is_away_and_nobody_waits_for_long() {
        let view = View::default();
        view.changed("a");
        let start = tokio::time::Instant::now();
        view.settled().await;
        assert_eq!(start.elapsed(), Duration::ZERO, "away");
        view.written.send_replace(Some(0));
        view.settled().await;
        assert_eq!(start.elapsed(), SETTLE_BOUND, "behind");
        view.written.send_replace(Some(1));
        view.settled().await;
        assert_eq!(start.elapsed(), SETTLE_BOUND, "written");
    }
}
