//! J11: copies of a function on two nodes.
//!
//! 1. `--copies 2` starts one on each node; of 10,000 requests each is answered once, and both took part.
//! 2. `nex scale` adds and takes copies, spread over the nodes.
//! 3. Thirty starts spread over both nodes, each answered exactly once (check 38).

use std::collections::{BTreeMap, BTreeSet};

use nex_testkit::{Nex, eventually};
use serde_json::Value;

use crate::guests::ECHO;
use crate::world::{SOON, World, text};

const REQUESTS: usize = 10_000;
const CALLERS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j11_two_copies_answer_each_request_once_and_both_take_part() {
    let world = World::up().await;
    let second = Nex::up(&world.server).await;
    until_nodes(&world, 2).await;
    world.file("echo.js", ECHO);
    world.nex.ok(&["run", "echo.js", "--on", "js.echo", "--copies", "2"]).await;
    assert_eq!(per_node(&world.list().await).into_values().collect::<Vec<_>>(), [1, 1]);

    // Replies come to one inbox: one that is answered twice would be counted.
    let mut answers = world.client.subscribe("answers.*").await.unwrap();
    let calls = (0..CALLERS).map(|caller| {
        let client = world.client.clone();
        tokio::spawn(async move {
            for n in (caller..REQUESTS).step_by(CALLERS) {
                let reply = format!("answers.{n}");
                client.publish_with_reply("js.echo", reply, n.to_string().into()).await.unwrap();
                if n % 8 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            client.flush().await.unwrap();
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut answered = BTreeSet::new();
    let mut refused = 0;
    while answered.len() + refused < REQUESTS {
        let message = tokio::time::timeout(SOON, futures::StreamExt::next(&mut answers)).await;
        let message = message.expect("an answer").unwrap();
        if message.headers.is_some() {
            // A flood of calls may find both copies busy; it is told, not lost.
            refused += 1;
            continue;
        }
        let n: usize = message.subject.trim_start_matches("answers.").parse().unwrap();
        assert_eq!(message.payload, n.to_string());
        assert!(answered.insert(n), "{n} was answered twice");
    }
    for call in calls {
        call.await.unwrap();
    }
    let live = world.nex.ok(&["ls", "--live", "--json"]).await.json();
    let counts: Vec<usize> = live
        .as_array()
        .unwrap()
        .iter()
        .map(|w| text(w, "/metadata/calls").parse().unwrap())
        .collect();
    assert!(counts.iter().all(|calls| *calls > 0), "both took part: {counts:?}");
    second.finish().await;
    world.finish().await;
}

#[tokio::test]
async fn scaling_spreads_copies_over_nodes_and_takes_them_from_the_fullest() {
    let world = World::up().await;
    let second = Nex::up(&world.server).await;
    until_nodes(&world, 2).await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let scaled = world.nex.ok(&["scale", "echo", "4"]).await.text();
    assert_eq!(scaled, "✓ echo runs in 4 copies: 3 started\n");
    assert_eq!(per_node(&world.list().await).into_values().collect::<Vec<_>>(), [2, 2]);
    let again = world.nex.ok(&["scale", "echo", "4"]).await.text();
    assert_eq!(again, "✓ echo runs in 4 copies already\n");
    let down = world.nex.ok(&["scale", "echo", "2"]).await.text();
    assert_eq!(down, "✓ echo runs in 2 copies: 2 stopped\n");
    assert_eq!(per_node(&world.list().await).into_values().collect::<Vec<_>>(), [1, 1]);
    let more = world.nex.ok(&["run", "echo.js", "--on", "js.echo", "--copies", "3"]).await.text();
    assert_eq!(more.matches("deployed as javascript function").count(), 1, "{more}");
    assert_eq!(world.list().await.len(), 3);
    let _refused = world.nex.run(&["scale", "nobody", "2"]).await.exits(4);
    second.finish().await;
    world.finish().await;
}

#[tokio::test]
async fn thirty_starts_spread_over_both_nodes_each_answered_once() {
    let world = World::up().await;
    let second = Nex::up(&world.server).await;
    until_nodes(&world, 2).await;
    world.file("echo.js", ECHO);
    for n in 0..30 {
        let (name, subject) = (format!("start-{n}"), format!("starts.{n}"));
        world.nex.ok(&["run", "echo.js", "--name", &name, "--on", &subject]).await;
    }
    let list = world.list().await;
    let ids: BTreeSet<String> = list.iter().map(|w| text(w, "/id")).collect();
    assert_eq!((list.len(), ids.len()), (30, 30));
    assert_eq!(per_node(&list).into_values().collect::<Vec<_>>(), [15, 15]);
    second.finish().await;
    world.finish().await;
}

/// How many workloads each node has.
fn per_node(list: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for workload in list {
        *counts.entry(text(workload, "/metadata/node_id")).or_default() += 1;
    }
    counts
}

/// Waits until the view tells of so many nodes with healthy nexlets.
pub(crate) async fn until_nodes(world: &World, n_nodes: usize) {
    eventually("all nodes are listed as running", SOON, async || {
        let nodes = world.nex.ok(&["nodes", "--json"]).await.json();
        let running = nodes.as_array().unwrap().iter().filter(|node| node["state"] == "running");
        let n_running = running.count();
        if n_running == n_nodes { Ok(()) } else { Err(n_running) }
    })
    .await;
}
