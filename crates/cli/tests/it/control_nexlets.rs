//! Our nexlets' micro services by raw requests (spec: control API, sections 2.3, 2.4 and 3.2).
//!
//! 1. `$SRV.INFO` tells the seven endpoints, in the queue group of the agent id.
//! 2. Malformed requests get one reply each: code 100, the reason, and the body that the table gives.
//! 3. Unknown ids: STOPWORKLOAD says so, GETWORKLOAD is silent.

use async_nats::Message;
use serde_json::{Value, json};

use crate::control_clone::clone_body;
use crate::control_errors::MALFORMED;
use crate::guests::ECHO;
use crate::world::{World, assert_silence, error_headers, json_of, text};

const KINDS: [&str; 3] = ["javascript", "native", "wasm"];

/// One reply per nexlet, all of them errors with code 100.
#[track_caller]
fn refusals(replies: &[Message]) -> Vec<(String, String)> {
    assert_eq!(replies.len(), KINDS.len(), "one reply of each: {replies:#?}");
    let told = |reply: &Message| {
        let (code, description) = error_headers(reply);
        assert_eq!(code, "100");
        (description, String::from_utf8(reply.payload.to_vec()).unwrap())
    };
    replies.iter().map(told).collect()
}

#[tokio::test]
async fn nexlets_announce_what_they_serve() {
    let world = World::up().await;
    let node = world.node_id().await;
    for kind in KINDS {
        let id = world.agent_id(kind).await;
        let info = json_of(&world.ask(&format!("$SRV.INFO.{kind}"), "").await);
        assert_eq!([&info["version"], &info["description"]], ["0.5.0", ""]);
        assert_eq!(info["metadata"], json!({}));
        let endpoints = info["endpoints"].as_array().unwrap();
        assert!(endpoints.iter().all(|endpoint| endpoint["queue_group"] == id.as_str()));
        let mut seen: Vec<(String, String)> =
            endpoints.iter().map(|e| (text(e, "/name"), text(e, "/subject"))).collect();
        seen.sort();
        let of_node = |verb: &str| format!("$NEX.SVC.{node}.agent.{verb}");
        let expected = [
            ("GetWorkload", of_node("GETWORKLOAD.*")),
            ("PingAgent", of_node(&format!("{id}.PING"))),
            ("PingAllAgents", of_node("PING")),
            ("QueryWorkloads", of_node("QUERYWORKLOADS")),
            ("SetLameduck", of_node("SETLAMEDUCK")),
            ("StartWorkload", of_node(&format!("{id}.STARTWORKLOAD.*"))),
            ("StopWorkload", of_node("STOPWORKLOAD.*")),
        ];
        assert_eq!(seen, expected.map(|(name, subject)| (name.to_owned(), subject)));
    }
    world.finish().await;
}

#[tokio::test]
async fn malformed_requests_get_one_reply_with_code_100() {
    let world = World::up().await;
    let node = world.node_id().await;
    let of_node = |verb: &str| format!("$NEX.SVC.{node}.agent.{verb}");
    for body in MALFORMED {
        for verb in ["GETWORKLOAD.x", "QUERYWORKLOADS", "SETLAMEDUCK"] {
            for (_, told) in refusals(&world.replies(&of_node(verb), body).await) {
                assert_eq!(told, "", "{verb} {body:?}");
            }
        }
        let mut types = Vec::new();
        for (_, told) in refusals(&world.replies(&of_node("STOPWORKLOAD.x"), body).await) {
            let told: Value = serde_json::from_str(&told).unwrap();
            let expected = json!({
                "id": "x", "message": "workload not found", "stopped": false,
                "workload_type": told["workload_type"],
            });
            assert_eq!(told, expected);
            types.push(text(&told, "/workload_type"));
        }
        types.sort();
        assert_eq!(types, KINDS);
    }
    let id = world.agent_id("wasm").await;
    for body in MALFORMED {
        let replies = world.replies(&of_node(&format!("{id}.STARTWORKLOAD.w")), body).await;
        assert_eq!((replies.len(), error_headers(&replies[0]).0), (1, "100".to_owned()));
        let told: Value = serde_json::from_slice(&replies[0].payload).unwrap();
        assert_eq!([text(&told, "/id"), text(&told, "/name")], ["w", ""]);
    }
    for delay in ["abc", "", "5", "-1s"] {
        let body = json!({ "delay": delay });
        for (why, told) in refusals(&world.replies(&of_node("SETLAMEDUCK"), body).await) {
            assert_eq!((why, told), (format!("time: invalid duration {delay:?}"), String::new()));
        }
    }
    for kind in KINDS {
        let ping = of_node(&format!("{}.PING", world.agent_id(kind).await));
        let state = world.control_json(&ping, "\u{0}").await;
        assert_eq!(state["state"], "running", "none of it did any harm");
    }
    world.finish().await;
}

#[tokio::test]
async fn unknown_ids_are_not_found_or_not_answered() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let (node, id) = (world.node_id().await, world.ids().await.remove(0));
    let of_node = |verb: &str| format!("$NEX.SVC.{node}.agent.{verb}");
    let stop = json!({ "namespace": "default" });
    for (why, _) in refusals(&world.replies(&of_node("STOPWORKLOAD.nope"), &stop).await) {
        assert_eq!(why, "workload not found");
    }
    let others = json!({ "namespace": "other" });
    refusals(&world.replies(&of_node(&format!("STOPWORKLOAD.{id}")), &others).await);
    assert_eq!(world.ask("js.echo", "x").await.payload, "x");

    assert_silence(&world.client, &of_node("GETWORKLOAD.nope"), clone_body("default")).await;
    // Whose it is, the node checks.
    let got = world.replies(&of_node(&format!("GETWORKLOAD.{id}")), clone_body("other")).await;
    assert_eq!(got.len(), 1);
    assert_eq!(text(&json_of(&got[0]), "/namespace"), "default");
    world.finish().await;
}
