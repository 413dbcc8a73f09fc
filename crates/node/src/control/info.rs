//! INFO.<node id>: the node and its nexlets, whatever the body says.
//!
//! Owns: the reply. Never: asks the nexlets; their heartbeats have told.

use nex_api::node::NodeInfoResponse;
use nex_bus::service::Answer;
use nex_types::format_go;

use super::Shared;

pub(super) fn answer(shared: &Shared) -> Answer {
    Answer::ok(&NodeInfoResponse {
        node_agent_summaries: shared.agents.summaries(),
        node_id: shared.node_id.clone(),
        tags: shared.tags(),
        uptime: format_go(shared.started_at.elapsed()),
        version: shared.version.clone(),
        xkey: shared.public_xkey.clone(),
    })
}
