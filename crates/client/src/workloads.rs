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

use crate::{Client, Error, Refusal, STALL, TOTAL, read};

/// A node answers a stop within 1.5 s.
const STOP_BOUND: Duration = Duration::from_secs(3);
const STOP_STALL: Duration = Duration::from_millis(1500);

impl Client {
    /// The workloads of this client's namespace (`system`: of all) that `filter` names by id or name;
    /// an empty filter means all. Sorted by namespace, name and start.
    ///
    /// # Errors
    /// When NATS fails, or every node that answered refused.
    pub async fn workloads(&self, filter: &[String]) -> Result<Vec<WorkloadSummary>, Error> {
        let namespace = self.namespace.as_str();
        let request =
            ListWorkloadsRequest { filter: filter.to_vec(), namespace: namespace.to_owned() };
        let gathered = self.ask_all(namespace, "WPING", &request).await?;
        let mut list = Vec::new();
        let mut refusal = None;
        for message in &gathered.messages {
            match read::<Vec<WorkloadSummary>>(message) {
                Ok(summaries) => list.extend(summaries),
                Err(error) => refusal = Some(error),
            }
        }
        if let (true, Some(refusal)) = (list.is_empty(), refusal) {
            return Err(refusal);
        }
        list.sort_by(|a, b| {
            (&a.namespace, &a.name, &a.start_time, &a.id).cmp(&(
                &b.namespace,
                &b.name,
                &b.start_time,
                &b.id,
            ))
        });
        Ok(list)
    }

    /// Asks the namespace's nodes for nothing, to find out whether one may ask.
    ///
    /// # Errors
    /// [`Error::NoResponders`] when no node is there, [`Error::TimedOut`] when the server lets no
    /// question or no answer through.
    pub async fn probe(&self) -> Result<(), Error> {
        let namespace = self.namespace.to_string();
        let request = ListWorkloadsRequest { filter: vec!["-".to_owned()], namespace };
        let subject = subject::control(self.namespace.as_str(), "WPING");
        let answer: Result<Vec<WorkloadSummary>, Error> =
            self.ask_one(subject, nex_api::encode(&request), TOTAL).await;
        answer.map(drop)
    }

    /// One workload by its id, as soon as the node that runs it has answered.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn workload(&self, id: &str) -> Result<Option<WorkloadSummary>, Error> {
        let namespace = self.namespace.as_str();
        let request =
            ListWorkloadsRequest { filter: vec![id.to_owned()], namespace: namespace.to_owned() };
        let found = |message: &nex_bus::Message| {
            let list = read::<Vec<WorkloadSummary>>(message).unwrap_or_default();
            list.into_iter().find(|workload| workload.id == id)
        };
        let bounds = Bounds { total: TOTAL, stall: STALL, max: None };
        let subject = subject::control(namespace, "WPING");
        let body = nex_api::encode(&request).into();
        let gathered =
            gather(&self.nats, subject, body, bounds, |message| found(message).is_some())
                .await
                .map_err(|error| Error::Nats(error.to_string()))?;
        Ok(gathered.messages.iter().find_map(found))
    }

    /// Stops one workload of `namespace`. The first node that stopped it answers for all.
    ///
    /// # Errors
    /// When NATS fails, nobody answers, or a node refuses.
    pub async fn stop(&self, namespace: &str, id: &str) -> Result<StopWorkloadResponse, Error> {
        let subject = subject::control_of(self.namespace.as_str(), "UNDEPLOY", id);
        let request = StopWorkloadRequest { namespace: namespace.to_owned() };
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

impl Refusal {
    /// Whether it is the namespace rule that refused.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status == "403"
    }
}
