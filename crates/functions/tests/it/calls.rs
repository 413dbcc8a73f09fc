//! One call: who gets it, what it answers, to whom.

use std::time::Duration;

use futures::StreamExt;
use nex_api::workload::WorkloadState;
use nex_testkit::NatsServer;
use serde_json::json;

use crate::harness::{Harness, error_of, header, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_answers_when_its_start_has_returned() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "probe.*", json!({})).await;
    let reply = harness.call("probe.one", "heya").await;
    assert_eq!(reply.payload, "heya");
    assert!(reply.headers.is_none(), "a success carries no headers of ours");
    let status = workload.status();
    assert_eq!((status.state, status.phase), (WorkloadState::Warm, "idle"));
    assert_eq!(status.facts["calls"], "1");
    assert_eq!(status.facts["errors"], "0");
    assert_eq!(status.facts["shape"], "fake");
    assert!(status.facts["digest"].starts_with("sha256:"));
    let triggers = r#"[{"type":"subject","subject":"probe.*","queue":"nex.default.probe"}]"#;
    assert_eq!(status.facts["triggers"], triggers);
    workload.stop().await;
    workload.ended().await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_concrete_subject_and_the_headers_reach_the_function_and_its_headers_the_caller() {
    let harness = Harness::start().await;
    let _workload = harness.deploy("headers", "probe.*", json!({})).await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Traceparent", "00-1");
    let asked = harness.client.request_with_headers("probe.two", headers, "x".into());
    let reply = asked.await.unwrap();
    assert_eq!(header(&reply, "Subject").as_deref(), Some("probe.two"));
    assert_eq!(header(&reply, "Traceparent").as_deref(), Some("00-1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_share_calls_unless_the_queue_is_empty() {
    let harness = Harness::start().await;
    let shared = [
        harness.deploy("echo", "shared", json!({})).await,
        harness.deploy("echo", "shared", json!({})).await,
    ];
    for _ in 0..20 {
        harness.call("shared", "x").await;
    }
    let calls =
        |facts: &std::collections::BTreeMap<String, String>| facts["calls"].parse::<u32>().unwrap();
    let sum: u32 = shared.iter().map(|workload| calls(&workload.status().facts)).sum();
    assert_eq!(sum, 20);
    let every = json!({ "triggers": [{ "type": "subject", "subject": "every", "queue": "" }] });
    let each = [
        harness.deploy("echo", "every", every.clone()).await,
        harness.deploy("echo", "every", every).await,
    ];
    harness.client.publish("every", "x".into()).await.unwrap();
    for workload in &each {
        harness.until_received(workload.as_ref(), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_fail_has_its_code_and_is_counted() {
    let harness = Harness::start().await;
    for (what, status, code, error) in [
        ("fail no", "500", "NEX-302", "Error: no\n    at x"),
        ("input bad", "400", "NEX-300", "bad"),
        ("memory 9", "507", "NEX-305", "the function needs more memory than its limit of 9 bytes"),
        ("panic-in-call", "500", "NEX-302", "the engine failed in this call"),
    ] {
        let workload = harness.deploy(what, "failing", json!({})).await;
        let seen = error_of(&harness.call("failing", "x").await);
        assert_eq!(seen, (status.to_owned(), code.to_owned(), error.to_owned()));
        let facts = workload.status().facts;
        assert_eq!(
            (facts["errors"].as_str(), facts[&format!("errors_{status}")].as_str()),
            ("1", "1")
        );
        workload.stop().await;
        workload.ended().await;
    }
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_of_the_function_s_own_is_an_error_reply_with_its_body() {
    let harness = Harness::start().await;
    let workload = harness.deploy("status", "status", json!({})).await;
    let reply = harness.call("status", "not here").await;
    assert_eq!(header(&reply, "Nats-Service-Error-Code").as_deref(), Some("404"));
    assert!(header(&reply, "Nats-Service-Error").is_some());
    assert_eq!(reply.payload, "not here");
    assert_eq!(workload.status().facts["errors"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_over_the_server_s_max_payload_is_a_500_with_both_numbers() {
    let server = NatsServer::options().max_payload(4096);
    let harness = Harness::on(server, Duration::from_secs(30)).await;
    let _fits = harness.deploy("bytes 4096", "fits", json!({})).await;
    let _larger = harness.deploy("bytes 4097", "larger", json!({})).await;
    assert_eq!(harness.call("fits", "x").await.payload.len(), 4096);
    let (status, code, error) = error_of(&harness.call("larger", "x").await);
    assert_eq!((status.as_str(), code.as_str()), ("500", "NEX-306"));
    assert!(error.contains("4097") && error.contains("4096"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_subject_that_may_not_be_answered_is_not_but_the_call_runs() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "probe", json!({})).await;
    let mut everything = harness.client.subscribe("$JS.API.STREAM.DELETE.>").await.unwrap();
    let mut private = harness.client.subscribe("private.>").await.unwrap();
    harness.server.until_subscribed("private.>").await;
    let forbidden = ["$JS.API.STREAM.DELETE.X", "private.x"];
    for reply in forbidden {
        harness.client.publish_with_reply("probe", reply, "x".into()).await.unwrap();
    }
    harness.until_received(workload.as_ref(), 2).await;
    // The end comes when all calls have run and what they published is sent.
    workload.stop().await;
    workload.ended().await;
    harness.client.publish("$JS.API.STREAM.DELETE.end", "end".into()).await.unwrap();
    harness.client.publish("private.end", "end".into()).await.unwrap();
    assert_eq!(everything.next().await.unwrap().payload, "end");
    assert_eq!(private.next().await.unwrap().payload, "end");
    assert_eq!(workload.status().facts["replies_refused"], "2");
    assert_eq!(harness.engine.ran.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_reply_subject_is_answered() {
    let harness = Harness::start().await;
    let _workload = harness.deploy("echo", "probe", json!({})).await;
    let mut answers = harness.client.subscribe("answers").await.unwrap();
    harness.server.until_subscribed("answers").await;
    harness.client.publish_with_reply("probe", "answers", "x".into()).await.unwrap();
    assert_eq!(answers.next().await.unwrap().payload, "x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_logs_and_why_a_call_failed_stand_in_the_log() {
    let harness = Harness::start().await;
    let mut lines = harness.client.subscribe("$NEX.FEED.>").await.unwrap();
    harness.server.until_subscribed("$NEX.FEED.>").await;
    let _logging = harness.try_deploy(request("log hello", "logging", json!({}))).await.unwrap();
    harness.call("logging", "x").await;
    let line = lines.next().await.unwrap();
    assert_eq!(
        (line.payload.as_ref(), header(&line, "Nex-Level").as_deref()),
        (&b"hello"[..], Some("info"))
    );
    assert!(line.subject.ends_with(".stdout"), "{}", line.subject);
    let _failing = harness.try_deploy(request("fail no", "failing", json!({}))).await.unwrap();
    let (_, _, error) = error_of(&harness.call("failing", "x").await);
    let line = lines.next().await.unwrap();
    let text = String::from_utf8_lossy(&line.payload).into_owned();
    assert!(text.contains(&error) && text.contains("failing"), "{text}");
    assert_eq!(header(&line, "Nex-Level").as_deref(), Some("error"));
    assert!(line.subject.ends_with(".stderr"), "{}", line.subject);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_cut_at_16_kib() {
    let harness = Harness::start().await;
    let mut lines = harness.client.subscribe("$NEX.FEED.>").await.unwrap();
    harness.server.until_subscribed("$NEX.FEED.>").await;
    let _logging = harness.deploy(&format!("log {}", "x".repeat(20_000)), "long", json!({})).await;
    harness.call("long", "x").await;
    assert_eq!(lines.next().await.unwrap().payload.len(), 16 * 1024);
}
