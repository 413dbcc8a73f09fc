//! J15: functions on keys, objects and times.
//!
//! 1. A change of a key reaches the function in order, with what was done; also one that came while no
//!    copy ran.
//! 2. An object's metadata is the payload.
//! 3. `every:1s` with three copies runs each tick once.
//! 4. What is Nex's own is refused by its pattern (J19).

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::{self, kv, object_store};
use futures::StreamExt;
use serde_json::json;

use crate::world::{SOON, World};

const TELL: &str = "export default (subject, payload, ctx) => console.log('saw ' + subject + ' ' + payload.text());";

#[tokio::test]
async fn j15_changes_of_keys_come_in_order_also_those_of_times_without_a_copy() {
    let world = World::up().await;
    let jetstream = jetstream::new(world.client.clone());
    let config = kv::Config { bucket: "PRICES".to_owned(), history: 8, ..kv::Config::default() };
    let prices = jetstream.create_key_value(config).await.unwrap();
    prices.put("apple", "0".into()).await.unwrap();
    let mut logs = logs(&world).await;
    world.file("tell.js", TELL);
    world.nex.ok(&["run", "tell.js", "--on", "kv:PRICES"]).await;
    prices.put("apple", "1".into()).await.unwrap();
    prices.put("pear", "2".into()).await.unwrap();
    prices.delete("apple").await.unwrap();
    let seen = lines(&mut logs, 3).await;
    assert_eq!(seen, ["saw $KV.PRICES.apple 1", "saw $KV.PRICES.pear 2", "saw $KV.PRICES.apple "]);

    world.nex.ok(&["stop", "tell"]).await;
    prices.put("plum", "3".into()).await.unwrap();
    world.nex.ok(&["run", "tell.js", "--on", "kv:PRICES"]).await;
    assert_eq!(lines(&mut logs, 1).await, ["saw $KV.PRICES.plum 3"]);

    let said = world.nex.ok(&["stop", "tell", "--purge"]).await;
    assert!(said.stderr.contains("tell purged: 1"), "{said}");
    let left = jetstream.get_stream("KV_PRICES").await.unwrap().consumer_names();
    assert_eq!(left.collect::<Vec<_>>().await.len(), 0);
    world.finish().await;
}

#[tokio::test]
async fn j15_an_object_is_told_by_its_metadata() {
    let world = World::up().await;
    let jetstream = jetstream::new(world.client.clone());
    let config =
        object_store::Config { bucket: "PICTURES".to_owned(), ..object_store::Config::default() };
    let pictures = jetstream.create_object_store(config).await.unwrap();
    let mut logs = logs(&world).await;
    world.file("tell.js", TELL);
    world.nex.ok(&["run", "tell.js", "--on", "object:PICTURES/*.png"]).await;
    for name in ["notes.txt", "cat.png"] {
        pictures.put(name, &mut b"meow".as_slice()).await.unwrap();
    }
    let mut seen = lines(&mut logs, 1).await;
    pictures.delete("cat.png").await.unwrap();
    seen.extend(lines(&mut logs, 1).await);
    assert!(seen[0].contains(r#""name":"cat.png""#) && seen[0].contains(r#""size":4"#), "{seen:?}");
    assert!(
        seen[1].contains(r#""name":"cat.png""#) && seen[1].contains(r#""deleted":true"#),
        "{seen:?}"
    );
    world.finish().await;
}

#[tokio::test]
async fn j15_three_copies_run_each_tick_once() {
    let world = World::up().await;
    let mut logs = logs(&world).await;
    let tick = "export default (subject, payload, ctx) => console.log('saw ' + ctx.headers.get('Nex-Tick'));";
    world.file("tick.js", tick);
    world.nex.ok(&["run", "tick.js", "--on", "every:1s", "--copies", "3"]).await;
    let mut times = BTreeMap::<String, usize>::new();
    while times.len() < 6 {
        for line in lines(&mut logs, 1).await {
            *times.entry(line).or_default() += 1;
        }
    }
    assert!(times.values().all(|n| *n == 1), "{times:?}");
    let seconds: Vec<i64> = times
        .keys()
        .map(|line| line.trim_start_matches("saw ").parse::<jiff::Timestamp>().unwrap().as_second())
        .collect();
    let gaps: Vec<i64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap == 1), "{times:?}");
    world.finish().await;
}

#[tokio::test]
async fn j19_what_is_nex_s_own_is_refused_by_its_pattern() {
    let world = World::up().await;
    for (trigger, pattern) in [
        (json!({"type": "stream", "stream": "KV_nex-X"}), "KV_nex-*"),
        (json!({"type": "stream", "stream": "NEX_TICKS_default"}), "NEX_*"),
        (json!({"type": "object", "bucket": "NEXCLIFILES"}), "NEXCLIFILES*"),
        (json!({"type": "kv", "bucket": "hs_default-b_app_kv"}), "hs_*"),
        (json!({"type": "stream", "stream": "S", "dead_letter": "$SYS.x"}), "$*.>"),
    ] {
        let refused = world.start("spy", TELL, json!({ "triggers": [trigger] })).await;
        assert!(refused.code != 0 && refused.stderr.contains(pattern), "{refused}");
    }
    let own = json!({"type": "kv", "bucket": "hs_default_app_kv"});
    let refused = world.start("own", TELL, json!({ "triggers": [own] })).await;
    assert!(refused.stderr.contains("there is no key-value bucket hs_default_app_kv"), "{refused}");
    world.finish().await;
}

async fn logs(world: &World) -> Subscriber {
    let logs = world.client.subscribe("$NEX.FEED.default.logs.>").await.unwrap();
    world.client.flush().await.unwrap();
    logs
}

/// The next lines that functions of this file log.
async fn lines(logs: &mut Subscriber, n: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < n {
        let next = tokio::time::timeout(SOON.max(Duration::from_secs(30)), logs.next()).await;
        let line = next.unwrap_or_else(|_| panic!("only {lines:?}")).unwrap();
        let line = String::from_utf8_lossy(&line.payload).into_owned();
        if line.starts_with("saw ") {
            lines.push(line);
        }
    }
    lines
}
