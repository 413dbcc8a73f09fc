//! State while JetStream is away: nothing is lost, nothing comes back that was stopped.
//!
//! 1. Deploys and stops go on, with a warning; a node that is killed meanwhile starts from its copy;
//!    when JetStream is back, the bucket has what memory has.
//! 2. A bucket that somebody deletes is made again from memory.
//! 3. NATS down: the same after it as before.

use std::time::Duration;

use async_nats::jetstream;
use nex_testkit::eventually;
use serde_json::json;

use crate::guests::ECHO;
use crate::j30_state::kill_all;
use crate::state::{bucket, try_keys};
use crate::world::{SOON, World};

async fn start(world: &World, name: &str) -> String {
    let output = world.start(name, ECHO, json!({ "triggers": [name] })).await.exits(0);
    format!("{}{}", output.text(), output.stderr)
}

/// The names of what runs, sorted.
async fn names(world: &World) -> Vec<String> {
    let list = world.list().await;
    let mut names: Vec<String> =
        list.iter().map(|w| w["name"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    names
}

async fn until_bucket_agrees(world: &World, node_id: &str) {
    eventually("the bucket has what runs", SOON * 2, async || {
        let mut ids = world.ids().await;
        ids.sort();
        let keys = try_keys(world, node_id).await?;
        let keys: Vec<String> = keys.iter().map(|key| key.replace("javascript_", "")).collect();
        if keys == ids { Ok(()) } else { Err(format!("{keys:?} {ids:?}")) }
    })
    .await;
}

#[tokio::test]
async fn what_changes_while_jetstream_is_away_is_kept() {
    let mut world = World::up().await;
    let node_id = world.node_id().await;
    for name in ["first", "second"] {
        start(&world, name).await;
    }
    world.server.restart_with_jetstream(false).await;
    world.until_answered("first", "x", "x").await;
    let said = start(&world, "third").await;
    assert!(said.contains("JetStream"), "{said}");
    world.nex.ok(&["stop", "first"]).await;
    assert_eq!(names(&world).await, ["second", "third"]);

    // From the copy and the journal, without JetStream.
    kill_all(&mut world.nex).await;
    world.nex.up_again().await;
    world.until_answered("second", "x", "x").await;
    world.until_answered("third", "x", "x").await;
    assert_eq!(names(&world).await, ["second", "third"]);
    let printed = String::from_utf8(world.nex.node().unwrap().stdout()).unwrap();
    assert!(printed.contains("on disk"), "{printed}");

    world.server.restart_with_jetstream(true).await;
    until_bucket_agrees(&world, &node_id).await;
    eventually("the view is as things are", SOON * 2, async || {
        let names = names(&world).await;
        if names == ["second", "third"] { Ok(()) } else { Err(names) }
    })
    .await;
    assert!(!world.nex.state_dir().join("state.journal").exists());
    world.nex.terminate().await;
    world.nex.up_again().await;
    world.until_answered("third", "x", "x").await;
    assert_eq!(names(&world).await, ["second", "third"]);
    world.finish().await;
}

#[tokio::test]
async fn a_bucket_that_somebody_deletes_is_made_again() {
    let world = World::up().await;
    let node_id = world.node_id().await;
    start(&world, "first").await;
    let stream = bucket(&world).await.stream_name;
    jetstream::new(world.client.clone()).delete_stream(stream).await.unwrap();
    start(&world, "second").await;
    let has_bucket = async || {
        let name = format!("nex-{node_id}");
        let opened = jetstream::new(world.client.clone()).get_key_value(name).await;
        opened.map(|_| ()).map_err(|error| error.to_string())
    };
    eventually("there is a bucket again", SOON, has_bucket).await;
    until_bucket_agrees(&world, &node_id).await;
    world.finish().await;
}

#[tokio::test]
async fn an_outage_changes_nothing_of_it() {
    let mut world = World::up().await;
    let node_id = world.node_id().await;
    start(&world, "first").await;
    let ids = world.ids().await;
    world.server.stop().await;
    // Long enough for the node to have noticed, and to have tried.
    eventually("the node notices", Duration::from_secs(10), async || {
        let log = world.nex.node().unwrap().stderr();
        if log.contains("lost NATS") { Ok(()) } else { Err(log) }
    })
    .await;
    world.server.restart().await;
    world.until_answered("first", "x", "x").await;
    start(&world, "second").await;
    world.nex.ok(&["stop", "first"]).await;
    until_bucket_agrees(&world, &node_id).await;
    assert!(!world.ids().await.contains(&ids[0]));
    world.finish().await;
}
