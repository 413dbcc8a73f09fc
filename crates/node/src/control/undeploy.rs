//! UNDEPLOY.<workload id>: stops a workload, answered within a second.
//!
//! Owns: state first, then the workload. Never: waits for its end, which is an event.

use std::time::Duration;

use nex_api::workload::{StopWorkloadRequest, StopWorkloadResponse};
use nex_api::{decode, encode, subject};
use nex_bus::gather::{Bounds, gather};
use nex_bus::service::Answer;

use super::{Shared, malformed, mismatch};
use crate::workloads::may_act;

const BOUND: Duration = Duration::from_millis(1500);

pub(super) async fn answer(shared: &Shared, namespace: &str, id: &str, body: &[u8]) -> Answer {
    let request = match decode::<StopWorkloadRequest>(body) {
        Ok(request) => request,
        Err(error) => return malformed("failed to unmarshal stop workload request", &error),
    };
    if !may_act(namespace, &request.namespace) {
        return mismatch(namespace, &request.namespace);
    }
    Answer::ok(&stop(shared, id, &request.namespace).await)
}

/// Forgets the workload, then stops it.
pub(crate) async fn stop(shared: &Shared, id: &str, namespace: &str) -> StopWorkloadResponse {
    let remembered = shared.workloads.forget_of(id, namespace).await;
    let stopped = broadcast(shared, id, namespace, Which::Any).await;
    if stopped.is_some() || remembered.is_some() {
        shared.view.changed(id);
        shared.view.settled().await;
    }
    // Without an answer its nexlet is down: it will not be started again, so it is stopped all the same.
    stopped.unwrap_or_else(|| {
        remembered.map_or_else(
            || StopWorkloadResponse::not_found(id),
            |workload| StopWorkloadResponse {
                id: id.to_owned(),
                message: String::new(),
                stopped: true,
                workload_type: workload.request.workload_type,
            },
        )
    })
}

/// What is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// What runs, and what ended by itself and is still listed.
    Any,
    /// What runs.
    Running,
}

/// Asks every nexlet; the first that stopped it answers for all.
pub(super) async fn broadcast(
    shared: &Shared,
    id: &str,
    namespace: &str,
    which: Which,
) -> Option<StopWorkloadResponse> {
    let reachable = shared.agents.reachable();
    if reachable == 0 {
        return None;
    }
    let subject = subject::agents(&shared.node_id, &format!("STOPWORKLOAD.{id}"));
    let unless_ended = which == Which::Running;
    let body = encode(&StopWorkloadRequest { namespace: namespace.to_owned(), unless_ended });
    let bounds = Bounds { total: BOUND, stall: BOUND, max: Some(reachable) };
    let stopped = |payload: &[u8]| {
        decode::<StopWorkloadResponse>(payload).ok().filter(|response| response.stopped)
    };
    let done = |message: &nex_bus::Message| stopped(&message.payload).is_some();
    let gathered = gather(&shared.client, subject, body.into(), bounds, done).await;
    match gathered {
        Ok(gathered) => gathered.messages.iter().find_map(|message| stopped(&message.payload)),
        Err(error) => {
            tracing::error!(%error, workload.id = id, "stop not sent");
            None
        }
    }
}
