//! ADEPLOY.<bid>: starts a workload on the nexlet that backed the bid.
//!
//! Owns: the order of the checks (spec: control API, section 5.5), and that a retry starts nothing
//! twice. Never: fetches the artifact.
//!
//! ```text
//! bid known? ─► decode ─► namespace ─► nexlet of the type ─► JSON ─► schema ─► policy ─► claim ─► STARTWORKLOAD
//!    no: silence    400        403             404             400      400      403      │            500
//!                                                                       another's: silence, a retry: same reply
//! ```

use std::time::{Duration, Instant};

use nex_api::error::ERROR_CODE_HEADER;
use nex_api::workload::{AgentStartWorkloadRequest, StartWorkloadRequest, StartWorkloadResponse};
use nex_api::{Code, decode, encode, subject};
use nex_bus::Message;
use nex_bus::service::Answer;
use nex_policy::health::Health;
use nex_types::{Digest, Id};

use super::{Shared, malformed, mismatch};
use crate::agents::Agent;
use crate::bids::Claim;
use crate::workloads::{Remembered, may_act};

/// The Go client waits 60 s; the node answers before that (section 13, "Bids and deploys").
const START_BOUND: Duration = Duration::from_secs(55);

pub(super) async fn answer(shared: &Shared, namespace: &str, bid: &str, body: &[u8]) -> Answer {
    let now = Instant::now();
    if !shared.bids.is_known(bid, now) {
        return Answer::Silence;
    }
    let request = match decode::<StartWorkloadRequest>(body) {
        Ok(request) => request,
        Err(error) => {
            return malformed("failed to unmarshal auction deploy workload request", &error);
        }
    };
    if !may_act(namespace, &request.namespace) {
        return mismatch(namespace, &request.namespace);
    }
    if !shared.state.borrow().eq(&nex_api::node::NodeState::Running) {
        return Answer::error(503, "node is stopping", "the node is stopping", Code::NodeStopping);
    }
    let Some(any) = healthy_of_type(shared, &request.workload_type, None) else {
        let text = "workload type not found";
        return Answer::error(404, text, text, Code::TypeNotFound);
    };
    if let Err(refusal) = check(&any.1, &request) {
        return refusal;
    }
    if let Err(refused) = shared.minter.permit(&request) {
        let text = refused.to_string();
        return Answer::error(403, &text, &text, Code::SubjectNotGranted);
    }
    match shared.bids.claim(bid, Digest::of(body), now) {
        Claim::Unknown => Answer::Silence,
        Claim::Again(mut answer) => match answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or(Answer::Silence),
            Err(_) => Answer::Silence,
        },
        Claim::First { agent_id, answer } => {
            let backing = healthy_of_type(shared, &request.workload_type, Some(&agent_id));
            let (agent_id, _) = backing.unwrap_or(any);
            let started = start(shared, &agent_id, request).await;
            answer.send_replace(Some(started.clone()));
            started
        }
    }
}

/// The named agent when it is healthy and of the type, else (or without a name) any such.
fn healthy_of_type(shared: &Shared, kind: &str, id: Option<&str>) -> Option<(String, Agent)> {
    let now = Instant::now();
    let fits = |agent: &Agent| agent.register_type == kind && agent.health(now) == Health::Healthy;
    match id {
        Some(id) => shared.agents.get(id).filter(fits).map(|agent| (id.to_owned(), agent)),
        None => shared.agents.all().into_iter().find(|(_, agent)| fits(agent)),
    }
}

fn check(agent: &Agent, request: &StartWorkloadRequest) -> Result<(), Answer> {
    let invalid = |description: &str, text: &str| {
        Err(Answer::error(400, description, text, Code::StartRequestInvalid))
    };
    let run_request = match serde_json::from_str(&request.run_request) {
        Ok(run_request) => run_request,
        Err(error) => return invalid("failed to unmarshal start request", &error.to_string()),
    };
    match agent.schema.check(&run_request) {
        Ok(()) => Ok(()),
        Err(report) => invalid("failed to validate run request", &report),
    }
}

async fn start(shared: &Shared, agent_id: &str, request: StartWorkloadRequest) -> Answer {
    let id = Id::random().to_string();
    let workload_creds = match shared.minter.for_workload(&id, &request) {
        Ok(minted) => minted,
        Err(error) => {
            let description = "failed to mint workload nats connection";
            return Answer::error(500, description, &error.to_string(), Code::NodeFailed);
        }
    };
    let message = AgentStartWorkloadRequest { request: request.clone(), workload_creds };
    let subject = subject::start_workload(&shared.node_id, agent_id, &id);
    let asked =
        shared.client.send_request(subject, nex_bus::request(encode(&message).into(), START_BOUND));
    let reply = match asked.await {
        Ok(reply) => reply,
        Err(error) => {
            return not_started(shared, &id, &request.namespace, &error.to_string()).await;
        }
    };
    if is_error(&reply) {
        return relay(&reply);
    }
    let warning = shared.minter.warning(&request);
    let agent_id = agent_id.to_owned();
    shared.workloads.remember(&id, Remembered { agent_id, request });
    warning.map_or_else(|| relay(&reply), |warning| relay_with(&reply, warning))
}

/// The nexlet did not answer: what it may still start is stopped, so that nothing runs unlisted.
async fn not_started(shared: &Shared, id: &str, namespace: &str, error: &str) -> Answer {
    super::undeploy::broadcast(shared, id, namespace).await;
    let description = "failed to publish start workload request";
    Answer::error(500, description, error, Code::NexletSilent)
}

fn is_error(reply: &Message) -> bool {
    reply.headers.as_ref().is_some_and(|headers| headers.get(ERROR_CODE_HEADER).is_some())
}

/// The nexlet's reply and one more warning; as it is when it is not what we would have written.
fn relay_with(reply: &Message, warning: String) -> Answer {
    let Ok(mut response) = decode::<StartWorkloadResponse>(&reply.payload) else {
        return relay(reply);
    };
    response.warnings.push(warning);
    Answer::ok(&response)
}

/// The nexlet's reply as it is, headers included.
fn relay(reply: &Message) -> Answer {
    let mut pairs = Vec::new();
    for (name, values) in reply.headers.iter().flat_map(|headers| headers.iter()) {
        pairs.extend(values.iter().map(|value| (name.to_string(), value.to_string())));
    }
    Answer::Reply { body: reply.payload.to_vec(), headers: pairs }
}
