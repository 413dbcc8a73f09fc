//! Starts what a node says should run, after a registration; what runs gets the credentials that came.
//!
//! Owns: how many at once, and that the node is told when it is done. Never: starts what runs, is
//! being started, or has ended here.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use nex_api::workload::AgentStartWorkloadRequest;
use nex_sandbox::OnFailure;
use nex_types::Id;

use crate::server::{Began, Server};

/// Workloads that are restored at the same time.
const AT_ONCE: usize = 8;

/// Begins to start them, in the background.
pub(crate) fn restore(server: &Arc<Server>, existing: BTreeMap<String, AgentStartWorkloadRequest>) {
    if existing.is_empty() {
        return;
    }
    server.restoring.send_modify(|count| *count += 1);
    let restoring = Arc::clone(server);
    server.tasks.spawn("restore", OnFailure::Log, async move {
        start_all(&restoring, existing).await;
        restoring.restoring.send_modify(|count| *count -= 1);
        restoring.beat();
    });
}

async fn start_all(server: &Arc<Server>, existing: BTreeMap<String, AgentStartWorkloadRequest>) {
    futures::stream::iter(existing)
        .for_each_concurrent(AT_ONCE, |(id, message)| async move {
            let Ok(workload_id) = Id::parse(&id) else {
                tracing::error!(workload.id = id, "restored id is malformed");
                return;
            };
            let again = Began { existing: true, ..Began::default() };
            if let Err(failure) = server.start(workload_id, message, again).await {
                tracing::error!(workload.id = id, error = %failure, "workload not restored");
            }
        })
        .await;
}
