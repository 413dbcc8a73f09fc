//! The reference page about events, written from the types: `docs/reference/events.md`.
//!
//! `NEX_UPDATE_GOLDEN=1` writes it anew; otherwise the page must be as it would be written.

use std::fmt::Write as _;
use std::path::Path;

use nex_api::event::{
    Event, NODE_STARTED_TYPE, NodeStarted, StopError, WorkloadStarted, WorkloadStopped,
};
use nex_api::{Time, encode, subject};
use serde_json::Value;

const HEAD: &str = "# Events

What happens to nodes, nexlets and workloads, one message each: bare JSON, without headers, on
`$NEX.FEED.<from>.events.<TYPE>`. `nex events` shows what is kept (stream `NEX_EVENTS`: 7 days, 100,000
events, 256 MiB), `nex events -f` what happens. Anybody may subscribe who may read these subjects.

This page is written from the types by a test of `nex-api`.
";

fn text(text: &str) -> String {
    text.to_owned()
}

/// Every type with all of its fields, who it is from, and when it is sent.
fn all() -> Vec<(Event, &'static str, &'static str)> {
    let time = Time::parse("2026-04-23T15:00:10.5Z").unwrap();
    let node = || text("NB4X");
    let nexlet = || text("WvLS2fm0rYuHFVcv9jR5gk");
    let (id, namespace, workload_type) =
        (text("9XKQ2fm0rYuHFVcv9jR5nE"), text("default"), text("native"));
    let started = WorkloadStarted {
        id: id.clone(),
        metadata: [(text("name"), text("orders"))].into(),
        namespace: namespace.clone(),
        workload_type: workload_type.clone(),
    };
    let stopped = WorkloadStopped {
        error: Some(StopError { code: text("1"), message: String::new() }),
        id,
        metadata: [(text("exit"), text("exit code 1"))].into(),
        namespace,
        workload_type,
    };
    let node_started = NodeStarted {
        id: node(),
        name: text("swift-otter"),
        nexus: text("nexus"),
        tags: [(text("nex.os"), text("linux"))].into(),
        event_type: text(NODE_STARTED_TYPE),
    };
    vec![
        (Event::NodeStarted(node_started), "node id", "a node answers requests"),
        (
            Event::NodeStopped { id: node() },
            "node id",
            "a node ends in order, before it leaves NATS",
        ),
        (
            Event::NodeLameduckSet { id: node(), time },
            "node id",
            "a node takes no more work; `time` is when it will end",
        ),
        (
            Event::NodeState { behind: true, id: node(), waiting: 3 },
            "node id",
            "changes of state begin to wait on the node's disk since JetStream is away (`behind`), and when that is over",
        ),
        (
            Event::AgentStarted {
                id: nexlet(),
                name: text("native"),
                register_type: text("native"),
            },
            "node id",
            "a nexlet has registered",
        ),
        (
            Event::AgentStopped {
                id: nexlet(),
                name: String::new(),
                reason: String::new(),
                timestamp: time,
            },
            "node id",
            "a nexlet has ended; `name` and `reason` are empty",
        ),
        (Event::AgentLameduckSet { success: true }, "node id", "a nexlet takes no more work"),
        (
            Event::WorkloadStarted(started),
            "namespace",
            "a workload runs, also when it was started again; `metadata.name` is its name",
        ),
        (
            Event::WorkloadStopped(stopped),
            "namespace",
            "a workload is gone. `error` is absent when it ended well or was asked to end; its `code` is the \
             exit code, its `message` `SYSKILL` after it was killed",
        ),
    ]
}

fn page() -> String {
    let mut page = text(HEAD);
    for (event, from, when) in all() {
        let (kind, example) = (event.type_token(), String::from_utf8(encode(&event)).unwrap());
        let subject = subject::event(&format!("<{from}>"), kind);
        write!(page, "\n## {kind}\n\nSent when {when}.\n\nSubject: `{subject}`\n\n").unwrap();
        page.push_str("| field | JSON type |\n|---|---|\n");
        let document: Value = serde_json::from_str(&example).unwrap();
        fields(&mut page, "", &document);
        write!(page, "\n```json\n{example}\n```\n").unwrap();
    }
    page
}

fn fields(page: &mut String, above: &str, value: &Value) {
    let Value::Object(all) = value else { return };
    for (name, value) in all {
        let kind = match value {
            Value::Object(_) => "object",
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "boolean",
            Value::Null => "null",
        };
        writeln!(page, "| `{above}{name}` | {kind} |").unwrap();
        fields(page, &format!("{above}{name}."), value);
    }
}

#[test]
fn the_page_is_as_the_types_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/events.md");
    if std::env::var_os("NEX_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page(), written, "the events have changed; if they should: NEX_UPDATE_GOLDEN=1");
}
