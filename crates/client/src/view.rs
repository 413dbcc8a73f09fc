//! Workloads as the view has them.
//!
//! Owns: reading `w.<id>` of the namespaces that one may see, and what is shown of a node that is not
//! heard of. Never: asks a node.

use nex_api::workload::{WorkloadState, WorkloadSummary, fact};
use nex_api::{decode, view};
use nex_bus::{Entry, SnapshotError, buckets, snapshot};

use crate::Client;
use crate::fleet::{Fleet, Member};

impl Client {
    /// The workloads of this client's namespace (`system`: of all) that stand in the view.
    pub(crate) async fn workloads_of_the_view(
        &self,
    ) -> Result<Vec<WorkloadSummary>, SnapshotError> {
        let names = match self.is_system() {
            true => buckets(&self.nats, view::BUCKET_PREFIX).await?,
            false => vec![view::bucket(self.namespace.as_str())],
        };
        let passes = names.iter().map(|bucket| snapshot(&self.nats, bucket, "w.*"));
        let mut workloads = Vec::new();
        for entries in futures::future::join_all(passes).await {
            match entries {
                Ok(entries) => workloads.extend(entries.iter().filter_map(summary)),
                // Nothing ever ran in this namespace.
                Err(SnapshotError::NoBucket(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(workloads)
    }

    /// Workloads of this client's namespace whose nodes ended well and may bring them back.
    pub(crate) async fn workloads_away(&self) -> Vec<WorkloadSummary> {
        let bucket = view::bucket(self.namespace.as_str());
        let entries = snapshot(&self.nats, &bucket, "away.*").await.unwrap_or_default();
        entries.iter().filter_map(summary).collect()
    }
}

/// Whether an entry of the view is a node's, or one of its workloads'.
pub(crate) fn is_of(entry: &Entry, node_id: &str) -> bool {
    entry.key == view::node_key(node_id)
        || summary(entry).is_some_and(|w| node_of(&w) == Some(node_id))
}

/// Which node has it; Go nodes do not tell.
pub(crate) fn node_of(summary: &WorkloadSummary) -> Option<&str> {
    summary.metadata.get(fact::NODE_ID).map(String::as_str)
}

/// What a list shows of an entry: as it stands there; `unknown` when its node is; nothing when the
/// node answers but does not keep its entries up, since it is asked then.
pub(crate) fn shown(mut workload: WorkloadSummary, fleet: &Fleet) -> Option<WorkloadSummary> {
    let member = node_of(&workload).and_then(|id| fleet.get(id));
    if member.is_some_and(Member::is_stranger) {
        return None;
    }
    if member.is_none_or(Member::is_unknown) {
        workload.workload_state = WorkloadState::Unknown;
        workload.metadata.insert(fact::PHASE.to_owned(), "unknown".to_owned());
    }
    Some(workload)
}

/// A workload's entry; none of a node's.
pub(crate) fn summary(entry: &Entry) -> Option<WorkloadSummary> {
    if entry.key.starts_with("node.") { None } else { decode(&entry.value).ok() }
}
