//! J7: a static echo service of plain Rust and async-nats, not changed for Nex.
//!
//! 1. It answers on its subject, and is listed as a running service.
//! 2. A client's `$SRV.PING`, which is what `nats micro ls` asks, shows it.
//! 3. Its standard output is in `nex logs -f`, started before the service.
//! 4. KEY=VALUE and what follows `--` reach it; a job runs to its end once.

use std::time::Duration;

use async_nats::Client;
use futures::StreamExt;
use nex_testkit::{Process, echo_service, eventually};
use serde_json::Value;

use crate::world::{SOON, World, assert_no_responders, text};

#[tokio::test]
async fn j07_an_echo_service_answers_and_is_a_micro_service() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "-f"]).await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    world.until_answered("svc.echo", "hello", "hello").await;

    let names = micro_services(&world.client).await;
    assert!(names.iter().any(|name| name == "echo-service"), "{names:?}");
    assert!(names.iter().any(|name| name == "nexnode"), "{names:?}");

    for says in ["echo-service listens on svc.echo", "echoed 5 bytes"] {
        let line = logs.line(SOON, |line| line.contains(says)).await.unwrap();
        assert_eq!(line, format!("echo-service: {says}"));
    }
    let listed = world.list().await;
    assert_eq!([&listed[0]["workload_type"], &listed[0]["workload_state"]], ["native", "running"]);
    assert_eq!(listed[0]["workload_lifecycle"], "service");

    world.nex.ok(&["stop", "echo-service"]).await;
    logs.line(SOON, |line| line.contains("echo-service stops")).await.unwrap();
    assert_no_responders(&world.client, "svc.echo").await;
    drop(logs);
    world.finish().await;
}

/// No dependency, no libc: writes its arguments and environment and ends. Built by the machine's C compiler.
const TELLS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    printf("argument %s\n", argc > 1 ? argv[1] : "none");
    printf("greeting %s\n", getenv("GREETING"));
    printf("home %s\n", getenv("NEX_TEST_MARK") ? "leaks" : "is clean");
    return 0;
}
"#;

#[tokio::test]
async fn j07_a_job_gets_its_arguments_and_environment_and_ends() {
    let world = World::up().await;
    world.file("tells.c", TELLS);
    let built = std::process::Command::new("cc")
        .args(["-static", "-O1", "-o", "tells", "tells.c"])
        .current_dir(world.nex.work_dir())
        .output()
        .expect("a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let mut logs = world.follow(&["logs", "tells", "-f"]).await;
    let mut events = world.follow(&["events", "-f", "--json"]).await;
    world.nex.ok(&["run", "tells", "--job", "GREETING=good day", "--", "seven"]).await;
    let expected = ["argument seven", "greeting good day", "home is clean"];
    for says in expected {
        let line = logs.line(SOON, |_| true).await.unwrap();
        assert_eq!(line, format!("tells: {says}"));
    }
    let stopped = next_event(&mut events, "WORKLOADSTOPPED").await;
    assert_eq!(stopped.pointer("/event/error"), None, "{stopped:#}");
    assert_eq!(text(&stopped, "/event/workload_type"), "native");
    drop((logs, events));
    eventually("an ended job is not running", SOON, async || {
        let list = world.list().await;
        let running = list.iter().any(|workload| workload["workload_state"] == "running");
        if running { Err(list) } else { Ok(()) }
    })
    .await;
    world.finish().await;
}

async fn next_event(events: &mut Process, kind: &str) -> Value {
    let line = events.line(SOON, |line| line.contains(kind)).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

/// The names of all micro services that answer a ping.
async fn micro_services(client: &Client) -> Vec<String> {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply("$SRV.PING", inbox, "".into()).await.unwrap();
    let mut names = Vec::new();
    while let Ok(Some(reply)) = tokio::time::timeout(Duration::from_secs(1), replies.next()).await {
        let pong: Value = serde_json::from_slice(&reply.payload).unwrap();
        names.push(text(&pong, "/name"));
    }
    names
}
