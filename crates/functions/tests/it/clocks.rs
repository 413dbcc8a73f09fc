//! A machine whose clock is off: it does not tick, says so, and ticks once the clocks agree.
//!
//! The server's clock is played: questions about the stream of ticks are led to the test, which answers
//! with a time of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::Client;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use nex_nexlet::Nexlet as _;
use nex_sandbox::{OnFailure, Tasks};
use nex_testkit::{NatsServer, eventually, patience};
use serde_json::json;

use crate::harness::{Harness, request};

const QUESTIONS: &str = "questions.about.ticks";
const SOON: Duration = Duration::from_secs(30);

/// What the server's clock is said to be.
#[derive(Default)]
struct Clock {
    seconds_off: AtomicI64,
    n_asked: AtomicUsize,
}

/// Answers the first question as a server does that has no such stream, which is then made.
async fn play(client: Client, clock: Arc<Clock>) {
    let mut questions = client.subscribe(QUESTIONS).await.unwrap();
    while let Some(question) = questions.next().await {
        let off = SignedDuration::from_secs(clock.seconds_off.load(Ordering::SeqCst));
        let answer = match clock.n_asked.fetch_add(1, Ordering::SeqCst) {
            0 => {
                json!({ "error": { "code": 404, "err_code": 10059, "description": "stream not found" } })
            }
            _ => json!({ "ts": (Timestamp::now() + off).to_string() }),
        };
        let answer = answer.to_string().into();
        client.publish(question.reply.unwrap(), answer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_does_not_tick_and_says_so() {
    let mapped =
        format!("mappings = {{ \"$JS.API.STREAM.INFO.NEX_TICKS_default\": \"{QUESTIONS}\" }}");
    let server = NatsServer::options().configuration(&mapped);
    let harness = Harness::on(server, Duration::from_secs(5)).await;
    let (clock, tasks) = (Arc::new(Clock::default()), Tasks::new());
    clock.seconds_off.store(-10, Ordering::SeqCst);
    tasks.spawn("clock", OnFailure::Log, play(harness.client.clone(), Arc::clone(&clock)));
    harness.server.until_subscribed(QUESTIONS).await;
    let mut lines = harness.client.subscribe("$NEX.FEED.default.logs.>").await.unwrap();
    let mut ticks = harness.client.subscribe("$NEX.TICKS.>").await.unwrap();
    harness.server.until_subscribed("$NEX.TICKS.>").await;

    let every = json!({ "triggers": [{ "type": "schedule", "cron": "@every 1s" }] });
    let start = harness.start_of(&request("echo", "x", every));
    let workload = harness.nexlet.start(start).await.unwrap().workload;
    let line = tokio::time::timeout(patience(SOON), lines.next()).await.unwrap().unwrap();
    let line = String::from_utf8_lossy(&line.payload).into_owned();
    assert!(line.contains("clock is 10 s off") || line.contains("clock is 9 s off"), "{line}");
    // Asked again twice, which takes some seconds, and still silent.
    let asked = clock.n_asked.load(Ordering::SeqCst);
    eventually("the clocks are compared again", SOON, async || {
        let now = clock.n_asked.load(Ordering::SeqCst);
        if now >= asked + 2 { Ok(()) } else { Err(now) }
    })
    .await;
    let early = futures::FutureExt::now_or_never(ticks.next());
    assert!(early.is_none(), "it ticked: {early:?}");

    clock.seconds_off.store(0, Ordering::SeqCst);
    let tick = tokio::time::timeout(patience(SOON), ticks.next()).await.unwrap().unwrap();
    assert!(tick.headers.unwrap().get("Nex-Tick").is_some());
    workload.stop().await;
    workload.ended().await;
    drop(workload);
    tasks.shutdown(Duration::from_secs(1)).await;
    harness.finish().await;
}
