//! RREGISTER: a nexlet from anywhere asks for an id and for credentials to register with.
//!
//! Owns: both. Never: registers it; REGISTER does. The endpoint exists only where remote nexlets are
//! allowed, and one node of the nexus answers (spec: control API, section 5.2).

use nex_api::agent::RegisterRemoteAgentResponse;
use nex_api::node::NodeState;
use nex_api::{Code, decode};
use nex_bus::service::Answer;
use nex_types::Id;
use serde_json::{Map, Value};

use super::{Shared, malformed};

pub(super) fn answer(shared: &Shared, body: &[u8]) -> Answer {
    if let Err(error) = decode::<Map<String, Value>>(body) {
        return malformed("failed to unmarshal register remote agent request", &error);
    }
    let state = *shared.state.borrow();
    if !matches!(state, NodeState::Starting | NodeState::Running) {
        // Silence would let the nexlet wait for nobody: the queue group chose this node.
        let text = "the node is stopping";
        return Answer::error(503, "node is stopping", text, Code::NodeStopping);
    }
    let agent_id = Id::random().to_string();
    match shared.minter.for_registration(&agent_id) {
        Ok(registration_creds) => Answer::ok(&RegisterRemoteAgentResponse {
            assigned_agent_id: agent_id,
            registration_creds,
            respond_to: shared.node_id.clone(),
        }),
        Err(error) => {
            let description = "failed to mint register";
            Answer::error(500, description, &error.to_string(), Code::RegistrationRefused)
        }
    }
}
