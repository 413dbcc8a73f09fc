//! J13: key-value, objects, messaging and http, in the classic synchronous form and in the modern one.
//!
//! 1. Values come back byte for byte: all byte values, none, 512 KiB; objects of 5 MB.
//! 2. What is missing is null in the modern form and an exception in the classic one; an empty list is empty.
//! 3. Another workload's bucket is refused, unlisted hosts too, and host calls at the top level.
//! 4. Copies share their bucket; a host call that never ends ends at the deadline.

use nex_testkit::Output;

use crate::world::{World, error_headers, json_of};

const MODERN: &str = r#"
const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
export default async (subject, payload, ctx) => {
  const { kv, objects, nats } = ctx;
  const out = {};
  out.missing = [await kv.get("none"), await objects.get("none"), await objects.info("none")];
  out.empty = [await kv.keys(), await objects.list()];
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  out.bytes = [];
  for (const value of [all, new Uint8Array(0), new Uint8Array(512 * 1024).fill(255)]) {
    await kv.set("value", value);
    out.bytes.push(same(await kv.get("value"), value));
  }
  const large = new Uint8Array(5_000_000).fill(7);
  large[4_999_999] = 249;
  await objects.put("large", large);
  const back = await objects.get("large");
  out.large = back.length === large.length && back[0] === 7 && back[4_999_999] === 249;
  await kv.set("json", { n: 1 });
  out.json = await kv.getJSON("json");
  const { revision } = await kv.entry("json");
  await kv.update("json", "2", revision);
  out.conflict = await kv.update("json", "3", revision).catch((error) => [error.name, error.code]);
  out.exists = await kv.create("json", "4").catch((error) => error.code);
  out.history = (await kv.history("json")).map((entry) => entry.operation);
  out.keys = await kv.keys({ prefix: "js" });
  await kv.delete("json");
  out.deleted = await kv.getText("json");
  out.other = await kv.bucket("hs_default_other_kv").get("k").catch((error) => error.code);
  out.denied = await nats.publish("$NEX.x", "x").catch((error) => error.message);
  out.answer = (await nats.request("upper", "abc")).text();
  out.answers = (await nats.requestMany("upper", "x", { count: 1 })).map((answer) => answer.text());
  out.nobody = await nats.request("nobody", "x").catch((error) => error.code);
  out.fetch = await fetch("http://127.0.0.1:9/").catch((error) => error.message);
  for await (const entry of kv.watch("value")) { out.watched = entry.key; break; }
  return out;
};
"#;

const CLASSIC: &str = r#"
(subject, payload) => {
  const { kv, objectStore, messaging, http } = hostServices;
  const out = {};
  const thrown = (work) => { try { work(); return null; } catch (error) { return error.message; } };
  out.missing = [thrown(() => kv.get("none")), thrown(() => objectStore.get("none"))];
  out.empty = [kv.keys(), objectStore.list()];
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  out.bytes = [];
  for (const value of [all, new Uint8Array(0), new Uint8Array(512 * 1024).fill(255)]) {
    kv.set("value", value);
    const back = kv.get("value");
    out.bytes.push(back.length === value.length && back.every((byte, i) => byte === value[i]));
  }
  objectStore.put("large", new Uint8Array(5_000_000).fill(7));
  out.large = objectStore.get("large").length;
  out.keys = kv.keys();
  kv.delete("value");
  out.answer = new TextDecoder().decode(messaging.request("upper", "abc"));
  out.answers = messaging.requestMany("upper", "x").length;
  out.denied = thrown(() => messaging.publish("$JS.API.INFO", "x"));
  out.http = thrown(() => http.get("http://127.0.0.1:9/"));
  out.same = this.hostServices === hostServices;
  return out;
}
"#;

const UPPER: &str = "(subject, payload) => payload.text().toUpperCase()";
const COUNTER: &str = r#"
export default async (subject, payload, { kv }) => {
  for (;;) {
    const entry = await kv.entry("n");
    const n = entry === null ? 0 : Number(new TextDecoder().decode(entry.value));
    try {
      if (entry === null) await kv.create("n", String(n + 1));
      else await kv.update("n", String(n + 1), entry.revision);
      return String(n + 1);
    } catch (error) { if (error.code !== "Conflict") throw error; }
  }
};
"#;

#[tokio::test]
async fn j13_a_reply_is_not_lost_to_what_goes_on_after_it() {
    let world = World::up().await;
    let source = "export default (s, p, ctx) => {
      ctx.waitUntil(ctx.nats.publish('log', p));
      ctx.waitUntil(ctx.nats.publish('$NEX.x', p).catch(() => {}));
      return 'ok ' + p.text();
    };";
    world.deploy("after.mjs", source, "after").await;
    for _ in 0..20 {
        assert_eq!(world.ask("after", "x").await.payload, "ok x");
    }
    world.finish().await;
}

#[tokio::test]
async fn j13_the_modern_form_is_promises_bytes_and_null() {
    let world = World::up().await;
    let _upper = world.deploy("upper.js", UPPER, "upper").await;
    let _modern = world.deploy("modern.js", MODERN, "modern").await;
    let out = json_of(&world.ask("modern", "").await);
    let text = |pointer: &str| out.pointer(pointer).unwrap().to_string();
    assert_eq!(text("/missing"), "[null,null,null]", "{out:#}");
    assert_eq!(text("/empty"), "[[],[]]");
    assert_eq!(text("/bytes"), "[true,true,true]");
    assert_eq!(text("/large"), "true");
    assert_eq!(text("/json"), r#"{"n":1}"#);
    assert_eq!(text("/conflict"), r#"["HostServiceError","Conflict"]"#);
    assert_eq!(text("/exists"), r#""Conflict""#);
    assert_eq!(text("/history"), r#"["put","put"]"#);
    assert_eq!(text("/keys"), r#"["json"]"#);
    assert_eq!(text("/deleted"), "null");
    assert_eq!(text("/other"), r#""Denied""#);
    assert!(text("/denied").contains("$*.>"), "{out:#}");
    assert_eq!((text("/answer"), text("/answers")), (r#""ABC""#.to_owned(), r#"["X"]"#.to_owned()));
    assert_eq!(text("/nobody"), r#""NoAnswer""#);
    assert!(text("/fetch").contains("host_services.http.allow"), "{out:#}");
    assert_eq!(text("/watched"), r#""value""#);
    world.finish().await;
}

#[tokio::test]
async fn j13_the_classic_form_is_synchronous_and_throws() {
    let world = World::up().await;
    let _upper = world.deploy("upper.js", UPPER, "upper").await;
    let _classic = world.deploy("classic.js", CLASSIC, "classic").await;
    let out = json_of(&world.ask("classic", "").await);
    let text = |pointer: &str| out.pointer(pointer).unwrap().to_string();
    assert!(text("/missing/0").contains("does not exist"), "{out:#}");
    assert!(text("/missing/1").contains("does not exist"), "{out:#}");
    assert_eq!(text("/empty"), "[[],[]]");
    assert_eq!(text("/bytes"), "[true,true,true]");
    assert_eq!(text("/large"), "5000000");
    assert_eq!(text("/keys"), r#"["value"]"#);
    assert_eq!((text("/answer"), text("/answers")), (r#""ABC""#.to_owned(), "1".to_owned()));
    assert!(text("/denied").contains("$*.>"), "{out:#}");
    assert!(text("/http").contains("host_services.http.allow"), "{out:#}");
    world.finish().await;
}

#[tokio::test]
async fn j13_copies_share_a_bucket() {
    let world = World::up().await;
    world.file("counter.js", COUNTER);
    world.nex.ok(&["run", "counter.js", "--on", "count", "--copies", "2"]).await;
    let calls = (0..20).map(|_| world.ask("count", ""));
    let mut seen: Vec<u32> = Vec::new();
    for reply in futures::future::join_all(calls).await {
        seen.push(String::from_utf8_lossy(&reply.payload).parse().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test]
async fn j13_host_calls_end_at_the_deadline_and_are_refused_at_the_top_level() {
    let world = World::up().await;
    let _silent = world.client.subscribe("silent").await.unwrap();
    for (name, source) in [
        (
            "asks.js",
            "export default (s, p, ctx) => ctx.nats.request('silent', p, { timeout: 60000 })",
        ),
        (
            "watches.js",
            "export default async (s, p, ctx) => { for await (const e of ctx.kv.watch('k')) return e; }",
        ),
    ] {
        world.file(name, source);
        let subject = name.trim_end_matches(".js");
        let more = serde_json::json!({ "triggers": [subject], "limits": { "timeout": "300ms" } });
        let _started: Output = world.start(subject, source, more).await.exits(0);
        let (code, _) = error_headers(&world.ask(subject, "").await);
        assert_eq!(code, "504", "{name}");
    }
    world.file("early.js", "hostServices.kv.get('k');\n(subject, payload) => payload");
    let refused = world.nex.run(&["run", "early.js", "--on", "early"]).await;
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("early.js:1:") && refused.stderr.contains("top level"),
        "{refused}"
    );
    world.finish().await;
}
