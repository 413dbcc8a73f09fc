//! What a function counts of its calls.

use std::sync::atomic::Ordering;

use nex_nexlet::{FunctionMetrics, Workload};
use serde_json::json;

use crate::harness::{Harness, error_of};

fn counted(workload: &dyn Workload) -> FunctionMetrics {
    workload.metrics().and_then(|metrics| metrics.function).expect("a function counts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_bytes_and_times_are_counted_when_their_callers_have_the_answer() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "probe", json!({})).await;
    for payload in ["a", "bc", "def"] {
        assert_eq!(harness.call("probe", payload).await.payload, payload);
    }
    let counted = counted(workload.as_ref());
    assert_eq!((counted.calls, counted.in_flight), (3, 0));
    assert_eq!((counted.bytes_received, counted.bytes_sent), (6, 6));
    assert_eq!((counted.duration.count(), counted.queue_time.count()), (3, 3));
    assert!(counted.errors.is_empty(), "{counted:?}");
    assert!(counted.duration.quantile(0.99).is_some());
    workload.stop().await;
    workload.ended().await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_counts_its_wait_and_one_that_is_refused_counts_as_an_error_alone() {
    let harness = Harness::start().await;
    let limits = json!({ "limits": { "concurrency": 1, "queue": 1 } });
    let workload = harness.deploy("hold", "probe", limits).await;
    let running = harness.call_later("probe");
    harness.until_running(1).await;
    let waiting = harness.call_later("probe");
    harness.until_received(workload.as_ref(), 2).await;
    let refused = harness.call("probe", "x").await;
    assert_eq!(error_of(&refused).0, "429");
    let meanwhile = counted(workload.as_ref());
    assert_eq!((meanwhile.calls, meanwhile.in_flight), (3, 2));
    assert_eq!((meanwhile.queue_time.count(), meanwhile.duration.count()), (1, 0));
    harness.engine.permits.add_permits(2);
    running.await.unwrap();
    waiting.await.unwrap();
    let counted = counted(workload.as_ref());
    assert_eq!(counted.errors["429"], 1);
    assert_eq!((counted.queue_time.count(), counted.duration.count()), (2, 2));
    assert!(counted.queue_time.sum > 0.0, "the second waited");
    assert!(counted.bytes_sent > refused.payload.len() as u64, "error replies have bytes too");
    assert_eq!(harness.engine.ran.load(Ordering::SeqCst), 2);
    workload.stop().await;
    workload.ended().await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_counted_by_their_status_and_a_function_s_own_as_others() {
    let harness = Harness::start().await;
    let failing = harness.deploy("fail no", "failing", json!({})).await;
    let own = harness.deploy("status", "own", json!({})).await;
    assert_eq!(error_of(&harness.call("failing", "x").await).0, "500");
    harness.call("own", "x").await;
    assert_eq!(counted(failing.as_ref()).errors["500"], 1);
    assert_eq!(counted(own.as_ref()).errors["other"], 1);
    for workload in [failing, own] {
        workload.stop().await;
        workload.ended().await;
    }
    harness.finish().await;
}
