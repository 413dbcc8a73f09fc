//! Lists from the view (spec: control API, section 13, "The view").
//!
//! 1. A list shows at once what was deployed and what was stopped, and comes in well under 100 ms.
//! 2. Nothing of a namespace stands in another's bucket (J40); `-A` shows all.
//! 3. A node that was killed is shown as `unknown` after 30 s, never as gone, until it is forgotten; one that
//!    ended well is gone at once.
//! 4. Nodes that do not stand in the view are asked: `--live` asks all, and without JetStream so does every list.

use std::time::Duration;

use async_nats::jetstream;
use futures::{StreamExt, TryStreamExt};
use nex_testkit::{NatsServer, Nex, eventually};
use serde_json::Value;

use crate::guests::ECHO;
use crate::j11_copies::until_nodes;
use crate::world::{SOON, World, text};

#[tokio::test]
async fn a_list_shows_at_once_what_was_done_and_comes_fast() {
    let world = World::up().await;
    for n in 0..5 {
        let (file, subject) = (format!("f{n}.js"), format!("f.{n}"));
        world.deploy(&file, ECHO, &subject).await;
        assert_eq!(world.list().await.len(), n + 1);
    }
    for n in 0..5 {
        world.nex.ok(&["stop", &format!("f{n}")]).await;
        assert_eq!(world.list().await.len(), 4 - n);
    }
    let mut times = Vec::new();
    for _ in 0..9 {
        times.push(world.nex.ok(&["ls"]).await.took);
    }
    times.sort();
    assert!(times[4] < nex_testkit::patience(Duration::from_millis(100)), "{times:?}");
    world.finish().await;
}

#[tokio::test]
async fn j40_nothing_of_a_namespace_stands_in_another_s_bucket() {
    let world = World::up().await;
    world.file("echo.js", ECHO);
    for (namespace, subject) in [("a", "s.a"), ("a-b", "s.ab")] {
        world.nex.ok(&["-n", namespace, "run", "echo.js", "--on", subject]).await;
    }
    for namespace in ["a", "a-b"] {
        let bucket = format!("nex-view-{namespace}");
        let store = jetstream::new(world.client.clone()).get_key_value(&bucket).await.unwrap();
        let keys: Vec<String> = store.keys().await.unwrap().try_collect().await.unwrap();
        assert_eq!(keys.len(), 1, "{keys:?}");
        let value = store.get(&keys[0]).await.unwrap().unwrap();
        let summary: Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(text(&summary, "/namespace"), namespace);
        let list = world.nex.ok(&["-n", namespace, "ls", "--json"]).await.json();
        assert_eq!(list.as_array().unwrap().len(), 1);
    }
    let all = world.nex.ok(&["ls", "-A"]).await.text();
    assert!(all.starts_with("NAMESPACE") && all.lines().count() == 3, "{all}");
    assert_eq!(world.list().await, Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn a_killed_node_is_unknown_and_never_gone_until_it_is_forgotten() {
    let world = World::up().await;
    let mut second = Nex::up(&world.server).await;
    until_nodes(&world, 2).await;
    world.file("echo.js", ECHO);
    world.nex.ok(&["run", "echo.js", "--on", "js.echo", "--copies", "2"]).await;
    second.kill9().await;
    assert_eq!(world.list().await.len(), 2);
    let lost = eventually("the node is unknown", Duration::from_secs(45), async || {
        let nodes = world.nex.ok(&["nodes", "--json"]).await.json();
        let nodes = nodes.as_array().unwrap().clone();
        let lost = nodes.iter().find(|node| node["state"] == "unknown");
        lost.map(|node| text(node, "/node_id")).ok_or(nodes)
    })
    .await;
    let states: Vec<String> =
        world.list().await.iter().map(|w| text(w, "/workload_state")).collect();
    assert_eq!(states.iter().filter(|state| *state == "unknown").count(), 1, "{states:?}");
    let forgotten = world.nex.ok(&["node", "forget", &lost]).await.text();
    assert!(forgotten.contains("is forgotten, with 1 workloads"), "{forgotten}");
    assert_eq!(world.list().await.len(), 1);
    let _refused = world.nex.run(&["node", "forget", &lost]).await.exits(4);
    // Its nexlets went on all the time, and the next node of its directory takes them over.
    second.up_again().await;
    second.finish().await;
    world.finish().await;
}

#[tokio::test]
async fn a_node_that_ended_well_is_gone_at_once() {
    let world = World::up().await;
    let mut second = Nex::up(&world.server).await;
    until_nodes(&world, 2).await;
    world.file("echo.js", ECHO);
    world.nex.ok(&["run", "echo.js", "--on", "js.echo", "--copies", "2"]).await;
    second.terminate().await;
    assert_eq!(world.list().await.len(), 1);
    assert_eq!(world.nex.ok(&["nodes", "--json"]).await.json().as_array().unwrap().len(), 1);
    second.finish().await;
    world.finish().await;
}

#[tokio::test]
async fn who_does_not_stand_in_the_view_is_asked() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    // As a node of the Go implementation: it answers, and the view has never heard of it.
    for bucket in ["nex-view-default", "nex-view-system"] {
        let stream = jetstream::new(world.client.clone()).get_stream(format!("KV_{bucket}")).await;
        stream.unwrap().purge().await.unwrap();
    }
    assert_eq!(world.list().await.len(), 1);
    assert_eq!(world.nex.ok(&["ls", "--live", "--json"]).await.json()[0]["name"], "echo");
    assert_eq!(world.nex.ok(&["nodes", "--live", "--json"]).await.json()[0]["state"], "running");
    world.nex.ok(&["stop", "echo"]).await;
    world.finish().await;
}

#[tokio::test]
async fn without_jetstream_every_list_asks() {
    let world = World::on(NatsServer::options().without_jetstream()).await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    assert_eq!(world.list().await.len(), 1);
    let replaced = world.deploy("echo.js", "() => 'new'", "js.echo").await;
    assert!(replaced.stderr.contains("no JetStream here"), "{replaced}");
    world.nex.ok(&["stop", "echo"]).await;
    assert_eq!(world.list().await, Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn the_view_is_written_again_after_jetstream_was_lost() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let context = jetstream::new(world.client.clone());
    let mut names = context.stream_names();
    while let Some(Ok(name)) = names.next().await {
        if name.starts_with("KV_nex-view-") {
            context.delete_stream(&name).await.unwrap();
        }
    }
    assert_eq!(world.list().await.len(), 1, "the node is asked meanwhile");
    eventually("the view is there again", SOON * 2, async || {
        let store = context.get_key_value("nex-view-default").await.map_err(|e| e.to_string())?;
        let keys: Vec<String> = store
            .keys()
            .await
            .map_err(|e| e.to_string())?
            .try_collect()
            .await
            .map_err(|e| e.to_string())?;
        if keys.len() == 1 { Ok(()) } else { Err(format!("{keys:?}")) }
    })
    .await;
    world.finish().await;
}
