//! J38: durables belong to (namespace, name, trigger), never to a copy.
//!
//! 1. Of two copies one is stopped and the other replaced: the position is kept, nothing is lost.
//! 2. A nexlet that is killed -9 during the last allowed delivery loses nothing: the message is dead-lettered.

use async_nats::jetstream::{self, consumer::PullConsumer};
use nex_testkit::{Signal, eventually};
use serde_json::json;

use crate::j14_stream_trigger::stream_of;
use crate::killed::process;
use crate::world::{SOON, World};

fn nexfile(max_deliver: u32) -> String {
    json!({
        "name": "worker", "type": "javascript", "file": "worker.js", "limits": {"timeout": "1m"},
        "triggers": [{
            "type": "stream", "stream": "JOBS", "max_deliver": max_deliver, "dead_letter": "dead.jobs",
        }],
    })
    .to_string()
}

#[tokio::test]
async fn j38_stopping_and_replacing_copies_keeps_the_position() {
    let world = World::up().await;
    let jetstream = jetstream::new(world.client.clone());
    stream_of(&jetstream, "JOBS", "jobs.>").await;
    stream_of(&jetstream, "DEAD", "dead.>").await;
    world.file("Nexfile", nexfile(5));
    world.file("worker.js", "() => 'one'");
    world.nex.ok(&["run", ".", "--copies", "2"]).await;
    send(&jetstream, 20).await;
    until_done(&jetstream, 20).await;
    let first = world.ids().await.remove(0);
    world.nex.ok(&["stop", &first]).await;
    send(&jetstream, 20).await;
    until_done(&jetstream, 40).await;
    world.file("worker.js", "() => 'two'");
    world.nex.ok(&["run", "."]).await;
    send(&jetstream, 20).await;
    until_done(&jetstream, 60).await;
    assert!(!world.ids().await.contains(&first));
    world.nex.ok(&["stop", "worker"]).await;
    send(&jetstream, 1).await;
    assert_eq!(state(&jetstream).await, (60, 1, 0), "the durable is there, and counts on");
    world.finish().await;
}

#[tokio::test]
async fn j38_a_message_whose_last_delivery_killed_the_nexlet_is_dead_lettered() {
    let world = World::up().await;
    let jetstream = jetstream::new(world.client.clone());
    stream_of(&jetstream, "JOBS", "jobs.>").await;
    stream_of(&jetstream, "DEAD", "dead.>").await;
    world.file("Nexfile", nexfile(1));
    world.file("worker.js", "() => { for (;;); }");
    world.nex.ok(&["run", "."]).await;
    send(&jetstream, 1).await;
    eventually("it runs", SOON, async || {
        let state = state(&jetstream).await;
        if state.2 == 1 { Ok(()) } else { Err(state) }
    })
    .await;
    process(&world.nex, "nexlet javascript").signal(Signal::SIGKILL);
    let dead = eventually("it is set aside", SOON * 4, async || {
        let dead = jetstream.get_stream("DEAD").await.map_err(|error| error.to_string())?;
        dead.get_last_raw_message_by_subject("dead.jobs").await.map_err(|error| error.to_string())
    })
    .await;
    let reason = dead.headers.get("Nex-Reason").unwrap().as_str().to_owned();
    assert_eq!(reason, "it was delivered 2 times");
    until_done(&jetstream, 1).await;
    world.finish().await;
}

async fn send(jetstream: &jetstream::Context, n: usize) {
    for n in 0..n {
        jetstream.publish(format!("jobs.{n}"), "x".into()).await.unwrap().await.unwrap();
    }
}

/// The last message that is dealt with, those that wait, and those that run.
async fn state(jetstream: &jetstream::Context) -> (u64, u64, usize) {
    let mut durable: PullConsumer =
        jetstream.get_consumer_from_stream("nex_default_worker", "JOBS").await.unwrap();
    let info = durable.info().await.unwrap();
    (info.ack_floor.stream_sequence, info.num_pending, info.num_ack_pending)
}

async fn until_done(jetstream: &jetstream::Context, last: u64) {
    eventually("all are dealt with", SOON * 4, async || {
        let state = state(jetstream).await;
        if state == (last, 0, 0) { Ok(()) } else { Err(state) }
    })
    .await;
}
