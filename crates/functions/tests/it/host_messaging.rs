//! Messaging: publishing, asking, and what is refused.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use nex_functions::host::{HostError, Until};
use nex_sandbox::{OnFailure, Tasks};
use serde_json::json;

use crate::harness::{Harness, header};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_published_with_their_headers() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "a", json!({})).await;
    let host = harness.engine.host();
    let messaging = host.messaging().unwrap();
    let mut heard = harness.client.subscribe("orders.>").await.unwrap();
    assert!(nex_bus::round_trip(&harness.client, SOON).await);
    let headers = vec![("X-One".to_owned(), "1".to_owned()), ("X-One".to_owned(), "2".to_owned())];
    messaging.publish("orders.new", headers, Bytes::from_static(&[0, 255]), None).await.unwrap();
    let message = heard.next().await.unwrap();
    assert_eq!(message.payload, [0, 255][..]);
    assert_eq!(header(&message, "X-One").as_deref(), Some("1"));
    for (subject, part) in [
        ("$NEX.x", "$*.>"),
        ("$JS.API.STREAM.DELETE.X", "$*.>"),
        ("_INBOX.other", "_INBOX.>"),
        ("private.x", "private.>"),
        (">", "$*.>"),
    ] {
        let refused = messaging.publish(subject, vec![], Bytes::new(), None).await.unwrap_err();
        assert!(matches!(&refused, HostError::Denied(text) if text.contains(part)), "{refused}");
    }
    for subject in ["orders.*", "a..b", "", "a b"] {
        let refused = messaging.publish(subject, vec![], Bytes::new(), None).await.unwrap_err();
        assert!(matches!(refused, HostError::Invalid(_)), "{refused}");
    }
    let bad = vec![("X\r\nEvil".to_owned(), "1".to_owned())];
    assert!(messaging.publish("orders.x", bad, Bytes::new(), None).await.is_err());
    let large = Bytes::from(vec![0; (1 << 20) + 1]);
    assert!(messaging.publish("orders.x", vec![], large, None).await.is_err());
    // The reply subject of its own call is the one inbox that it may write to.
    let inbox = harness.client.new_inbox();
    let mut replies = harness.client.subscribe(inbox.clone()).await.unwrap();
    assert!(nex_bus::round_trip(&harness.client, SOON).await);
    messaging.publish(&inbox, vec![], "hello".into(), Some(&inbox)).await.unwrap();
    assert_eq!(replies.next().await.unwrap().payload, "hello");
    let refused = messaging.publish("$JS.ACK.x", vec![], Bytes::new(), Some("$JS.ACK.x")).await;
    assert!(matches!(refused, Err(HostError::Denied(_))));
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allow_list_narrows_what_may_be_published() {
    let harness = Harness::start().await;
    let more = json!({ "host_services": { "messaging": { "allow": ["orders.>"] } } });
    let workload = harness.deploy("echo", "a", more).await;
    let host = harness.engine.host();
    let messaging = host.messaging().unwrap();
    messaging.publish("orders.x", vec![], Bytes::new(), None).await.unwrap();
    let refused = messaging.publish("bills.x", vec![], Bytes::new(), None).await.unwrap_err();
    assert!(refused.to_string().contains("messaging.allow"), "{refused}");
    let asked = messaging.request("bills.x", vec![], Bytes::new(), SOON).await;
    assert!(matches!(asked, Err(HostError::Denied(_))));
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_end_with_answers_a_count_a_stall_or_nobody() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "a", json!({})).await;
    let host = harness.engine.host();
    let messaging = host.messaging().unwrap();
    let tasks = Tasks::new();
    for n in 0..3 {
        let mut asked = harness.client.subscribe("who").await.unwrap();
        let client = harness.client.clone();
        let token = tasks.token();
        tasks.spawn("responder", OnFailure::Log, async move {
            while let Some(Some(message)) = token.run_until_cancelled(asked.next()).await {
                let payload = format!("{n}{}", String::from_utf8_lossy(&message.payload));
                client.publish(message.reply.unwrap(), payload.into()).await.unwrap();
            }
        });
    }
    let mut silent = harness.client.subscribe("silent").await.unwrap();
    assert!(nex_bus::round_trip(&harness.client, SOON).await);
    let answer = messaging.request("who", vec![], "?".into(), SOON).await.unwrap();
    assert!(answer.payload.ends_with(b"?"));
    let nobody = messaging.request("nobody", vec![], Bytes::new(), SOON).await.unwrap_err();
    assert!(matches!(&nobody, HostError::NoAnswer(text) if text.contains("nobody listens")));
    let short = Duration::from_millis(50);
    let late = messaging.request("silent", vec![], Bytes::new(), short).await.unwrap_err();
    assert!(matches!(&late, HostError::NoAnswer(text) if text.contains("nobody answered")));
    assert!(silent.next().await.is_some());
    let until = |count, stall| Until { count, stall, timeout: SOON };
    let many = |until| messaging.request_many("who", vec![], "!".into(), until);
    assert_eq!(many(until(Some(2), None)).await.unwrap().len(), 2);
    assert_eq!(many(until(None, Some(Duration::from_secs(2)))).await.unwrap().len(), 3);
    let none = messaging.request_many("nobody", vec![], Bytes::new(), until(None, None)).await;
    assert_eq!(none.unwrap(), []);
    drop(host);
    workload.stop().await;
    drop(workload);
    tasks.shutdown(SOON).await;
    drop(silent);
    harness.finish().await;
}
