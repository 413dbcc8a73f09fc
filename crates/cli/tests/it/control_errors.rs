//! The control API's refusals, to raw requests of any client (spec: control API, section 2.4).
//!
//! 1. J26: a body that is not the message is 400, with both headers and `{error_id, error}` (checks 4, 16).
//! 2. Another namespace in the body is a 403 that names both (check 13).
//! 3. Where silence is demanded there is none who answers: unmatched tags, unknown types and bids (checks 10 to 12).
//! 4. Verbs that nobody serves have no responders.

use async_nats::Message;
use serde_json::{Value, json};

use crate::control_deploy::{bid, deploy_body};
use crate::world::{World, assert_no_responders, assert_silence, control, error_headers, text};

/// Whatever is not the message; `{}` lacks keys that must be there.
pub(crate) const MALFORMED: [&str; 7] =
    ["", "{", "{}", "[]", "[\"default\"]", "\"text\"", "\u{0}\u{1}"];

/// A refusal of the node, in all its parts.
#[track_caller]
pub(crate) fn assert_node_error(reply: &Message, code: &str, description: &str) -> String {
    assert_eq!(error_headers(reply), (code.to_owned(), description.to_owned()));
    let body: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(text(&body, "/error_id").len(), 22, "{body}");
    assert!(text(&body, "/code").starts_with("NEX-"), "{body}");
    let raw = std::str::from_utf8(&reply.payload).unwrap();
    assert!(raw.starts_with(r#"{"error_id":""#), "the order of keys is Go's: {raw}");
    let error = text(&body, "/error");
    assert!(!error.is_empty());
    if code.starts_with('5') {
        assert_eq!(error, "internal server error");
    }
    error
}

#[tokio::test]
async fn malformed_bodies_are_400_everywhere() {
    let world = World::up().await;
    let node = world.node_id().await;
    for (verb, description) in [
        ("$NEX.SVC.system.control.PING".to_owned(), "failed to unmarshal ping request"),
        (format!("$NEX.SVC.system.control.PING.{node}"), "failed to unmarshal ping request"),
        ("WPING".to_owned(), "failed to unmarshal ping request"),
        ("AUCTION".to_owned(), "failed to unmarshal auction request"),
        ("UNDEPLOY.x".to_owned(), "failed to unmarshal stop workload request"),
        ("CLONE.x".to_owned(), "failed to unmarshal clone workload request"),
        (
            format!("$NEX.SVC.system.control.LAMEDUCK.{node}"),
            "failed to unmarshal lameduck request",
        ),
        (
            format!("$NEX.SVC.{node}.agent.REGISTER.x"),
            "failed to unmarshal register local agent request",
        ),
    ] {
        for body in MALFORMED {
            let reply = world.control(&verb, body).await;
            assert_node_error(&reply, "400", description);
        }
    }
    let bid = bid(&world, "javascript").await;
    for body in MALFORMED {
        let reply = world.control(&format!("ADEPLOY.{bid}"), body).await;
        assert_node_error(&reply, "400", "failed to unmarshal auction deploy workload request");
    }
    // A key may be null, and a whole body too; what a verb does not read may be anything.
    for body in [r#"{"filter":null}"#, "null"] {
        let pong = world.control_json("$NEX.SVC.system.control.PING", body).await;
        assert_eq!(text(&pong, "/node_id"), node);
    }
    let info = world.control_json(&format!("$NEX.SVC.system.control.INFO.{node}"), "\u{1}").await;
    assert_eq!(text(&info, "/node_id"), node);
    let tags = world.control_json("$NEX.SVC.system.control.PTAGS", "").await;
    // Check 7: the node's own tags, in Go's spelling, all texts.
    assert_eq!([&tags["nex.os"], &tags["nex.arch"]], ["linux", "amd64"]);
    assert_eq!([&tags["nex.nexus"], &tags["nex.lameduck"]], ["nexus", "false"]);
    assert!(text(&tags, "/nex.cpucount").parse::<u32>().unwrap() > 0);
    assert_eq!(tags.as_object().unwrap().len(), 6, "{tags}");
    assert_eq!(text(&tags, "/nex.node"), text(&info, "/tags/nex.node"));
    world.finish().await;
}

#[tokio::test]
async fn a_lifecycle_that_is_none_is_400_and_unknown_keys_are_none_s_business() {
    let world = World::up().await;
    let bid = bid(&world, "javascript").await;
    let subject = format!("ADEPLOY.{bid}");
    let description = "failed to unmarshal auction deploy workload request";
    for lifecycle in [json!("cron"), json!(""), Value::Null, json!(7)] {
        let mut body = deploy_body("default", "x", "never");
        body["workload_lifecycle"] = lifecycle;
        assert_node_error(&world.control(&subject, body).await, "400", description);
    }
    for key in ["description", "name", "namespace", "run_request", "tags", "workload_type"] {
        let mut body = deploy_body("default", "x", "never");
        body.as_object_mut().unwrap().remove(key);
        let error = assert_node_error(&world.control(&subject, body).await, "400", description);
        assert!(error.contains(key), "{error}");
    }
    let mut body = deploy_body("default", "x", "x");
    body["from_the_future"] = json!({ "a": [1] });
    let started = world.control_json(&subject, body).await;
    assert_eq!(text(&started, "/name"), "x");
    world.finish().await;
}

#[tokio::test]
async fn a_body_of_another_namespace_is_403() {
    let world = World::up().await;
    let bid = bid(&world, "javascript").await;
    let adeploy = format!("ADEPLOY.{bid}");
    for (verb, body) in [
        (adeploy.as_str(), deploy_body("b", "x", "never")),
        ("UNDEPLOY.x", json!({ "namespace": "b" })),
        ("CLONE.x", json!({ "namespace": "b", "new_target_xkey": "X" })),
        ("CLONE.x", json!({ "namespace": "system", "new_target_xkey": "X" })),
        ("WPING", json!({ "namespace": "b", "filter": [] })),
        // To be `system` in the body is no privilege.
        ("WPING", json!({ "namespace": "system", "filter": [] })),
    ] {
        let namespace = text(&body, "/namespace");
        let reply = world.control(&format!("$NEX.SVC.a.control.{verb}"), &body).await;
        let description = format!("namespace mismatch: a != {namespace}");
        let error = assert_node_error(&reply, "403", &description);
        assert_eq!(error, "namespace mismatch");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_deploy_from_system_is_accepted_and_listed_in_its_namespace() {
    let world = World::up().await;
    let bid = bid(&world, "javascript").await;
    let subject = format!("$NEX.SVC.system.control.ADEPLOY.{bid}");
    let started = world.control_json(&subject, deploy_body("b", "echo", "b.echo")).await;
    assert_eq!(world.ask("b.echo", "x").await.payload, "x");
    let listed = world.nex.ok(&["ls", "-n", "b", "--json"]).await.json();
    assert_eq!([&listed[0]["id"], &listed[0]["namespace"]], [&started["id"], &json!("b")]);
    assert_eq!(world.list().await, Vec::<Value>::new());
    let all = world.nex.ok(&["ls", "-A"]).await.text();
    assert!(all.starts_with("NAMESPACE") && all.contains("echo"), "{all}");
    world.nex.ok(&["stop", "-n", "b", "echo"]).await;
    assert_no_responders(&world.client, "b.echo").await;
    world.finish().await;
}

#[tokio::test]
async fn silence_is_kept_where_another_node_may_answer() {
    let world = World::up().await;
    let auction =
        |kind: &str, tags: Value| json!({ "agent_type": kind, "auction_id": "A", "tags": tags });
    for (verb, body) in [
        ("AUCTION", auction("nosuch", json!({}))),
        ("AUCTION", auction("Javascript", Value::Null)),
        ("AUCTION", auction("javascript", json!({ "region": "moon" }))),
        ("ADEPLOY.WvLS2fm0rYuHFVcv9jR5lm", deploy_body("default", "x", "never")),
        // A bid is looked up before its body is read.
        ("ADEPLOY.WvLS2fm0rYuHFVcv9jR5lm", json!("nonsense")),
        ("$NEX.SVC.system.control.PING", json!({ "filter": { "nex.node": "nobody" } })),
        ("CLONE.nope", json!({ "namespace": "default", "new_target_xkey": "X" })),
    ] {
        assert_silence(&world.client, verb, &body).await;
    }
    let node = world.node_id().await;
    for verb in [
        "WPING.x",
        "PTAGS",
        "PING",
        "$NEX.SVC.system.control.PING.NB4X",
        "$NEX.SVC.system.control.LAMEDUCK.NB4X",
        "$NEX.SVC.nexus.agent.RREGISTER",
        // What nodes are asked, only `system` may ask.
        &format!("INFO.{node}"),
        &format!("LAMEDUCK.{node}"),
        &format!("AGENTID.{node}"),
    ] {
        assert_no_responders(&world.client, &control(verb)).await;
    }
    world.finish().await;
}
