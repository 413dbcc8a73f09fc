//! Lame duck mode of a nexlet.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::{encode, subject};
use nex_testkit::eventually;
use serde_json::{Value, json};

use crate::played::{Played, SOON, json_of, next};
use crate::toy::{NODE, Toy};

const DELAY: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_lame_nexlet_takes_nothing_stops_all_and_ends() {
    let played = Arc::new(Played::welcome(Toy::default()).await);
    let mut stopped = played.feed("$NEX.FEED.default.events.WORKLOADSTOPPED").await;
    played.start("one", "one").await;
    let slow = tokio::spawn({
        let played = Arc::clone(&played);
        async move { json_of(&played.start("slow", "slow").await) }
    });
    eventually("a start is under way", SOON, async || {
        let n = played.toy.slow_starts.load(Ordering::Acquire);
        if n == 1 { Ok(()) } else { Err(n) }
    })
    .await;

    let asked = Instant::now();
    let body = encode(&json!({ "delay": "3s" }));
    let reply = played.ask(subject::agents(NODE, "SETLAMEDUCK"), body).await;
    assert_eq!(json_of(&reply), json!({ "message": "", "success": true }));
    assert!(asked.elapsed() < DELAY / 2, "answered at once");
    played.until_state("lameduck").await;

    let late = played.start("late", "late").await;
    let headers = late.headers.clone().unwrap();
    assert_eq!(headers.get(ERROR_CODE_HEADER).unwrap().as_str(), "100");
    assert!(headers.get(ERROR_HEADER).unwrap().as_str().contains("lame duck"));
    let told = json_of(&late);
    assert_eq!([&told["id"], &told["name"], &told["code"]], ["late", "late", "NEX-107"]);

    // It was let in before, and becomes ready only after the others were told to stop.
    assert_eq!(next(&mut stopped).await["id"], "one");
    let first_end = asked.elapsed();
    assert!(first_end >= DELAY * 9 / 10 && first_end < DELAY, "stopped after {first_end:?}");
    played.toy.gate.notify_one();
    assert_eq!(slow.await.unwrap()["id"], "slow");
    assert_eq!(next(&mut stopped).await["id"], "slow");

    let mut played = Arc::into_inner(played).unwrap();
    let ended = tokio::time::timeout(SOON, &mut played.life).await.expect("it ends by itself");
    assert!(ended.unwrap().is_ok());
    assert!(asked.elapsed() >= DELAY, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_delay_that_is_none_changes_nothing() {
    let played = Played::welcome(Toy::default()).await;
    for body in [&b""[..], b"{}", b"{\"delay\":\"soon\"}", b"{\"delay\":7}"] {
        let reply = played.ask(subject::agents(NODE, "SETLAMEDUCK"), body).await;
        let headers = reply.headers.unwrap();
        assert_eq!(headers.get(ERROR_CODE_HEADER).unwrap().as_str(), "100");
        assert!(reply.payload.is_empty());
    }
    let started: Value = json_of(&played.start("one", "one").await);
    assert_eq!(started["id"], "one");
    played.until_state("running").await;
    played.life.abort();
}
