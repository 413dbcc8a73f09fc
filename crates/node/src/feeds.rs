//! One-way feeds that the node reads and writes.
//!
//! Owns: heartbeats of nexlets coming in, starts and ends of workloads coming in, the node's heartbeat going out.
//! Never: answers a request.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nex_api::agent::AgentHeartbeat;
use nex_api::event::{WORKLOAD_STARTED, WORKLOAD_STOPPED, WorkloadStarted, WorkloadStopped};
use nex_api::node::{NodeHeartbeat, NodeState};
use nex_api::workload::fact;
use nex_api::{decode, encode, subject};
use nex_bus::Subscriber;
use tokio_util::sync::CancellationToken;

use crate::control::Shared;

const HEARTBEAT: Duration = Duration::from_secs(10);

/// The subscriptions, made before anything is answered, so that no first heartbeat is missed.
#[derive(Debug)]
pub(crate) struct Feeds {
    heartbeats: Subscriber,
    starts: Subscriber,
    ends: Subscriber,
}

impl Feeds {
    pub(crate) async fn subscribe(client: &nex_bus::Client, node_id: &str) -> Result<Self, String> {
        let heartbeats = client.subscribe(subject::agent_heartbeat(node_id, "*")).await;
        let starts = client.subscribe(subject::event("*", WORKLOAD_STARTED)).await;
        let ends = client.subscribe(subject::event("*", WORKLOAD_STOPPED)).await;
        Ok(Self {
            heartbeats: heartbeats.map_err(|error| error.to_string())?,
            starts: starts.map_err(|error| error.to_string())?,
            ends: ends.map_err(|error| error.to_string())?,
        })
    }

    /// Reads them for ever.
    pub(crate) async fn read(self, shared: Arc<Shared>, token: CancellationToken) {
        let Self { mut heartbeats, mut starts, mut ends } = self;
        loop {
            tokio::select! {
                Some(message) = heartbeats.next() => {
                    let id = message.subject.rsplit('.').next().unwrap_or_default();
                    match decode::<AgentHeartbeat>(&message.payload) {
                        Ok(beat) => match shared.agents.heartbeat(id, beat) {
                            true => shared.view.all_changed(),
                            false => shared.view.node_changed(),
                        },
                        Err(error) => tracing::warn!(%error, agent.id = id, "heartbeat not understood"),
                    }
                }
                Some(message) = starts.next() => {
                    if let Ok(event) = decode::<WorkloadStarted>(&message.payload)
                        && shared.workloads.is_remembered(&event.id)
                    {
                        shared.view.changed(&event.id);
                    }
                }
                Some(message) = ends.next() => {
                    if let Ok(event) = decode::<WorkloadStopped>(&message.payload) {
                        let namespace = message.subject.split('.').nth(2).unwrap_or_default();
                        forget_ended(&shared, &event, namespace);
                    }
                }
                () = token.cancelled() => return,
                else => return,
            }
        }
    }
}

/// What ended by itself is not started again; what ended with its nexlet or the node is.
fn forget_ended(shared: &Shared, event: &WorkloadStopped, namespace: &str) {
    let is_drained = event.metadata.contains_key(fact::DRAINED);
    let is_running = *shared.state.borrow() == NodeState::Running;
    if !is_running || is_drained {
        return;
    }
    shared.view.ended(&event.id, namespace);
    if shared.workloads.ended(&event.id, namespace) {
        tracing::info!(workload.id = event.id, "workload ended by itself");
    }
}

/// The node's own heartbeat, the first after ten seconds.
pub(crate) async fn beat(shared: Arc<Shared>, token: CancellationToken) {
    let subject = subject::node_heartbeat(&shared.node_id);
    loop {
        tokio::select! {
            () = tokio::time::sleep(HEARTBEAT) => {}
            () = token.cancelled() => return,
        }
        let describe =
            |(id, agent): (String, crate::agents::Agent)| format!("{id} [{}]", agent.register_type);
        let registrations: Vec<String> = shared.agents.all().into_iter().map(describe).collect();
        let message = NodeHeartbeat { registrations: registrations.join(", ") };
        if let Err(error) = shared.client.publish(subject.clone(), encode(&message).into()).await {
            tracing::warn!(%error, "node heartbeat not sent");
        }
    }
}
