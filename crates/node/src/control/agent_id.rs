//! AGENTID.<node id>: from the raw bytes of a nexlet's name to the raw bytes of its id.
//!
//! Owns: the look-up. Never: answers for a name that is not registered here, so that another may.

use std::time::Instant;

use nex_api::Code;
use nex_bus::service::Answer;
use nex_policy::health::Health;

use super::Shared;

pub(super) fn answer(shared: &Shared, body: &[u8]) -> Answer {
    if body.is_empty() {
        let text = "agent name is required";
        return Answer::error(400, text, text, Code::MalformedRequest);
    }
    let now = Instant::now();
    let named = shared.agents.all().into_iter().filter(|(_, agent)| agent.name.as_bytes() == body);
    // Several may share a name: one that works is preferred.
    match named.min_by_key(|(_, agent)| agent.health(now) != Health::Healthy) {
        Some((id, _)) => Answer::Reply { body: id.into_bytes(), headers: Vec::new() },
        None => Answer::Silence,
    }
}
