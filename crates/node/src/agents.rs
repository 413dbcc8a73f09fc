//! The table of registered nexlets.
//!
//! Owns: registrations, heartbeats, and which processes the node launched. Never: launches one
//! (`supervise`) or judges health (`nex-policy`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nex_api::Time;
use nex_api::agent::{AgentHeartbeat, AgentSummary};
use nex_api::node::NodeAgentSummary;
use nex_api::workload::Lifecycle;
use nex_policy::health::{Health, judge};

use crate::schema::Schema;

/// One registration.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) register_type: String,
    pub(crate) public_xkey: String,
    pub(crate) lifecycles: Option<Vec<Lifecycle>>,
    pub(crate) max_workloads: u32,
    pub(crate) schema: Arc<Schema>,
    registered: Instant,
    heartbeat: Option<Heartbeat>,
}

#[derive(Debug, Clone)]
struct Heartbeat {
    received: Instant,
    time: Time,
    summary: AgentSummary,
}

impl Agent {
    pub(crate) fn new(request: nex_api::agent::RegisterAgentRequest, schema: Schema) -> Self {
        Self {
            name: request.name,
            register_type: request.register_type,
            public_xkey: request.public_xkey,
            lifecycles: request.supported_lifecycles,
            max_workloads: whole(request.max_workloads),
            schema: Arc::new(schema),
            registered: Instant::now(),
            heartbeat: None,
        }
    }

    pub(crate) fn health(&self, now: Instant) -> Health {
        let last = self.heartbeat.as_ref().map_or(self.registered, |beat| beat.received);
        let state = self.heartbeat.as_ref().map(|beat| beat.summary.state.as_str());
        judge(state, now.saturating_duration_since(last))
    }

    pub(crate) fn workload_count(&self) -> u32 {
        self.heartbeat.as_ref().map_or(0, |beat| beat.summary.workload_count)
    }
}

/// A process that the node launched under an agent id.
#[derive(Debug, Clone)]
struct Launch {
    name: String,
    token: String,
    ended: bool,
    /// It ended so often lately that somebody should look.
    degraded: bool,
}

/// A registration that the table does not take.
#[derive(Debug, thiserror::Error)]
#[error("agent id {0} is registered already")]
pub(crate) struct Duplicate(String);

/// All of them. A std mutex over short sections.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    agents: BTreeMap<String, Agent>,
    launches: BTreeMap<String, Launch>,
}

impl Agents {
    /// A process called `name` was launched under `id` and holds `token`.
    pub(crate) fn launched(&self, id: &str, name: &str, token: &str) {
        let (name, token) = (name.to_owned(), token.to_owned());
        let launch = Launch { name, token, ended: false, degraded: false };
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

    /// Whether that process ended so often lately that somebody should look.
    pub(crate) fn set_degraded(&self, id: &str, degraded: bool) {
        self.with(|inner| {
            if let Some(launch) = inner.launches.get_mut(id) {
                launch.degraded = degraded;
            }
        });
    }

    /// Takes a registration: of a new id, or again of one whose process ended or that knows its
    /// token (spec: control API, section 13, "Re-registration").
    pub(crate) fn register(
        &self,
        id: &str,
        token: Option<&str>,
        agent: Agent,
    ) -> Result<(), Duplicate> {
        self.with(|inner| {
            let launch = inner.launches.get(id);
            let is_known = inner.agents.contains_key(id);
            let may_again = launch.is_some_and(|l| l.ended || token == Some(l.token.as_str()));
            if id.is_empty() || (is_known && !may_again) {
                return Err(Duplicate(id.to_owned()));
            }
            inner.agents.insert(id.to_owned(), agent);
            Ok(())
        })
    }

    /// Notes a heartbeat; whether it is the first one since the registration.
    pub(crate) fn heartbeat(&self, id: &str, beat: AgentHeartbeat) -> bool {
        self.with(|inner| {
            let Some(agent) = inner.agents.get_mut(id) else { return false };
            let (received, time) = (Instant::now(), Time::now());
            let heartbeat = Heartbeat { received, time, summary: beat.summary };
            agent.heartbeat.replace(heartbeat).is_none()
        })
    }

    pub(crate) fn all(&self) -> Vec<(String, Agent)> {
        self.with(|inner| inner.agents.iter().map(|(id, a)| (id.clone(), a.clone())).collect())
    }

    pub(crate) fn get(&self, id: &str) -> Option<Agent> {
        self.with(|inner| inner.agents.get(id).cloned())
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
        Agent::new(RegisterAgentRequest::default(), Schema::compile("{}").unwrap())
    }

    #[test]
    fn an_id_registers_again_only_when_its_process_ended_or_it_knows_its_token() {
        let agents = Agents::default();
        agents.launched("a", "native", "token");
        assert!(agents.register("a", None, agent()).is_ok());
        assert!(agents.register("a", None, agent()).is_err());
        assert!(agents.register("a", Some("guess"), agent()).is_err());
        assert!(agents.register("a", Some("token"), agent()).is_ok());
        agents.process_ended("a");
        agents.set_degraded("a", true);
        assert_eq!(agents.summaries()[0].agent_health, "degraded", "shown while it is away");
        assert!(agents.register("a", None, agent()).is_ok());
        assert!(agents.register("", None, agent()).is_err());
    }

    #[test]
    fn an_agent_is_unknown_until_its_first_heartbeat() {
        let agents = Agents::default();
        agents.register("a", None, agent()).unwrap();
        assert_eq!(agents.summaries()[0].agent_health, "unknown");
        let summary = AgentSummary { state: "running".to_owned(), ..Default::default() };
        agents.heartbeat("a", AgentHeartbeat { data: String::new(), summary });
        assert_eq!(agents.summaries()[0].agent_health, "healthy");
        assert!(whole(f64::NAN) == 0 && whole(-1.0) == 0 && whole(2.5) == 2);
    }
}
