//! J35: two `nex run` of one name at once, one of them killed midway, a second node that holds the old
//! version down and then back, 64 callers throughout: no failed call, one version at the end.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use nex_testkit::{Nex, Signal, eventually};

use crate::j08_replace::{Callers, version};
use crate::j11_copies::until_nodes;
use crate::world::{SOON, World, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j35_one_version_is_left_whoever_is_killed() {
    let world = World::up().await;
    let mut second = Nex::up(&world.server).await;
    until_nodes(&world, 2).await;
    world.file("echo.js", version(1));
    world.nex.ok(&["run", "echo.js", "--on", "js.echo", "--copies", "2"]).await;
    let callers = Callers::start(&world.client, "js.echo");
    callers.go_on().await;
    second.terminate().await;
    callers.go_on().await;

    let mut deploys = world.client.subscribe("$NEX.SVC.default.control.ADEPLOY.>").await.unwrap();
    world.client.flush().await.unwrap();
    world.file("killed.js", version(2));
    world.file("left.js", version(3));
    let run = ["run", "killed.js", "--name", "echo", "--on", "js.echo"];
    let mut killed = world.nex.spawn(&run);
    let first = tokio::time::timeout(SOON, deploys.next()).await;
    first.expect("a deploy").unwrap();
    killed.signal(Signal::SIGKILL);
    let waited = std::time::Instant::now();
    let left = world.nex.ok(&["run", "left.js", "--name", "echo", "--on", "js.echo"]).await;
    assert!(waited.elapsed() < Duration::from_secs(25), "the lease of who was killed ends soon");
    assert!(left.stderr.contains("waiting for another command"), "{left}");
    callers.go_on().await;

    second.up_again().await;
    until_nodes(&world, 2).await;
    eventually("one version is left", SOON, async || {
        let live = world.nex.ok(&["ls", "--live", "--json"]).await.json();
        let versions: BTreeSet<String> =
            live.as_array().unwrap().iter().map(|w| text(w, "/metadata/request_digest")).collect();
        if versions.len() == 1 { Ok(()) } else { Err(live.to_string()) }
    })
    .await;
    for _ in 0..64 {
        assert_eq!(world.ask("js.echo", "x").await.payload, "version 3");
    }
    callers.go_on().await;
    assert_eq!(callers.end().await, Vec::<String>::new());
    second.finish().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_do_it_one_after_the_other() {
    let world = World::up().await;
    world.file("one.js", version(1));
    world.file("two.js", version(2));
    let run = |file| ["run", file, "--name", "echo", "--on", "js.echo"];
    let (one, two) = (run("one.js"), run("two.js"));
    let (one, two, again) =
        tokio::join!(world.nex.run(&one), world.nex.run(&two), world.nex.run(&two));
    for output in [&one, &two, &again] {
        assert_eq!(output.code, 0, "{output}");
    }
    assert_eq!(world.ids().await.len(), 1, "{one}{two}{again}");
    world.finish().await;
}

#[tokio::test]
async fn a_copy_on_a_node_that_is_away_is_replaced_elsewhere_and_stopped_for_good() {
    let world = World::up().await;
    let mut second = Nex::up(&world.server).await;
    until_nodes(&world, 2).await;
    world.file("echo.js", version(1));
    world.nex.ok(&["run", "echo.js", "--on", "js.echo", "--copies", "2"]).await;
    second.kill9().await;
    world.file("echo.js", version(2));
    let replaced = world.nex.ok(&["run", "echo.js", "--on", "js.echo"]).await.text();
    assert!(replaced.contains("✓ replaced 1 on nodes that do not answer"), "{replaced}");
    second.up_again().await;
    until_nodes(&world, 2).await;
    for _ in 0..32 {
        assert_eq!(world.ask("js.echo", "x").await.payload, "version 2");
    }
    second.terminate().await;
    let stopped = world.nex.ok(&["stop", "echo"]).await.text();
    assert!(stopped.contains("✓ echo stopped"), "{stopped}");
    second.up_again().await;
    crate::world::assert_no_responders(&world.client, "js.echo").await;
    second.finish().await;
    world.finish().await;
}
