//! J42: 1,000 fresh instances on two nodes share nothing. (That a secret is in no image, cache, bucket
//! or log: `secrets`.)
//!
//! 1. Their first random numbers all differ, and so does what their copies' modules would share.
//! 2. Lines that were said before a kill at the deadline arrive.
//! 3. A timer that call 1 left behind never runs in call 2.

use std::collections::BTreeSet;

use futures::StreamExt;
use nex_testkit::Nex;
use serde_json::json;

use crate::world::{SOON, World, error_headers, start_request, try_ask};

const RANDOM: &str = "const seen = { calls: 0 };
export default () => [++seen.calls, Math.random(), globalThis.crypto?.randomUUID?.() ?? ''].join(' ');
";

#[tokio::test]
async fn j42_a_thousand_fresh_instances_on_two_nodes_differ() {
    let world = World::up().await;
    let second = Nex::up(&world.server).await;
    let request = start_request(RANDOM, json!({ "triggers": ["random"], "instances": "fresh" }));
    let request = request.to_string();
    let arguments = ["--type", "javascript", "--lifecycle", "function", "--name", "random"];
    let start = [&["workload", "start", "--start-request", &request], &arguments[..]].concat();
    world.nex.ok(&start).await;
    world.nex.ok(&["scale", "random", "2"]).await;
    let answers: Vec<String> = futures::stream::iter(0..1000)
        .map(|_| async {
            let reply = try_ask(&world.client, "random", Vec::new()).await.unwrap();
            String::from_utf8(reply.payload.to_vec()).unwrap()
        })
        .buffer_unordered(32)
        .collect()
        .await;
    assert!(answers.iter().all(|answer| answer.starts_with("1 ")), "{:?}", &answers[..5]);
    let different: BTreeSet<&String> = answers.iter().collect();
    assert_eq!(different.len(), 1000);
    second.finish().await;
    world.finish().await;
}

#[tokio::test]
async fn j42_what_was_said_before_a_kill_arrives_and_left_timers_never_run() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "-f"]).await;
    let source = "(s, p) => { console.log('said before'); while (true) {} }";
    let limits = json!({ "triggers": ["said"], "limits": { "timeout": "300ms" } });
    let _started = world.start("said", source, limits).await.exits(0);
    assert_eq!(error_headers(&world.ask("said", "").await).0, "504");
    logs.line(SOON, |line| line.contains("said before")).await.unwrap();

    let source = "let n = 0; let left = 0;
      export default async (s, p) => {
        if (++n === 1) { setTimeout(() => { left += 1; console.log('left over'); }, 20); return '0'; }
        await scheduler.wait(200);
        return String(left);
      }";
    world.deploy("timer.js", source, "timer").await;
    for _ in 0..4 {
        assert_eq!(world.ask("timer", "").await.payload, "0");
    }
    assert!(!String::from_utf8_lossy(&logs.stdout()).contains("left over"));
    drop(logs);
    world.finish().await;
}
