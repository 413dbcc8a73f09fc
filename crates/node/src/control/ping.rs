//! PING and PING.<node id>: who is there, of those whose tags match; others stay silent.
//!
//! Owns: the reply. Never: asks the nexlets.

use nex_api::decode;
use nex_api::node::{NodePingRequest, NodePingResponse};
use nex_bus::service::Answer;
use nex_types::matches_tags;

use super::{Shared, malformed};

pub(super) fn answer(shared: &Shared, body: &[u8]) -> Answer {
    let request = match decode::<NodePingRequest>(body) {
        Ok(request) => request,
        Err(error) => return malformed("failed to unmarshal ping request", &error),
    };
    let response = response(shared);
    match matches_tags(&request.filter, &response.tags) {
        true => Answer::ok(&response),
        false => Answer::Silence,
    }
}

/// What the node says of itself.
pub(crate) fn response(shared: &Shared) -> NodePingResponse {
    NodePingResponse {
        agent_count: u32::try_from(shared.agents.count()).unwrap_or(u32::MAX),
        node_id: shared.node_id.clone(),
        start_time: shared.started,
        state: *shared.state.borrow(),
        tags: shared.tags(),
        version: shared.version.clone(),
        xkey: shared.public_xkey.clone(),
    }
}
