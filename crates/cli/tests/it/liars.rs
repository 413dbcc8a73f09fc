//! Nexlets that lie, and many at once: the node stays what it is, and what people see is harmless.
//!
//! 1. Counts that cannot be, names with control codes: nothing of it steers a terminal.
//! 2. Texts too long for a name are refused, since they would burst every answer that repeats them.
//! 3. A schema of 900 KiB is refused, with a reply.
//! 4. A hundred nexlets register at once: all are counted, and lists go on.

use std::time::{Duration, Instant};

use futures::future::join_all;
use nex_testkit::eventually;
use serde_json::{Value, json};

use crate::control_errors::assert_node_error;
use crate::foreign::{heartbeat, register, registration, summary, until_health};
use crate::world::{SOON, World, json_of};

const AGENT: &str = "WvLS2fm0rYuHFVcv9jR5gk";
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\nroot";

#[tokio::test]
async fn what_a_liar_says_steers_no_terminal() {
    let world = World::up().await;
    let node = world.node_id().await;
    let mut body = registration("liar");
    (body["name"], body["description"]) = (json!(EVIL), json!(EVIL));
    let mut beat = summary("another-type");
    (beat["name"], beat["version"], beat["supported_lifecycles"]) =
        (json!(EVIL), json!(EVIL), json!(EVIL));
    json_of(&register(&world, AGENT, &body, &beat).await);
    until_health(&world, AGENT, "healthy", SOON).await;
    for count in [json!(u64::MAX), json!(-1), json!(1e300), json!("many")] {
        let mut beat = beat.clone();
        beat["workload_count"] = count;
        heartbeat(&world, AGENT, &beat).await;
    }
    for command in
        [&["info", &node][..], &["nodes"], &["ls", "-A"], &["node", "info", &node], &["doctor"]]
    {
        let said = world.nex.run(command).await;
        let text = said.text() + &said.stderr;
        let evil = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(evil, None, "{text:?}");
    }
    let auction = json!({ "agent_type": "another-type", "auction_id": "A", "tags": {} });
    let subject = "$NEX.SVC.default.control.AUCTION";
    let request = async_nats::Request::new().payload(auction.to_string().into());
    let bid =
        world.client.send_request(subject, request.timeout(Some(Duration::from_millis(500)))).await;
    assert!(bid.is_err(), "the type that was registered counts, not the one of a heartbeat");
    world.finish().await;
}

#[tokio::test]
async fn names_that_would_burst_answers_are_refused() {
    let world = World::up().await;
    let node = world.node_id().await;
    let subject = format!("$NEX.SVC.{node}.agent.REGISTER.{AGENT}");
    for key in ["name", "register_type", "version", "public_xkey"] {
        let mut body = registration("long");
        body[key] = json!("x".repeat(300 << 10));
        let reply = world.ask(&subject, body.to_string()).await;
        assert_node_error(&reply, "400", "failed to unmarshal register local agent request");
    }
    json_of(&register(&world, AGENT, &registration("long"), &summary("long")).await);
    let mut beat = summary("long");
    (beat["name"], beat["workload_count"]) = (json!("x".repeat(900 << 10)), json!(77));
    heartbeat(&world, AGENT, &beat).await;
    let info = world.nex.ok(&["info", &node, "--json"]).await.text();
    assert!(info.contains(AGENT) && !info.contains("\"workload_count\": 77"), "{info}");
    world.finish().await;
}

#[tokio::test]
async fn a_schema_of_900_kib_is_refused_and_answered() {
    let world = World::up().await;
    let node = world.node_id().await;
    let subject = format!("$NEX.SVC.{node}.agent.REGISTER.{AGENT}");
    let mut body = registration("large");
    body["start_request_schema"] =
        json!(json!({ "description": "x".repeat(900 << 10) }).to_string());
    let reply = world.ask(&subject, body.to_string()).await;
    assert_node_error(&reply, "400", "failed to unmarshal start request schema");
    for remote in ["http://127.0.0.1:9/schema", "file:///etc/passwd"] {
        let mut body = registration("remote");
        body["start_request_schema"] = json!(json!({ "$ref": remote }).to_string());
        assert_node_error(
            &world.ask(&subject, body.to_string()).await,
            "500",
            "failed to compile schema",
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn a_hundred_nexlets_register_at_once() {
    let world = World::up().await;
    let ids: Vec<String> = (0..100).map(|n| format!("agent{n}")).collect();
    let (body, beat) = (registration("crowd"), summary("crowd"));
    let node = world.node_id().await;
    let register = async |id: &String| {
        let reply =
            world.ask(&format!("$NEX.SVC.{node}.agent.REGISTER.{id}"), body.to_string()).await;
        let beat = json!({ "data": "", "summary": beat }).to_string();
        world
            .client
            .publish(format!("$NEX.SVC.{node}.agent.HEARTBEAT.{id}"), beat.into())
            .await
            .unwrap();
        json_of(&reply)["success"] == true
    };
    let taken = join_all(ids.iter().map(register)).await;
    assert!(taken.iter().all(|taken| *taken));
    eventually("all are counted", SOON, async || {
        let nodes: Value = world.nex.ok(&["nodes", "--json"]).await.json();
        if nodes[0]["agent_count"] == 103 { Ok(()) } else { Err(nodes) }
    })
    .await;
    let start = Instant::now();
    assert!(world.list().await.is_empty());
    assert!(start.elapsed() < Duration::from_secs(10), "a list waits for a bounded time only");
    world.finish().await;
}
