//! WPING: the workloads that the caller may see, of all nexlets of this node.
//!
//! Owns: adding the node's facts to the nexlets' summaries. Never: shows another namespace's.

use std::cmp::Reverse;
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
/// An entry of more bytes is the first to be shortened, and to be left out, when a list is too large.
const HUGE: usize = 16 * 1024;

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

/// A reply that would not fit is shortened first, then is an error that names size and filter
/// (spec: control API, section 13, "Large registrations").
fn fit(shared: &Shared, mut list: Vec<WorkloadSummary>) -> Answer {
    let limit = shared.client.server_info().max_payload;
    let size = shorten(&mut list, limit);
    if size <= limit {
        return Answer::ok(&list);
    }
    let description =
        format!("the list has {size} bytes, more than the server's {limit}: filter by name or id");
    Answer::error(500, &description, &description, Code::NodeFailed)
}

/// Takes from a list what keeps it from having `limit` bytes, and tells how many it has then: the
/// metadata of its largest entries, and what is huge without it, so that one nexlet hides no other's.
fn shorten(list: &mut Vec<WorkloadSummary>, limit: usize) -> usize {
    let mut size = encode(list).len();
    if size <= limit {
        return size;
    }
    list.sort_by_cached_key(|summary| Reverse(size_of(summary)));
    let n_huge = list.iter().take_while(|summary| size_of(summary) > HUGE).count();
    size -= drop_metadata(&mut list[..n_huge], size - limit);
    if size > limit {
        list.retain(|summary| {
            let bytes = size_of(summary);
            if bytes > HUGE {
                tracing::warn!(workload.id = summary.id, bytes, "left out of a list: too large");
            }
            bytes <= HUGE
        });
        size = encode(list).len();
    }
    size - drop_metadata(list, size.saturating_sub(limit))
}

/// From the first entry on, until `excess` bytes are saved; tells how many were.
fn drop_metadata(list: &mut [WorkloadSummary], excess: usize) -> usize {
    let mut saved = 0;
    for summary in list {
        if saved >= excess {
            break;
        }
        let before = size_of(summary);
        summary.metadata.clear();
        saved += before - size_of(summary);
    }
    saved
}

fn size_of(summary: &WorkloadSummary) -> usize {
    encode(summary).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(id: &str, name: usize, metadata: usize) -> WorkloadSummary {
        let (id, name) = (id.to_owned(), "n".repeat(name));
        let metadata = [("key".to_owned(), "m".repeat(metadata))].into();
        WorkloadSummary { id, name, metadata, ..WorkloadSummary::default() }
    }

    /// Ids in the list, and whether they have metadata.
    fn shortened(mut list: Vec<WorkloadSummary>, limit: usize) -> Vec<(String, bool)> {
        let size = shorten(&mut list, limit);
        assert_eq!(size, encode(&list).len());
        assert!(size <= limit);
        let mut left: Vec<_> = list.into_iter().map(|w| (w.id, !w.metadata.is_empty())).collect();
        left.sort();
        left
    }

    fn pairs<const N: usize>(expected: [(&str, bool); N]) -> Vec<(String, bool)> {
        expected.map(|(id, has_metadata)| (id.to_owned(), has_metadata)).to_vec()
    }

    #[test]
    fn a_huge_entry_costs_no_other_its_facts() {
        let list = || vec![summary("a", 1, 10), summary("b", 1, 100_000), summary("c", 1, 20)];
        assert_eq!(shortened(list(), 1 << 20), pairs([("a", true), ("b", true), ("c", true)]));
        assert_eq!(shortened(list(), 2000), pairs([("a", true), ("b", false), ("c", true)]));
        let list = vec![summary("a", 1, 10), summary("b", 100_000, 1)];
        assert_eq!(shortened(list, 2000), pairs([("a", true)]));
    }

    #[test]
    fn many_small_ones_lose_the_largest_metadata_first() {
        let list = vec![summary("a", 1, 10), summary("b", 1, 1000), summary("c", 1, 900)];
        assert_eq!(shortened(list, 2000), pairs([("a", true), ("b", false), ("c", true)]));
        let mut hopeless = vec![summary("a", 10_000, 1), summary("b", 10_000, 1)];
        assert!(shorten(&mut hopeless, 2000) > 2000);
    }
}
