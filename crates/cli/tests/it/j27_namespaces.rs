//! J27: list, stop and clone from another namespace; from `system` (checks 13, 19, 20, 23).
//!
//! 1. Another namespace sees nothing, stops nothing, clones nothing, by command or by raw request.
//! 2. `system` sees all of it, stops it and clones it, in the namespace of its owner.

use serde_json::json;

use crate::control_clone::clone_body;
use crate::guests::ECHO;
use crate::world::{World, assert_no_responders, assert_refused, assert_silence, text};

#[tokio::test]
async fn j27_another_namespace_can_do_nothing() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let id = world.ids().await.remove(0);
    let other =
        async |arguments: &[&str]| world.nex.run(&[&["-n", "other"], arguments].concat()).await;
    assert_eq!(other(&["ls", "--json"]).await.json(), json!([]));
    for address in ["echo", id.as_str()] {
        let hint = "nex ls";
        assert_refused(other(&["stop", address]).await, 4, &["no workload"], hint);
        assert_refused(other(&["clone", address]).await, 4, &["no workload"], hint);
    }
    // Raw requests that know the id get no further.
    assert_silence(
        &world.client,
        &format!("$NEX.SVC.other.control.CLONE.{id}"),
        clone_body("other"),
    )
    .await;
    let stop = format!("$NEX.SVC.other.control.UNDEPLOY.{id}");
    let told = world.control_json(&stop, json!({ "namespace": "other" })).await;
    assert_eq!([&told["stopped"], &told["message"]], [&json!(false), &json!("workload not found")]);
    for (verb, body) in [
        (format!("UNDEPLOY.{id}"), json!({ "namespace": "default" })),
        (format!("CLONE.{id}"), clone_body("default")),
        ("WPING".to_owned(), json!({ "namespace": "default", "filter": null })),
    ] {
        let reply = world.control(&format!("$NEX.SVC.other.control.{verb}"), body).await;
        let description = "namespace mismatch: other != default";
        crate::control_errors::assert_node_error(&reply, "403", description);
    }
    assert_eq!(world.ask("js.echo", "x").await.payload, "x");
    assert_eq!(world.ids().await, [id]);
    world.finish().await;
}

#[tokio::test]
async fn j27_system_may_do_all_of_it_in_the_owner_s_namespace() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let id = world.ids().await.remove(0);
    let system =
        async |arguments: &[&str]| world.nex.ok(&[&["-n", "system"], arguments].concat()).await;
    let listed = system(&["ls", "--json"]).await.json();
    assert_eq!([&listed[0]["id"], &listed[0]["namespace"]], [id.as_str(), "default"]);
    let clone = system(&["clone", &id, "--json"]).await.json();
    assert_eq!(world.ids().await.len(), 2, "the copy is in the owner's namespace");
    system(&["stop", &id]).await;
    assert_eq!(world.ids().await, [text(&clone, "/id")]);
    system(&["stop", "echo"]).await;
    assert_no_responders(&world.client, "js.echo").await;
    world.finish().await;
}
