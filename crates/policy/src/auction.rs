//! Whether a node bids (spec: control API, sections 5.5, 10 and 11.2).
//!
//! Owns: the conditions and their order, so that a person can be told the first that failed.
//! Never: makes a bid.

use nex_api::node::NodeState;
use nex_types::{Tags, matches_tags};

use crate::health::Health;

/// What a bid depends on. Lifecycle is no part of an auction request; the client compares it.
#[derive(Debug)]
pub struct Question<'a> {
    /// The node's state; only `running` nodes bid.
    pub state: NodeState,
    /// The node's tags.
    pub tags: &'a Tags,
    /// The wanted tags.
    pub wanted: &'a Tags,
    /// The wanted type.
    pub agent_type: &'a str,
}

/// A registered nexlet, as far as an auction cares.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its type.
    pub register_type: &'a str,
    /// Its health now.
    pub health: Health,
    /// 0 means unlimited.
    pub max_workloads: u32,
    /// What it runs now.
    pub workloads: u32,
}

/// Why a node stays silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Silence {
    NodeNotRunning,
    TagsDiffer,
    NoSuchType,
    NoneHealthy,
    AllFull,
}

/// The position of the candidate that backs the bid: the one with the fewest workloads.
///
/// # Errors
/// The first condition that failed.
pub fn bid(question: &Question<'_>, candidates: &[Candidate<'_>]) -> Result<usize, Silence> {
    if question.state != NodeState::Running {
        return Err(Silence::NodeNotRunning);
    }
    if !matches_tags(question.wanted, question.tags) {
        return Err(Silence::TagsDiffer);
    }
    let of_type =
        || candidates.iter().enumerate().filter(|(_, c)| c.register_type == question.agent_type);
    if of_type().next().is_none() {
        return Err(Silence::NoSuchType);
    }
    let mut healthy = of_type().filter(|(_, c)| c.health == Health::Healthy).peekable();
    if healthy.peek().is_none() {
        return Err(Silence::NoneHealthy);
    }
    let has_room = |c: &Candidate<'_>| c.max_workloads == 0 || c.workloads < c.max_workloads;
    healthy
        .filter(|(_, candidate)| has_room(candidate))
        .min_by_key(|(_, candidate)| candidate.workloads)
        .map(|(position, _)| position)
        .ok_or(Silence::AllFull)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: Candidate<'_> = Candidate {
        register_type: "native",
        health: Health::Healthy,
        max_workloads: 0,
        workloads: 2,
    };

    fn ask(
        state: NodeState,
        wanted: &[(&str, &str)],
        candidates: &[Candidate<'_>],
    ) -> Result<usize, Silence> {
        let tags: Tags = [("region".to_owned(), "lab".to_owned())].into();
        let wanted: Tags = wanted.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        bid(&Question { state, tags: &tags, wanted: &wanted, agent_type: "native" }, candidates)
    }

    #[test]
    fn the_first_failed_condition_is_told() {
        let other = Candidate { register_type: "wasm", ..NATIVE };
        let sick = Candidate { health: Health::Degraded, ..NATIVE };
        let full = Candidate { max_workloads: 2, ..NATIVE };
        assert_eq!(ask(NodeState::Lameduck, &[], &[NATIVE]), Err(Silence::NodeNotRunning));
        assert_eq!(
            ask(NodeState::Running, &[("region", "x")], &[NATIVE]),
            Err(Silence::TagsDiffer)
        );
        assert_eq!(ask(NodeState::Running, &[], &[other]), Err(Silence::NoSuchType));
        assert_eq!(ask(NodeState::Running, &[], &[sick]), Err(Silence::NoneHealthy));
        assert_eq!(ask(NodeState::Running, &[], &[full]), Err(Silence::AllFull));
    }

    #[test]
    fn the_least_loaded_healthy_nexlet_backs_the_bid() {
        let idle = Candidate { workloads: 0, ..NATIVE };
        assert_eq!(ask(NodeState::Running, &[("region", "lab")], &[NATIVE, idle]), Ok(1));
    }
}
