//! CLONE.<workload id>: hands out the start request of a workload that runs here.
//!
//! Owns: who may have it (spec: control API, section 5.7), and the silences that let the node which runs
//! it answer. Never: starts the copy; the caller deploys it where it likes.

use std::time::Duration;

use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::workload::{CloneWorkloadRequest, NOT_FOUND, StartWorkloadRequest};
use nex_api::{Code, decode, subject};
use nex_bus::Message;
use nex_bus::gather::{Bounds, gather};
use nex_bus::service::Answer;

use super::{Shared, malformed, mismatch};
use crate::workloads::may_act;

const BOUND: Duration = Duration::from_secs(3);

pub(super) async fn answer(shared: &Shared, namespace: &str, id: &str, body: &[u8]) -> Answer {
    let request = match decode::<CloneWorkloadRequest>(body) {
        Ok(request) => request,
        Err(error) => return malformed("failed to unmarshal clone workload request", &error),
    };
    if !may_act(namespace, &request.namespace) {
        return mismatch(namespace, &request.namespace);
    }
    let Some(found) = ask_nexlets(shared, id, body).await else { return Answer::Silence };
    match decode::<StartWorkloadRequest>(&found.payload) {
        // To the caller, another namespace's workload is not there.
        Ok(workload) if !may_act(namespace, &workload.namespace) => Answer::Silence,
        Ok(_) => Answer::Reply { body: found.payload.to_vec(), headers: Vec::new() },
        Err(error) => {
            let description = "failed to unmarshal workload definition from agent";
            Answer::error(500, description, &error.to_string(), Code::NodeFailed)
        }
    }
}

/// The first nexlet that has it, or one that failed otherwise than by not having it.
async fn ask_nexlets(shared: &Shared, id: &str, body: &[u8]) -> Option<Message> {
    let reachable = shared.agents.reachable();
    if reachable == 0 {
        return None;
    }
    let subject = subject::agents(&shared.node_id, &format!("GETWORKLOAD.{id}"));
    let bounds = Bounds { total: BOUND, stall: BOUND, max: Some(reachable) };
    let has_it = |message: &Message| header(message, ERROR_CODE_HEADER).is_none();
    let gathered = gather(&shared.client, subject, body.to_vec().into(), bounds, has_it).await;
    let mut replies = match gathered {
        Ok(gathered) => gathered.messages,
        Err(error) => {
            tracing::error!(%error, workload.id = id, "nexlets not asked for a workload");
            return None;
        }
    };
    replies.retain(|reply| header(reply, ERROR_HEADER) != Some(NOT_FOUND));
    replies.pop()
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.headers.as_ref()?.get(name).map(|value| value.as_str())
}
