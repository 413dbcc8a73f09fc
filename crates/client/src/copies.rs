//! All copies of a name, also those that cannot be reached.
//!
//! Owns: who must be asked to know them all. Never: stops one.

use std::time::Duration;

use nex_api::workload::{WorkloadState, WorkloadSummary};
use nex_bus::kv::Bucket;

use crate::{Client, Error, Fleet, view};

/// Nodes write within milliseconds that a workload ended.
const UNLISTED_BOUND: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Copies of a name.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    /// On nodes that answer, as they said just now.
    pub here: Vec<WorkloadSummary>,
    /// On nodes that do not, as the view has them.
    pub away: Vec<WorkloadSummary>,
    /// Those that have ended, and are shown for a while: no copies any more.
    pub finished: Vec<WorkloadSummary>,
}

impl Client {
    /// The copies of `name` in this client's own namespace. Nodes are asked, since what follows must
    /// not rest on what stood in the view a moment ago; the view tells how many of them will answer,
    /// and what those have that do not.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn copies(&self, fleet: &Fleet, name: &str) -> Result<Copies, Error> {
        let filter = [name.to_owned()];
        let asked = async {
            match fleet.has_view {
                true => self.workloads_of(&filter, fleet.n_answering()).await,
                false => self.workloads_live(&filter).await,
            }
        };
        let (here, ended, listed) =
            tokio::join!(asked, self.workloads_away(), self.workloads_of_absent(fleet));
        let is_copy = |w: &WorkloadSummary| {
            w.name == name && (w.namespace.is_empty() || w.namespace == self.namespace.as_str())
        };
        let here: Vec<WorkloadSummary> = here?.into_iter().filter(is_copy).collect();
        let is_elsewhere = |w: &WorkloadSummary| here.iter().all(|copy| copy.id != w.id);
        let away = ended.into_iter().chain(listed).filter(is_copy).filter(is_elsewhere).collect();
        let (finished, here) = here.into_iter().partition(has_ended);
        Ok(Copies { here, away, finished })
    }

    /// Workloads that cannot be asked to stop, of this client's own namespace: their nodes do not answer,
    /// or ended well and may bring them back.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn unreachable(&self) -> Result<Vec<WorkloadSummary>, Error> {
        let fleet = self.fleet().await?;
        let (ended, listed) = tokio::join!(self.workloads_away(), self.workloads_of_absent(&fleet));
        Ok(ended.into_iter().chain(listed).collect())
    }

    /// Takes workloads of this client's own namespace off the lists, whose nodes cannot.
    ///
    /// # Errors
    /// When the view cannot be written.
    pub async fn unlist<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        let nats = |error: nex_bus::kv::Error| Error::Nats(error.to_string());
        let name = nex_api::view::bucket(self.namespace.as_str());
        let bucket = Bucket::open(&self.nats, &name).await.map_err(nats)?;
        for id in ids {
            bucket.erase(&nex_api::view::workload_key(id)).await.map_err(nats)?;
            bucket.erase(&nex_api::view::away_key(id)).await.map_err(nats)?;
        }
        Ok(())
    }

    /// Waits, not for long, until no list shows these workloads any more: they ended, and their node
    /// is about to write so.
    pub async fn until_unlisted<'a>(
        &self,
        namespace: &str,
        ids: impl IntoIterator<Item = &'a str>,
    ) {
        let name = nex_api::view::bucket(namespace);
        let wait = async {
            let Ok(bucket) = Bucket::open(&self.nats, &name).await else { return };
            for id in ids {
                while let Ok(Some(_)) = bucket.get(&nex_api::view::workload_key(id)).await {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        };
        let _lags_behind = tokio::time::timeout(UNLISTED_BOUND, wait).await;
    }

    /// What the view has of nodes that do not answer.
    async fn workloads_of_absent(&self, fleet: &Fleet) -> Vec<WorkloadSummary> {
        if !fleet.has_absent() {
            return Vec::new();
        }
        let mut listed = self.workloads_of_the_view().await.unwrap_or_default();
        listed.retain(|w| view::node_of(w).is_some_and(|id| !fleet.answers(id)));
        listed
    }
}

fn has_ended(workload: &WorkloadSummary) -> bool {
    matches!(workload.workload_state, WorkloadState::Stopped | WorkloadState::Error)
}
