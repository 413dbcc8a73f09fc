//! The feed of what workloads count, as a plain subscriber hears it.

use std::sync::atomic::Ordering;

use futures::StreamExt;
use nex_api::{encode, subject};
use nex_bus::{Message, Subscriber};
use serde_json::json;

use crate::played::{Played, SOON, json_of};
use crate::toy::{NODE, Toy};

async fn message(feed: &mut Subscriber) -> Message {
    let message = tokio::time::timeout(SOON, feed.next()).await;
    message.expect("metrics").expect("the subscription is open")
}

#[tokio::test]
async fn the_first_metrics_come_after_the_start_and_the_last_with_the_end() {
    let played = Played::welcome(Toy::default()).await;
    let mut feed = played.feed("$NEX.FEED.*.metrics.*").await;
    played.toy.calls.store(7, Ordering::Release);
    played.start("plain", "plain").await;
    played.start("w", "counts").await;

    let first = message(&mut feed).await;
    assert_eq!(first.subject.as_str(), subject::metrics("default", "w"));
    let headers = first.headers.clone().expect("headers");
    let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    for (name, value) in [
        ("synadia.com/group", ""),
        ("synadia.com/namespace", "default"),
        ("Nex-Workload-Name", "counts"),
        ("Nex-Node", NODE),
    ] {
        assert_eq!(header(name).as_deref(), Some(value), "{name}");
    }
    let metrics = json_of(&first);
    assert_eq!(metrics["function"]["calls"], 7);
    assert_eq!(metrics.get("process"), None);
    for (key, value) in [("id", "w"), ("name", "counts"), ("namespace", "default"), ("type", "toy")]
    {
        assert_eq!(metrics[key], value, "{key}");
    }

    played.toy.calls.store(8, Ordering::Release);
    let stop = encode(&json!({ "namespace": "default" }));
    played.ask(subject::agents(NODE, "STOPWORKLOAD.w"), stop).await;
    let mut last = metrics;
    while last["function"]["calls"] != 8 {
        last = json_of(&message(&mut feed).await);
    }
    played.life.abort();
}

#[tokio::test]
async fn what_changes_is_told_again() {
    let played = Played::welcome(Toy::default()).await;
    let mut feed = played.feed("$NEX.FEED.*.metrics.*").await;
    played.start("w", "counts").await;
    message(&mut feed).await;
    played.toy.calls.store(1, Ordering::Release);
    assert_eq!(json_of(&message(&mut feed).await)["function"]["calls"], 1);
    played.life.abort();
}
