//! Every subject of the control API, built in one place (spec: control API, section 3).
//!
//! Owns: their spelling. Never: checks who may use them.

use crate::log::Stream;

/// Broadcasts and requests of clients to nodes.
#[must_use]
pub fn control(namespace: &str, verb: &str) -> String {
    format!("$NEX.SVC.{namespace}.control.{verb}")
}

/// A request that names its target: a node, a bid or a workload.
#[must_use]
pub fn control_of(namespace: &str, verb: &str, id: &str) -> String {
    format!("$NEX.SVC.{namespace}.control.{verb}.{id}")
}

/// REGISTER of one agent.
#[must_use]
pub fn register(node_id: &str, agent_id: &str) -> String {
    format!("$NEX.SVC.{node_id}.agent.REGISTER.{agent_id}")
}

/// RREGISTER of remote agents, answered by one node of the nexus.
#[must_use]
pub fn register_remote(nexus: &str) -> String {
    format!("$NEX.SVC.{nexus}.agent.RREGISTER")
}

/// PINGWORKLOAD: which node of the nexus runs a workload that takes traffic from outside.
#[must_use]
pub fn ping_workload(nexus: &str, workload_id: &str) -> String {
    format!("$NEX.SVC.{nexus}.agent.PINGWORKLOAD.{workload_id}")
}

/// What event-listening nexlets hear.
#[must_use]
pub fn agent_events(agent_id: &str) -> String {
    format!("$NEX.FEED.{agent_id}.events")
}

/// A workload's metrics.
#[must_use]
pub fn metrics(namespace: &str, workload_id: &str) -> String {
    format!("$NEX.FEED.{namespace}.metrics.{workload_id}")
}

/// An agent's heartbeat.
#[must_use]
pub fn agent_heartbeat(node_id: &str, agent_id: &str) -> String {
    format!("$NEX.SVC.{node_id}.agent.HEARTBEAT.{agent_id}")
}

/// Spans of an agent, for its node to pass on: the bytes of an OTLP `ExportTraceServiceRequest`.
#[must_use]
pub fn agent_spans(node_id: &str, agent_id: &str) -> String {
    format!("$NEX.SVC.{node_id}.agent.SPANS.{agent_id}")
}

/// STARTWORKLOAD: the agent id comes before the verb.
#[must_use]
pub fn start_workload(node_id: &str, agent_id: &str, workload_id: &str) -> String {
    format!("$NEX.SVC.{node_id}.agent.{agent_id}.STARTWORKLOAD.{workload_id}")
}

/// A broadcast of a node to its agents: `STOPWORKLOAD.<id>`, `GETWORKLOAD.<id>`, `QUERYWORKLOADS`,
/// `SETLAMEDUCK`, `PING`.
#[must_use]
pub fn agents(node_id: &str, verb: &str) -> String {
    format!("$NEX.SVC.{node_id}.agent.{verb}")
}

/// PING of one agent.
#[must_use]
pub fn agent_ping(node_id: &str, agent_id: &str) -> String {
    format!("$NEX.SVC.{node_id}.agent.{agent_id}.PING")
}

/// The node's own heartbeat.
#[must_use]
pub fn node_heartbeat(node_id: &str) -> String {
    format!("$NEX.SVC.system.control.HEARTBEAT.{node_id}")
}

/// One stream of a workload's log.
#[must_use]
pub fn log(namespace: &str, workload_id: &str, stream: Stream) -> String {
    format!("$NEX.FEED.{namespace}.logs.{workload_id}.{stream}")
}

/// The log lines of all workloads of a namespace.
#[must_use]
pub fn logs(namespace: &str) -> String {
    format!("$NEX.FEED.{namespace}.logs.*.*")
}

/// The log lines of one workload.
#[must_use]
pub fn workload_logs(namespace: &str, workload_id: &str) -> String {
    format!("$NEX.FEED.{namespace}.logs.{workload_id}.*")
}

/// An event; `from` is a node id or a workload's namespace.
#[must_use]
pub fn event(from: &str, type_token: &str) -> String {
    format!("$NEX.FEED.{from}.events.{type_token}")
}

/// The namespace token (the third) of a control subject, and the id after the fifth dot.
#[must_use]
pub fn split_control(subject: &str) -> (&str, &str) {
    let mut tokens = subject.splitn(6, '.');
    let namespace = tokens.nth(2).unwrap_or_default();
    let id = tokens.nth(2).unwrap_or_default();
    (namespace, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_split_by_position() {
        assert_eq!(split_control("$NEX.SVC.a.control.ADEPLOY.bid"), ("a", "bid"));
        assert_eq!(split_control("$NEX.SVC.a.control.WPING"), ("a", ""));
        assert_eq!(split_control("x"), ("", ""));
    }

    #[test]
    fn the_agent_id_stands_before_startworkload() {
        assert_eq!(start_workload("N", "a", "w"), "$NEX.SVC.N.agent.a.STARTWORKLOAD.w");
        assert_eq!(agents("N", "STOPWORKLOAD.w"), "$NEX.SVC.N.agent.STOPWORKLOAD.w");
    }
}
