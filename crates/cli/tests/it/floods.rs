//! Floods of malformed requests on every control subject.
//!
//! 1. Each request that asks for a reply gets one. Good requests on subjects that are not flooded get theirs as ever;
//!    on a flooded one some are told that the node is busy.
//! 2. Afterwards everything is as fast as before, and no nexlet was called sick meanwhile.
//! 3. Of calls on one function, each is answered, most of them 429: its nexlet loses none.
//! 4. More auctions than a node remembers bids: the newest bids are good, the node's memory is bounded.

use std::time::{Duration, Instant};

use async_nats::Client;
use futures::StreamExt;
use nex_testkit::patience;
use serde_json::{Value, json};

use crate::guests::ECHO;
use crate::world::{SOON, World, header, json_of, text};

const FLOOD: usize = 10_000;
const GOOD: usize = 20;

/// Publishes `FLOOD` malformed requests on `subject` and tells how many replies came until there were no more.
async fn flood(client: &Client, subject: &str, expected: usize) -> usize {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.unwrap();
    let counted = async {
        let mut n = 0;
        while n < expected {
            match tokio::time::timeout(patience(Duration::from_secs(30)), replies.next()).await {
                Ok(Some(reply)) => {
                    assert!(
                        header(&reply, "Nats-Service-Error-Code").is_some(),
                        "{subject}: {reply:?}"
                    );
                    n += 1;
                }
                _ => break,
            }
        }
        n
    };
    let sent = async {
        for _ in 0..FLOOD {
            client.publish_with_reply(subject.to_owned(), inbox.clone(), "{".into()).await.unwrap();
        }
    };
    tokio::join!(counted, sent).0
}

/// The median of some good requests on a subject that nobody floods.
async fn good_requests(world: &World, node: &str) -> Duration {
    let subject = format!("$NEX.SVC.system.control.INFO.{node}");
    let mut took = Vec::new();
    for _ in 0..GOOD {
        let start = Instant::now();
        let reply = world.control(&subject, json!({})).await;
        took.push(start.elapsed());
        assert_eq!(json_of(&reply)["node_id"], node, "{reply:?}");
    }
    took.sort();
    took[GOOD / 2]
}

/// Good requests in the midst of bad ones: the node may say that it is busy, but it says something.
async fn requests_beside_a_flood(world: &World) {
    for _ in 0..GOOD {
        let reply = world.control("$NEX.SVC.system.control.PING", json!({ "filter": {} })).await;
        if header(&reply, "Nats-Service-Error-Code").as_deref() != Some("503") {
            assert_eq!(json_of(&reply)["state"], "running");
        }
    }
}

#[tokio::test]
async fn a_flood_of_malformed_requests_drowns_nothing() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let node = world.node_id().await;
    let before = good_requests(&world, &node).await;
    let subjects = [
        "$NEX.SVC.system.control.PING".to_owned(),
        format!("$NEX.SVC.system.control.PING.{node}"),
        "$NEX.SVC.default.control.AUCTION".to_owned(),
        "$NEX.SVC.default.control.WPING".to_owned(),
        "$NEX.SVC.default.control.UNDEPLOY.x".to_owned(),
        format!("$NEX.SVC.{node}.agent.REGISTER.x"),
    ];
    let flooder = world.server.client().await;
    let floods =
        futures::future::join_all(subjects.iter().map(|subject| flood(&flooder, subject, FLOOD)));
    // Nobody answers an unknown bid.
    let silent = flood(&flooder, "$NEX.SVC.default.control.ADEPLOY.x", 0);
    let beside = requests_beside_a_flood(&world);
    let (answered, ..) = tokio::join!(floods, silent, good_requests(&world, &node), beside);
    assert!(answered.iter().all(|n| *n == FLOOD), "{answered:?} of {FLOOD} were answered");

    let after = good_requests(&world, &node).await;
    assert!(after < before * 10 + Duration::from_millis(5), "{before:?} before, {after:?} after");
    assert_eq!(world.ask("js.echo", "heya").await.payload, "heya");
    let info = world.control_json(&format!("$NEX.SVC.system.control.INFO.{node}"), "{}").await;
    let agents: &Vec<Value> = info["node_agent_summaries"].as_array().unwrap();
    assert!(agents.iter().all(|agent| agent["agent_health"] == "healthy"), "{info:#}");
    drop(flooder);
    world.finish().await;
}

#[tokio::test]
async fn more_auctions_than_bids_leave_the_newest() {
    let world = World::up().await;
    let auction = json!({ "agent_type": "javascript", "auction_id": "A", "tags": {} }).to_string();
    let inbox = world.client.new_inbox();
    let mut bids = world.client.subscribe(inbox.clone()).await.unwrap();
    let resident = world.nex.processes().iter().map(|process| process.resident).sum::<u64>();
    let publish = async {
        for _ in 0..3 * 4096 {
            let subject = "$NEX.SVC.default.control.AUCTION".to_owned();
            world
                .client
                .publish_with_reply(subject, inbox.clone(), auction.clone().into())
                .await
                .unwrap();
        }
    };
    let count = async {
        let mut n = 0;
        while n < 3 * 4096 && matches!(tokio::time::timeout(SOON, bids.next()).await, Ok(Some(_))) {
            n += 1;
        }
        n
    };
    assert_eq!(tokio::join!(publish, count).1, 3 * 4096);
    let grown = world.nex.processes().iter().map(|process| process.resident).sum::<u64>();
    assert!(grown < resident + (256 << 20), "{resident} bytes before, {grown} after");
    let deployed = world.deploy("echo.js", ECHO, "js.echo").await;
    assert_eq!(deployed.code, 0);
    assert_eq!(text(&world.list().await[0], "/name"), "echo");
    world.finish().await;
}

/// As many at once as the library keeps, however busy this machine is.
const CALLS: usize = 60_000;

#[tokio::test]
async fn every_call_of_a_flood_on_one_function_is_answered() {
    let world = World::up().await;
    let source = "export default async () => { await scheduler.wait(200); return 'done' }";
    let limits = json!({ "concurrency": 1, "queue": 0, "timeout": "10s" });
    let more = json!({ "triggers": ["flooded"], "limits": limits });
    drop(world.start("flooded", source, more).await.exits(0));
    // What this side does not keep would look like an answer that was never given.
    let options = async_nats::ConnectOptions::new().subscription_capacity(CALLS);
    let client = options.connect(world.server.url()).await.unwrap();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    let calling = async {
        for _ in 0..CALLS {
            client.publish_with_reply("flooded", inbox.clone(), "x".into()).await.unwrap();
        }
    };
    let counting = async {
        let (mut n_refused, mut n_done) = (0, 0);
        while n_refused + n_done < CALLS {
            let answer =
                tokio::time::timeout(patience(Duration::from_secs(30)), answers.next()).await;
            let Ok(Some(answer)) = answer else { break };
            match header(&answer, "Nats-Service-Error-Code").as_deref() {
                Some("429") => n_refused += 1,
                None if answer.payload == "done" => n_done += 1,
                _ => panic!("{answer:?}"),
            }
        }
        (n_refused, n_done)
    };
    let ((), (n_refused, n_done)) = tokio::join!(calling, counting);
    assert_eq!(n_refused + n_done, CALLS, "{n_refused} refused, {n_done} done");
    assert!(n_done > 0);
    drop((answers, client));
    world.nex.ok(&["stop", "flooded"]).await;
    world.finish().await;
}
