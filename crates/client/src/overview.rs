//! Nodes and workloads of one moment, asked for together.
//!
//! Owns: one look at both, which costs one PING and one reading of the view. Never: keeps it.

use nex_api::node::NodePingResponse;
use nex_api::workload::WorkloadSummary;

use crate::workloads::sort;
use crate::{Client, Error, view};

/// What is there at one moment.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// As [`Client::nodes`] tells them, without a filter.
    pub nodes: Vec<NodePingResponse>,
    /// As [`Client::workloads`] tells them, without a filter.
    pub workloads: Vec<WorkloadSummary>,
}

impl Client {
    /// All nodes, and the workloads of this client's namespace (`system`: of all).
    ///
    /// # Errors
    /// When NATS fails, or every node that answered refused.
    pub async fn overview(&self) -> Result<Overview, Error> {
        let (fleet, listed) = tokio::join!(self.fleet(), self.workloads_of_the_view());
        let fleet = fleet?;
        let Some(listed) = listed.ok().filter(|_| fleet.has_view) else {
            let workloads = self.workloads_live(&[]).await?;
            return Ok(Overview { nodes: fleet.into_list(), workloads });
        };
        let mut workloads: Vec<WorkloadSummary> =
            listed.into_iter().filter_map(|workload| view::shown(workload, &fleet)).collect();
        if fleet.has_strangers() {
            workloads.extend(self.workloads_of_strangers(&fleet).await?);
        }
        sort(&mut workloads);
        workloads.dedup_by(|a, b| a.id == b.id);
        Ok(Overview { nodes: fleet.into_list(), workloads })
    }
}
