//! The table of workloads that a nexlet runs.
//!
//! Owns: which ids run, for whom, since when, and which are being started. Never: starts or stops one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nex_api::Time;
use nex_api::workload::{ListWorkloadsRequest, StartWorkloadRequest, WorkloadSummary, fact};
use nex_types::{Id, Namespace, WorkloadName};
use tokio::sync::watch;

use crate::Workload;
use crate::ingress::Announcement;

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
    starting: watch::Sender<BTreeSet<Id>>,
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

    pub(crate) fn len(&self) -> usize {
        self.with(|entries| entries.len())
    }

    pub(crate) fn workloads(&self) -> Vec<Arc<dyn Workload>> {
        self.with(|entries| entries.values().map(|entry| Arc::clone(&entry.workload)).collect())
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
        self.with(|entries| {
            entries
                .iter()
                .filter(|(id, entry)| may_see(entry) && asked_for(id, entry))
                .map(|(id, entry)| summary(id, entry))
                .collect()
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut BTreeMap<Id, Entry>) -> R) -> R {
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn summary(id: &Id, entry: &Entry) -> WorkloadSummary {
    let status = entry.workload.status();
    let mut metadata = status.facts;
    metadata.insert(fact::PHASE.to_owned(), status.phase.to_owned());
    if let Some(digest) = entry.request.announced_digest() {
        metadata.insert(fact::REQUEST_DIGEST.to_owned(), digest);
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
