//! AUCTION: bids when a healthy nexlet of the type is here and the tags match; else silence.
//!
//! Owns: the bid. Never: knows the workload.

use std::time::Instant;

use nex_api::auction::{AuctionRequest, AuctionResponse};
use nex_api::decode;
use nex_bus::service::{Answer, Request};
use nex_policy::auction::{Candidate, Question, bid};

use super::{Shared, malformed};

pub(super) fn answer(shared: &Shared, namespace: &str, asked: &Request) -> Answer {
    // Everybody hears an auction: one that is part of no trace begins none on each node.
    let is_traced = asked.traceparent.is_some();
    let _span = is_traced.then(|| shared.tracer.answering("AUCTION", asked.traceparent.as_deref()));
    let request = match decode::<AuctionRequest>(&asked.body) {
        Ok(request) => request,
        Err(error) => return malformed("failed to unmarshal auction request", &error),
    };
    let now = Instant::now();
    let agents = shared.agents.all();
    let candidates: Vec<Candidate<'_>> = agents
        .iter()
        .map(|(_, agent)| Candidate {
            register_type: &agent.register_type,
            health: agent.health(now),
            max_workloads: agent.max_workloads,
            workloads: agent.workload_count(),
        })
        .collect();
    let question = Question {
        state: *shared.state.borrow(),
        tags: &shared.tags(),
        wanted: &request.tags,
        agent_type: &request.agent_type,
    };
    let backing = bid(&question, &candidates).map(|position| agents.get(position));
    let Ok(Some((agent_id, agent))) = backing else {
        tracing::debug!(agent_type = request.agent_type, "no bid");
        return Answer::Silence;
    };
    let (workloads, copies) = shared.workloads.count(namespace, &request.name);
    Answer::ok(&AuctionResponse {
        bidder_id: shared.bids.make(agent_id, now),
        copies: u32::try_from(copies).ok(),
        node_id: shared.node_id.clone(),
        start_request_schema: agent.schema.text().to_owned(),
        supported_lifecycles: agent.lifecycles.clone(),
        workloads: u32::try_from(workloads).ok(),
        xkey: agent.public_xkey.clone(),
    })
}
