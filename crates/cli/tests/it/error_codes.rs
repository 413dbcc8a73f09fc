//! Error codes: each refusal names its own, and the code has a page.
//!
//! 1. Of raw requests to the control API, in the body.
//! 2. Of deploys, in what `nex` prints.
//! 3. Of calls, in what `nex call` prints (and `failing_calls` in the reply).
//!
//! Others are named where what they tell of is tested; the test of `api` that looks for them knows where not.

use async_nats::jetstream::{self, object_store};
use futures::StreamExt;
use nex_testkit::{example, patience};
use serde_json::{Value, json};

use crate::control_deploy::{bid, deploy_body};
use crate::guests::{LOOP, MEMORY_BOMB};
use crate::scripted::registration;
use crate::world::{SOON, World, assert_refused, control, text, try_ask};

/// Over what an artifact of a function may have.
const TOO_LARGE: usize = 32 * 1024 * 1024 + 1;

fn assert_has_page(code: &str) {
    let page = nex_testkit::root().join(format!("docs/errors/{code}.md"));
    let page = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(page.starts_with(&format!("# {code}: ")), "{code} has no page");
}

#[tokio::test]
async fn refusals_of_the_control_api_name_their_codes() {
    let world = World::up().await;
    let (node, bid) = (world.node_id().await, bid(&world, "javascript").await);
    let mut other_type = deploy_body("default", "x", "never");
    other_type["workload_type"] = json!("nosuch");
    let mut unfit = deploy_body("default", "x", "never");
    unfit["run_request"] = json!("{}");
    for (code, verb, body) in [
        ("NEX-100", "AUCTION".to_owned(), json!("no request")),
        ("NEX-101", "WPING".to_owned(), json!({ "namespace": "b", "filter": [] })),
        ("NEX-102", format!("ADEPLOY.{bid}"), other_type),
        ("NEX-103", format!("ADEPLOY.{bid}"), unfit),
        (
            "NEX-106",
            format!("$NEX.SVC.{node}.agent.REGISTER.WvLS2fm0rYuHFVcv9jR5gk"),
            registration("", "{}"),
        ),
    ] {
        let reply = try_ask(&world.client, &control(&verb), body.to_string().into()).await.unwrap();
        let body: Value = serde_json::from_slice(&reply.payload).unwrap();
        assert_eq!(text(&body, "/code"), code, "{verb}: {body}");
        assert_has_page(code);
    }
    world.finish().await;
}

#[tokio::test]
async fn refusals_of_a_deploy_name_their_codes() {
    let world = World::up().await;
    let config = object_store::Config { bucket: "FILES".to_owned(), ..Default::default() };
    let jetstream = jetstream::new(world.client.clone());
    let files = jetstream.create_object_store(config).await.unwrap();
    files.put("large.js_latest", &mut vec![b' '; TOO_LARGE].as_slice()).await.unwrap();
    files.put("small.js_latest", &mut b"() => 1".as_slice()).await.unwrap();
    let wrong = format!("sha256:{}", "0".repeat(64));
    for (code, uri, more) in [
        ("NEX-200", "nats://FILES/nothing.js", json!({})),
        ("NEX-201", "nats://FILES/small.js", json!({ "digest": wrong })),
        ("NEX-202", "nats://FILES/large.js", json!({})),
        ("NEX-203", "file:///etc/shadow", json!({})),
        ("NEX-203", "ftp://files/small.js", json!({})),
        ("NEX-210", "data:,)(", json!({})),
        ("NEX-212", "data:,()=>1", json!({ "triggers": ["$SYS.x"] })),
        ("NEX-213", "data:,()=>1", json!({ "triggers": [{ "type": "kv", "bucket": "NONE" }] })),
    ] {
        let mut request = json!({ "uri": uri, "triggers": ["never"] });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = request.to_string();
        let kind = ["workload", "start", "--type", "javascript", "--lifecycle", "function"];
        let refused = world
            .nex
            .run(&[&kind[..], &["--start-request", &request, "--name", "x"]].concat())
            .await;
        assert!(refused.code != 0 && refused.stderr.contains(code), "{code} for {uri}: {refused}");
        assert_has_page(code);
    }
    assert_eq!(world.list().await, Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn nex_call_shows_every_kind_of_error_reply() {
    let world = World::up().await;
    world.nex.ok(&["run", &example("component-rust.wasm"), "--on", "rust"]).await;
    world.deploy("bomb.js", MEMORY_BOMB, "bomb").await;
    world.deploy("large.js", "() => new Uint8Array(2 << 20)", "large").await;
    let short = json!({ "triggers": ["loop"], "limits": { "timeout": "200ms" } });
    let _loop = world.start("loop", LOOP, short).await.exits(0);
    let waits = "export default (s, p, ctx) => ctx.nats.request('silent', p, { timeout: 60000 })";
    let one = json!({
        "triggers": ["full"], "limits": { "concurrency": 1, "queue": 0, "timeout": "1m" },
    });
    let _full = world.start("full", waits, one).await.exits(0);
    let mut silent = world.client.subscribe("silent").await.unwrap();
    world.client.flush().await.unwrap();
    world.client.publish("full", "x".into()).await.unwrap();
    let asked = tokio::time::timeout(patience(SOON), silent.next()).await.unwrap().unwrap();

    for (subject, payload, status, code, says) in [
        ("rust", "bad", "400", "NEX-300", "the payload is bad"),
        ("full", "", "429", "NEX-301", "limits.queue"),
        ("rust", "fail", "500", "NEX-302", "the payload says fail"),
        ("loop", "", "504", "NEX-304", "deadline"),
        ("bomb", "", "507", "NEX-305", "67108864"),
        ("large", "", "500", "NEX-306", "2097152"),
    ] {
        let refused = world.nex.run(&["call", subject, payload]).await;
        assert_refused(refused, 1, &[&format!("answered {status}"), code, says], "");
        assert_has_page(code);
    }
    // A status of the function's own has no code, and its body is shown.
    let refused = world.nex.run(&["call", "rust", "teapot"]).await.exits(1);
    assert!(refused.stderr.contains("answered 418"), "{refused}");
    assert_eq!(refused.text(), "short and stout");
    assert!(!refused.stderr.contains("NEX-"), "{refused}");

    world.client.publish(asked.reply.unwrap(), "there".into()).await.unwrap();
    world.finish().await;
}
