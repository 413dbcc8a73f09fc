//! Listing and stopping workloads.
//!
//! Owns: WPING and UNDEPLOY. Never: waits for a workload's end; that is an event (see [`crate::Events`]).

use std::time::Duration;

use nex_api::subject;
use nex_api::workload::{
    ListWorkloadsRequest, StopWorkloadRequest, StopWorkloadResponse, WorkloadSummary,
};
use nex_bus::gather::{Bounds, gather};
use nex_types::Namespace;

use crate::fleet::{Fleet, Member};
use crate::{Client, Error, Refusal, STALL, TOTAL, read, view};

/// A node asks its nexlets for at most a second.
const LIST_BOUND: Duration = Duration::from_millis(1500);
/// A node answers a stop within 1.5 s.
const STOP_BOUND: Duration = Duration::from_secs(3);
const STOP_STALL: Duration = Duration::from_millis(1500);

impl Client {
    /// The workloads of this client's namespace (`system`: of all) that `filter` names by id or name;
    /// an empty filter means all. Sorted by namespace, name and start. The view tells; nodes of which
    /// it does not tell are asked, and without a view all are.
    ///
    /// # Errors
    /// When NATS fails, or every node that answered refused.
    pub async fn workloads(&self, filter: &[String]) -> Result<Vec<WorkloadSummary>, Error> {
        let mut list = self.overview().await?.workloads;
        list.retain(|w| filter.is_empty() || filter.contains(&w.id) || filter.contains(&w.name));
        Ok(list)
    }

    /// Asks the namespace's nodes for nothing, to find out whether one may ask.
    ///
    /// # Errors
    /// [`Error::NoResponders`] when no node is there, [`Error::TimedOut`] when the server lets no
    /// question or no answer through.
    pub async fn probe(&self) -> Result<(), Error> {
        let namespace = self.namespace.to_string();
        let filter = vec!["-".to_owned()];
        let request = ListWorkloadsRequest { filter, namespace, ..Default::default() };
        let subject = subject::control(self.namespace.as_str(), "WPING");
        let answer: Result<Vec<WorkloadSummary>, Error> =
            self.ask_one(subject, nex_api::encode(&request), TOTAL).await;
        answer.map(drop)
    }

    /// The same, of the nodes that answer now, without the view.
    ///
    /// # Errors
    /// When NATS fails, or every node that answered refused.
    pub async fn workloads_live(&self, filter: &[String]) -> Result<Vec<WorkloadSummary>, Error> {
        let bounds = Bounds { total: TOTAL, stall: STALL, max: None };
        let mut list = self.ask_workloads(filter, bounds).await?;
        sort(&mut list);
        Ok(list)
    }

    /// The same, when it is known how many nodes answer.
    pub(crate) async fn workloads_of(
        &self,
        filter: &[String],
        n_nodes: usize,
    ) -> Result<Vec<WorkloadSummary>, Error> {
        if n_nodes == 0 {
            return Ok(Vec::new());
        }
        let bounds = Bounds { total: LIST_BOUND, stall: LIST_BOUND, max: Some(n_nodes) };
        self.ask_workloads(filter, bounds).await
    }

    /// What nodes tell that do not stand in the view.
    pub(crate) async fn workloads_of_strangers(
        &self,
        fleet: &Fleet,
    ) -> Result<Vec<WorkloadSummary>, Error> {
        let mut list = self.workloads_of(&[], fleet.n_answering()).await?;
        let is_theirs = |w: &WorkloadSummary| {
            view::node_of(w).and_then(|id| fleet.get(id)).is_none_or(Member::is_stranger)
        };
        list.retain(is_theirs);
        Ok(list)
    }

    async fn ask_workloads(
        &self,
        filter: &[String],
        bounds: Bounds,
    ) -> Result<Vec<WorkloadSummary>, Error> {
        let namespace = self.namespace.as_str();
        let request = ListWorkloadsRequest {
            filter: filter.to_vec(),
            namespace: namespace.to_owned(),
            ..ListWorkloadsRequest::default()
        };
        let subject = subject::control(namespace, "WPING");
        let body = nex_api::encode(&request).into();
        let gathered = gather(&self.nats, subject, body, bounds, |_| false)
            .await
            .map_err(|error| Error::Nats(error.to_string()))?;
        let mut lists = Vec::new();
        let mut refusal = None;
        for message in &gathered.messages {
            match read::<Vec<WorkloadSummary>>(message) {
                Ok(list) => lists.push(list),
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(refusal) if lists.is_empty() => Err(refusal),
            _ => Ok(lists.concat()),
        }
    }

    /// Stops one workload of `namespace`. The first node that stopped it answers for all.
    ///
    /// # Errors
    /// When NATS fails, nobody answers, or a node refuses.
    pub async fn stop(&self, namespace: &str, id: &str) -> Result<StopWorkloadResponse, Error> {
        let subject = subject::control_of(self.namespace.as_str(), "UNDEPLOY", id);
        let request = StopWorkloadRequest { namespace: namespace.to_owned(), ..Default::default() };
        let is_stopped = |message: &nex_bus::Message| {
            read::<StopWorkloadResponse>(message).is_ok_and(|response| response.stopped)
        };
        // Other nodes may answer "not found" before the one that has it.
        let bounds = Bounds { total: STOP_BOUND, stall: STOP_STALL, max: None };
        let body = nex_api::encode(&request).into();
        let gathered = gather(&self.nats, subject, body, bounds, is_stopped)
            .await
            .map_err(|error| Error::Nats(error.to_string()))?;
        if gathered.no_responders {
            return Err(Error::NoResponders);
        }
        let stopped = gathered.messages.iter().find(|message| is_stopped(message));
        match stopped.or(gathered.messages.first()) {
            Some(message) => read(message),
            None => Err(Error::TimedOut),
        }
    }

    /// The namespace that a stop or a clone of `summary` must name; Go nexlets may not tell it.
    #[must_use]
    pub fn owner<'a>(&'a self, summary: &'a WorkloadSummary) -> &'a str {
        if summary.namespace.is_empty() { self.namespace.as_str() } else { &summary.namespace }
    }

    /// Whether this client acts for all.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.namespace.as_str() == Namespace::SYSTEM
    }
}

pub(crate) fn sort(list: &mut [WorkloadSummary]) {
    list.sort_by(|a, b| {
        (&a.namespace, &a.name, &a.start_time, &a.id).cmp(&(
            &b.namespace,
            &b.name,
            &b.start_time,
            &b.id,
        ))
    });
}

impl Refusal {
    /// Whether it is the namespace rule that refused.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status == "403"
    }
}
