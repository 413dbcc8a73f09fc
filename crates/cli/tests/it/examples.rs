//! The examples, each as its first lines say.
//!
//! 1. A counter counts on in a key, whichever copy is asked.
//! 2. A relay posts to the webhook that is allowed, and answers with what it said.
//! 3. A worker takes orders off a stream; the one it cannot do goes to the dead letters.
//! 4. A text that is put into one bucket is in the other, in upper case.
//! 5. A scheduled job writes down its tick.
//! 6. A clock in C ticks in the log until it is stopped.
//! 7. A job counts the words of an object, and fails when there is no such object.
//! 8. The echo service runs as its Nexfile says, and its health is watched.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, kv, object_store, stream};
use futures::StreamExt;
use nex_testkit::{echo_service, eventually, example, word_count};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::site::serve_once;
use crate::world::{SOON, World, text};

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
    let (answer, request) =
        tokio::join!(world.ask("events.door", "open"), serve_once(&hook, "open"));
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

#[tokio::test]
async fn the_clock_ticks_in_the_log_until_it_is_stopped() {
    let world = World::up().await;
    let mut build = std::process::Command::new("cc");
    build.args(["-static", "-o", "clock-service", &example("clock-service.c")]);
    let built = build.current_dir(world.nex.work_dir()).output().expect("a C compiler named cc");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut logs = world.follow(&["logs", "clock-service", "-f"]).await;
    world.nex.ok(&["run", "clock-service"]).await;
    let mut last = String::new();
    for _ in 0..2 {
        let tick = logs.line(SOON, |line| line.ends_with('Z')).await.unwrap();
        assert!(tick >= last, "{tick} after {last}");
        last = tick;
    }
    world.nex.ok(&["stop", "clock-service"]).await;
    logs.line(SOON, |line| line == "clock-service: the clock stops").await.unwrap();
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn the_job_counts_the_words_of_an_object() {
    let world = World::up().await;
    let config = object_store::Config { bucket: "TEXTS".to_owned(), ..Default::default() };
    let store = jetstream::new(world.client.clone()).create_object_store(config).await.unwrap();
    let poem = "so much depends\nupon\n\na red wheel\nbarrow\n";
    store.put("poem.txt", &mut poem.as_bytes()).await.unwrap();
    let program = word_count().unwrap().display().to_string();
    let mut logs = world.follow(&["logs", "-f"]).await;
    let mut events = world.follow(&["events", "-f", "--json"]).await;
    for (object, name) in [("poem.txt", "word-count"), ("prose.txt", "in-vain")] {
        let job = ["run", &program, "--job", "--name", name, "--", "TEXTS", object];
        world.nex.ok(&job).await;
        let line = events.line(SOON, |line| line.contains("WORKLOADSTOPPED")).await.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        if object == "poem.txt" {
            let counted = "word-count: poem.txt: 5 lines, 8 words, 41 bytes";
            logs.line(SOON, |line| line == counted).await.unwrap();
            assert_eq!(event.pointer("/event/error"), None, "{event:#}");
        } else {
            assert_eq!(text(&event, "/event/error/code"), "1", "{event:#}");
        }
    }
    drop((logs, events));
    world.finish().await;
}

#[tokio::test]
async fn the_echo_service_runs_as_its_nexfile_says() {
    let world = World::up().await;
    world.file("echo-service.yaml", std::fs::read(example("echo-service.yaml")).unwrap());
    let built = world.nex.work_dir().join("echo-service/target/x86_64-unknown-linux-gnu/release");
    std::fs::create_dir_all(&built).unwrap();
    let program = echo_service().unwrap();
    std::os::unix::fs::symlink(program, built.join("echo-service")).unwrap();
    world.nex.ok(&["run", "echo-service.yaml"]).await;
    world.until_answered("svc.echo", "hello", "hello").await;
    let info = world.nex.ok(&["info", "echo-service", "--json"]).await.text();
    assert!(info.contains("running"), "{info}");
    world.nex.ok(&["stop", "echo-service"]).await;
    world.finish().await;
}
