//! CLONE by raw requests, and `nex clone` (spec: control API, sections 2.4, 5.7 and 9.3; checks 20, 21).
//!
//! 1. The reply is the bare start request, without headers; an unknown id is not answered.
//! 2. Of the nexlets' replies, "workload not found" is passed over; what is no definition is 500.
//! 3. `nex clone` starts a copy under a new id; `--stop` ends the original; unknown ids end quickly with 4.
//! 4. Nobody who takes it is exit code 5, and the original goes on.

use std::time::{Duration, Instant};

use nex_testkit::echo_service;
use serde_json::{Value, json};

use crate::control_errors::assert_node_error;
use crate::guests::ECHO;
use crate::scripted::{Line, Scripted, job};
use crate::world::{
    World, assert_no_responders, assert_refused, assert_silence, control, json_of, text,
};

pub(crate) fn clone_body(namespace: &str) -> Value {
    json!({ "namespace": namespace, "new_target_xkey": "XD7JSEXZ2GKGZQ2ZOBCRKKSWQJ6BXXGRHB5HIFZBXPXTTMRRQ5ANTYIX" })
}

#[tokio::test]
async fn the_definition_comes_bare() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let id = world.ids().await.remove(0);
    let reply = world.control(&format!("CLONE.{id}"), clone_body("default")).await;
    assert_eq!(reply.headers, None);
    let definition = json_of(&reply);
    assert_eq!(
        ["/name", "/namespace", "/workload_type", "/workload_lifecycle"]
            .map(|key| text(&definition, key)),
        ["echo", "default", "javascript", "function"]
    );
    let run_request: Value = serde_json::from_str(&text(&definition, "/run_request")).unwrap();
    assert_eq!(run_request["triggers"], json!(["js.echo"]));
    // The node asks its nexlets for three seconds; then it still says nothing.
    let unknown = control("CLONE.WvLS2fm0rYuHFVcv9jR5lm");
    let request = async_nats::Request::new().payload(clone_body("default").to_string().into());
    let request = request.timeout(Some(Duration::from_secs(4)));
    let error = world.client.send_request(unknown, request).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::TimedOut);
    world.finish().await;
}

#[tokio::test]
async fn a_nexlet_that_does_not_have_it_hides_none_that_has() {
    let world = World::up().await;
    let mut without = Scripted::register(&world, "WvLS2fm0rYuHFVcv9jR5gk", "played").await;
    let mut with = Scripted::register(&world, "WvLS2fm0rYuHFVcv9jR5hk", "played").await;
    let not_found = Line(Some(("100", "workload not found")), String::new());
    let get = |id: &str| with.of_node(&format!("GETWORKLOAD.{id}"));
    let [known, garbage, error] = ["known", "garbage", "error"].map(get);
    without.answer(&world, &known, not_found.clone()).await;
    let mut asked = with.answer(&world, &known, Line(None, job("default", "p").to_string())).await;

    let body = clone_body("default");
    let found = world.control_json("CLONE.known", &body).await;
    assert_eq!(found, job("default", "p"));
    let passed_on = asked.recv().await.unwrap();
    assert_eq!(passed_on.payload, body.to_string(), "the client's bytes, unchanged");
    // It belongs to `default`: to others it is not there, to `system` it is.
    assert_silence(&world.client, "$NEX.SVC.b.control.CLONE.known", clone_body("b")).await;
    world.control_json("$NEX.SVC.system.control.CLONE.known", clone_body("system")).await;

    with.answer(&world, &garbage, Line(None, "{}".to_owned())).await;
    without.answer(&world, &error, Line(Some(("100", "out of order")), String::new())).await;
    let description = "failed to unmarshal workload definition from agent";
    for verb in ["CLONE.garbage", "CLONE.error"] {
        assert_node_error(&world.control(verb, &body).await, "500", description);
    }
    drop((with, without));
    world.finish().await;
}

#[tokio::test]
async fn a_clone_is_a_second_workload_and_stop_moves_it() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let original = world.ids().await.remove(0);
    let said = world.nex.ok(&["clone", "echo"]).await.text();
    assert!(said.starts_with("Workload echo [") && said.ends_with("] successfully started\n"));
    let both = world.ids().await;
    assert_eq!((both.len(), both.contains(&original)), (2, true));
    let names: Vec<Value> = world.list().await.into_iter().map(|w| w["name"].clone()).collect();
    assert_eq!(names, ["echo", "echo"]);
    assert_eq!(world.ask("js.echo", "x").await.payload, "x");

    let moved = world.nex.ok(&["workload", "cp", &original[..8], "--stop"]).await.text();
    assert!(moved.ends_with(&format!("Original workload [{original}] stopped\n")), "{moved}");
    let after = world.ids().await;
    assert_eq!((after.len(), after.contains(&original)), (2, false));
    let json = world.nex.ok(&["workload", "copy", &after[0], "--json"]).await.json();
    assert_eq!(text(&json, "/name"), "echo");
    assert!(world.ids().await.contains(&text(&json, "/id")));
    world.nex.ok(&["stop", "echo"]).await;
    assert_no_responders(&world.client, "js.echo").await;
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_cloned_is_told_soon_and_leaves_the_original() {
    let world = World::up().await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    let started = Instant::now();
    let unknown = world.nex.run(&["clone", "nobody"]).await;
    assert_refused(unknown, 4, &["no workload nobody"], "nex ls");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let tags = ["clone", "echo-service", "--tags", "region=moon", "--stop"];
    let nobody = world.nex.run(&tags).await;
    assert_refused(nobody, 5, &["no nodes available for placement"], "nex nodes");
    world.until_answered("svc.echo", "still", "still").await;
    let wrong = world.nex.run(&["clone", "echo-service", "--tags", "moon"]).await;
    assert_eq!(wrong.code, 2, "{wrong}");
    world.nex.ok(&["clone", "echo-service", "--tags", "nex.lameduck=false"]).await;
    assert_eq!(world.ids().await.len(), 2);
    world.nex.ok(&["stop", "echo-service"]).await;
    world.finish().await;
}
