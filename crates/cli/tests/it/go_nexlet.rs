//! A nexlet with the Go SDK's quirks under a real node (spec: control API, sections 2.4, 8.3 and 11.1).
//!
//! 1. It sends heartbeats before its endpoints are there, a fraction as `max_workloads`, and no lifecycles.
//! 2. Its errors are answered twice; lists are `null`; unknown ids are met with silence: the others are still listed.
//! 3. Its summaries lack `namespace`, or hold a state that nobody knows: nothing else is lost by it.
//! 4. Its log messages have an empty header block, and are not lines.
//! 5. Its start errors reach the caller as they are.

use std::io::Write;
use std::net::TcpStream;

use nex_testkit::eventually;
use serde_json::{Value, json};

use crate::foreign::{Replies, heartbeat, register, registration, script, summary, until_health};
use crate::guests::ECHO;
use crate::world::{SOON, World, error_headers, json_of, text};

const AGENT: &str = "WvLS2fm0rYuHFVcv9jR5gk";
const ERROR: [(&str, &str); 2] =
    [("Nats-Service-Error", "namespace not found"), ("Nats-Service-Error-Code", "100")];

async fn joins(world: &World, answers: impl Fn(&str, &[u8]) -> Replies + Send + 'static) {
    let mut quirky = registration("go");
    quirky["max_workloads"] = json!(2.5);
    quirky["supported_lifecycles"] = Value::Null;
    let reply = register(world, AGENT, &quirky, &summary("go")).await;
    assert_eq!(json_of(&reply)["existing_state"], json!({}));
    until_health(world, AGENT, "healthy", SOON).await;
    script(world, AGENT, answers).await;
}

fn once(body: &Value) -> Replies {
    vec![(body.to_string().into_bytes(), Vec::new())]
}

fn listed(namespace: Option<&str>, state: &str) -> Value {
    let mut entry = json!({
        "id": "WvLS2fm0rYuHFVcv9jR5nE", "name": "hello", "runtime": "--", "start_time": "2026-04-23T08:59:00-06:00",
        "tags": null, "workload_lifecycle": "service", "workload_state": state, "workload_type": "go",
    });
    if let Some(namespace) = namespace {
        entry["namespace"] = json!(namespace);
    }
    json!([entry])
}

#[tokio::test]
async fn double_replies_and_nulls_hide_nobody_else() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    joins(&world, |verb, _| match verb.split('.').next() {
        Some("QUERYWORKLOADS") => {
            vec![(Vec::new(), ERROR.to_vec()), (b"null".to_vec(), Vec::new())]
        }
        Some("STOPWORKLOAD") => vec![(
            br#"{"id":"x","message":"workload not found","stopped":false,"workload_type":"go"}"#
                .to_vec(),
            ERROR.to_vec(),
        )],
        _ => Vec::new(),
    })
    .await;
    for _ in 0..5 {
        assert_eq!(world.list().await.len(), 1, "its two replies took no place of another's");
    }
    world.nex.ok(&["stop", "echo"]).await;
    assert!(world.list().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn summaries_of_old_and_unknown_kinds_cost_nothing_else() {
    for (entry, seen_by_system) in
        [(listed(None, "running"), true), (listed(Some("default"), "paused"), false)]
    {
        let world = World::up().await;
        world.deploy("echo.js", ECHO, "js.echo").await;
        joins(
            &world,
            move |verb, _| if verb == "QUERYWORKLOADS" { once(&entry) } else { Vec::new() },
        )
        .await;
        let names: Vec<String> = world.live().await.iter().map(|w| text(w, "/name")).collect();
        assert!(names.contains(&"echo".to_owned()), "{names:?}");
        let all = world.nex.ok(&["ls", "-A", "--live", "--json"]).await.json();
        let has_hello = all.as_array().unwrap().iter().any(|workload| workload["name"] == "hello");
        assert!(has_hello || !seen_by_system, "{all:#}");
        world.finish().await;
    }
}

#[tokio::test]
async fn its_start_errors_reach_the_caller_as_they_are() {
    let world = World::up().await;
    joins(&world, |verb, _| match verb.contains("STARTWORKLOAD.") {
        true => vec![(br#"{"id":"W","name":""}"#.to_vec(), ERROR.to_vec())],
        false => Vec::new(),
    })
    .await;
    let auction = json!({ "agent_type": "go", "auction_id": "A", "tags": {} });
    let bid = world.control_json("AUCTION", auction).await;
    assert_eq!(bid["supported_lifecycles"], Value::Null);
    let body = json!({
        "description": "demo", "name": "hello", "namespace": "default", "run_request": "{}", "tags": {},
        "workload_lifecycle": "service", "workload_type": "go",
    });
    let reply = world.control(&format!("ADEPLOY.{}", text(&bid, "/bidder_id")), body).await;
    assert_eq!(error_headers(&reply), ("100".to_owned(), "namespace not found".to_owned()));
    assert_eq!(reply.payload, r#"{"id":"W","name":""}"#);
    world.finish().await;
}

#[tokio::test]
async fn logs_with_an_empty_header_block_are_shown() {
    let world = World::up().await;
    joins(&world, |verb, _| match verb {
        "QUERYWORKLOADS" => once(&listed(Some("default"), "running")),
        _ => Vec::new(),
    })
    .await;
    let logs = world.follow(&["logs", "-f"]).await;
    let subject = "$NEX.FEED.default.logs.WvLS2fm0rYuHFVcv9jR5nE.stdout";
    let (headers, body) = ("NATS/1.0\r\n\r\n", "first\nsecond\x1b[2J and no end");
    let (header_size, size) = (headers.len(), headers.len() + body.len());
    let mut raw = TcpStream::connect(("127.0.0.1", world.server.port())).unwrap();
    let connect = r#"{"verbose":false,"headers":true,"name":"nex-testkit"}"#;
    write!(
        raw,
        "CONNECT {connect}\r\nHPUB {subject} {header_size} {size}\r\n{headers}{body}\r\nPING\r\n"
    )
    .unwrap();
    eventually("the log is shown", SOON, async || {
        let said = String::from_utf8_lossy(&logs.stdout()).into_owned();
        if said.contains("no end") { Ok(()) } else { Err(said) }
    })
    .await;
    let said = String::from_utf8_lossy(&logs.stdout()).into_owned();
    assert!(said.contains("first") && !said.contains('\x1b'), "{said:?}");
    heartbeat(&world, AGENT, &summary("go")).await;
    drop((logs, raw));
    world.finish().await;
}
