//! Functions on sources that keep their messages: each kind, and what becomes of a message.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, consumer::PullConsumer, kv, stream};
use nex_api::trigger::{Of, ScheduleTrigger};
use nex_testkit::{NatsServer, eventually};
use nex_types::{Namespace, WorkloadName};
use serde_json::{Value, json};

use crate::harness::Harness;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_for_a_place_and_are_never_refused() {
    let (harness, jetstream) = with_streams().await;
    let limits = json!({ "concurrency": 2, "queue": 0 });
    let workload = harness.deploy("slow 5", "x", with(&stream_trigger(&json!({})), &limits)).await;
    send(&jetstream, 40).await;
    until(&jetstream, (40, 0, 0)).await;
    assert_eq!(harness.engine.ran.load(Ordering::SeqCst), 40);
    assert_eq!(workload.status().facts["errors"], "0");
    end(harness, workload).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_processed_goes_to_the_dead_letter_with_its_origin() {
    let (harness, jetstream) = with_streams().await;
    let trigger = stream_trigger(&json!({ "max_deliver": 2, "dead_letter": "dead.x" }));
    let workload = harness.deploy("fail no", "x", with(&trigger, &json!({}))).await;
    let mut headers = HeaderMap::new();
    headers.insert("Mine", "kept");
    headers.insert("Nats-Msg-Id", "original");
    let sent = jetstream.publish_with_headers("in.1", headers, "bad".into()).await.unwrap();
    sent.await.unwrap();
    let dead = eventually("it is set aside", SOON, async || {
        let dead = jetstream.get_stream("DEAD").await.map_err(|error| error.to_string())?;
        dead.get_last_raw_message_by_subject("dead.x").await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(dead.payload, "bad");
    for (name, value) in [
        ("Mine", "kept"),
        ("Nats-Msg-Id", "IN.nex_default_probe.1"),
        ("Nex-Reason", "Error: no     at x"),
        ("Nex-Deliveries", "2"),
        ("Nex-Origin-Stream", "IN"),
        ("Nex-Origin-Sequence", "1"),
        ("Nex-Origin-Subject", "in.1"),
    ] {
        let seen = dead.headers.get(name).map(|value| value.as_str().to_owned());
        assert_eq!(seen.as_deref(), Some(value), "{name}");
    }
    assert_eq!(harness.engine.ran.load(Ordering::SeqCst), 2);
    until(&jetstream, (1, 0, 0)).await;
    end(harness, workload).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_no_stream_takes_keeps_the_message() {
    let (harness, jetstream) = with_streams().await;
    let trigger = stream_trigger(&json!({ "max_deliver": 1, "dead_letter": "nowhere" }));
    let start = with(&trigger, &json!({}));
    let started = harness.try_deploy(crate::harness::request("fail no", "x", start)).await.unwrap();
    assert!(started.warnings.iter().any(|w| w.contains("nowhere")), "{:?}", started.warnings);
    send(&jetstream, 1).await;
    eventually("it ran", SOON, async || {
        let errors = started.workload.status().facts["errors"].clone();
        if errors == "1" { Ok(()) } else { Err(errors) }
    })
    .await;
    until(&jetstream, (0, 0, 1)).await;
    end(harness, started.workload).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_gives_back_what_it_cut_off_and_keeps_the_position() {
    let (harness, jetstream) =
        with_streams_on(Harness::on(NatsServer::options(), Duration::from_millis(200)).await).await;
    let held = harness.deploy("hold", "x", with(&stream_trigger(&json!({})), &json!({}))).await;
    send(&jetstream, 1).await;
    harness.until_running(1).await;
    held.stop().await;
    held.ended().await;
    let next = harness.deploy("echo", "x", with(&stream_trigger(&json!({})), &json!({}))).await;
    until(&jetstream, (1, 0, 0)).await;
    let trigger = stream_trigger(&json!({ "deliver": "all" }));
    let more = with(&trigger, &json!({}));
    let again = harness.try_deploy(crate::harness::request("echo", "x", more)).await.unwrap();
    let said = again.warnings.join("\n");
    assert!(said.contains("nex_default_probe") && said.contains("goes on where it is"), "{said}");
    assert_eq!(harness.engine.ran.load(Ordering::SeqCst), 2, "nothing is run again");
    again.workload.stop().await;
    again.workload.ended().await;
    end(harness, next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_begin_at_their_latest_values_and_only_what_is_asked_for_runs() {
    let (harness, jetstream) = with_streams().await;
    let config = kv::Config { bucket: "B".to_owned(), history: 5, ..kv::Config::default() };
    let bucket = jetstream.create_key_value(config).await.unwrap();
    for (key, value) in [("a", "1"), ("a", "2"), ("b", "3")] {
        bucket.put(key, value.into()).await.unwrap();
    }
    bucket.delete("b").await.unwrap();
    let trigger = json!([{"type": "kv", "bucket": "B", "from": "all", "on": ["put"]}]);
    let workload = harness.deploy("echo", "x", json!({ "triggers": trigger })).await;
    harness.until_received(&*workload, 1).await;
    bucket.put("c", "4".into()).await.unwrap();
    harness.until_received(&*workload, 2).await;
    end(harness, workload).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_tick_is_made_up_for_when_asked() {
    let (harness, jetstream) = with_streams().await;
    let trigger =
        |catch_up: &str| json!([{"type": "schedule", "cron": "@every 1h", "catch_up": catch_up}]);
    let without = harness.deploy("echo", "x", json!({ "triggers": trigger("none") })).await;
    let wire = ScheduleTrigger { cron: "@every 1h".to_owned(), ..ScheduleTrigger::default() };
    let namespace = Namespace::parse("default").unwrap();
    let name = WorkloadName::parse("probe").unwrap();
    let subject = wire.subject(Of { namespace: &namespace, name: &name });
    let mut headers = HeaderMap::new();
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(5);
    headers.insert("Nex-Tick", long_ago.to_string());
    let sent = jetstream.publish_with_headers(subject, headers, "".into()).await.unwrap();
    sent.await.unwrap();
    let ticks = |n| {
        let jetstream = jetstream.clone();
        async move {
            eventually("the tick is dealt with", SOON, async || {
                let stream = jetstream.get_stream("NEX_TICKS_default").await.unwrap();
                let names: Vec<_> =
                    futures::TryStreamExt::try_collect(stream.consumer_names()).await.unwrap();
                let seen = state(&jetstream, "NEX_TICKS_default", &names[0]).await;
                if seen == (n, 0, 0) { Ok(()) } else { Err(seen) }
            })
            .await;
        }
    };
    ticks(1).await;
    assert_eq!(without.status().facts["calls"], "0", "a tick that is over is not run");
    let with = harness.deploy("echo", "x", json!({ "triggers": trigger("last") })).await;
    ticks(2).await;
    let calls: u64 =
        [&without, &with].map(|w| w.status().facts["calls"].parse::<u64>().unwrap()).iter().sum();
    assert_eq!(calls, 1);
    without.stop().await;
    without.ended().await;
    end(harness, with).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_not_there_is_named() {
    let harness = Harness::start().await;
    for (trigger, says) in [
        (json!({"type": "stream", "stream": "NONE"}), "there is no stream NONE"),
        (json!({"type": "kv", "bucket": "NONE"}), "there is no key-value bucket NONE"),
        (json!({"type": "object", "bucket": "NONE"}), "there is no object store NONE"),
    ] {
        let more = json!({ "triggers": [trigger] });
        let refused = harness.try_deploy(crate::harness::request("echo", "x", more)).await;
        assert_eq!(refused.map(drop).unwrap_err().message, says);
    }
    harness.finish().await;
}

/// Stopped twice in the middle of its only allowed run: neither counts, and it is no suspect either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_a_stop_cut_off_does_not_count() {
    let harness = Harness::on(NatsServer::options(), Duration::from_millis(200)).await;
    let (harness, jetstream) = with_streams_on(harness).await;
    let trigger = stream_trigger(&json!({ "max_deliver": 1, "dead_letter": "dead.x" }));
    let more = with(&trigger, &json!({ "concurrency": 1 }));
    send(&jetstream, 4).await;
    let all =
        stream_trigger(&json!({ "max_deliver": 1, "dead_letter": "dead.x", "deliver": "all" }));
    for _ in 0..2 {
        let more = with(&all, &json!({ "concurrency": 1 }));
        let held = harness.deploy("hold", "x", more).await;
        harness.until_running(1).await;
        held.stop().await;
        held.ended().await;
    }
    let last = harness.deploy("echo", "x", more).await;
    until(&jetstream, (4, 0, 0)).await;
    let dead = jetstream.get_stream("DEAD").await.unwrap().cached_info().state.messages;
    assert_eq!(dead, 0, "nothing was given up");
    assert_eq!(last.status().facts["calls"], "4");
    assert_eq!(last.status().facts["errors"], "0");
    end(harness, last).await;
}

async fn with_streams() -> (Harness, jetstream::Context) {
    with_streams_on(Harness::start().await).await
}

async fn with_streams_on(harness: Harness) -> (Harness, jetstream::Context) {
    let jetstream = jetstream::new(harness.client.clone());
    for (name, subject) in [("IN", "in.>"), ("DEAD", "dead.>")] {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            ..stream::Config::default()
        };
        jetstream.create_stream(config).await.unwrap();
    }
    (harness, jetstream)
}

fn stream_trigger(more: &Value) -> Value {
    let mut trigger = json!({ "type": "stream", "stream": "IN" });
    trigger.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    trigger
}

fn with(trigger: &Value, limits: &Value) -> Value {
    json!({ "triggers": [trigger], "limits": limits })
}

async fn send(jetstream: &jetstream::Context, n: usize) {
    for n in 0..n {
        jetstream.publish(format!("in.{n}"), "x".into()).await.unwrap().await.unwrap();
    }
}

/// Waits until so many are dealt with, so many wait, and so many run.
async fn until(jetstream: &jetstream::Context, expected: (u64, u64, usize)) {
    eventually("messages are dealt with", SOON, async || {
        let seen = state(jetstream, "IN", "nex_default_probe").await;
        if seen == expected { Ok(()) } else { Err(seen) }
    })
    .await;
}

async fn state(jetstream: &jetstream::Context, stream: &str, name: &str) -> (u64, u64, usize) {
    let mut durable: PullConsumer = jetstream.get_consumer_from_stream(name, stream).await.unwrap();
    let info = durable.info().await.unwrap();
    (info.ack_floor.stream_sequence, info.num_pending, info.num_ack_pending)
}

async fn end(harness: Harness, workload: std::sync::Arc<dyn nex_nexlet::Workload>) {
    workload.stop().await;
    workload.ended().await;
    drop(workload);
    harness.finish().await;
}
