//! Events and logs, as anybody who subscribes sees them (spec: control API, sections 8 and 13; checks 35, 36).
//!
//! 1. NODESTARTED, AGENTSTARTED, WORKLOADSTARTED, WORKLOADSTOPPED, AGENTSTOPPED, NODESTOPPED: subjects and payloads.
//! 2. Log lines are one message each, raw, on `.stdout` and `.stderr`, with `Nex-Level` and `Nex-Time`.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures::StreamExt;
use nex_testkit::{NatsServer, Nex};
use serde_json::{Value, json};

use crate::guests::ECHO;
use crate::world::{World, header, json_of, seat, text};

/// The next message whose subject ends so.
async fn next(feed: &mut Subscriber, ending: &str) -> Message {
    let wanted = async {
        loop {
            let message = feed.next().await.expect("the subscription is open");
            if message.subject.ends_with(ending) {
                return message;
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(15), wanted).await;
    found.unwrap_or_else(|_| panic!("no message on …{ending}"))
}

async fn event(feed: &mut Subscriber, from: &str, kind: &str) -> Value {
    let message = next(feed, &format!(".{kind}")).await;
    assert_eq!(message.subject.as_str(), format!("$NEX.FEED.{from}.events.{kind}"));
    assert_eq!(message.headers, None, "an event has no headers");
    json_of(&message)
}

#[tokio::test]
async fn events_tell_the_whole_story() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let client = server.client().await;
    let mut feed = client.subscribe("$NEX.FEED.*.events.>").await.unwrap();
    server.until_subscribed("$NEX.FEED.*.events.>").await;
    let mut nex = Nex::up(&server).await;
    let node = text(&nex.ok(&["nodes", "--json"]).await.json(), "/0/node_id");

    let started = event(&mut feed, &node, "NODESTARTED").await;
    assert_eq!([text(&started, "/id"), text(&started, "/nexus")], [&node, "nexus"]);
    assert_eq!(text(&started, "/type"), "io.synadia.nex.event.nexnode_started");
    assert_eq!(text(&started, "/tags/nex.node"), text(&started, "/name"));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let agent = event(&mut feed, &node, "AGENTSTARTED").await;
        assert_eq!(text(&agent, "/name"), text(&agent, "/register_type"));
        kinds.push(text(&agent, "/register_type"));
    }
    kinds.sort();
    assert_eq!(kinds, ["javascript", "native", "wasm"]);

    std::fs::write(nex.work_dir().join("echo.js"), ECHO).unwrap();
    let run = nex.ok(&["run", "echo.js", "--on", "js.echo", "--json"]).await.json();
    let id = text(&run, "/workloads/0/id");
    nex.ok(&["stop", "echo"]).await;
    for kind in ["WORKLOADSTARTED", "WORKLOADSTOPPED"] {
        let workload = event(&mut feed, "default", kind).await;
        assert_eq!(text(&workload, "/id"), id);
        let words = ["/namespace", "/workload_type"].map(|pointer| text(&workload, pointer));
        assert_eq!(words, ["default", "javascript"]);
        assert_eq!(workload.get("error"), None, "{workload:#}");
    }
    nex.terminate().await;
    for _ in 0..3 {
        let agent = event(&mut feed, &node, "AGENTSTOPPED").await;
        assert!(text(&agent, "/timestamp").contains('T'), "{agent:#}");
    }
    assert_eq!(event(&mut feed, &node, "NODESTOPPED").await, json!({ "id": node }));
    drop((feed, client));
    nex.finish().await;
    server.assert_no_other_clients().await;
}

#[tokio::test]
async fn log_lines_are_raw_with_level_and_time() {
    let world = World::up().await;
    let mut feed = world.client.subscribe("$NEX.FEED.default.logs.>").await.unwrap();
    world.server.until_subscribed("$NEX.FEED.default.logs.>").await;
    let source = "(subject, payload) => {
        console.log('plain', 7); console.warn('two\\nlines'); console.error('bad'); console.debug('small');
        throw new Error('thrown');
    }";
    world.deploy("talk.js", source, "talk").await;
    world.ask("talk", "").await;
    let id = world.ids().await.remove(0);
    for (level, line) in [
        ("info", "plain 7"),
        ("warn", "two"),
        ("warn", "lines"),
        ("error", "bad"),
        ("debug", "small"),
    ] {
        let message = next(&mut feed, "").await;
        let stream = if matches!(level, "warn" | "error") { "stderr" } else { "stdout" };
        assert_eq!(message.payload, line);
        assert_eq!(header(&message, "Nex-Level").as_deref(), Some(level));
        let time = header(&message, "Nex-Time").unwrap();
        assert!(time.len() >= 20 && time.contains('T') && time.ends_with('Z'), "{time}");
        assert_eq!(
            message.subject.as_str(),
            format!("$NEX.FEED.default.logs.{id}.{stream}"),
            "{line}"
        );
    }
    let message = next(&mut feed, ".stderr").await;
    assert_eq!(header(&message, "Nex-Level").as_deref(), Some("error"));
    let line = String::from_utf8_lossy(&message.payload);
    assert!(line.contains("thrown"), "{line}");
    drop(feed);
    world.finish().await;
}
