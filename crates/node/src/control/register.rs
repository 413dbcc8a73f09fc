//! REGISTER.<agent id>: a nexlet presents itself and is told what it should run.
//!
//! Owns: the order of the checks (spec: control API, section 5.3). Never: launches the nexlet.

use std::sync::Arc;

use nex_api::agent::{RegisterAgentRequest, RegisterAgentResponse};
use nex_api::event::Event;
use nex_api::{Code, decode};
use nex_bus::service::Answer;
use nex_sandbox::OnFailure;

use super::{Shared, malformed};
use crate::agents::Agent;
use crate::restore;
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
    let token = request.register_token.clone();
    let agent = Agent::new(request, schema);
    let (name, register_type) = (agent.name.clone(), agent.register_type.clone());
    let kind = register_type.clone();
    if let Err(duplicate) = shared.agents.register(agent_id, token.as_deref(), agent) {
        return refuse(500, "failed to update registration", &duplicate.to_string());
    }
    tracing::info!(agent.id = agent_id, agent.name = name, "nexlet registered");
    shared.view.node_changed();
    let id = agent_id.to_owned();
    shared.events.emit(&Event::AgentStarted { id, name, register_type }).await;
    // Who says that it is ours gets less, so that nothing has to be proved.
    let minted = match token {
        Some(_) => shared.minter.for_own_agent(agent_id),
        None => shared.minter.for_agent(agent_id),
    };
    let connection_data = match minted {
        Ok(minted) => minted,
        Err(error) => return refuse(500, "failed to mint nats connection", &error.to_string()),
    };
    let (existing_state, rest) = restore::split(shared, agent_id, &kind);
    if !rest.is_empty() {
        let work = restore::start_rest(Arc::clone(shared), agent_id.to_owned(), rest);
        shared.tasks.spawn("restore", OnFailure::Log, work);
    }
    Answer::ok(&RegisterAgentResponse {
        connection_data,
        existing_state,
        message: String::new(),
        node_id: shared.node_id.clone(),
        success: true,
    })
}
