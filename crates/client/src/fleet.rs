//! Who is there: the nodes that stand in the view, and those that answer a PING although they do not.
//!
//! Owns: telling fresh from stale and known from unknown. Never: keeps it; a fleet is of one moment.
//!
//! The rule: one PING to all goes out first, then the view is read, which takes longer than an answer.
//! The PING is over when the view is read and all nodes that stand in it, not older than 30 s, have
//! answered; or when nobody has answered for 100 ms. Who answers and does not stand in the view
//! (a node of the Go implementation, or one that cannot write) is a *stranger*, and is asked each time.

use std::collections::BTreeMap;
use std::time::Duration;

use nex_api::node::{NodePingRequest, NodePingResponse, NodeState};
use nex_api::view::{self, AgentEntry, NodeEntry, UNKNOWN_AFTER};
use nex_api::{decode, encode, subject};
use nex_bus::gather::{Bounds, Scatter};
use nex_bus::{SnapshotError, snapshot};
use nex_policy::auction::{Candidate, Question, bid};
use nex_policy::health::Health;
use nex_types::{Namespace, Tags};

use crate::{Client, Error, STALL, TOTAL, read};

/// Where the view tells who is there, the first answer is not waited for any longer.
const FIRST_ANSWER: Duration = Duration::from_millis(250);

/// A node.
#[derive(Debug, Clone)]
pub struct Member {
    /// What it said of itself last.
    pub node: NodePingResponse,
    /// Its nexlets as they stand in the view; none for a stranger.
    agents: Option<Vec<AgentEntry>>,
    /// How old its entry in the view is.
    age: Option<Duration>,
    /// Whether it answers now.
    answers: bool,
}

impl Member {
    /// The view has it, and not from long ago.
    pub(crate) fn is_fresh(&self) -> bool {
        self.age.is_some_and(|age| age <= UNKNOWN_AFTER)
    }

    /// It answers, but the view does not tell of it.
    pub(crate) fn is_stranger(&self) -> bool {
        self.answers && !self.is_fresh()
    }

    /// Neither the view nor itself has told of it for long.
    pub(crate) fn is_unknown(&self) -> bool {
        !self.answers && !self.is_fresh()
    }
}

/// The nodes at one moment.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    members: BTreeMap<String, Member>,
    /// Whether the view could be read.
    pub(crate) has_view: bool,
}

impl Fleet {
    pub(crate) fn get(&self, node_id: &str) -> Option<&Member> {
        self.members.get(node_id)
    }

    /// Whether a node answers now.
    #[must_use]
    pub fn answers(&self, node_id: &str) -> bool {
        self.get(node_id).is_some_and(|member| member.answers)
    }

    /// The name of a node, or its id when it has none.
    #[must_use]
    pub fn name<'a>(&'a self, node_id: &'a str) -> &'a str {
        let named = self.get(node_id).and_then(|member| member.node.tags.get("nex.node"));
        named.map_or(node_id, String::as_str)
    }

    /// Whether some node answers of which the view does not tell.
    pub(crate) fn has_strangers(&self) -> bool {
        self.members.values().any(Member::is_stranger)
    }

    /// Whether some node of the view does not answer.
    pub(crate) fn has_absent(&self) -> bool {
        self.members.values().any(|member| !member.answers)
    }

    pub(crate) fn n_answering(&self) -> usize {
        self.members.values().filter(|member| member.answers).count()
    }

    /// The nodes for a list, sorted by nexus and name.
    #[must_use]
    pub fn into_list(self) -> Vec<NodePingResponse> {
        let shown = |member: Member| {
            let state = if member.is_unknown() { NodeState::Unknown } else { member.node.state };
            NodePingResponse { state, ..member.node }
        };
        let mut nodes: Vec<NodePingResponse> = self.members.into_values().map(shown).collect();
        nodes.sort_by_key(crate::nodes::order);
        nodes
    }

    /// The ids of those that answer and, as far as the view tells, will bid.
    pub(crate) fn expected_bidders(&self, kind: &str, tags: &Tags) -> Vec<String> {
        let will_bid = |member: &&Member| member.answers && member.would_bid(kind, tags);
        self.members.values().filter(will_bid).map(|m| m.node.node_id.clone()).collect()
    }

    /// How many may bid without that the view could tell.
    pub(crate) fn n_strangers(&self) -> usize {
        self.members.values().filter(|member| member.is_stranger()).count()
    }
}

impl Member {
    fn would_bid(&self, kind: &str, tags: &Tags) -> bool {
        let Some(agents) = self.agents.as_ref().filter(|_| self.is_fresh()) else { return false };
        let candidates: Vec<Candidate<'_>> = agents.iter().map(candidate).collect();
        let question = Question {
            state: self.node.state,
            tags: &self.node.tags,
            wanted: tags,
            agent_type: kind,
        };
        bid(&question, &candidates).is_ok()
    }
}

/// Counts in the view are old; a full nexlet stays silent, which costs no more than the wait.
fn candidate(agent: &AgentEntry) -> Candidate<'_> {
    let is_healthy = agent.agent_health == Health::Healthy.as_str();
    Candidate {
        register_type: &agent.register_type,
        health: if is_healthy { Health::Healthy } else { Health::Unknown },
        max_workloads: agent.max_workloads,
        workloads: agent.workload_count,
    }
}

impl Client {
    /// The nodes that are there now.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn fleet(&self) -> Result<Fleet, Error> {
        let subject = subject::control(Namespace::SYSTEM, "PING");
        let body = encode(&NodePingRequest::default()).into();
        let ping = Scatter::send(&self.nats, subject, body)
            .await
            .map_err(|error| Error::Nats(error.to_string()))?;
        let mut fleet = self.nodes_of_the_view().await;
        let mut awaited: Vec<String> = fleet.fresh().map(str::to_owned).collect();
        let is_told = !awaited.is_empty();
        let total = if is_told { FIRST_ANSWER } else { TOTAL };
        let bounds = Bounds { total, stall: STALL, max: None };
        let all_told = |message: &nex_bus::Message| {
            if let Ok(node) = read::<NodePingResponse>(message) {
                awaited.retain(|id| *id != node.node_id);
            }
            is_told && awaited.is_empty()
        };
        let gathered = ping.gather(bounds, all_told).await;
        for node in gathered.messages.iter().filter_map(|message| read(message).ok()) {
            fleet.answered(node);
        }
        Ok(fleet)
    }

    async fn nodes_of_the_view(&self) -> Fleet {
        let entries = match snapshot(&self.nats, view::NODES_BUCKET, "node.*").await {
            Ok(entries) => entries,
            Err(SnapshotError::NoBucket(_) | SnapshotError::NoJetStream) => {
                return Fleet::default();
            }
            // Whoever may not read it, or reads it too slowly, asks.
            Err(_) => return Fleet::default(),
        };
        let member = |entry: nex_bus::Entry| {
            let NodeEntry { node, agents } = decode(&entry.value).ok()?;
            let (agents, age) = (Some(agents), Some(entry.age));
            Some((node.node_id.clone(), Member { node, agents, age, answers: false }))
        };
        Fleet { members: entries.into_iter().filter_map(member).collect(), has_view: true }
    }
}

impl Fleet {
    fn fresh(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter(|(_, member)| member.is_fresh()).map(|(id, _)| id.as_str())
    }

    fn answered(&mut self, node: NodePingResponse) {
        let member = self.members.entry(node.node_id.clone()).or_insert_with(|| Member {
            node: node.clone(),
            agents: None,
            age: None,
            answers: true,
        });
        member.answers = true;
        member.node = node;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, age_s: Option<u64>, answers: bool) -> (String, Member) {
        let node = NodePingResponse {
            node_id: id.to_owned(),
            state: NodeState::Running,
            ..Default::default()
        };
        let agent = AgentEntry {
            register_type: "wasm".to_owned(),
            agent_health: "healthy".to_owned(),
            ..Default::default()
        };
        let age = age_s.map(Duration::from_secs);
        (id.to_owned(), Member { node, agents: age.map(|_| vec![agent]), age, answers })
    }

    fn fleet() -> Fleet {
        let members = [
            member("fresh", Some(9), true),
            member("killed", Some(20), false),
            member("lost", Some(40), false),
            member("mute", Some(40), true),
            member("go", None, true),
        ];
        Fleet { members: members.into(), has_view: true }
    }

    #[test]
    fn a_node_is_unknown_when_neither_the_view_nor_itself_tells_of_it() {
        let states: Vec<(String, NodeState)> =
            fleet().into_list().into_iter().map(|node| (node.node_id, node.state)).collect();
        for (id, state) in states {
            let expected = if id == "lost" { NodeState::Unknown } else { NodeState::Running };
            assert_eq!(state, expected, "{id}");
        }
    }

    #[test]
    fn only_nodes_that_answer_and_fit_are_expected_to_bid() {
        assert_eq!(fleet().expected_bidders("wasm", &Tags::new()), ["fresh"]);
        assert!(fleet().expected_bidders("native", &Tags::new()).is_empty());
        assert_eq!(fleet().n_strangers(), 2, "mute and go");
    }
}
