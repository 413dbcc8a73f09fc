//! Traffic from outside: telling ingress components where a workload is reached, and for how long.
//!
//! Owns: the INGRESS messages and the answer to PINGWORKLOAD (spec: control API, sections 2.3 and 8.2).
//! Never: carries the traffic, or says that a port is open; the start request names it.

use std::sync::atomic::{AtomicBool, Ordering};

use nex_api::agent::{AgentIngressMsg, IngressCommand, PingWorkloadResponse};
use nex_api::{encode, subject};
use nex_bus::Client;
use nex_bus::service::Answer;
use nex_types::Id;

use crate::server::Server;

/// Type token of the messages.
const INGRESS: &str = "INGRESS";

/// Where the workloads of a nexlet are reached from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// The group of nodes that is asked for workloads.
    pub nexus: String,
    /// The address of this machine that is announced.
    pub host: String,
}

/// A workload that was announced; taken back once, by its stop or its end.
#[derive(Debug)]
pub(crate) struct Announcement {
    subject: String,
    workload_id: String,
    is_over: AtomicBool,
}

impl Announcement {
    /// Announces `id` as reached on `port` of the nexlet's machine.
    pub(crate) async fn add(server: &Server, ingress: &Ingress, id: &Id, port: u16) -> Self {
        let announcement = Self {
            subject: subject::event(&server.agent_id, INGRESS),
            workload_id: id.to_string(),
            is_over: AtomicBool::new(false),
        };
        let upstream = format!("{}:{port}", ingress.host);
        announcement.publish(&server.client, IngressCommand::Add, upstream).await;
        announcement
    }

    /// Takes it back, unless that has been done.
    pub(crate) async fn remove(&self, client: &Client) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            self.publish(client, IngressCommand::Remove, String::new()).await;
        }
    }

    async fn publish(&self, client: &Client, command: IngressCommand, upstream: String) {
        let message = AgentIngressMsg { command, upstream, workload_id: self.workload_id.clone() };
        if let Err(error) = client.publish(self.subject.clone(), encode(&message).into()).await {
            tracing::warn!(%error, workload.id = self.workload_id, "ingress not announced");
        }
    }
}

/// PINGWORKLOAD: the node of a workload that runs here; silence else, so that another may answer.
pub(crate) fn answer(server: &Server, id: &str) -> Answer {
    match Id::parse(id).ok().and_then(|id| server.table.get(&id)) {
        Some(_) => Answer::ok(&PingWorkloadResponse { node_id: server.node_id.clone() }),
        None => Answer::Silence,
    }
}
