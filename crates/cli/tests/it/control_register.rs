//! REGISTER by raw requests, as a foreign nexlet makes them (spec: control API, sections 4.5 and 5.3; checks 28, 29).
//!
//! 1. An empty type is 400, a schema that is no JSON 400, one that is no schema 500, a live agent's id 500.
//! 2. One that registers twice, or with another type, is refused; one that goes silent is dropped with an event,
//!    and may come back (check 27).
//! 3. The reply has all five keys. The node then counts the nexlet, and bids for it once it is healthy.

use nex_testkit::eventually;
use serde_json::{Value, json};

use crate::control_errors::assert_node_error;
use crate::scripted::registration;
use crate::world::{SOON, World, json_of, text};

#[tokio::test]
async fn registrations_that_cannot_be_are_refused() {
    let world = World::up().await;
    let node = world.node_id().await;
    let fresh = format!("$NEX.SVC.{node}.agent.REGISTER.WvLS2fm0rYuHFVcv9jR5gk");
    let empty = world.ask(&fresh, registration("", "{}").to_string()).await;
    let error = assert_node_error(&empty, "400", "register_type is required");
    assert_eq!(error, "register_type is required");
    let schema = world.ask(&fresh, registration("foreign", "{").to_string()).await;
    assert_node_error(&schema, "400", "failed to unmarshal start request schema");
    let nonsense = registration("foreign", r#"{"type":"nonsense"}"#).to_string();
    assert_node_error(&world.ask(&fresh, nonsense).await, "500", "failed to compile schema");

    let live = world.agent_id("javascript").await;
    let taken = format!("$NEX.SVC.{node}.agent.REGISTER.{live}");
    for token in [Value::Null, json!("guessed")] {
        let mut thief = registration("javascript", "{}");
        thief["register_token"] = token;
        let reply = world.ask(&taken, thief.to_string()).await;
        assert_node_error(&reply, "500", "failed to update registration");
    }
    let count = world.control_json("$NEX.SVC.system.control.PING", "null").await;
    assert_eq!(count["agent_count"], 3, "none of them was taken");
    world.finish().await;
}

#[tokio::test]
async fn a_foreign_nexlet_is_taken_and_bid_for_once_it_is_healthy() {
    let world = World::up().await;
    let node = world.node_id().await;
    let id = "WvLS2fm0rYuHFVcv9jR5gk";
    let subject = format!("$NEX.SVC.{node}.agent.REGISTER.{id}");
    let reply = json_of(&world.ask(&subject, registration("foreign", "{}").to_string()).await);
    assert_eq!(text(&reply, "/node_id"), node);
    assert_eq!([&reply["success"], &reply["message"]], [&json!(true), &json!("")]);
    assert_eq!(reply["existing_state"], json!({}));
    let url = text(&reply, "/connection_data/nats_servers/0");
    assert_eq!(url, world.server.url());
    assert_eq!(reply["connection_data"].as_object().unwrap().len(), 11);

    let summary = json!({
        "name": "foreign", "start_time": "2026-04-23T08:58:10.2-06:00", "state": "running",
        "supported_lifecycles": "job", "type": "foreign", "version": "1.2.3", "workload_count": 0,
    });
    let beat = json!({ "data": "", "summary": summary }).to_string();
    let heartbeat = format!("$NEX.SVC.{node}.agent.HEARTBEAT.{id}");
    world.client.publish(heartbeat, beat.into()).await.unwrap();
    eventually("the node counts it as healthy", SOON, async || {
        let info = world.nex.ok(&["info", &node, "--json"]).await.json();
        let agents = info["node_agent_summaries"].as_array().cloned().unwrap_or_default();
        let ours = agents.into_iter().find(|agent| agent["agent_id"] == id);
        ours.filter(|agent| agent["agent_health"] == "healthy").ok_or(info)
    })
    .await;
    let auction = json!({ "agent_type": "foreign", "auction_id": "A", "tags": {} });
    let bid = world.control_json("AUCTION", auction).await;
    assert_eq!(bid["supported_lifecycles"], json!(["job"]));
    assert_eq!(text(&bid, "/start_request_schema"), "{}");
    world.finish().await;
}

#[tokio::test]
async fn a_nexlet_that_goes_silent_is_dropped_and_may_come_back() {
    let world = World::with(nex_testkit::NatsServer::options(), &["--orphan-after", "5s"]).await;
    let node = world.node_id().await;
    let id = "WvLS2fm0rYuHFVcv9jR5gk";
    let subject = format!("$NEX.SVC.{node}.agent.REGISTER.{id}");
    let mut events = world.follow(&["events", "-f", "--json"]).await;
    let first = json_of(&world.ask(&subject, registration("foreign", "{}").to_string()).await);
    assert_eq!(first["success"], true);
    for kind in ["foreign", "javascript"] {
        let again = world.ask(&subject, registration(kind, "{}").to_string()).await;
        assert_node_error(&again, "500", "failed to update registration");
    }
    let ours = |line: &str| line.contains("AGENTSTOPPED") && line.contains(id);
    let stopped: Value = serde_json::from_str(&events.line(SOON * 2, ours).await.unwrap()).unwrap();
    assert_eq!(text(&stopped, "/event/reason"), "silent for too long");
    assert_eq!(text(&stopped, "/event/name"), "foreign");
    let nodes = world.control_json("$NEX.SVC.system.control.PING", "null").await;
    assert_eq!(nodes["agent_count"], 3, "ours, which are not silent, stay");
    let back = json_of(&world.ask(&subject, registration("foreign", "{}").to_string()).await);
    assert_eq!(back["success"], true);
    drop(events);
    world.finish().await;
}
