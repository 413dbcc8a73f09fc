//! What each kind of credential may do (spec: control API, sections 7, 11.2 and 13).
//!
//! Owns: the lists. Never: signs them.

use std::time::Duration;

use nex_api::subject;
use nex_bus::jwt::{Permissions, Respond, Rules};

/// Inboxes of Nex's own connections; no workload may hear or write them.
const NEX_INBOXES: &str = "_INBOX.NEX.>";

/// Once, to register.
pub(super) fn registration(node_id: &str, agent_id: &str, inbox: &str) -> Permissions {
    Permissions {
        publish: allow([subject::register(node_id, agent_id)]),
        subscribe: allow([inbox.to_owned()]),
        respond: Some(Respond { max: 0, ttl: 0 }),
    }
}

/// A nexlet at work: it answers its node, and tells of the workloads of all namespaces. Of JetStream it
/// may only read: which stream captures a subject, and the objects of `buckets`. It gets no right to
/// make a consumer, since a consumer delivers what is stored to any subject of the account.
pub(super) fn agent(
    node_id: &str,
    agent_id: &str,
    nexus: &str,
    inbox: &str,
    buckets: &[String],
) -> Permissions {
    let mut publish = vec![
        subject::agent_heartbeat(node_id, agent_id),
        subject::register(node_id, agent_id),
        subject::agent_spans(node_id, agent_id),
        format!("$NEX.FEED.{agent_id}.events.*"),
        format!("$NEX.FEED.{agent_id}.logs.*.stdout"),
        format!("$NEX.FEED.{agent_id}.logs.*.stderr"),
        "$NEX.FEED.*.logs.*.stdout".to_owned(),
        "$NEX.FEED.*.logs.*.stderr".to_owned(),
        subject::metrics("*", "*"),
        subject::event("*", "*"),
        inbox.to_owned(),
        "$JS.API.INFO".to_owned(),
        "$JS.API.STREAM.NAMES".to_owned(),
    ];
    publish.extend(buckets.iter().flat_map(|bucket| read_objects(bucket)));
    let of_node = |verb| subject::agents(node_id, verb);
    let subscribe = [
        subject::start_workload(node_id, agent_id, "*"),
        subject::agent_ping(node_id, agent_id),
        of_node("STOPWORKLOAD.*"),
        of_node("GETWORKLOAD.*"),
        of_node("QUERYWORKLOADS"),
        of_node("PING"),
        of_node("SETLAMEDUCK"),
        subject::ping_workload(nexus, "*"),
        subject::agent_events(agent_id),
        subject::node_heartbeat(node_id),
        "$SRV.>".to_owned(),
        inbox.to_owned(),
    ];
    Permissions {
        publish: allow(publish),
        subscribe: allow(subscribe),
        respond: Some(Respond { max: 1, ttl: 0 }),
    }
}

/// A workload: its inbox, its namespace's logs, and the subjects that it was granted.
pub(super) fn workload(
    namespace: &str,
    inbox: &str,
    publish: Vec<String>,
    subscribe: Vec<String>,
    timeout: Option<Duration>,
) -> Permissions {
    let deny = || vec![NEX_INBOXES.to_owned()];
    let own = [format!("$NEX.FEED.{namespace}.logs.>"), inbox.to_owned()];
    // Longer than a call may run, so that also the last answer is let through.
    let ttl = timeout.map_or(0, |timeout| nanoseconds(timeout + Duration::from_secs(30)));
    Permissions {
        publish: Rules { allow: [vec![inbox.to_owned()], publish].concat(), deny: deny() },
        subscribe: Rules { allow: [own.to_vec(), subscribe].concat(), deny: deny() },
        respond: Some(Respond { max: 1, ttl }),
    }
}

fn read_objects(bucket: &str) -> [String; 3] {
    [
        format!("$JS.API.STREAM.INFO.OBJ_{bucket}"),
        format!("$JS.API.DIRECT.GET.OBJ_{bucket}"),
        format!("$JS.API.DIRECT.GET.OBJ_{bucket}.>"),
    ]
}

fn allow(allow: impl Into<Vec<String>>) -> Rules {
    Rules { allow: allow.into(), deny: Vec::new() }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
