//! J14: a function on a stream.
//!
//! 1. Of 1,000 messages each is processed at least once, though the nexlet is killed -9 in the middle.
//! 2. A message that the function cannot process ends at `dead_letter`, told why, and is terminated.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, consumer::PullConsumer, stream};
use nex_testkit::{Signal, eventually};
use serde_json::json;

use crate::killed::process;
use crate::world::{SOON, World};

const N_MESSAGES: usize = 1_000;

/// Logs what it processed; poison is thrown.
const WORKER: &str = "export default (subject, payload, ctx) => {
    if (payload.text() === 'poison') throw new Error('cannot digest ' + subject);
    console.log('done ' + payload.text());
    for (let n = 0; n < 20000; n++);
};";

#[tokio::test]
async fn j14_each_message_is_processed_though_the_nexlet_is_killed_and_poison_is_set_aside() {
    let world = World::up().await;
    let jetstream = jetstream::new(world.client.clone());
    stream_of(&jetstream, "ORDERS", "orders.>").await;
    stream_of(&jetstream, "DEAD", "dead.>").await;
    let mut logs = world.client.subscribe("$NEX.FEED.default.logs.>").await.unwrap();
    world.client.flush().await.unwrap();

    let trigger = json!({
        "type": "stream", "stream": "ORDERS", "filter": "orders.*", "deliver": "all",
        "max_deliver": 2, "dead_letter": "dead.orders",
    });
    let started = world.start("worker", WORKER, json!({ "triggers": [trigger] })).await;
    assert_eq!(started.code, 0, "{started}");
    for n in 0..N_MESSAGES {
        jetstream.publish(format!("orders.{n}"), n.to_string().into()).await.unwrap();
    }
    jetstream.publish("orders.bad", "poison".into()).await.unwrap().await.unwrap();

    let mut done = BTreeSet::new();
    let mut was_killed = false;
    let all = async {
        use futures::StreamExt;
        while done.len() < N_MESSAGES {
            let line = logs.next().await.unwrap();
            let line = String::from_utf8_lossy(&line.payload).into_owned();
            if let Some(n) = line.strip_prefix("done ") {
                done.insert(n.to_owned());
            }
            if done.len() == N_MESSAGES / 3 && !was_killed {
                was_killed = true;
                process(&world.nex, "nexlet javascript").signal(Signal::SIGKILL);
            }
        }
    };
    let in_time = tokio::time::timeout(SOON * 10, all).await;
    assert!(in_time.is_ok(), "{} of {N_MESSAGES} were processed", done.len());
    assert!(was_killed);

    let dead = eventually("the poison is set aside", SOON * 4, async || {
        let dead = jetstream.get_stream("DEAD").await.map_err(|error| error.to_string())?;
        dead.get_last_raw_message_by_subject("dead.orders").await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(dead.payload, "poison");
    let header = |name: &str| dead.headers.get(name).unwrap().as_str().to_owned();
    assert!(header("Nex-Reason").contains("cannot digest orders.bad"), "{}", header("Nex-Reason"));
    assert_eq!(header("Nex-Origin-Stream"), "ORDERS");
    assert_eq!(header("Nex-Origin-Subject"), "orders.bad");
    assert_eq!(header("Nex-Origin-Sequence"), (N_MESSAGES + 1).to_string());
    eventually("nothing is left", SOON * 4, async || {
        let mut durable: PullConsumer =
            jetstream.get_consumer_from_stream("nex_default_worker", "ORDERS").await.unwrap();
        let info = durable.info().await.unwrap();
        let left = (info.num_pending, info.num_ack_pending);
        if left == (0, 0) { Ok(()) } else { Err(left) }
    })
    .await;
    world.finish().await;
}

pub(crate) async fn stream_of(jetstream: &jetstream::Context, name: &str, subject: &str) {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        ..stream::Config::default()
    };
    jetstream.create_stream(config).await.unwrap();
}
