//! The end of a function.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use nex_api::workload::WorkloadState;
use nex_nexlet::Nexlet;
use nex_sandbox::{OnFailure, Tasks};
use nex_testkit::NatsServer;
use serde_json::json;

use crate::harness::{Harness, error_of};

const N_CALLERS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_64_callers_loses_no_call() {
    let harness = Harness::start().await;
    for round in 0..5 {
        let workload = harness.deploy("echo", "busy", json!({})).await;
        let callers = Tasks::new();
        let (answered, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..N_CALLERS {
            let client = harness.client.clone();
            let (answered, lost) = (Arc::clone(&answered), Arc::clone(&lost));
            callers.spawn("caller", OnFailure::Log, async move {
                loop {
                    let asked = client.request("busy", "x".into());
                    match tokio::time::timeout(Duration::from_secs(5), asked).await {
                        Ok(Ok(reply)) => {
                            assert_eq!(reply.payload, "x");
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                        // Nobody listens any more, which the server says at once.
                        Ok(Err(error))
                            if error.kind() == async_nats::RequestErrorKind::NoResponders =>
                        {
                            return;
                        }
                        Ok(Err(_)) | Err(_) => {
                            lost.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                    }
                }
            });
        }
        nex_testkit::eventually("callers are at it", Duration::from_secs(5), async || {
            let n_answered = answered.load(Ordering::SeqCst);
            if n_answered > 2000 { Ok(()) } else { Err(n_answered) }
        })
        .await;
        workload.stop().await;
        workload.ended().await;
        assert!(callers.shutdown(Duration::from_secs(10)).await);
        assert_eq!(lost.load(Ordering::SeqCst), 0, "round {round}");
        let calls = workload.status().facts["calls"].clone();
        assert_eq!(calls, answered.load(Ordering::SeqCst).to_string(), "round {round}");
    }
    harness.finish().await;
}

/// Nobody waits for the reply before, so that many messages are between server and nexlet when the
/// stop comes. Each is answered, by the function or, when it came too late, by the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_a_flood_loses_no_call() {
    const N_MESSAGES: usize = 20_000;
    let harness = Harness::start().await;
    for round in 0..5 {
        let limits = json!({ "limits": { "queue": 65536, "timeout": "30s" } });
        let workload = harness.deploy("echo", "flood", limits).await;
        let mut answers = harness.client.subscribe(format!("_INBOX.flood{round}.*")).await.unwrap();
        let client = harness.client.clone();
        let flood = async {
            for idx in 0..N_MESSAGES {
                let reply = format!("_INBOX.flood{round}.{idx}");
                client.publish_with_reply("flood", reply, "x".into()).await.unwrap();
            }
        };
        let stop = async {
            nex_testkit::eventually("the flood is there", Duration::from_secs(5), async || {
                let calls = workload.status().facts["calls"].clone();
                if calls == "0" { Err(calls) } else { Ok(()) }
            })
            .await;
            workload.stop().await;
        };
        let count = async {
            let mut n_answers = 0;
            while n_answers < N_MESSAGES {
                let next = tokio::time::timeout(Duration::from_secs(5), answers.next()).await;
                if next.is_err() {
                    break;
                }
                n_answers += 1;
            }
            n_answers
        };
        let ((), (), n_answers) = tokio::join!(flood, stop, count);
        assert_eq!(n_answers, N_MESSAGES, "round {round}");
        workload.ended().await;
    }
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_runs_after_the_stop() {
    let harness = Harness::start().await;
    let limits = json!({ "limits": { "concurrency": 1, "timeout": "10s" } });
    let workload = harness.deploy("hold", "probe", limits).await;
    let delivered: Vec<_> = (0..5).map(|_| harness.call_later("probe")).collect();
    harness.until_received(workload.as_ref(), 5).await;
    let began = Instant::now();
    workload.stop().await;
    workload.stop().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    let status = workload.status();
    assert_eq!((status.state, status.phase), (WorkloadState::Stopping, "draining"));
    let error = harness.client.request("probe", "x".into()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::NoResponders);
    harness.engine.permits.add_permits(5);
    for reply in delivered {
        assert_eq!(reply.await.unwrap().payload, "x");
    }
    let ended = workload.ended().await;
    assert_eq!(ended.error, None);
    assert_eq!(ended.facts["calls"], "5");
    assert_eq!(workload.status().state, WorkloadState::Stopped);
    assert_eq!(
        harness.engine.alive.load(Ordering::SeqCst),
        0,
        "the guest is freed though the handle is kept"
    );
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_drain_deadline_the_rest_gets_503() {
    let harness = Harness::on(NatsServer::options(), Duration::from_millis(200)).await;
    let limits = json!({ "limits": { "concurrency": 1, "timeout": "60s" } });
    let workload = harness.deploy("hold", "probe", limits).await;
    let delivered: Vec<_> = (0..3).map(|_| harness.call_later("probe")).collect();
    harness.until_received(workload.as_ref(), 3).await;
    let began = Instant::now();
    workload.stop().await;
    workload.ended().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    for reply in delivered {
        let (status, code, _) = error_of(&reply.await.unwrap());
        assert_eq!((status.as_str(), code.as_str()), ("503", "NEX-303"));
    }
    assert_eq!(workload.status().facts["errors_503"], "3");
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_closed_ends_the_function_with_an_error() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "probe", json!({})).await;
    harness.nexlet.shutdown().await;
    let ended = workload.ended().await;
    assert!(ended.error.is_some());
    harness.finish().await;
}
