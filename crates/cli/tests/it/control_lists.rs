//! Lists, pings and heartbeats by raw requests (spec: control API, sections 4.3, 4.4, 4.6 and 5.8).
//!
//! 1. WPING answers `[]` when there is nothing (check 22), keeps to its namespace, `system` sees all, and the
//!    filter takes names and ids (check 23). Summaries carry our facts.
//! 2. Nexlets answer PING with their summary and the header `agentId` (check 40).
//! 3. The node's heartbeat comes every ten seconds, with its registrations (check 37).

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::control_deploy::{bid, deploy_body};
use crate::guests::ECHO;
use crate::world::{World, header, json_of, text};

#[tokio::test]
async fn wping_lists_what_the_caller_may_see_and_asked_for() {
    let world = World::up().await;
    assert_eq!(wping(&world, "default", &[]).await, Vec::<String>::new());
    world.deploy("one.js", ECHO, "one").await;
    world.deploy("two.js", ECHO, "two").await;
    let in_b = format!("$NEX.SVC.b.control.ADEPLOY.{}", bid(&world, "javascript").await);
    let started = world.control_json(&in_b, deploy_body("b", "one", "b.one")).await;
    let id = text(&started, "/id");

    assert_eq!(wping(&world, "default", &[]).await, ["default/one", "default/two"]);
    assert_eq!(wping(&world, "b", &[]).await, ["b/one"]);
    assert_eq!(wping(&world, "system", &[]).await, ["b/one", "default/one", "default/two"]);
    assert_eq!(wping(&world, "default", &["two"]).await, ["default/two"]);
    assert_eq!(wping(&world, "default", &["tw"]).await, Vec::<String>::new());
    assert_eq!(wping(&world, "system", &["one"]).await, ["b/one", "default/one"]);
    assert_eq!(wping(&world, "system", &[&id, "two"]).await, ["b/one", "default/two"]);
    assert_eq!(wping(&world, "default", &[&id]).await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn summaries_carry_our_facts() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.ask("js.echo", "x").await;
    let body = json!({ "namespace": "default", "filter": null });
    let list = world.control_json("WPING", body).await;
    let summary = &list[0];
    assert_eq!(text(summary, "/metadata/node_id"), world.node_id().await);
    assert!(text(summary, "/metadata/digest").starts_with("sha256:"));
    assert_eq!(text(summary, "/metadata/phase"), "idle");
    assert_eq!([text(summary, "/metadata/calls"), text(summary, "/metadata/errors")], ["1", "0"]);
    let triggers: Value = serde_json::from_str(&text(summary, "/metadata/triggers")).unwrap();
    assert_eq!(triggers[0]["subject"], "js.echo");
    assert_eq!(triggers[0]["queue"], "nex.default.echo");
    let words = ["workload_lifecycle", "workload_state", "workload_type", "name", "namespace"];
    assert_eq!(
        words.map(|key| text(summary, &format!("/{key}"))),
        ["function", "warm", "javascript", "echo", "default"]
    );
    assert_eq!(summary["tags"], json!({}));
    assert!(text(summary, "/start_time").contains('T'));
    for fact in summary["metadata"].as_object().unwrap().values() {
        assert!(fact.is_string(), "all facts are texts: {summary:#}");
    }
    world.finish().await;
}

#[tokio::test]
async fn nexlets_answer_ping_with_their_id_in_a_header() {
    let world = World::up().await;
    let node = world.node_id().await;
    for kind in ["javascript", "wasm", "native"] {
        let id = world.agent_id(kind).await;
        let reply = world.ask(&format!("$NEX.SVC.{node}.agent.{id}.PING"), "").await;
        assert_eq!(header(&reply, "agentId"), Some(id));
        let summary = json_of(&reply);
        assert_eq!([text(&summary, "/type"), text(&summary, "/state")], [kind, "running"]);
        assert_eq!(summary["workload_count"], 0);
    }
    let inbox = world.client.new_inbox();
    let mut replies = world.client.subscribe(inbox.clone()).await.unwrap();
    let all = format!("$NEX.SVC.{node}.agent.PING");
    world.client.publish_with_reply(all, inbox, "".into()).await.unwrap();
    let mut kinds = Vec::new();
    while kinds.len() < 3 {
        let reply = tokio::time::timeout(Duration::from_secs(5), replies.next()).await;
        kinds.push(text(&json_of(&reply.unwrap().unwrap()), "/type"));
    }
    kinds.sort();
    assert_eq!(kinds, ["javascript", "native", "wasm"]);
    world.finish().await;
}

#[tokio::test]
async fn the_node_s_heart_beats_every_ten_seconds() {
    let world = World::up().await;
    let node = world.node_id().await;
    let subject = format!("$NEX.SVC.system.control.HEARTBEAT.{node}");
    let mut beats = world.client.subscribe(subject).await.unwrap();
    let beat = tokio::time::timeout(Duration::from_secs(12), beats.next()).await;
    let beat = json_of(&beat.expect("a heartbeat within twelve seconds").unwrap());
    let registrations = text(&beat, "/registrations");
    for kind in ["javascript", "wasm", "native"] {
        let entry = format!("{} [{kind}]", world.agent_id(kind).await);
        assert!(registrations.split(", ").any(|seen| seen == entry), "{entry} in {registrations}");
    }
    drop(beats);
    world.finish().await;
}

/// `namespace/name` of what WPING lists, sorted.
async fn wping(world: &World, namespace: &str, filter: &[&str]) -> Vec<String> {
    let verb = format!("$NEX.SVC.{namespace}.control.WPING");
    let body = json!({ "namespace": namespace, "filter": filter });
    let list = world.control_json(&verb, body).await;
    let name = |w: &Value| format!("{}/{}", text(w, "/namespace"), text(w, "/name"));
    let mut names: Vec<String> = list.as_array().unwrap().iter().map(name).collect();
    names.sort();
    names
}
