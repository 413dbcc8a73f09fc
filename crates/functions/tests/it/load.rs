//! Many calls: waiting, refusing, deadlines.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt;
use nex_api::workload::WorkloadState;
use nex_testkit::eventually;
use serde_json::json;

use crate::harness::{Harness, error_of, header};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_queue_callers_get_429_at_once_and_all_others_their_reply() {
    let harness = Harness::start().await;
    let limits = json!({ "limits": { "concurrency": 1, "queue": 2 } });
    let workload = harness.deploy("hold", "probe", limits).await;
    let running = harness.call_later("probe");
    harness.until_running(1).await;
    let waiting = [harness.call_later("probe"), harness.call_later("probe")];
    harness.until_received(workload.as_ref(), 3).await;
    let status = workload.status();
    assert_eq!((status.state, status.phase), (WorkloadState::Running, "running"));
    let refused = harness.call("probe", "x").await;
    let (status, code, error) = error_of(&refused);
    assert_eq!((status.as_str(), code.as_str()), ("429", "NEX-301"));
    assert!(error.contains("limits.queue"), "{error}");
    assert_eq!(header(&refused, "Retry-After").as_deref(), Some("1"));
    harness.engine.permits.add_permits(3);
    for reply in [running].into_iter().chain(waiting) {
        assert_eq!(reply.await.unwrap().payload, "x");
    }
    assert_eq!(workload.status().facts["errors_429"], "1");
    workload.stop().await;
    workload.ended().await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_past_its_deadline_gets_504_also_one_that_only_waited() {
    let harness = Harness::start().await;
    let limits = json!({ "limits": { "concurrency": 1, "timeout": "200ms" } });
    let _workload = harness.deploy("stuck", "probe", limits).await;
    let began = Instant::now();
    let running = harness.call_later("probe");
    harness.until_running(1).await;
    let waited = harness.call_later("probe");
    for reply in [running, waited] {
        let (status, code, _) = error_of(&reply.await.unwrap());
        assert_eq!((status.as_str(), code.as_str()), ("504", "NEX-304"));
    }
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_disobeys_the_deadline_is_dropped() {
    let harness = Harness::start().await;
    let limits = json!({ "limits": { "timeout": "50ms" } });
    let workload = harness.deploy("disobey", "probe", limits).await;
    let (status, _, _) = error_of(&harness.call("probe", "x").await);
    assert_eq!(status, "504");
    harness.until_running(0).await;
    workload.stop().await;
    workload.ended().await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_function_slows_no_other() {
    let harness = Harness::start().await;
    let limits = json!({ "limits": { "concurrency": 1, "timeout": "5s" } });
    let _stuck = harness.deploy("stuck", "stuck", limits).await;
    let _echo = harness.deploy("echo", "echo", json!({})).await;
    let _held: Vec<_> = (0..32).map(|_| harness.call_later("stuck")).collect();
    harness.until_running(1).await;
    let began = Instant::now();
    for _ in 0..100 {
        harness.call("echo", "x").await;
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(harness.engine.ran.load(Ordering::SeqCst), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_engine_has_no_room_the_caller_gets_429_and_the_setting() {
    let harness = Harness::start().await;
    let workload = harness.deploy("busy see --functions-memory", "probe", json!({})).await;
    let refused = harness.call("probe", "x").await;
    let (status, code, error) = error_of(&refused);
    assert_eq!((status.as_str(), code.as_str()), ("429", "NEX-301"));
    assert_eq!(error, "see --functions-memory");
    assert_eq!(header(&refused, "Retry-After").as_deref(), Some("1"));
    assert_eq!(workload.status().facts["errors_429"], "1");
    workload.stop().await;
    workload.ended().await;
    harness.finish().await;
}

/// No more than the library keeps for a reader, so that a machine that pauses it loses none.
const FLOOD: u32 = 50_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_loses_no_message_on_the_way_to_the_queue() {
    let harness = Harness::start().await;
    let limits = json!({ "limits": { "concurrency": 1, "queue": 0, "timeout": "1m" } });
    let workload = harness.deploy("hold", "probe", limits).await;
    let _running = harness.call_later("probe");
    harness.until_running(1).await;
    for _ in 0..FLOOD {
        harness.client.publish("probe", "x".into()).await.unwrap();
    }
    harness.client.flush().await.unwrap();
    eventually("all are taken in", Duration::from_secs(60), async || {
        let calls = workload.status().facts["calls"].clone();
        if calls == (FLOOD + 1).to_string() { Ok(()) } else { Err(calls) }
    })
    .await;
    assert_eq!(workload.status().facts["errors_429"], FLOOD.to_string());
    assert_eq!(nex_bus::slow_consumers(), 0);
    harness.engine.permits.add_permits(1);
    workload.stop().await;
    workload.ended().await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_caller_of_a_flood_is_answered_and_the_reader_is_never_too_slow() {
    const CALLS: usize = FLOOD as usize;
    let harness = Harness::start().await;
    let limits = json!({ "limits": { "concurrency": 1, "queue": 0, "timeout": "1m" } });
    let workload = harness.deploy("hold", "probe", limits).await;
    let running = harness.call_later("probe");
    harness.until_running(1).await;
    // What this side does not keep would look like an answer that was never given.
    let options = async_nats::ConnectOptions::new().subscription_capacity(CALLS);
    let client = options.connect(harness.server.url()).await.unwrap();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    for _ in 0..CALLS {
        client.publish_with_reply("probe", inbox.clone(), "x".into()).await.unwrap();
    }
    for n in 0..CALLS {
        let answer = tokio::time::timeout(Duration::from_secs(60), answers.next()).await;
        let answer = answer.unwrap_or_else(|_| panic!("{n} answers, and no more"));
        assert_eq!(error_of(&answer.unwrap()).0, "429");
    }
    assert_eq!(nex_bus::slow_consumers(), 0);
    let counted = workload.metrics().and_then(|metrics| metrics.function).unwrap();
    assert_eq!(counted.errors["429"], CALLS as u64);
    harness.engine.permits.add_permits(1);
    running.await.unwrap();
    drop((answers, client));
    workload.stop().await;
    workload.ended().await;
    harness.finish().await;
}
