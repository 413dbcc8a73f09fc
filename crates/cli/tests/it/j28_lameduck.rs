//! J28: lame duck mode with a delay (spec: control API, sections 2.4 and 5.10; checks 11, 34).
//!
//! 1. Bids stop at once, deploys are refused, the tag and the state show; what runs goes on.
//! 2. Workloads stop at nine tenths of the delay, while the node still answers; at its end the process ends with 0.
//! 3. Events tell it in order: NODELAMEDUCKSET, AGENTLAMEDUCKSET, WORKLOADSTOPPED, NODESTOPPED.
//! 4. A second request only brings the end nearer; a nexlet that dies is not started again; a call that
//!    runs is answered; delay 0 replies first.
//! 5. Other tags: silence. No duration: 400. An unknown node: exit code 4.

use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures::StreamExt;
use nex_testkit::{NatsServer, Nex, Signal, echo_service, eventually};
use serde_json::{Value, json};

use crate::control_deploy::{bid, deploy_body};
use crate::control_errors::assert_node_error;
use crate::guests::{BUSY, ECHO};
use crate::killed::process;
use crate::world::{
    SOON, World, assert_no_responders, assert_refused, assert_silence, json_of, seat, text, try_ask,
};

/// From request to end; workloads have nine tenths of it.
const DELAY: Duration = Duration::from_secs(8);

async fn events(world: &World) -> Subscriber {
    let feed = world.client.subscribe("$NEX.FEED.*.events.*").await.unwrap();
    world.server.until_subscribed("$NEX.FEED.*.events.*").await;
    feed
}

/// The type tokens and payloads of all events so far, until NODESTOPPED.
async fn story(mut feed: Subscriber) -> Vec<(String, Value)> {
    let mut story = Vec::new();
    while story.last().is_none_or(|(kind, _)| kind != "NODESTOPPED") {
        let event = tokio::time::timeout(SOON, feed.next()).await;
        let event = event.unwrap_or_else(|_| panic!("no end: {story:#?}")).unwrap();
        let kind = event.subject.rsplit('.').next().unwrap().to_owned();
        story.push((kind, json_of(&event)));
    }
    story
}

async fn lameduck(world: &World, node: &str, body: Value) -> async_nats::Message {
    world.ask(&format!("$NEX.SVC.system.control.LAMEDUCK.{node}"), body.to_string()).await
}

#[tokio::test]
async fn j28_a_lame_duck_takes_nothing_and_ends_in_time() {
    let mut world = World::up().await;
    let node = world.node_id().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    world.until_answered("svc.echo", "hello", "hello").await;
    let old_bid = bid(&world, "javascript").await;
    let feed = events(&world).await;

    let asked = Instant::now();
    let told = world.nex.ok(&["lameduck", &node[..12], "--delay", "8s"]).await;
    let says =
        "Node successfully commanded into lame duck mode. Workloads will being shutting down at 20";
    assert!(told.text().starts_with(says), "{told}");
    assert!(told.stderr.contains("node entering lameduck mode, will shutdown at 20"), "{told}");

    let auction = json!({ "agent_type": "javascript", "auction_id": "A", "tags": null });
    assert_silence(&world.client, "AUCTION", auction).await;
    let late = world.control(&format!("ADEPLOY.{old_bid}"), deploy_body("default", "x", "x")).await;
    assert_node_error(&late, "503", "node is stopping");
    let tags = world.control_json("$NEX.SVC.system.control.PTAGS", "").await;
    assert_eq!(tags["nex.lameduck"], "true");
    let lame = json!({ "filter": { "nex.lameduck": "true" } });
    let pong = world.control_json("$NEX.SVC.system.control.PING", lame).await;
    assert_eq!([&pong["state"], &pong["tags"]["nex.lameduck"]], ["lameduck", "true"]);
    let table = world.nex.ok(&["nodes"]).await.text();
    assert!(table.contains(&format!("{node}*")) && table.contains("lameduck"), "{table}");
    let info = world.nex.ok(&["info", &node]).await.text();
    assert_eq!(info.matches("shutting down").count(), 3, "{info}");
    assert_eq!(world.ask("js.echo", "still").await.payload, "still");

    eventually("the function has been stopped", DELAY * 2, async || {
        match try_ask(&world.client, "js.echo", b"x".to_vec()).await {
            Ok(reply) => Err(format!("{reply:?}")),
            Err(_) => Ok(()),
        }
    })
    .await;
    let stopped = asked.elapsed();
    assert!(stopped >= DELAY * 9 / 10 - Duration::from_millis(50), "stopped after {stopped:?}");
    let pong = world.control_json("$NEX.SVC.system.control.PING", "null").await;
    assert_eq!(pong["state"], "lameduck", "the node is still there after {:?}", asked.elapsed());

    let status = world.nex.node_ends(SOON).await;
    let ended = asked.elapsed();
    assert!(status.success(), "{status}");
    assert!(ended >= DELAY && ended < DELAY + Duration::from_secs(5), "ended after {ended:?}");
    assert_no_responders(&world.client, "svc.echo").await;
    check_story(&node, &story(feed).await);
    world.finish().await;
}

fn check_story(node: &str, story: &[(String, Value)]) {
    let count = |kind: &str| story.iter().filter(|(seen, _)| seen == kind).count();
    assert_eq!(count("AGENTLAMEDUCKSET"), 3, "{story:#?}");
    assert_eq!((count("WORKLOADSTOPPED"), count("AGENTSTOPPED")), (2, 3), "{story:#?}");
    assert_eq!((count("AGENTSTARTED"), count("WORKLOADSTARTED")), (0, 0), "{story:#?}");
    let position = |kind: &str| story.iter().position(|(seen, _)| seen == kind).unwrap();
    let (set, stopped) = (position("NODELAMEDUCKSET"), position("WORKLOADSTOPPED"));
    assert!(set < stopped && stopped < position("NODESTOPPED"), "{story:#?}");
    assert_eq!(story[set].1["id"], node);
    assert!(text(&story[set].1, "/time").starts_with("20"));
    for (kind, payload) in story {
        match kind.as_str() {
            "AGENTLAMEDUCKSET" => assert_eq!(payload, &json!({ "success": true })),
            "WORKLOADSTOPPED" => assert_eq!(payload.get("error"), None, "{payload}"),
            _ => {}
        }
    }
}

/// The time that a reply names.
fn end_of(reply: &async_nats::Message) -> jiff::civil::DateTime {
    let reply = json_of(reply);
    assert_eq!(reply["success"], true);
    let message = text(&reply, "/message");
    let time = message.strip_prefix("node entering lameduck mode, will shutdown at ").unwrap();
    assert_eq!(time.len(), "2026-04-23 09:00:10".len());
    time.parse().unwrap()
}

#[tokio::test]
async fn j28_a_second_request_only_brings_the_end_nearer() {
    let mut world = World::up().await;
    let node = world.node_id().await;
    world.deploy("busy.js", BUSY, "busy").await;
    let feed = events(&world).await;
    let first = end_of(&lameduck(&world, &node, json!({ "delay": "1h" })).await);
    let later = end_of(&lameduck(&world, &node, json!({ "delay": "2h", "tag": null })).await);
    assert!(first.duration_until(later).as_secs().abs() <= 1, "{first} and {later}");

    process(&world.nex, "nexlet wasm").signal(Signal::SIGKILL);
    eventually("the node knows that it is gone", SOON, async || {
        let pong = world.control_json("$NEX.SVC.system.control.PING", "null").await;
        if pong["agent_count"] == 2 { Ok(()) } else { Err(pong) }
    })
    .await;
    let asked = Instant::now();
    let nearer = end_of(&lameduck(&world, &node, json!({ "delay": "3s" })).await);
    assert!(nearer < first);
    // It runs when its function is told to stop, and is answered all the same.
    let reply = world.ask("busy", "3200").await;
    assert_eq!((reply.payload.as_ref(), reply.headers.is_none()), (&b"done"[..], true));
    assert!(world.nex.node_ends(SOON).await.success());
    assert!(asked.elapsed() >= Duration::from_secs(3), "{:?}", asked.elapsed());
    let story = story(feed).await;
    let again = story.iter().find(|(kind, _)| kind == "AGENTSTARTED");
    assert_eq!(again, None, "a lame duck starts nothing again");
    world.finish().await;
}

#[tokio::test]
async fn j28_requests_that_are_refused_change_nothing() {
    let mut world = World::up().await;
    let node = world.node_id().await;
    let subject = format!("$NEX.SVC.system.control.LAMEDUCK.{node}");
    let tags = json!({ "nex.nexus": "nexus", "region": "moon" });
    assert_silence(&world.client, &subject, json!({ "delay": "1s", "tag": tags })).await;
    // The tag is looked at before the delay.
    assert_silence(&world.client, &subject, json!({ "delay": "abc", "tag": tags })).await;
    for delay in ["abc", "", "5", "-1s", "1s2"] {
        let reply = lameduck(&world, &node, json!({ "delay": delay })).await;
        let error = assert_node_error(&reply, "400", "failed to parse lameduck delay");
        assert_eq!(error, format!("time: invalid duration {delay:?}"));
    }
    let unknown = world.nex.run(&["lameduck", "NOSUCH"]).await;
    assert_refused(unknown, 4, &["node not found: NOSUCH"], "nex nodes");
    for flag in ["--delay", "--tag"] {
        let wrong = world.nex.run(&["lameduck", &node, flag, "soon"]).await;
        assert_eq!(wrong.code, 2, "{wrong}");
    }
    let pong = world.control_json("$NEX.SVC.system.control.PING", "null").await;
    assert_eq!([&pong["state"], &pong["tags"]["nex.lameduck"]], ["running", "false"]);

    // Without a delay the reply comes first.
    let tags = json!({ "nex.nexus": "nexus" });
    end_of(&lameduck(&world, &node, json!({ "delay": "0", "tag": tags })).await);
    assert!(world.nex.node_ends(SOON).await.success());
    world.finish().await;
}

#[tokio::test]
async fn j28_node_up_ends_with_status_0_too() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).down();
    let mut node = nex.spawn(&["node", "up", "--node-name", "short-lived"]);
    node.line(Duration::from_secs(60), |line| line.starts_with("ready")).await.unwrap();
    let told = nex.ok(&["node", "down", "short-lived", "--delay", "200ms", "--json"]).await.json();
    assert_eq!(told["success"], true);
    assert!(node.exit(SOON).await.unwrap().success());
    nex.finish().await;
    server.assert_no_other_clients().await;
}
