//! What the node and its nexlets say of themselves now.
//!
//! Owns: asking, and telling a complete answer from one that lacks a nexlet. Never: writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nex_api::view::{AgentEntry, NodeEntry};
use nex_api::workload::{ListWorkloadsRequest, WorkloadSummary};
use nex_api::{decode, encode, subject};
use nex_bus::gather::{Bounds, gather};
use nex_types::Namespace;

use crate::control::{Shared, ping_response, with_facts};

/// Nexlets answer at once or are in trouble.
const BOUND: Duration = Duration::from_secs(1);
/// A list that a nexlet had to shorten is asked for again in parts of this size.
const PART: usize = 200;

/// What nexlets answered.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) summaries: BTreeMap<String, WorkloadSummary>,
    /// Whether all that could answer did, so that what is not listed is not there.
    pub(super) is_complete: bool,
}

/// The node's own entry.
pub(super) fn node(shared: &Shared) -> NodeEntry {
    let now = Instant::now();
    let describe = |(id, agent): (String, crate::agents::Agent)| AgentEntry {
        agent_health: agent.health(now).as_str().to_owned(),
        agent_id: id,
        max_workloads: agent.max_workloads,
        workload_count: agent.workload_count(),
        name: agent.name,
        public_xkey: agent.public_xkey,
        supported_lifecycles: agent.lifecycles,
        register_type: agent.register_type,
    };
    let agents = shared.agents.all().into_iter().map(describe).collect();
    NodeEntry { node: ping_response(shared), agents }
}

/// All workloads of this node.
pub(super) async fn all(shared: &Shared) -> Observed {
    let mut observed = ask(shared, &BTreeSet::new()).await;
    // A nexlet whose list does not fit into one message leaves the facts out.
    let is_bare = |w: &&WorkloadSummary| w.metadata.len() <= N_NODE_FACTS;
    let bare: Vec<String> =
        observed.summaries.values().filter(is_bare).map(|w| w.id.clone()).collect();
    for part in bare.chunks(PART) {
        let part = ask(shared, &part.iter().cloned().collect()).await;
        observed.summaries.extend(part.summaries);
    }
    observed
}

/// Facts that the node adds itself.
const N_NODE_FACTS: usize = 2;

/// The workloads with these ids, none meaning all.
pub(super) async fn ask(shared: &Shared, ids: &BTreeSet<String>) -> Observed {
    let answering = shared.agents.answering();
    if answering == 0 {
        return Observed { is_complete: shared.agents.count() == 0, ..Observed::default() };
    }
    let request = ListWorkloadsRequest {
        filter: ids.iter().cloned().collect(),
        namespace: Namespace::SYSTEM.to_owned(),
        ..ListWorkloadsRequest::default()
    };
    let subject = subject::agents(&shared.node_id, "QUERYWORKLOADS");
    let bounds = Bounds { total: BOUND, stall: BOUND, max: Some(answering) };
    let mut summaries = BTreeMap::new();
    let mut n_lists = 0;
    let read = |message: &nex_bus::Message| {
        if let Ok(list) = decode::<Vec<WorkloadSummary>>(&message.payload) {
            n_lists += 1;
            let named = list.into_iter().map(|w| (w.id.clone(), with_facts(shared, w)));
            summaries.extend(named);
        }
        !ids.is_empty() && summaries.len() == ids.len()
    };
    if let Err(error) = gather(&shared.client, subject, encode(&request).into(), bounds, read).await
    {
        tracing::debug!(%error, "nexlets not asked for the view");
    }
    for summary in summaries.values_mut().filter(|summary| summary.namespace.is_empty()) {
        summary.namespace = shared.workloads.namespace_of(&summary.id).unwrap_or_default();
    }
    Observed { summaries, is_complete: n_lists >= answering && answering == shared.agents.count() }
}
