//! J13, J15, J18 with nexlets that are killed -9 at whatever moment: the functions are there again, under
//! their ids, and know what they knew.
//!
//! 1. Entries and objects are kept, for JavaScript in both forms and for a component.
//! 2. The last value of a key is seen, also one that was put while nobody was there.
//! 3. Ticks go on.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_nats::jetstream::{self, kv};
use nex_testkit::{Signal, eventually, example};

use crate::killed::process;
use crate::world::{SOON, World, try_ask};

const TALLY: &str = r#"
export default async (subject, payload, { kv }) => {
  const n = Number((await kv.getText("n")) ?? 0) + 1;
  await kv.set("n", String(n));
  return `tally=${n}`;
};
"#;
const KEEP: &str = r#"
(subject, payload) => {
  const { kv, objectStore } = hostServices;
  const n = kv.keys().length + 1;
  objectStore.put("object" + n, payload);
  kv.set("key" + n, payload);
  return "kept=" + objectStore.list().length;
}
"#;
/// The last value of each key, in a bucket of its own.
const MIRROR: &str = "export default (s, payload, ctx) => ctx.kv.set(ctx.trigger.key, payload);";
const TICKS: &str =
    "export default (s, p, ctx) => ctx.kv.set('last', String(+new Date(ctx.trigger.at)));";

/// The functions that are called, and what they answered last.
type Seen = BTreeMap<&'static str, u64>;

#[tokio::test]
async fn functions_with_services_and_triggers_outlive_kills_of_their_nexlets() {
    let world = World::up().await;
    let jetstream = jetstream::new(world.client.clone());
    let config = kv::Config { bucket: "PRICES".to_owned(), ..kv::Config::default() };
    let prices = jetstream.create_key_value(config).await.unwrap();
    for (file, content, trigger) in [
        ("tally.mjs", TALLY, "tally"),
        ("keep.js", KEEP, "keep"),
        ("mirror.mjs", MIRROR, "kv:PRICES"),
        ("ticks.mjs", TICKS, "every:1s"),
    ] {
        world.deploy(file, content, trigger).await;
    }
    world.nex.ok(&["run", &example("component-counter.wasm"), "--on", "pears"]).await;
    let ids = world.ids().await;
    let mut seen = Seen::from([("tally", 0), ("keep", 0), ("pears", 0)]);
    all_count_on(&world, &mut seen).await;

    for round in 0..3 {
        // Calls are under way when the signal comes, and a value is put that nobody hears of.
        let busy = under_load(&world);
        for kind in ["javascript", "wasm"] {
            process(&world.nex, &format!("nexlet {kind}")).signal(Signal::SIGKILL);
        }
        let price = format!("{round}");
        prices.put("apple", price.clone().into()).await.unwrap();
        for call in busy {
            call.abort();
        }
        all_count_on(&world, &mut seen).await;
        assert_eq!(world.ids().await, ids);
        until_entry(&jetstream, "mirror", "apple", |seen| seen == price).await;
    }
    let ticked = until_entry(&jetstream, "ticks", "last", |_| true).await;
    until_entry(&jetstream, "ticks", "last", |seen| seen > ticked.as_str()).await;
    world.finish().await;
}

/// Calls of every function, and then a moment that differs from run to run.
fn under_load(world: &World) -> Vec<tokio::task::JoinHandle<()>> {
    let calls = (0..12).map(|n| {
        let client = world.client.clone();
        let subject = ["tally", "keep", "pears"][n % 3];
        tokio::spawn(async move { while try_ask(&client, subject, b"x".to_vec()).await.is_ok() {} })
    });
    let calls = calls.collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let n_spins = now.subsec_nanos() % 1_000_000;
    (0..n_spins).for_each(|_| std::hint::spin_loop());
    calls
}

/// Each function answers again, with a number that is larger than any before.
async fn all_count_on(world: &World, seen: &mut Seen) {
    for (subject, last) in seen.iter_mut() {
        let now = eventually(&format!("{subject} counts on"), SOON * 4, async || {
            let reply = try_ask(&world.client, subject, b"x".to_vec()).await;
            let reply = reply.map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&reply.payload).into_owned();
            let number = text.rsplit('=').next().and_then(|number| number.parse::<u64>().ok());
            number.ok_or_else(|| format!("{reply:?}"))
        })
        .await;
        assert!(now > *last, "{subject} answered {last}, and now {now}");
        *last = now;
    }
}

/// Waits until a function's own bucket has such an entry.
async fn until_entry(
    jetstream: &jetstream::Context,
    function: &str,
    key: &str,
    is_it: impl Fn(&str) -> bool,
) -> String {
    eventually(&format!("{function} wrote {key}"), SOON * 2, async || {
        let bucket = jetstream.get_key_value(format!("hs_default_{function}_kv")).await;
        let value = bucket.map_err(|error| error.to_string())?.get(key).await;
        let value = value.map_err(|error| error.to_string())?.unwrap_or_default();
        let text = String::from_utf8_lossy(&value).into_owned();
        if is_it(&text) { Ok(text) } else { Err(text) }
    })
    .await
}
