//! Shows the nexlets that their node is there, and notices those that are not.
//!
//! Owns: PING with the node's start time, and dropping who was silent for long. Never: ends a process;
//! its supervisor does.

use std::sync::Arc;
use std::time::Duration;

use nex_api::agent::NODE_START_HEADER;
use nex_api::subject;
use nex_bus::service::header_map;
use tokio_util::sync::CancellationToken;

use crate::control::Shared;
use crate::supervise::announce_end;

const LONGEST_PERIOD: Duration = Duration::from_secs(5);
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);

/// Pings our nexlets, several times before any of them could take itself for an orphan, and gives up
/// who was silent for as long as an orphan waits.
pub(crate) async fn attend(shared: Arc<Shared>, orphan_after: Duration, token: CancellationToken) {
    let period = (orphan_after / 8).clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
    loop {
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = token.cancelled() => return,
        }
        for (id, agent) in shared.agents.all() {
            if agent.is_ours {
                ping(&shared, &id).await;
            }
        }
        for (id, name) in shared.agents.drop_silent(orphan_after) {
            tracing::error!(agent.id = id, agent.name = name, "nexlet silent for long, dropped");
            announce_end(&shared, &id, &name, "silent for too long").await;
        }
    }
}

/// PING of one nexlet: a nexlet that sees a new start time registers again. Nobody waits for a reply.
pub(crate) async fn ping(shared: &Shared, agent_id: &str) {
    let subject = subject::agent_ping(&shared.node_id, agent_id);
    let headers = header_map(&[(NODE_START_HEADER.to_owned(), shared.started.to_string())]);
    if let Err(error) = shared.client.publish_with_headers(subject, headers, "".into()).await {
        tracing::warn!(%error, agent.id = agent_id, "ping not sent");
    }
}
