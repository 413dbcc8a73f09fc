//! The table of registered nexlets.
//!
//! Owns: registrations, heartbeats, which processes the node launched or took over, and which nexlet
//! hands its workloads to which. Never: launches one (`supervise`) or judges health (`nex-policy`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nex_api::agent::{AgentHeartbeat, AgentSummary, HeartbeatData};
use nex_api::node::NodeAgentSummary;
use nex_api::workload::Lifecycle;
use nex_api::{Time, decode};
use nex_bus::{LinkClock, Mark};
use nex_policy::health::{Health, judge};

use crate::schema::Schema;

/// Registrations that the node holds of nexlets that it did not launch itself.
const MOST_AGENTS: usize = 256;

/// One registration.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) register_type: String,
    pub(crate) public_xkey: String,
    pub(crate) lifecycles: Option<Vec<Lifecycle>>,
    pub(crate) max_workloads: u32,
    pub(crate) schema: Arc<Schema>,
    /// Whether it speaks of tokens, and so understands a new node's PING.
    pub(crate) is_ours: bool,
    /// Silence counts only while the node could have heard something.
    link: LinkClock,
    registered: Mark,
    heartbeat: Option<Heartbeat>,
}

#[derive(Debug, Clone)]
struct Heartbeat {
    received: Mark,
    time: Time,
    restoring: bool,
    summary: AgentSummary,
}

impl Agent {
    pub(crate) fn new(
        request: nex_api::agent::RegisterAgentRequest,
        schema: Schema,
        link: LinkClock,
    ) -> Self {
        Self {
            name: request.name,
            register_type: request.register_type,
            public_xkey: request.public_xkey,
            lifecycles: request.supported_lifecycles,
            max_workloads: whole(request.max_workloads),
            schema: Arc::new(schema),
            is_ours: request.register_token.is_some(),
            registered: link.mark(),
            link,
            heartbeat: None,
        }
    }

    pub(crate) fn health(&self, now: Instant) -> Health {
        let state = self.heartbeat.as_ref().map(|beat| beat.summary.state.as_str());
        judge(state, self.silent_for(now))
    }

    fn is_restored(&self, now: Instant) -> bool {
        self.health(now) == Health::Healthy
            && self.heartbeat.as_ref().is_some_and(|beat| !beat.restoring)
    }

    fn silent_for(&self, now: Instant) -> Duration {
        let last = self.heartbeat.as_ref().map_or(&self.registered, |beat| &beat.received);
        self.link.since(last, now)
    }

    pub(crate) fn workload_count(&self) -> u32 {
        self.heartbeat.as_ref().map_or(0, |beat| beat.summary.workload_count)
    }
}

/// A process that the node launched, or took over, under an agent id.
#[derive(Debug, Clone)]
struct Launch {
    name: String,
    token: String,
    ended: bool,
    /// It ended so often lately that somebody should look.
    degraded: bool,
    /// It was silent for so long that it was given up.
    given_up: bool,
}

/// A registration that the table does not take.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Refused {
    #[error("agent id {0} is registered already")]
    Duplicate(String),
    #[error("no process with this token was launched under agent id {0}")]
    Token(String),
    #[error("agent id {0} is registered with another type")]
    Type(String),
    #[error("the node has {MOST_AGENTS} agents and takes no more")]
    Full,
}

/// What a registration changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    New,
    Again,
}

/// All of them. A std mutex over short sections.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    pub(crate) link: LinkClock,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    agents: BTreeMap<String, Agent>,
    launches: BTreeMap<String, Launch>,
    /// Whose workloads go to whom, by the new one's id, until that one registers.
    heirs: BTreeMap<String, String>,
    /// Registered, but heard no more: an heir has its workloads.
    retired: BTreeSet<String>,
    /// Being started what did not fit into the answer to their registration.
    incomplete: BTreeSet<String>,
}

impl Agents {
    /// A process called `name` runs under `id` and holds `token`.
    pub(crate) fn launched(&self, id: &str, name: &str, token: &str) {
        let (name, token) = (name.to_owned(), token.to_owned());
        let launch = Launch { name, token, ended: false, degraded: false, given_up: false };
        self.with(|inner| inner.launches.insert(id.to_owned(), launch));
    }

    /// That process ended: its registration is void until it registers again.
    pub(crate) fn process_ended(&self, id: &str) {
        self.with(|inner| {
            inner.agents.remove(id);
            if let Some(launch) = inner.launches.get_mut(id) {
                launch.ended = true;
            }
        });
    }

    /// Nothing will be launched under `id` again.
    pub(crate) fn forget(&self, id: &str) {
        self.with(|inner| {
            inner.agents.remove(id);
            inner.launches.remove(id);
            inner.retired.remove(id);
            inner.incomplete.remove(id);
            inner.heirs.retain(|heir, old| heir != id && old != id);
        });
    }

    /// From the moment that `heir` registers, it has the workloads of `old`.
    pub(crate) fn hand_over(&self, old: &str, heir: &str) {
        self.with(|inner| inner.heirs.insert(heir.to_owned(), old.to_owned()));
    }

    /// The heir failed: `old` is heard again.
    pub(crate) fn take_back(&self, old: &str, heir: &str) {
        self.forget(heir);
        self.with(|inner| inner.retired.remove(old));
    }

    /// The node starts what did not fit into the answer to this one's registration.
    pub(crate) fn starting_rest(&self, id: &str) {
        self.with(|inner| inner.incomplete.insert(id.to_owned()));
    }

    /// And is done with it.
    pub(crate) fn rest_started(&self, id: &str) {
        self.with(|inner| inner.incomplete.remove(id));
    }

    /// Whether it is healthy, and all that it was given at registration has come up.
    pub(crate) fn is_complete(&self, id: &str) -> bool {
        let now = Instant::now();
        self.with(|inner| {
            let agent = inner.agents.get(id);
            agent.is_some_and(|agent| agent.is_restored(now)) && !inner.incomplete.contains(id)
        })
    }

    /// Whether that process was silent for so long that it was given up.
    pub(crate) fn is_given_up(&self, id: &str) -> bool {
        self.with(|inner| inner.launches.get(id).is_some_and(|launch| launch.given_up))
    }

    /// Drops the registrations that were silent for longer than `bound`; returns ids and names.
    pub(crate) fn drop_silent(&self, bound: Duration) -> Vec<(String, String)> {
        let now = Instant::now();
        self.with(|inner| {
            let silent = inner.agents.iter().filter(|(_, agent)| agent.silent_for(now) > bound);
            let silent: Vec<(String, String)> =
                silent.map(|(id, agent)| (id.clone(), agent.name.clone())).collect();
            for (id, _) in &silent {
                inner.agents.remove(id);
                if let Some(launch) = inner.launches.get_mut(id) {
                    launch.given_up = true;
                }
            }
            silent
        })
    }

    /// Whether that process ended so often lately that somebody should look.
    pub(crate) fn set_degraded(&self, id: &str, degraded: bool) {
        self.with(|inner| {
            if let Some(launch) = inner.launches.get_mut(id) {
                launch.degraded = degraded;
            }
        });
    }

    /// Takes a registration: of a new id, or again of one whose process ended or that knows its
    /// token (spec: control API, section 13, "Re-registration"). Who brings a token must be the
    /// process that got it; who is registered keeps its type.
    pub(crate) fn register(
        &self,
        id: &str,
        token: Option<&str>,
        mut agent: Agent,
    ) -> Result<Registered, Refused> {
        self.with(|inner| {
            let launch = inner.launches.get(id);
            let knows_token = token.is_some_and(|t| launch.is_some_and(|l| l.token == t));
            if token.is_some() && !knows_token {
                return Err(Refused::Token(id.to_owned()));
            }
            let known = inner.agents.get(id);
            if id.is_empty() || (known.is_some() && !knows_token) {
                return Err(Refused::Duplicate(id.to_owned()));
            }
            if known.is_some_and(|known| known.register_type != agent.register_type) {
                return Err(Refused::Type(id.to_owned()));
            }
            if known.is_none() && !knows_token && inner.agents.len() >= MOST_AGENTS {
                return Err(Refused::Full);
            }
            if let Some(old) = inner.heirs.remove(id) {
                inner.retired.insert(old);
            }
            // Its last heartbeat stays true, so that it is healthy without a gap.
            agent.heartbeat = known.and_then(|known| known.heartbeat.clone());
            match inner.agents.insert(id.to_owned(), agent) {
                Some(_) => Ok(Registered::Again),
                None => Ok(Registered::New),
            }
        })
    }

    /// Notes a heartbeat; whether it is the first one since the registration.
    pub(crate) fn heartbeat(&self, id: &str, beat: AgentHeartbeat) -> bool {
        self.with(|inner| {
            let Some(agent) = inner.agents.get_mut(id) else { return false };
            let data = decode::<HeartbeatData>(beat.data.as_bytes()).unwrap_or_default();
            let heartbeat = Heartbeat {
                received: agent.link.mark(),
                time: Time::now(),
                restoring: data.restoring,
                summary: beat.summary,
            };
            agent.heartbeat.replace(heartbeat).is_none()
        })
    }

    /// All that may be handed work: not those whose workloads went to an heir.
    pub(crate) fn all(&self) -> Vec<(String, Agent)> {
        self.with(|inner| {
            let all = inner.agents.iter().filter(|(id, _)| !inner.retired.contains(*id));
            all.map(|(id, agent)| (id.clone(), agent.clone())).collect()
        })
    }

    /// Likewise, one of them.
    pub(crate) fn get(&self, id: &str) -> Option<Agent> {
        self.with(|inner| {
            let agent = inner.agents.get(id).filter(|_| !inner.retired.contains(id));
            agent.cloned()
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.with(|inner| inner.agents.len())
    }

    /// How many would answer a broadcast.
    pub(crate) fn reachable(&self) -> usize {
        let now = Instant::now();
        let is_reachable = |agent: &&Agent| agent.health(now) != Health::Offline;
        self.with(|inner| inner.agents.values().filter(is_reachable).count())
    }

    /// How many surely answer a broadcast at once: one that has not sent a heartbeat may still be
    /// coming up, and one that sends none any more may hang.
    pub(crate) fn answering(&self) -> usize {
        let now = Instant::now();
        let answers =
            |agent: &&Agent| matches!(agent.health(now), Health::Healthy | Health::ShuttingDown);
        self.with(|inner| inner.agents.values().filter(answers).count())
    }

    pub(crate) fn summaries(&self) -> Vec<NodeAgentSummary> {
        let now = Instant::now();
        let summarise = |(id, agent): (String, Agent)| {
            let health = agent.health(now);
            let beat = agent.heartbeat;
            NodeAgentSummary {
                agent_health: health.as_str().to_owned(),
                agent_health_stoplight: health.stoplight().to_owned(),
                agent_id: id,
                agent_last_heartbeat_time: beat.as_ref().map(|b| b.time).unwrap_or_default(),
                agent_summary: beat.map(|b| b.summary).unwrap_or_default(),
            }
        };
        let registered = self.all().into_iter().map(summarise);
        registered.chain(self.absent()).collect()
    }

    /// Nexlets that were launched and are not registered: between an end and the next start.
    fn absent(&self) -> Vec<NodeAgentSummary> {
        let summarise = |(id, launch): (&String, &Launch)| {
            let health = if launch.degraded { Health::Degraded } else { Health::Offline };
            NodeAgentSummary {
                agent_health: health.as_str().to_owned(),
                agent_health_stoplight: health.stoplight().to_owned(),
                agent_id: id.clone(),
                agent_summary: AgentSummary {
                    name: launch.name.clone(),
                    state: "error".to_owned(),
                    ..AgentSummary::default()
                },
                ..NodeAgentSummary::default()
            }
        };
        self.with(|inner| {
            let absent = inner.launches.iter().filter(|(id, _)| !inner.agents.contains_key(*id));
            absent.map(summarise).collect()
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Inner) -> R) -> R {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Peers may send a fraction, or nonsense; 0 means unlimited.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u32 first; NaN becomes 0"
)]
fn whole(number: f64) -> u32 {
    number.clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use nex_api::agent::RegisterAgentRequest;

    use super::*;

    fn agent() -> Agent {
        of_type("native")
    }

    fn of_type(register_type: &str) -> Agent {
        let register_type = register_type.to_owned();
        let request = RegisterAgentRequest { register_type, ..Default::default() };
        Agent::new(request, Schema::compile("{}").unwrap(), LinkClock::default())
    }

    #[test]
    fn an_id_registers_again_only_when_its_process_ended_or_it_knows_its_token() {
        let agents = Agents::default();
        agents.launched("a", "native", "token");
        assert_eq!(agents.register("a", None, agent()), Ok(Registered::New));
        assert!(agents.register("a", None, agent()).is_err());
        assert!(agents.register("a", Some("guess"), agent()).is_err());
        assert_eq!(agents.register("a", Some("token"), agent()), Ok(Registered::Again));
        let other = agents.register("a", Some("token"), of_type("wasm"));
        assert_eq!(other, Err(Refused::Type("a".to_owned())));
        agents.process_ended("a");
        agents.set_degraded("a", true);
        assert_eq!(agents.summaries()[0].agent_health, "degraded", "shown while it is away");
        assert!(agents.register("a", None, agent()).is_ok());
        assert!(agents.register("", None, agent()).is_err());
    }

    #[test]
    fn a_token_of_another_node_s_making_registers_nothing() {
        let agents = Agents::default();
        let stray = agents.register("a", Some("token"), agent());
        assert_eq!(stray, Err(Refused::Token("a".to_owned())));
        assert!(agents.register("a", None, agent()).is_ok(), "a foreign one has none");
    }

    #[test]
    fn strangers_do_not_fill_the_table_without_end() {
        let agents = Agents::default();
        for idx in 0..MOST_AGENTS {
            assert_eq!(agents.register(&idx.to_string(), None, agent()), Ok(Registered::New));
        }
        assert_eq!(agents.register("one more", None, agent()), Err(Refused::Full));
        agents.launched("ours", "native", "token");
        assert_eq!(agents.register("ours", Some("token"), agent()), Ok(Registered::New));
        agents.forget("0");
        agents.forget("1");
        assert_eq!(agents.register("one more", None, agent()), Ok(Registered::New));
    }

    #[test]
    fn an_heir_has_the_workloads_from_its_registration_on() {
        let agents = Agents::default();
        agents.register("old", None, agent()).unwrap();
        agents.hand_over("old", "new");
        assert!(agents.get("old").is_some());
        agents.register("new", None, agent()).unwrap();
        assert!(agents.get("old").is_none() && agents.get("new").is_some());
        assert_eq!(agents.count(), 2, "it still answers broadcasts");
        agents.take_back("old", "new");
        assert!(agents.get("old").is_some() && agents.get("new").is_none());
    }

    #[test]
    fn the_silent_are_given_up() {
        let agents = Agents::default();
        agents.launched("a", "native", "token");
        agents.register("a", Some("token"), agent()).unwrap();
        assert!(agents.drop_silent(Duration::from_secs(60)).is_empty());
        let dropped = agents.drop_silent(Duration::ZERO);
        assert_eq!(dropped, [("a".to_owned(), String::new())]);
        assert!(agents.is_given_up("a") && agents.get("a").is_none());
    }

    #[test]
    fn an_agent_is_unknown_until_its_first_heartbeat_and_keeps_it_when_it_registers_again() {
        let agents = Agents::default();
        agents.launched("a", "native", "token");
        agents.register("a", Some("token"), agent()).unwrap();
        assert_eq!(agents.summaries()[0].agent_health, "unknown");
        let summary = AgentSummary { state: "running".to_owned(), ..Default::default() };
        let data = r#"{"restoring":true}"#.to_owned();
        agents.heartbeat("a", AgentHeartbeat { data, summary: summary.clone() });
        assert_eq!(agents.summaries()[0].agent_health, "healthy");
        assert!(!agents.is_complete("a"));
        agents.heartbeat("a", AgentHeartbeat { data: "free text".to_owned(), summary });
        agents.register("a", Some("token"), agent()).unwrap();
        assert!(agents.is_complete("a"));
        agents.starting_rest("a");
        assert!(!agents.is_complete("a"));
        assert!(whole(f64::NAN) == 0 && whole(-1.0) == 0 && whole(2.5) == 2);
    }
}
