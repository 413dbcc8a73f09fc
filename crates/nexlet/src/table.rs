//! The table of workloads that a nexlet runs.
//!
//! Owns: which ids run, for whom, since when, which are being started, and which ended and are still
//! shown. Never: starts or stops one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nex_api::workload::{ListWorkloadsRequest, StartWorkloadRequest, WorkloadSummary, fact};
use nex_api::{Time, encode};
use nex_types::{Id, Namespace, WorkloadName};
use tokio::sync::watch;

use crate::Workload;
use crate::ingress::Announcement;

/// A job that completed, or a service that failed, is shown for as long as this (spec: services, section 3).
const FINISHED_STAYS: Duration = Duration::from_secs(24 * 60 * 60);
/// And at most so many of a namespace; the oldest go first.
const FINISHED_OF_A_NAMESPACE: usize = 100;

/// One workload.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) namespace: Namespace,
    pub(crate) name: WorkloadName,
    pub(crate) request: StartWorkloadRequest,
    pub(crate) started: Time,
    pub(crate) workload: Arc<dyn Workload>,
    /// Set when it takes traffic from outside.
    pub(crate) announcement: Option<Arc<Announcement>>,
}

/// All of them. A std mutex over short sections: nothing awaits inside.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Mutex<BTreeMap<Id, Entry>>,
    /// In the order in which they ended.
    finished: Mutex<VecDeque<Finished>>,
    starting: watch::Sender<BTreeSet<Id>>,
}

/// A workload that has ended and is still shown.
#[derive(Debug)]
struct Finished {
    id: Id,
    entry: Entry,
    at: Instant,
}

/// A workload whose counts are read, and whose they are.
#[derive(Debug)]
pub(crate) struct Metered {
    pub(crate) namespace: Namespace,
    pub(crate) name: WorkloadName,
    pub(crate) workload_type: String,
    pub(crate) workload: Arc<dyn Workload>,
}

impl From<&Entry> for Metered {
    fn from(entry: &Entry) -> Self {
        Self {
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
            workload_type: entry.request.workload_type.clone(),
            workload: Arc::clone(&entry.workload),
        }
    }
}

/// What the table says to a start.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// It runs already.
    Runs(Box<Entry>),
    /// Another start of it is under way.
    Starting,
    /// Kept free for this start.
    Kept(Kept<'a>),
}

/// Keeps other starts of the same id away until it is dropped.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    table: &'a Table,
    id: Id,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.table.starting.send_modify(|starting| {
            starting.remove(&self.id);
        });
    }
}

impl Table {
    /// Keeps the place of `id`, so that registrations and deploys that cross start it once.
    pub(crate) fn keep(&self, id: &Id) -> Place<'_> {
        // The place before the look, so that no other start can end between the two unseen.
        if !self.starting.send_if_modified(|starting| starting.insert(id.clone())) {
            return Place::Starting;
        }
        let kept = Kept { table: self, id: id.clone() };
        self.get(id).map_or(Place::Kept(kept), |entry| Place::Runs(Box::new(entry)))
    }

    /// Waits until no start is under way, at most for `bound`.
    pub(crate) async fn until_none_starts(&self, bound: Duration) {
        let mut starting = self.starting.subscribe();
        let none = starting.wait_for(BTreeSet::is_empty);
        if tokio::time::timeout(bound, none).await.is_err() {
            tracing::error!("starts left after their deadline");
        }
    }

    /// Ids of what runs or is being started.
    pub(crate) fn ids(&self) -> Vec<String> {
        let starting = self.starting.borrow().iter().map(Id::to_string).collect::<BTreeSet<_>>();
        let running = self.with(|all| all.keys().map(Id::to_string).collect::<BTreeSet<_>>());
        starting.union(&running).cloned().collect()
    }

    pub(crate) fn insert(&self, id: Id, entry: Entry) {
        self.with(|entries| entries.insert(id, entry));
    }

    pub(crate) fn remove(&self, id: &Id) -> Option<Entry> {
        self.with(|entries| entries.remove(id))
    }

    pub(crate) fn get(&self, id: &Id) -> Option<Entry> {
        self.with(|entries| entries.get(id).cloned())
    }

    /// It runs no more, and is shown as it ended.
    pub(crate) fn finish(&self, id: &Id, entry: Entry, now: Instant) {
        self.remove(id);
        self.with_finished(now, |finished| {
            let namespace = entry.namespace.clone();
            finished.push_back(Finished { id: id.clone(), entry, at: now });
            let of_namespace = |it: &Finished| it.entry.namespace == namespace;
            if finished.iter().filter(|it| of_namespace(it)).count() > FINISHED_OF_A_NAMESPACE
                && let Some(oldest) = finished.iter().position(of_namespace)
            {
                finished.remove(oldest);
            }
        });
    }

    /// Takes one that has ended off the list; false when it is on none, or another namespace's.
    pub(crate) fn dismiss(&self, id: &str, namespace: &str, now: Instant) -> bool {
        self.with_finished(now, |finished| {
            let before = finished.len();
            finished.retain(|it| it.id.as_str() != id || it.entry.namespace.as_str() != namespace);
            finished.len() < before
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.with(|entries| entries.len())
    }

    pub(crate) fn workloads(&self) -> Vec<Arc<dyn Workload>> {
        self.with(|entries| entries.values().map(|entry| Arc::clone(&entry.workload)).collect())
    }

    /// Those that `is_due` chooses; it is asked of each, in no time.
    pub(crate) fn metered(&self, mut is_due: impl FnMut(&Id) -> bool) -> Vec<(Id, Metered)> {
        self.with(|entries| {
            let due = entries.iter().filter(|(id, _)| is_due(id));
            due.map(|(id, entry)| (id.clone(), Metered::from(entry))).collect()
        })
    }

    /// The summaries that a caller of `request.namespace` may see, and asked for.
    pub(crate) fn list(&self, request: &ListWorkloadsRequest) -> Vec<WorkloadSummary> {
        let may_see = |entry: &Entry| {
            request.namespace == Namespace::SYSTEM || request.namespace == entry.namespace.as_str()
        };
        let asked_for = |id: &Id, entry: &Entry| {
            request.filter.is_empty()
                || request.filter.iter().any(|f| f == id.as_str() || f == entry.name.as_str())
        };
        let is_wanted = |id: &Id, entry: &Entry| may_see(entry) && asked_for(id, entry);
        let mut list: Vec<WorkloadSummary> = self.with(|entries| {
            let wanted = entries.iter().filter(|(id, entry)| is_wanted(id, entry));
            wanted.map(|(id, entry)| summary(id, entry, request)).collect()
        });
        self.with_finished(Instant::now(), |finished| {
            let wanted = finished.iter().filter(|it| is_wanted(&it.id, &it.entry));
            list.extend(wanted.map(|it| summary(&it.id, &it.entry, request)));
        });
        list
    }

    /// Those that were shown long enough are gone by then.
    fn with_finished<R>(&self, now: Instant, work: impl FnOnce(&mut VecDeque<Finished>) -> R) -> R {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.retain(|it| now.saturating_duration_since(it.at) < FINISHED_STAYS);
        work(&mut finished)
    }

    fn with<R>(&self, work: impl FnOnce(&mut BTreeMap<Id, Entry>) -> R) -> R {
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn summary(id: &Id, entry: &Entry, request: &ListWorkloadsRequest) -> WorkloadSummary {
    let status = entry.workload.status();
    let mut metadata = status.facts;
    metadata.insert(fact::PHASE.to_owned(), status.phase.to_owned());
    if let Some(digest) = entry.request.announced_digest() {
        metadata.insert(fact::REQUEST_DIGEST.to_owned(), digest);
    }
    // They are large, and change all the time: not for lists that everybody reads.
    if request.metrics
        && let Some(metrics) = entry.workload.metrics()
    {
        let metrics = encode(&metrics.of(id, &Metered::from(entry)));
        let text = String::from_utf8_lossy(&metrics).into_owned();
        metadata.insert(fact::METRICS.to_owned(), text);
    }
    WorkloadSummary {
        id: id.to_string(),
        metadata,
        name: entry.name.to_string(),
        namespace: entry.namespace.to_string(),
        runtime: status.runtime.map_or_else(|| "--".to_owned(), nex_types::format_go),
        start_time: entry.started.to_seconds_text(),
        tags: entry.request.tags.clone(),
        workload_lifecycle: entry.request.workload_lifecycle.to_string(),
        workload_state: status.state,
        workload_type: entry.request.workload_type.clone(),
    }
}
