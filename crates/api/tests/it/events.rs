//! Events as they are published: the bare payload, under their type token.

use nex_api::event::{
    Event, NODE_STARTED_TYPE, NodeStarted, StopError, WorkloadStarted, WorkloadStopped,
};
use nex_api::{Time, encode, subject};

fn text(text: &str) -> String {
    text.to_owned()
}

fn all() -> Vec<Event> {
    let time = Time::parse("2026-04-23T09:00:10.5-06:00").unwrap();
    let (id, namespace, workload_type) = (text("W"), text("default"), text("native"));
    let started = WorkloadStarted {
        id: id.clone(),
        namespace: namespace.clone(),
        workload_type: workload_type.clone(),
        ..Default::default()
    };
    let error = Some(StopError { code: text("1"), message: String::new() });
    let stopped = WorkloadStopped { error, id, namespace, workload_type, ..Default::default() };
    vec![
        Event::NodeStarted(NodeStarted {
            id: text("NB4X"),
            name: text("n1"),
            nexus: text("nexus"),
            tags: [(text("nex.os"), text("linux"))].into(),
            event_type: text(NODE_STARTED_TYPE),
        }),
        Event::NodeStopped { id: text("NB4X") },
        Event::NodeLameduckSet { id: text("NB4X"), time },
        Event::AgentStarted {
            id: text("WvLS"),
            name: text("go_exec"),
            register_type: text("native"),
        },
        Event::AgentStopped {
            id: text("WvLS"),
            name: String::new(),
            reason: String::new(),
            timestamp: time,
        },
        Event::AgentLameduckSet { success: true },
        Event::WorkloadStarted(started),
        Event::WorkloadStopped(stopped),
    ]
}

#[test]
fn every_event_is_printed_as_specified() {
    let golden = include_str!("golden/events.txt");
    let printed = all().into_iter().map(|event| {
        format!("{} {}", event.type_token(), String::from_utf8(encode(&event)).unwrap())
    });
    let expected: Vec<&str> = golden.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(printed.collect::<Vec<_>>(), expected);
    assert_eq!(subject::event("N", "NODESTOPPED"), "$NEX.FEED.N.events.NODESTOPPED");
}
