//! WPING: the workloads that the caller may see, of all nexlets of this node.
//!
//! Owns: adding the node's facts to the nexlets' summaries. Never: shows another namespace's.

use std::collections::BTreeSet;
use std::time::Duration;

use nex_api::workload::{ListWorkloadsRequest, WorkloadSummary, fact};
use nex_api::{Code, decode, encode, subject};
use nex_bus::gather::{Bounds, gather};
use nex_bus::service::Answer;
use nex_types::Namespace;

use super::{Shared, malformed, mismatch};
use crate::workloads::may_act;

const BOUND: Duration = Duration::from_secs(1);

pub(super) async fn answer(shared: &Shared, namespace: &str, body: &[u8]) -> Answer {
    let request = match decode::<ListWorkloadsRequest>(body) {
        Ok(request) => request,
        Err(error) => return malformed("failed to unmarshal ping request", &error),
    };
    if !may_act(namespace, &request.namespace) {
        return mismatch(namespace, &request.namespace);
    }
    match ask_nexlets(shared, &request).await {
        Ok(list) => fit(shared, list),
        Err(error) => {
            let description = "failed to publish query workloads request";
            Answer::error(500, description, &error, Code::NodeFailed)
        }
    }
}

async fn ask_nexlets(
    shared: &Shared,
    request: &ListWorkloadsRequest,
) -> Result<Vec<WorkloadSummary>, String> {
    let reachable = shared.agents.reachable();
    if reachable == 0 {
        return Ok(Vec::new());
    }
    let subject = subject::agents(&shared.node_id, "QUERYWORKLOADS");
    let bounds = Bounds { total: BOUND, stall: BOUND, max: None };
    // A Go nexlet answers twice when it fails: only its list counts, or another's would be missed.
    let mut n_lists = 0;
    let is_last = |message: &nex_bus::Message| {
        n_lists += usize::from(!message.payload.is_empty());
        n_lists >= reachable
    };
    let gathered = gather(&shared.client, subject, encode(request).into(), bounds, is_last)
        .await
        .map_err(|error| error.to_string())?;
    let lists = gathered.messages.iter().map(|message| summaries(&message.payload));
    let may_see = |summary: &WorkloadSummary| {
        request.namespace == Namespace::SYSTEM || summary.namespace == request.namespace
    };
    // While one nexlet hands over to another, both tell of the same workloads.
    let mut seen = BTreeSet::new();
    let is_first = |summary: &WorkloadSummary| seen.insert(summary.id.clone());
    let list = lists.flatten().filter(may_see).filter(is_first);
    Ok(list.map(|summary| with_facts(shared, summary)).collect())
}

/// An entry that is not understood, for instance with a state of tomorrow, hides no other.
fn summaries(body: &[u8]) -> Vec<WorkloadSummary> {
    let entries: Vec<serde_json::Value> = decode(body).unwrap_or_default();
    entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect()
}

/// What the node adds to a nexlet's summary.
pub(crate) fn with_facts(shared: &Shared, mut summary: WorkloadSummary) -> WorkloadSummary {
    summary.metadata.insert(fact::NODE_ID.to_owned(), shared.node_id.clone());
    summary.metadata.insert(fact::NODE_NAME.to_owned(), shared.node_name.clone());
    if let Some(workload) = shared.workloads.get(&summary.id) {
        let permissions = shared.minter.describe(&summary.id, &workload.request);
        summary.metadata.insert(fact::PERMISSIONS.to_owned(), permissions);
    }
    summary
}

/// A reply that would not fit drops metadata first, then is an error that names size and filter
/// (spec: control API, section 13, "Large registrations").
fn fit(shared: &Shared, mut list: Vec<WorkloadSummary>) -> Answer {
    let limit = shared.client.server_info().max_payload;
    let size = encode(&list).len();
    if size <= limit {
        return Answer::ok(&list);
    }
    for summary in &mut list {
        summary.metadata.clear();
    }
    let size = encode(&list).len();
    if size <= limit {
        return Answer::ok(&list);
    }
    let description =
        format!("the list has {size} bytes, more than the server's {limit}: filter by name or id");
    Answer::error(500, &description, &description, Code::NodeFailed)
}
