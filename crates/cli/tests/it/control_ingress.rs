//! Traffic from outside (spec: control API, sections 2.3, 3.2 and 4.6; check 40).
//!
//! 1. With `--ingress-host`, a service with `expose_ports` is announced, and taken back at its stop; others are not.
//! 2. PINGWORKLOAD is answered for what runs here, and by nobody for the rest; without the flag nobody listens.

use std::time::Duration;

use async_nats::Subscriber;
use futures::StreamExt;
use nex_testkit::{NatsServer, echo_service};
use serde_json::{Value, json};

use crate::world::{World, assert_no_responders, assert_silence, json_of, text};

async fn next(feed: &mut Subscriber) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(15), feed.next()).await;
    json_of(&message.expect("an announcement").unwrap())
}

#[tokio::test]
async fn a_service_with_a_port_is_announced_while_it_runs() {
    let flags = ["--ingress-host", "192.0.2.7", "--nexus", "lab"];
    let world = World::with(NatsServer::options(), &flags).await;
    let native = world.agent_id("native").await;
    let feed = format!("$NEX.FEED.{native}.events.INGRESS");
    let mut feed = world.client.subscribe(feed).await.unwrap();
    let program = echo_service().unwrap();
    world.nex.ok(&["run", &program.display().to_string(), "--name", "plain"]).await;
    let (plain, definition) = {
        let id = world.ids().await.remove(0);
        let body = crate::control_clone::clone_body("default");
        (id.clone(), world.control_json(&format!("CLONE.{id}"), body).await)
    };
    let mut request: Value = serde_json::from_str(&text(&definition, "/run_request")).unwrap();
    request["expose_ports"] = json!([8080, 9090]);
    let start = ["workload", "start", "--name", "web", "--start-request", &request.to_string()];
    let said = world.nex.ok(&start).await.text();
    let web = said.split(['[', ']']).nth(1).unwrap().to_owned();
    let added = json!({ "command": "add", "upstream": "192.0.2.7:8080", "workload_id": web });
    assert_eq!(next(&mut feed).await, added, "the one without a port is not announced");

    for id in [&plain, &web] {
        let found = world.ask(&format!("$NEX.SVC.lab.agent.PINGWORKLOAD.{id}"), "?").await;
        assert_eq!(json_of(&found), json!({ "node_id": world.node_id().await }));
    }
    assert_silence(&world.client, "$NEX.SVC.lab.agent.PINGWORKLOAD.nope", "").await;
    world.nex.ok(&["stop", "web", "plain"]).await;
    let removed = json!({ "command": "remove", "upstream": "", "workload_id": web });
    assert_eq!(next(&mut feed).await, removed);
    let once = tokio::time::timeout(Duration::from_millis(300), feed.next()).await;
    assert!(once.is_err(), "taken back once: {once:?}");
    drop(feed);
    world.finish().await;
}

#[tokio::test]
async fn without_an_address_nobody_is_asked() {
    let world = World::up().await;
    assert_no_responders(&world.client, "$NEX.SVC.nexus.agent.PINGWORKLOAD.x").await;
    world.finish().await;
}
