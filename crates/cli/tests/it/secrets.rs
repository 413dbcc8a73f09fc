//! Secrets stay secret (spec: control API, sections 6 and 13; J40, J42).
//!
//! 1. What `nex run FILE KEY=…` is given reaches the function or program, also after a restart, and is
//!    in no message, bucket, file, log, event, list or argument list.
//! 2. A clear environment of a raw request is sealed before it is stored; a clone gets it sealed anew.
//! 3. The same secret again is "already running", another one replaces.
//! 4. What was sealed for another nexlet is refused with what to do.

use std::path::Path;
use std::time::Duration;

use async_nats::{Message, Subscriber, jetstream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use nex_testkit::echo_service;
use serde_json::{Value, json};

use crate::control_deploy::{bid, deploy_body};
use crate::state::{bucket, keys};
use crate::world::{World, start_request, text};

const CANARY: &str = "canary-5f1c7e";
const TELL: &str = "export default (subject, payload, ctx) => ctx.env.PASSWORD\n";

fn has_canary(bytes: &[u8]) -> bool {
    bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())
}

/// Files below `folder` that hold the canary; the artifact's own store is not asked, it has none.
fn files_with_canary(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_with_canary(&path, found);
        } else if std::fs::read(&path).is_ok_and(|bytes| has_canary(&bytes)) {
            found.push(path.display().to_string());
        }
    }
}

async fn assert_nowhere(world: &World, wire: &mut Subscriber) {
    while let Some(Some(message)) = wire.next().now_or_never() {
        assert!(!has_canary(&message.payload), "{} {:?}", message.subject, message.payload);
    }
    let context = jetstream::new(world.client.clone());
    let mut names = context.stream_names();
    while let Some(name) = names.try_next().await.unwrap() {
        let stream = context.get_stream(&name).await.unwrap();
        let state = stream.cached_info().state.clone();
        for sequence in state.first_sequence..=state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                assert!(!has_canary(&message.payload), "{name} {sequence}");
            }
        }
    }
    let mut files = Vec::new();
    files_with_canary(world.nex.state_dir(), &mut files);
    assert_eq!(files, Vec::<String>::new());
    for process in world.nex.processes() {
        assert!(!process.command.contains(CANARY), "{process:?}");
    }
    let node = world.nex.node().unwrap();
    assert!(!has_canary(&node.stdout()) && !node.stderr().contains(CANARY));
    for command in [&["ls", "--json"][..], &["info", "tell", "--json"]] {
        assert!(!has_canary(&world.nex.ok(command).await.stdout), "{command:?}");
    }
}

/// What a nexlet answers to GETWORKLOAD, as a clone asks.
async fn get_workload(world: &World, id: &str) -> Message {
    let subject = format!("$NEX.SVC.{}.agent.GETWORKLOAD.{id}", world.node_id().await);
    let body = json!({ "namespace": "default", "new_target_xkey": "" });
    world.control(&subject, body).await
}

#[tokio::test]
async fn secrets_reach_the_workload_and_nobody_else() {
    let mut world = World::up().await;
    let mut wire = world.client.subscribe(">").await.unwrap();
    world.file("tell.js", TELL);
    let password = format!("PASSWORD={CANARY}");
    let run = ["run", "tell.js", "--on", "tell", &password];
    world.nex.ok(&run).await;
    let service = echo_service().unwrap().display().to_string();
    world.nex.ok(&["run", &service, &password]).await;
    assert_nowhere(&world, &mut wire).await;
    for id in world.ids().await {
        assert!(!has_canary(&get_workload(&world, &id).await.payload));
    }
    let again = world.nex.ok(&run).await.text();
    assert!(again.contains("already running"), "{again}");
    assert_nowhere(&world, &mut wire).await;
    drop(wire);
    world.until_answered("tell", "", CANARY).await;
    let environment = |pid: i32| std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let program = crate::killed::program(&world.nex, "echo-service");
    assert!(has_canary(&environment(program.pid)), "the program has it");

    world.nex.terminate().await;
    world.nex.up_again().await;
    world.until_answered("tell", "", CANARY).await;
    let mut wire = world.client.subscribe("$NEX.>").await.unwrap();
    let again = world.nex.ok(&run).await.text();
    assert!(again.contains("already running"), "{again}");
    world.nex.ok(&["run", "tell.js", "--on", "tell", "PASSWORD=other"]).await;
    assert_eq!(world.ask("tell", "").await.payload, "other");
    assert_eq!(world.ids().await.len(), 2);
    assert_nowhere(&world, &mut wire).await;
    drop(wire);
    world.finish().await;
}

#[tokio::test]
async fn a_clone_has_the_secrets_and_the_wire_has_not() {
    let world = World::up().await;
    world.file("tell.js", TELL);
    world.nex.ok(&["run", "tell.js", "--on", "tell", &format!("PASSWORD={CANARY}")]).await;
    let original = world.ids().await.remove(0);
    let mut wire = world.client.subscribe(">").await.unwrap();
    world.nex.ok(&["workload", "clone", &original, "--stop"]).await;
    assert_nowhere(&world, &mut wire).await;
    drop(wire);
    world.until_answered("tell", "", CANARY).await;
    assert!(!world.ids().await.contains(&original));
    world.finish().await;
}

#[tokio::test]
async fn a_clear_environment_is_sealed_before_it_is_stored() {
    let world = World::up().await;
    let mut body = deploy_body("default", "tell", "tell");
    let more = json!({ "triggers": ["tell"], "environment": { "PASSWORD": CANARY } });
    body["run_request"] = start_request(TELL, more).to_string().into();
    let subject = format!("ADEPLOY.{}", bid(&world, "javascript").await);
    let id = text(&world.control_json(&subject, body).await, "/id");
    let stored = bucket(&world).await.get(&keys(&world).await[0]).await.unwrap().unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    let run_request: Value = serde_json::from_str(&text(&stored, "/run_request")).unwrap();
    assert!(text(&run_request, "/environment/encrypted_by").starts_with('X'), "{run_request:#}");
    assert!(!has_canary(&get_workload(&world, &id).await.payload));
    let mut wire = world.client.subscribe("$NEX.FEED.>").await.unwrap();
    assert_nowhere(&world, &mut wire).await;
    assert_eq!(world.ask("tell", "").await.payload, CANARY);
    drop(wire);
    world.finish().await;
}

#[tokio::test]
async fn what_is_sealed_for_another_node_is_not_started() {
    let world = World::up().await;
    let sealed = json!({
        "base64_encrypted_env": "eGt2MQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "encrypted_by": "XD7JSEXZ2GKGZQ2ZOBCRKKSWQJ6BXXGRHB5HIFZBXPXTTMRRQ5ANTYIX",
    });
    let mut body = deploy_body("default", "tell", "tell");
    let more = json!({ "triggers": ["tell"], "environment": sealed });
    body["run_request"] = start_request(TELL, more).to_string().into();
    let subject = format!("ADEPLOY.{}", bid(&world, "javascript").await);
    let reply = world.control(&subject, body).await;
    let (code, says) = crate::world::error_headers(&reply);
    assert_eq!((code.as_str(), says.as_str()), ("100", "sealed for another node: clone with nex"));
    let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(text(&reply, "/code"), "NEX-120");
    assert_eq!(keys(&world).await, Vec::<String>::new());
    // Nothing of it is left: the next one works.
    tokio::time::timeout(Duration::from_secs(15), world.deploy("tell.js", TELL, "tell"))
        .await
        .unwrap();
    world.finish().await;
}
