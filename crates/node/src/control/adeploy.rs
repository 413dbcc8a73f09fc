//! ADEPLOY.<bid>: starts a workload on the nexlet that backed the bid.
//!
//! Owns: the order of the checks (spec: control API, section 5.5), and that a retry starts nothing
//! twice, and that no clear secret is stored. Never: fetches the artifact.
//!
//! ```text
//! bid known? ─► decode ─► namespace ─► nexlet of the type ─► JSON ─► schema ─► policy ─► claim ─► seal ─► size
//!    no: silence    400        403             404             400      400      403      │               413
//!                                                                        another's: silence, a retry: same reply
//!  ─► STARTWORKLOAD ─► state ─► reply
//!          500        2 s, else a warning
//! ```

use std::time::{Duration, Instant};

use nex_api::error::ERROR_CODE_HEADER;
use nex_api::workload::{AgentStartWorkloadRequest, StartWorkloadRequest, StartWorkloadResponse};
use nex_api::{Code, decode, encode, subject};
use nex_bus::Message;
use nex_bus::seal::seal_request;
use nex_bus::service::{Answer, Request};
use nex_policy::health::Health;
use nex_telemetry::traces::{Kind, Scope};
use nex_types::{Digest, Id};

use super::undeploy::Which;
use super::{Shared, malformed, mismatch};
use crate::agents::Agent;
use crate::bids::Claim;
use crate::state::Kept;
use crate::workloads::{Remembered, may_act};

/// The Go client waits 60 s; the node answers before that (section 13, "Bids and deploys").
const START_BOUND: Duration = Duration::from_secs(55);

pub(super) async fn answer(shared: &Shared, namespace: &str, bid: &str, asked: &Request) -> Answer {
    if !shared.bids.is_known(bid, Instant::now()) {
        return Answer::Silence;
    }
    let mut span = shared.tracer.answering("ADEPLOY", asked.traceparent.as_deref());
    let answer = deploy(shared, namespace, bid, &asked.body, &span.scope()).await;
    if let Some(code) = answer.error_code() {
        span.fail(code, "the deploy was refused or failed");
    }
    answer
}

async fn deploy(shared: &Shared, namespace: &str, bid: &str, body: &[u8], scope: &Scope) -> Answer {
    let now = Instant::now();
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
            let (agent_id, agent) = backing.unwrap_or(any);
            let started = start(shared, &agent_id, &agent, request, scope).await;
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

async fn start(
    shared: &Shared,
    agent_id: &str,
    agent: &Agent,
    request: StartWorkloadRequest,
    scope: &Scope,
) -> Answer {
    let id = Id::random().to_string();
    let request = seal(agent, request);
    let workload_creds = match shared.minter.for_workload(&id, &request) {
        Ok(minted) => minted,
        Err(error) => {
            let description = "failed to mint workload nats connection";
            return Answer::error(500, description, &error.to_string(), Code::NodeFailed);
        }
    };
    let message = AgentStartWorkloadRequest { request: request.clone(), workload_creds };
    let body = encode(&message);
    if let Err(refusal) = check_size(shared, &request, &body) {
        return refusal;
    }
    let namespace = request.namespace.clone();
    shared.history.keep_logs(&namespace).await;
    let unissued = shared.minter.warning(&request);
    shared.workloads.expect(&id, Remembered { agent_id: agent_id.to_owned(), request });
    let subject = subject::start_workload(&shared.node_id, agent_id, &id);
    let mut span = scope.child(Kind::Client, || "STARTWORKLOAD".to_owned());
    let traceparent = scope.traceparent_of(&span);
    let asking = nex_bus::traced_request(body.into(), START_BOUND, traceparent.as_deref());
    let asked = shared.client.send_request(subject, asking).await;
    if asked.as_ref().map_or(true, is_error) {
        span.fail("refused", "the nexlet refused, or did not answer");
    }
    drop(span);
    match asked {
        Ok(reply) if is_error(&reply) => {
            shared.workloads.abandon(&id);
            relay(&reply)
        }
        Ok(reply) => {
            let kept = shared.workloads.remember(&id).await;
            if kept == Kept::Ended {
                // Whoever stopped it while it started could not reach it yet.
                super::undeploy::broadcast(shared, &id, &namespace, Which::Running).await;
            }
            shared.view.changed(&id);
            shared.view.settled().await;
            relay_with(&reply, about_state(kept).into_iter().chain(unissued).collect())
        }
        Err(error) => not_started(shared, &id, &namespace, &error.to_string()).await,
    }
}

/// A clear environment of our types is sealed to the nexlet before it is sent or stored anywhere.
fn seal(agent: &Agent, mut request: StartWorkloadRequest) -> StartWorkloadRequest {
    match seal_request(&request.run_request, agent.schema.text(), &agent.public_xkey) {
        Ok(Some(sealed)) => request.run_request = sealed,
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(nexlet = agent.name, %error, "an environment is stored clear");
        }
    }
    request
}

/// What state or a message cannot hold is refused before anything is started.
fn check_size(
    shared: &Shared,
    request: &StartWorkloadRequest,
    message: &[u8],
) -> Result<(), Answer> {
    let refuse = |size: usize, limit: usize| {
        let text = format!("the start request has {size} bytes, and at most {limit} can be kept");
        Err(Answer::error(413, "start request too large", &text, Code::RequestTooLarge))
    };
    let (size, limit) = (encode(request).len(), shared.workloads.limit());
    if size > limit {
        return refuse(size, limit);
    }
    let max_payload = shared.client.server_info().max_payload;
    if message.len() > max_payload { refuse(message.len(), max_payload) } else { Ok(()) }
}

/// What the caller should know although the workload runs.
fn about_state(kept: Kept) -> Option<String> {
    match kept {
        Kept::Yes | Kept::Ended => None,
        Kept::Later => Some(
            "JetStream does not keep state now: the node keeps it on disk until it does".to_owned(),
        ),
        Kept::Not => Some(
            "a workload of this type is not kept in state: it is gone when the node ends"
                .to_owned(),
        ),
    }
}

/// The nexlet did not answer: what it may still start is stopped, so that nothing runs unlisted.
async fn not_started(shared: &Shared, id: &str, namespace: &str, error: &str) -> Answer {
    shared.workloads.abandon(id);
    super::undeploy::broadcast(shared, id, namespace, Which::Any).await;
    let description = "failed to publish start workload request";
    Answer::error(500, description, error, Code::NexletSilent)
}

fn is_error(reply: &Message) -> bool {
    reply.headers.as_ref().is_some_and(|headers| headers.get(ERROR_CODE_HEADER).is_some())
}

/// The nexlet's reply and more warnings; as it is when it is not what we would have written.
fn relay_with(reply: &Message, warnings: Vec<String>) -> Answer {
    let response = decode::<StartWorkloadResponse>(&reply.payload);
    let (false, Ok(mut response)) = (warnings.is_empty(), response) else { return relay(reply) };
    response.warnings.extend(warnings);
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
