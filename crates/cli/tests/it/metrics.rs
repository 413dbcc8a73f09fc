//! What workloads count, as anybody who subscribes hears it, and as `nex info` tells it (spec: control API,
//! sections 8.3 and 8.4).
//!
//! 1. A service's memory, processor and processes are on its namespace's feed within seconds of its start, and
//!    go on after its nexlet was killed.
//! 2. A function's calls, failures, times, bytes and cold starts are there too.
//! 3. `nex info` tells both, at once, also with `--json`; lists do not carry them.

use async_nats::{Message, Subscriber};
use futures::StreamExt;
use nex_testkit::{Signal, echo_service, eventually};
use serde_json::{Value, json};

use crate::guests::ECHO;
use crate::killed::process;
use crate::world::{SOON, World, header, json_of, text};

/// The next message that is as wanted.
async fn until(feed: &mut Subscriber, is_wanted: impl Fn(&Value) -> bool) -> Message {
    let mut last = Value::Null;
    let wanted = async {
        loop {
            let message = feed.next().await.expect("the subscription is open");
            last = json_of(&message);
            if is_wanted(&last) {
                return message;
            }
        }
    };
    let found = tokio::time::timeout(SOON * 2, wanted).await;
    found.unwrap_or_else(|_| panic!("no such metrics; the last: {last:#}"))
}

async fn feed(world: &World) -> Subscriber {
    let subject = "$NEX.FEED.default.metrics.*";
    let feed = world.client.subscribe(subject).await.unwrap();
    world.server.until_subscribed(subject).await;
    feed
}

fn has_process(metrics: &Value) -> bool {
    metrics["process"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0)
        && metrics["process"]["processes"].as_u64().is_some_and(|n| n > 0)
}

#[tokio::test]
async fn a_service_s_use_of_the_machine_is_on_the_feed_also_when_it_was_adopted() {
    let world = World::up().await;
    let mut feed = feed(&world).await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    let message = until(&mut feed, has_process).await;
    let metrics = json_of(&message);
    let id = text(&metrics, "/id");
    assert_eq!(message.subject.as_str(), format!("$NEX.FEED.default.metrics.{id}"));
    assert_eq!(header(&message, "synadia.com/namespace").as_deref(), Some("default"));
    assert_eq!(header(&message, "Nex-Workload-Name").as_deref(), Some("echo-service"));
    assert_eq!(header(&message, "Nex-Node"), Some(world.node_id().await));
    assert_eq!([&metrics["name"], &metrics["type"]], ["echo-service", "native"]);
    assert_eq!((&metrics["process"]["restarts"], metrics.get("function")), (&json!(0), None));

    let shown = world.nex.ok(&["info", "echo-service"]).await.text();
    for key in ["processor", "memory", "processes", "restarts"] {
        assert!(shown.lines().any(|line| line.trim_start().starts_with(key)), "{key}: {shown}");
    }
    let whole = world.nex.ok(&["info", "echo-service", "--json"]).await.json();
    assert!(has_process(&whole[0]["metrics"]), "{whole:#}");
    let lists = [world.list().await, world.live().await].concat();
    let carries = |listed: &Value| listed.pointer("/metadata/metrics").is_some();
    assert!(!lists.iter().any(carries), "{lists:#?}");

    process(&world.nex, "nexlet native").signal(Signal::SIGKILL);
    eventually("it is adopted", SOON, async || {
        let list = world.live().await;
        if list.first().is_some_and(|w| w["id"] == id.as_str()) { Ok(()) } else { Err(list) }
    })
    .await;
    // Those from before are past: a new subscription hears the next nexlet's.
    let mut again = self::feed(&world).await;
    until(&mut again, |metrics| metrics["id"] == id.as_str() && has_process(metrics)).await;
    world.nex.ok(&["stop", "echo-service"]).await;
    drop((feed, again));
    world.finish().await;
}

#[tokio::test]
async fn a_function_s_calls_are_on_the_feed_and_in_info() {
    let world = World::up().await;
    // What is waited for on one is not passed over on the other.
    let (mut feed, mut failures) = (feed(&world).await, feed(&world).await);
    drop(world.deploy("echo.js", ECHO, "probe").await.exits(0));
    let failing = "export default () => { throw new Error('no') }";
    drop(world.deploy("failing.js", failing, "fails").await.exits(0));
    for payload in ["a", "bc", "def"] {
        assert_eq!(world.ask("probe", payload).await.payload, payload);
    }
    world.ask("fails", "x").await;

    let metrics = json_of(&until(&mut feed, |it| it["function"]["calls"] == 3).await);
    let function = &metrics["function"];
    assert_eq!(text(&metrics, "/name"), "echo");
    assert_eq!([&function["bytes_received"], &function["bytes_sent"]], [&json!(6), &json!(6)]);
    assert!(function["cold_starts"].as_u64().is_some_and(|n| (1..=3).contains(&n)), "{function:#}");
    for histogram in ["duration", "queue_time"] {
        let counts = function[histogram]["counts"].as_array().unwrap();
        assert_eq!(counts.iter().filter_map(Value::as_u64).sum::<u64>(), 3, "{histogram}");
    }
    let has_failed = |it: &Value| it["name"] == "failing" && it["function"]["errors"]["500"] == 1;
    until(&mut failures, has_failed).await;

    let shown = world.nex.ok(&["info", "failing"]).await.text();
    for words in ["1 (0 in flight)", "1 (500: 1)", "p99", "cold starts"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let whole = world.nex.ok(&["info", "echo", "--json"]).await.json();
    assert_eq!(whole.pointer("/0/metrics/function/calls"), Some(&json!(3)), "{whole:#}");
    for name in ["echo", "failing"] {
        world.nex.ok(&["stop", name]).await;
    }
    drop((feed, failures));
    world.finish().await;
}
