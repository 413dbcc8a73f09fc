//! REGISTER.<agent id>: a nexlet presents itself and is told what it should run.
//!
//! Owns: the order of the checks (spec: control API, section 5.3). Never: launches the nexlet.

use std::sync::Arc;

use nex_api::agent::{NODE_START_HEADER, RegisterAgentRequest, RegisterAgentResponse};
use nex_api::event::Event;
use nex_api::{Code, decode};
use nex_bus::service::Answer;
use nex_sandbox::OnFailure;

use super::{Shared, malformed};
use crate::agents::{Agent, Registered};
use crate::restore::{self, Requests};
use crate::schema::{Schema, SchemaError};

pub(super) async fn answer(shared: &Arc<Shared>, agent_id: &str, body: &[u8]) -> Answer {
    let refuse = |status, description: &str, text: &str| {
        Answer::error(status, description, text, Code::RegistrationRefused)
    };
    let request = match decode::<RegisterAgentRequest>(body) {
        Ok(request) => request,
        Err(error) => return malformed("failed to unmarshal register local agent request", &error),
    };
    if request.register_type.is_empty() {
        return refuse(400, "register_type is required", "register_type is required");
    }
    let schema = match Schema::compile(&request.start_request_schema) {
        Ok(schema) => schema,
        Err(SchemaError::NotJson(error)) => {
            return refuse(400, "failed to unmarshal start request schema", &error);
        }
        Err(SchemaError::NotASchema(error)) => {
            return refuse(500, "failed to compile schema", &error);
        }
    };
    let (token, running) = (request.register_token.clone(), request.running.clone());
    let agent = Agent::new(request, schema, shared.agents.link.clone());
    let (name, register_type) = (agent.name.clone(), agent.register_type.clone());
    let kind = register_type.clone();
    let registered = match shared.agents.register(agent_id, token.as_deref(), agent) {
        Ok(registered) => registered,
        Err(refused) => {
            return refuse(500, "failed to update registration", &refused.to_string());
        }
    };
    tracing::info!(agent.id = agent_id, agent.name = name, ?registered, "nexlet registered");
    if registered == Registered::New {
        let id = agent_id.to_owned();
        shared.events.emit(&Event::AgentStarted { id, name, register_type }).await;
    }
    shared.view.node_changed();
    // Who says that it is ours gets less, so that nothing has to be proved.
    let minted = match token {
        Some(_) => shared.minter.for_own_agent(agent_id),
        None => shared.minter.for_agent(agent_id),
    };
    let connection_data = match minted {
        Ok(minted) => minted,
        Err(error) => return refuse(500, "failed to mint nats connection", &error.to_string()),
    };
    let (existing_state, mut rest) = restore::split(shared, agent_id, &kind);
    // On record is also what is being started there, and what a lame duck has no more for it.
    let is_on_record = |id: &String| {
        existing_state.contains_key(id)
            || rest.contains_key(id)
            || shared.workloads.is_of(id, agent_id)
    };
    let unknown = running.iter().filter(|id| !is_on_record(id)).cloned().collect();
    // What runs needs nothing but the credentials that replace its own, if those have an end.
    if connection_data.nats_user_jwt.is_empty() {
        rest.retain(|id, _| !running.contains(id));
    }
    settle(shared, agent_id, unknown, rest);
    let answer = Answer::ok(&RegisterAgentResponse {
        connection_data,
        existing_state,
        message: String::new(),
        node_id: shared.node_id.clone(),
        success: true,
    });
    answer.with_header(NODE_START_HEADER, shared.started.to_string())
}

/// What does not fit into the answer, and what it says of the nexlet, is seen to afterwards.
fn settle(shared: &Arc<Shared>, agent_id: &str, unknown: Vec<String>, rest: Requests) {
    if !rest.is_empty() {
        shared.agents.starting_rest(agent_id);
        let work = restore::start_rest(Arc::clone(shared), agent_id.to_owned(), rest);
        shared.tasks.spawn("restore", OnFailure::Log, work);
    }
    if !unknown.is_empty() {
        let work = restore::take_in(Arc::clone(shared), agent_id.to_owned(), unknown);
        shared.tasks.spawn("take in", OnFailure::Log, work);
    }
}
