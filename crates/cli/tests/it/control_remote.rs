//! Nexlets from anywhere, played over a plain NATS client (spec: control API, sections 2.4, 5.2 and 5.5;
//! checks 1, 12, 17, 25, 26).
//!
//! 1. Only a node that allows it serves RREGISTER, in the queue group of its nexus; the body is any object or null.
//! 2. RREGISTER → REGISTER → heartbeat → auction → STARTWORKLOAD → listed → AGENTID → stopped.
//! 3. A nexlet's failure is relayed as it is; one that does not listen is 500, and nothing is remembered.

use serde_json::{Value, json};

use crate::control_errors::assert_node_error;
use crate::j02_nodes::announced;
use crate::scripted::{Line, Scripted, bid_for, job};
use crate::world::{World, assert_no_responders, error_headers, json_of, text};

const FLAGS: [&str; 3] = ["--allow-remote-agent-registration", "--nexus", "lab"];
const RREGISTER: &str = "$NEX.SVC.lab.agent.RREGISTER";

async fn world() -> World {
    World::with(nex_testkit::NatsServer::options(), &FLAGS).await
}

#[tokio::test]
async fn remote_nexlets_are_given_an_id_and_credentials_where_it_is_allowed() {
    let world = world().await;
    let node = world.node_id().await;
    let info = json_of(&world.ask("$SRV.INFO.nexnode", "").await);
    let endpoints = info["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), announced(&node).len() + 1);
    let remote = endpoints.iter().find(|e| e["name"] == "RegisterRemoteAgent").unwrap();
    assert_eq!([&remote["subject"], &remote["queue_group"]], [RREGISTER, "lab"]);

    let mut ids = Vec::new();
    for body in ["{}", "null", r#"{"anything":["goes"]}"#] {
        let reply = json_of(&world.ask(RREGISTER, body).await);
        assert_eq!(text(&reply, "/respond_to"), node);
        assert_eq!(text(&reply, "/registration_creds/nats_servers/0"), world.server.url());
        assert_eq!(reply["registration_creds"].as_object().unwrap().len(), 11);
        ids.push(text(&reply, "/assigned_agent_id"));
    }
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), ids[0].len()), (3, 22));
    for body in ["", "{", "[]", "7", "\"text\"", "\u{0}"] {
        let description = "failed to unmarshal register remote agent request";
        assert_node_error(&world.ask(RREGISTER, body).await, "400", description);
    }
    assert_no_responders(&world.client, "$NEX.SVC.nexus.agent.RREGISTER").await;
    world.finish().await;
}

#[tokio::test]
async fn a_remote_nexlet_runs_workloads() {
    let world = world().await;
    let assigned = json_of(&world.ask(RREGISTER, "{}").await);
    let id = text(&assigned, "/assigned_agent_id");
    let mut nexlet = Scripted::register(&world, &id, "played").await;
    let started = Line(None, r#"{"id":"W","name":"played"}"#.to_owned());
    let start = nexlet.of_node(&format!("{id}.STARTWORKLOAD.*"));
    let mut starts = nexlet.answer(&world, &start, started).await;

    let bid = bid_for(&world, "played").await;
    let reply = world.control(&format!("ADEPLOY.{bid}"), job("default", "played")).await;
    assert_eq!(reply.payload, r#"{"id":"W","name":"played"}"#, "the nexlet's bytes");
    let request = starts.recv().await.unwrap();
    let workload = request.subject.rsplit('.').next().unwrap().to_owned();
    assert_eq!(workload.len(), 22);
    let message: Value = serde_json::from_slice(&request.payload).unwrap();
    assert_eq!(message["request"], job("default", "played"));
    assert_eq!(message["workload_creds"].as_object().unwrap().len(), 11);

    let summary = json!([{
        "id": workload, "name": "played", "namespace": "default", "runtime": "--",
        "start_time": "2026-04-23T08:59:00-06:00", "tags": {}, "workload_lifecycle": "job",
        "workload_state": "running", "workload_type": "played",
    }]);
    let query = nexlet.of_node("QUERYWORKLOADS");
    let mut queries = nexlet.answer(&world, &query, Line(None, summary.to_string())).await;
    let listed = world.live().await;
    assert_eq!([&listed[0]["id"], &listed[0]["workload_type"]], [workload.as_str(), "played"]);
    assert!(queries.recv().await.is_some());
    let agent_id = format!("$NEX.SVC.system.control.AGENTID.{}", nexlet.node);
    assert_eq!(world.ask(&agent_id, "foreign").await.payload, id);

    let stopped =
        json!({ "id": workload, "message": "", "stopped": true, "workload_type": "played" });
    let stop = nexlet.of_node(&format!("STOPWORKLOAD.{workload}"));
    let mut stops = nexlet.answer(&world, &stop, Line(None, stopped.to_string())).await;
    let body = json!({ "namespace": "default" });
    let reply = world.control_json(&format!("UNDEPLOY.{workload}"), &body).await;
    assert_eq!(reply, stopped);
    assert_eq!(stops.recv().await.unwrap().payload, body.to_string());
    drop(nexlet);
    world.finish().await;
}

#[tokio::test]
async fn a_start_that_fails_is_told_as_the_nexlet_tells_it() {
    let world = world().await;
    let mut nexlet = Scripted::register(&world, "WvLS2fm0rYuHFVcv9jR5gk", "played").await;
    // It listens to nothing yet.
    let adeploy = format!("ADEPLOY.{}", bid_for(&world, "played").await);
    let reply = world.control(&adeploy, job("default", "played")).await;
    assert_node_error(&reply, "500", "failed to publish start workload request");

    let failure = r#"{"id":"W","name":"played"}"#;
    let start = nexlet.of_node(&format!("{}.STARTWORKLOAD.*", nexlet.id));
    let line = Line(Some(("100", "no such program")), failure.to_owned());
    nexlet.answer(&world, &start, line).await;
    let adeploy = format!("ADEPLOY.{}", bid_for(&world, "played").await);
    let reply = world.control(&adeploy, job("default", "played")).await;
    assert_eq!(error_headers(&reply), ("100".to_owned(), "no such program".to_owned()));
    assert_eq!(reply.payload, failure);
    // Neither is remembered: an undeploy of what was never started finds nothing.
    let gone = world.control_json("UNDEPLOY.W", json!({ "namespace": "default" })).await;
    assert_eq!(gone["stopped"], false);
    drop(nexlet);
    world.finish().await;
}
