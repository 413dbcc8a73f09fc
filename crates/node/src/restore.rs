//! Gives a nexlet back what it ran, and learns from it what it runs.
//!
//! Owns: what fits into the registration's reply, starting the rest under the old ids (spec: control
//! API, section 13, "Large registrations"), and taking in what is not on record. Never: decides what
//! should run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use nex_api::workload::{AgentStartWorkloadRequest, CloneWorkloadRequest, StartWorkloadRequest};
use nex_api::{decode, encode, subject};
use nex_policy::health::Health;
use nex_types::Namespace;

use crate::control::{Shared, stop};
use crate::tombstones;
use crate::workloads::Remembered;

/// A nexlet sends its first heartbeat right after it has registered.
const HEALTHY_BOUND: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const START_BOUND: Duration = Duration::from_secs(55);
const GET_BOUND: Duration = Duration::from_secs(3);
const TAKE_IN_AT_ONCE: usize = 8;

/// Workloads by their ids, with what starts them.
pub(crate) type Requests = BTreeMap<String, AgentStartWorkloadRequest>;

/// The workloads that the nexlet should run: those that fit into half of a message, and the rest.
pub(crate) fn split(shared: &Shared, agent_id: &str, register_type: &str) -> (Requests, Requests) {
    if shared.is_lameduck() {
        return (Requests::new(), Requests::new());
    }
    let all = assigned(shared, agent_id, register_type);
    fill(all, shared.client.server_info().max_payload / 2)
}

/// What a nexlet runs that the node has no record of comes under its care: it was deployed at the
/// moment at which an earlier node died, or that node kept no records.
pub(crate) async fn take_in(shared: Arc<Shared>, agent_id: String, unknown: Vec<String>) {
    futures::stream::iter(unknown)
        .for_each_concurrent(TAKE_IN_AT_ONCE, |id| {
            let (shared, agent_id) = (&shared, agent_id.clone());
            async move {
                match ask_for(shared, &id).await {
                    Ok(request) => keep_or_end(shared, &id, Remembered { agent_id, request }).await,
                    // It has ended meanwhile, or the nexlet has.
                    Err(error) => {
                        tracing::warn!(workload.id = id, error, "workload not taken in");
                    }
                }
            }
        })
        .await;
}

/// What was replaced while this node was away ends; everything else is on record from now on.
async fn keep_or_end(shared: &Shared, id: &str, workload: Remembered) {
    let namespace = workload.request.namespace.clone();
    shared.workloads.expect(id, workload);
    if tombstones::of(&shared.client, &namespace).await.contains(id) {
        tracing::warn!(workload.id = id, "replaced while this node was away: ended");
        stop(shared, id, &namespace).await;
        return;
    }
    let kept = shared.workloads.remember(id).await;
    shared.history.keep_logs(&namespace).await;
    shared.view.changed(id);
    tracing::info!(workload.id = id, ?kept, "workload taken in");
}

/// Starts the rest one after the other, once the nexlet is healthy.
pub(crate) async fn start_rest(shared: Arc<Shared>, agent_id: String, rest: Requests) {
    if !is_healthy(&shared, &agent_id).await {
        let left = rest.len();
        tracing::error!(agent.id = agent_id, left, "workloads not restored: no heartbeat");
    } else {
        start_all(&shared, &agent_id, rest).await;
    }
    shared.agents.rest_started(&agent_id);
}

/// Starts what belongs to the nexlet since another of its type has gone. What it runs is left alone.
pub(crate) async fn start_missing(shared: &Shared, agent_id: &str) {
    let Some(agent) = shared.agents.get(agent_id) else { return };
    start_all(shared, agent_id, assigned(shared, agent_id, &agent.register_type)).await;
}

/// What went to an heir that failed belongs to the nexlet again, which has run it all the time.
pub(crate) fn give_back(shared: &Shared, agent_id: &str) {
    if let Some(agent) = shared.agents.get(agent_id) {
        assigned(shared, agent_id, &agent.register_type);
    }
}

fn assigned(shared: &Shared, agent_id: &str, register_type: &str) -> Requests {
    let with_credentials = |(id, request): (String, StartWorkloadRequest)| match shared
        .minter
        .for_workload(&id, &request)
    {
        Ok(workload_creds) => Some((id, AgentStartWorkloadRequest { request, workload_creds })),
        Err(error) => {
            tracing::error!(workload.id = id, %error, "workload not restored");
            None
        }
    };
    let is_registered = |id: &str| shared.agents.get(id).is_some();
    let assigned = shared.workloads.assign(agent_id, register_type, is_registered);
    assigned.into_iter().filter_map(with_credentials).collect()
}

async fn is_healthy(shared: &Shared, agent_id: &str) -> bool {
    let deadline = Instant::now() + HEALTHY_BOUND;
    let healthy =
        |now| shared.agents.get(agent_id).is_some_and(|a| a.health(now) == Health::Healthy);
    while !healthy(Instant::now()) {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
    true
}

async fn start_all(shared: &Shared, agent_id: &str, requests: Requests) {
    for (id, message) in requests {
        let subject = subject::start_workload(&shared.node_id, agent_id, &id);
        let request = nex_bus::request(encode(&message).into(), START_BOUND);
        if let Err(error) = shared.client.send_request(subject, request).await {
            tracing::error!(workload.id = id, %error, "workload not restored");
        }
    }
}

/// GETWORKLOAD: only who runs it answers.
async fn ask_for(shared: &Shared, id: &str) -> Result<StartWorkloadRequest, String> {
    let subject = subject::agents(&shared.node_id, &format!("GETWORKLOAD.{id}"));
    let body = CloneWorkloadRequest {
        namespace: Namespace::SYSTEM.to_owned(),
        new_target_xkey: shared.public_xkey.clone(),
        ..CloneWorkloadRequest::default()
    };
    let request = nex_bus::request(encode(&body).into(), GET_BOUND);
    let reply = shared.client.send_request(subject, request).await;
    let reply = reply.map_err(|error| error.to_string())?;
    decode(&reply.payload).map_err(|error| error.to_string())
}

fn fill(all: Requests, budget: usize) -> (Requests, Requests) {
    let (mut fits, mut rest, mut used) = (Requests::new(), Requests::new(), 0);
    for (id, message) in all {
        used += id.len() + encode(&message).len() + 8;
        if used <= budget {
            fits.insert(id, message)
        } else {
            rest.insert(id, message)
        };
    }
    (fits, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_the_message_and_the_rest() {
        let all: Requests =
            (0..10).map(|n| (n.to_string(), AgentStartWorkloadRequest::default())).collect();
        let one = encode(&all["0"]).len() + 9;
        let (fits, rest) = fill(all.clone(), one * 3);
        assert_eq!((fits.len(), rest.len()), (3, 7));
        let (fits, rest) = fill(all, usize::MAX);
        assert_eq!((fits.len(), rest.len()), (10, 0));
    }
}
