//! Gives a nexlet back what it ran, when that is more than one message holds.
//!
//! Owns: what fits into the registration's reply, and starting the rest under the old ids (spec:
//! control API, section 13, "Large registrations"). Never: decides what should run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nex_api::workload::{AgentStartWorkloadRequest, StartWorkloadRequest};
use nex_api::{encode, subject};
use nex_policy::health::Health;

use crate::control::Shared;

/// A nexlet sends its first heartbeat right after it has registered.
const HEALTHY_BOUND: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const START_BOUND: Duration = Duration::from_secs(55);

type Requests = BTreeMap<String, AgentStartWorkloadRequest>;

/// The workloads that the nexlet should run: those that fit into half of a message, and the rest.
pub(crate) fn split(shared: &Shared, agent_id: &str, register_type: &str) -> (Requests, Requests) {
    if shared.is_lameduck() {
        return (Requests::new(), Requests::new());
    }
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
    let all = assigned.into_iter().filter_map(with_credentials).collect();
    fill(all, shared.client.server_info().max_payload / 2)
}

/// Starts the rest one after the other, once the nexlet is healthy.
pub(crate) async fn start_rest(shared: Arc<Shared>, agent_id: String, rest: Requests) {
    let deadline = Instant::now() + HEALTHY_BOUND;
    let is_healthy =
        |now| shared.agents.get(&agent_id).is_some_and(|a| a.health(now) == Health::Healthy);
    while !is_healthy(Instant::now()) {
        if Instant::now() >= deadline {
            tracing::error!(
                agent.id = agent_id,
                left = rest.len(),
                "workloads not restored: no heartbeat"
            );
            return;
        }
        tokio::time::sleep(POLL).await;
    }
    for (id, message) in rest {
        let subject = subject::start_workload(&shared.node_id, &agent_id, &id);
        let request = nex_bus::request(encode(&message).into(), START_BOUND);
        if let Err(error) = shared.client.send_request(subject, request).await {
            tracing::error!(workload.id = id, %error, "workload not restored");
        }
    }
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
