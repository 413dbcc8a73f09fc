//! J32: a nexlet in Python registers, takes a workload, disappears.
//!
//! 1. It is shown, wins an auction, runs what it is given, is listed and logs; callers get its answers.
//! 2. Stopped with SIGKILL it is degraded within 15 s, and no auction is won by it (checks 24 and 27); the pure rule
//!    for `offline` is tested in `nex-policy`.

use std::time::Duration;

use futures::StreamExt;
use nex_testkit::{Signal, eventually};

use crate::foreign::{python_nexlet, until_health};
use crate::nexlet_check::no_python;
use crate::world::{SOON, World, text};

const AGENT: &str = "WvLS2fm0rYuHFVcv9jR5gk";

#[tokio::test]
async fn a_nexlet_in_python_takes_a_workload_and_disappears() {
    let world = World::up().await;
    let Some(mut nexlet) = python_nexlet(&world, AGENT).await else { return no_python() };
    until_health(&world, AGENT, "healthy", SOON).await;
    let node = world.node_id().await;
    let info = world.nex.ok(&["info", &node]).await.text();
    assert!(info.contains("echo-py [1.0.0]"), "{info}");

    let mut logs = world.client.subscribe("$NEX.FEED.default.logs.*.stdout").await.unwrap();
    world.server.until_subscribed("$NEX.FEED.default.logs.*.stdout").await;
    let start = ["workload", "start", "--type", "echo", "--lifecycle", "service"];
    let start =
        [&start[..], &["--name", "hello", "--start-request", r#"{"subject":"py.echo"}"#]].concat();
    world.nex.ok(&start).await;
    let listed = world.list().await;
    assert_eq!([text(&listed[0], "/name"), text(&listed[0], "/workload_type")], ["hello", "echo"]);
    assert_eq!(
        text(&listed[0], "/metadata/node_id"),
        node,
        "the node adds its facts to foreign summaries"
    );
    assert_eq!(world.ask("py.echo", "heya").await.payload, "heya");
    let line = tokio::time::timeout(SOON, logs.next()).await.unwrap().unwrap();
    assert_eq!(line.payload, "listens on py.echo\n");

    nexlet.signal(Signal::SIGKILL);
    until_health(&world, AGENT, "degraded", Duration::from_secs(15)).await;
    let nobody = world.nex.run(&start).await.exits(5);
    assert!(nobody.stderr.contains("echo"), "{nobody}");
    assert!(world.live().await.is_empty(), "what it ran is not listed any more");
    eventually("the view tells why it does not run", SOON * 2, async || {
        let list = world.list().await;
        let is_told = list.len() == 1 && list[0]["metadata"]["phase"] == "nexlet away";
        if is_told && list[0]["workload_state"] == "error" { Ok(()) } else { Err(list) }
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn stopping_and_refusing_go_through_to_it() {
    let world = World::up().await;
    let Some(mut nexlet) = python_nexlet(&world, AGENT).await else { return no_python() };
    until_health(&world, AGENT, "healthy", SOON).await;
    let start = |request: &'static str| {
        ["workload", "start", "--type", "echo", "--name", "hello", "--start-request", request]
    };
    let refused = world.nex.run(&start(r#"{"subject":"$SYS.x"}"#)).await;
    assert!(refused.stderr.contains("cannot start hello") && refused.code == 1, "{refused}");
    let invalid = world.nex.run(&start("{}")).await;
    assert!(invalid.stderr.contains("\"subject\"") && invalid.code == 1, "{invalid}");
    world.nex.ok(&start(r#"{"subject":"py.echo"}"#)).await;
    world.nex.ok(&["stop", "hello"]).await;
    assert!(world.list().await.is_empty());
    crate::world::assert_no_responders(&world.client, "py.echo").await;
    nexlet.signal(Signal::SIGTERM);
    assert!(nexlet.exit(SOON).await.unwrap().success());
    world.finish().await;
}
