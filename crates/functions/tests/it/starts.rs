//! Starting: what is refused, when, and what it leaves behind.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use nex_api::Code;
use nex_nexlet::Nexlet;
use nex_testkit::eventually;
use nex_types::Digest;
use serde_json::json;

use crate::harness::{Harness, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_with_its_code() {
    let harness = Harness::start().await;
    let digest = Digest::of(b"other").to_string();
    for (request, code, part) in [
        (request("echo", "$JS.API.>", json!({})), Code::SubjectDenied, "$*.>"),
        (request("echo", ">", json!({})), Code::SubjectDenied, "$*.>"),
        (request("echo", "private.x", json!({})), Code::SubjectDenied, "private.>"),
        (request("echo", "a..b", json!({})), Code::TriggerInvalid, "a..b"),
        (request("echo", "a", json!({ "limit": {} })), Code::StartRequestInvalid, "\"limits\""),
        (request("echo", "a", json!({ "digest": digest })), Code::DigestMismatch, "sha256:"),
        (request("echo", "a", json!({ "uri": "ftp://x/y" })), Code::ArtifactUnsupported, "ftp"),
        (request("echo", "a", json!({ "uri": "nats://NONE/x" })), Code::ArtifactMissing, "NONE"),
        (
            request("refuse unexpected token", "a", json!({})),
            Code::SourceRefused,
            "unexpected token",
        ),
        (request("panic", "a", json!({})), Code::NodeFailed, "engine failed"),
    ] {
        let failure = harness.try_deploy(request.clone()).await.unwrap_err();
        assert_eq!(failure.code, code, "{request}: {failure}");
        assert!(failure.message.contains(part), "{request}: {failure}");
    }
    let refused = harness.try_deploy(request("refuse x", "a", json!({}))).await.unwrap_err();
    assert_eq!(refused.detail.as_deref(), Some("line 1"));
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_fetched_or_compiled_for_a_bad_request() {
    let harness = Harness::start().await;
    let bad = json!({ "uri": "nats://NONE/x", "limits": { "timeout": "1h" } });
    let failure = harness.try_deploy(request("echo", "a", bad)).await.unwrap_err();
    assert_eq!(failure.code, Code::StartRequestInvalid, "{failure}");
    assert_eq!(harness.engine.deploys.load(Ordering::SeqCst), 0);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_dropped_leaves_nothing() {
    let harness = Harness::start().await;
    let never = harness.start_of(&request("never", "dropped", json!({})));
    let started =
        tokio::time::timeout(Duration::from_millis(200), harness.nexlet.start(never)).await;
    assert!(started.is_err(), "it is still being deployed");
    // A start is polled some times and dropped; wherever it was, no subscription and no guest stay.
    for polls in 1..20 {
        let echo = harness.start_of(&request("echo", "dropped", json!({})));
        let mut start = Box::pin(harness.nexlet.start(echo));
        for _ in 0..polls {
            assert!(start.as_mut().now_or_never().is_none_or(|started| started.is_ok()));
            tokio::task::yield_now().await;
            if start.as_mut().now_or_never().is_some() {
                break;
            }
        }
        drop(start);
    }
    eventually("no subscription is left", Duration::from_secs(5), async || {
        let subjects = harness.server.subjects().await;
        if subjects.iter().any(|subject| subject == "dropped") { Err(subjects) } else { Ok(()) }
    })
    .await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_a_stream_captures_is_warned_of() {
    let harness = Harness::start().await;
    let context = async_nats::jetstream::new(harness.client.clone());
    let stream = async_nats::jetstream::stream::Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..Default::default()
    };
    context.create_stream(stream).await.unwrap();
    let started = harness.try_deploy(request("echo", "orders.new", json!({}))).await.unwrap();
    assert!(
        started.warnings.iter().any(|warning| warning.contains("ORDERS")),
        "{:?}",
        started.warnings
    );
    let other = harness.try_deploy(request("echo", "a", json!({}))).await.unwrap();
    assert_eq!(other.warnings, Vec::<String>::new());
    let twice = json!({ "triggers": ["b.*", "b.c"] });
    let twice = harness.try_deploy(request("echo", "", twice)).await.unwrap();
    assert!(twice.warnings[0].contains("overlap"), "{:?}", twice.warnings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_with_the_same_credentials_share_a_connection() {
    let harness = Harness::start().await;
    let mut workloads = Vec::new();
    for subject in ["one", "two", "three"] {
        workloads.push(harness.deploy("echo", subject, json!({})).await);
    }
    let mut connections = harness.server.other_clients().await;
    connections.sort();
    assert_eq!(connections, ["control", "nex-javascript"]);
    for workload in &workloads {
        workload.stop().await;
        workload.ended().await;
    }
    eventually(
        "the connection is closed with the last function",
        Duration::from_secs(5),
        async || {
            let connections = harness.server.other_clients().await;
            if connections == ["control"] { Ok(()) } else { Err(connections) }
        },
    )
    .await;
    harness.finish().await;
}
