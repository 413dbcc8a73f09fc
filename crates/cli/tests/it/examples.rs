//! The examples that use what a host offers, each as its first lines say.
//!
//! 1. A counter counts on in a key, whichever copy is asked.
//! 2. A relay posts to the webhook that is allowed, and answers with what it said.
//! 3. A worker takes orders off a stream; the one it cannot do goes to the dead letters.
//! 4. A text that is put into one bucket is in the other, in upper case.
//! 5. A scheduled job writes down its tick.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, kv, object_store, stream};
use futures::StreamExt;
use nex_testkit::{eventually, example};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{SOON, World};

#[tokio::test]
async fn the_counter_counts_in_all_copies() {
    let world = World::up().await;
    world.nex.ok(&["run", &example("counter.mjs"), "--on", "count.up", "--copies", "2"]).await;
    let asked = (0..10).map(|_| world.ask("count.up", ""));
    let answers = futures::future::join_all(asked).await;
    let seen: BTreeSet<String> = answers
        .iter()
        .map(|answer| String::from_utf8_lossy(&answer.payload).into_owned())
        .collect();
    assert_eq!(seen, (1..=10).map(|n| n.to_string()).collect());
    world.finish().await;
}

#[tokio::test]
async fn the_relay_posts_to_its_webhook() {
    let world = World::up().await;
    let hook = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = hook.local_addr().unwrap();
    let url = format!("URL=http://{address}/hook");
    let (file, host) = (example("relay.mjs"), address.to_string());
    world.nex.ok(&["run", &file, &url, "--on", "events.>", "--allow-http", &host]).await;
    let (answer, request) = tokio::join!(world.ask("events.door", "open"), serve_once(&hook));
    assert_eq!(answer.payload, "thanks", "{:?}", answer.headers);
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("x-subject: events.door\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nopen"), "{request}");
    world.finish().await;
}

#[tokio::test]
async fn the_worker_sets_aside_what_it_cannot_do() {
    let world = World::up().await;
    let jetstream = jetstream::new(world.client.clone());
    for (name, subject) in [("ORDERS", "orders.>"), ("DEAD", "dead.>")] {
        let subjects = vec![subject.to_owned()];
        let config =
            stream::Config { name: name.to_owned(), subjects, ..stream::Config::default() };
        jetstream.create_stream(config).await.unwrap();
    }
    let mut logs = world.follow(&["logs", "orders", "-f"]).await;
    world.nex.ok(&["run", &example("orders.yaml")]).await;
    for (subject, order) in [
        ("orders.1", r#"{"item":"pear","count":3}"#),
        ("orders.2", r#"{"item":"plum","count":0}"#),
        ("orders.3", r#"{"item":"fig","count":1}"#),
    ] {
        jetstream.publish(subject, order.into()).await.unwrap().await.unwrap();
    }
    // Orders are worked off side by side.
    let mut done = BTreeSet::new();
    for _ in 0..2 {
        let line = logs.line(SOON, |said| said.starts_with("orders: order ")).await.unwrap();
        done.insert(line);
    }
    let expected = ["orders: order 1: 3 × pear", "orders: order 3: 1 × fig"];
    assert_eq!(done, expected.map(str::to_owned).into());
    let dead = jetstream.get_stream("DEAD").await.unwrap();
    let letter = eventually("the order is set aside", SOON, async || {
        dead.get_last_raw_message_by_subject("dead.orders").await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(letter.payload, r#"{"item":"plum","count":0}"#);
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn texts_are_put_into_the_other_bucket_in_upper_case() {
    let world = World::up().await;
    let jetstream = jetstream::new(world.client.clone());
    let mut stores = Vec::new();
    for bucket in ["IN", "OUT"] {
        let config =
            object_store::Config { bucket: bucket.to_owned(), ..object_store::Config::default() };
        stores.push(jetstream.create_object_store(config).await.unwrap());
    }
    let file = example("upper.mjs");
    let buckets = ["--object-bucket", "IN", "--object-bucket", "OUT"];
    world.nex.ok(&[&["run", &file, "--on", "object:IN"], &buckets[..]].concat()).await;
    stores[0].put("greeting.txt", &mut b"hello".as_slice()).await.unwrap();
    let put = eventually("the text is there", SOON, async || {
        let mut object = stores[1].get("greeting.txt").await.map_err(|error| error.to_string())?;
        let mut text = String::new();
        object.read_to_string(&mut text).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(text)
    })
    .await;
    assert_eq!(put, "HELLO");
    world.finish().await;
}

#[tokio::test]
async fn the_scheduled_job_writes_down_its_ticks() {
    let world = World::up().await;
    world.nex.ok(&["run", &example("heartbeat.mjs"), "--on", "every:1s"]).await;
    let jetstream = jetstream::new(world.client.clone());
    let bucket: kv::Store = eventually("the job has a bucket", SOON, async || {
        let bucket = jetstream.get_key_value("hs_default_heartbeat_kv").await;
        bucket.map_err(|error| error.to_string())
    })
    .await;
    let mut ticks = bucket.watch_from_revision("last", 1).await.unwrap();
    let first = ticks.next().await.unwrap().unwrap();
    let second = ticks.next().await.unwrap().unwrap();
    assert!(first.value < second.value, "{first:?} {second:?}");
    world.finish().await;
}

/// Answers one request with "thanks"; what it was.
async fn serve_once(listener: &TcpListener) -> String {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"open") {
        let n = connection.read_buf(&mut request).await.unwrap();
        assert!(n > 0, "the request ended early: {}", String::from_utf8_lossy(&request));
    }
    connection
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nthanks")
        .await
        .unwrap();
    String::from_utf8_lossy(&request).into_owned()
}
