//! Calls that fail: each caller gets an error reply with its code at once, and others are not disturbed.
//!
//! 1. 500: the function threw (with the stack in its log), a wasm trap, a reply over the server's limit.
//! 2. 504 at the deadline for an endless loop, while other functions keep answering.
//! 3. 507 for a memory bomb; the next call works.
//! 4. 429 with Retry-After past the queue.
//! 5. A payload over the server's limit is refused on the caller's side.

use std::time::{Duration, Instant};

use async_nats::{Client, Message};
use nex_testkit::NatsServer;
use serde_json::{Value, json};

use crate::guests::{BUSY, ECHO, LOOP, MEMORY_BOMB};
use crate::world::{SOON, World, assert_refused, error_headers, header, text, try_ask};

/// Code, text and NEX code of an error reply, of which header and body say the same.
#[track_caller]
fn failure(reply: &Message) -> (String, String, String) {
    let (code, description) = error_headers(reply);
    let body: Value = serde_json::from_slice(&reply.payload).unwrap();
    let error = text(&body, "/error");
    assert!(error.starts_with(&description), "{error:?} and {description:?}");
    assert_eq!(text(&body, "/request_id").len(), 22);
    assert!(!text(&body, "/workload").is_empty());
    (code, error, text(&body, "/code"))
}

#[tokio::test]
async fn a_throw_is_500_with_its_message_and_the_stack_in_the_log() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "thrower", "-f", "--json"]).await;
    let source = "(subject, payload) => {\n  if (payload.text() === 'ok') return 'ok';\n  throw new TypeError('no such moon');\n}\n";
    world.deploy("thrower.js", source, "throw").await;
    let (code, error, nex) = failure(&world.ask("throw", "x").await);
    assert_eq!([code.as_str(), nex.as_str()], ["500", "NEX-302"]);
    assert!(error.contains("TypeError: no such moon"), "{error}");
    let line = logs.line(SOON, |line| line.contains("thrower.js:3")).await.unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(world.ask("throw", "ok").await.payload, "ok");

    let refused = world.nex.run(&["call", "thrower", "x"]).await;
    let says = ["thrower answered 500: ", "TypeError: no such moon", "NEX-302"];
    assert_refused(refused, 1, &says, "nex logs thrower -f");
    assert_eq!(world.live().await[0]["metadata"]["errors"], "2");
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn a_trap_is_500_and_the_next_call_works() {
    let world = World::up().await;
    let trap = r#"(module (memory (export "memory") 1)
      (func (export "alloc") (param i32) (result i32) (i32.const 1024))
      (func (export "handle") (param i32 i32 i32 i32) (result i64)
        (if (local.get 3) (then unreachable))
        (i64.const 0)))"#;
    world.deploy("trap.wat", trap, "trap").await;
    for _ in 0..3 {
        let (code, error, nex) = failure(&world.ask("trap", "x").await);
        assert_eq!([code.as_str(), nex.as_str()], ["500", "NEX-302"]);
        assert!(error.contains("unreachable"), "{error}");
        assert_eq!(world.ask("trap", "").await.payload, "");
    }
    world.finish().await;
}

#[tokio::test]
async fn an_endless_loop_is_504_and_others_keep_answering() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let limits = json!({ "triggers": ["loop"], "limits": { "timeout": "2s" } });
    let _started = world.start("loop", LOOP, limits).await.exits(0);
    let started = Instant::now();
    let looping: Vec<_> =
        (0..2).map(|_| tokio::spawn(later(world.client.clone(), "loop"))).collect();
    let mut slowest = Duration::ZERO;
    let mut n_answered = 0;
    while !looping.iter().all(tokio::task::JoinHandle::is_finished) {
        let asked = Instant::now();
        assert_eq!(world.ask("js.echo", "x").await.payload, "x");
        slowest = slowest.max(asked.elapsed());
        n_answered += 1;
    }
    for call in looping {
        let (code, error, nex) = failure(&call.await.unwrap());
        assert_eq!([code.as_str(), nex.as_str()], ["504", "NEX-304"], "{error}");
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "the deadline is the function's: {took:?}");
    assert!(took < Duration::from_secs(4), "the caller waits no longer than it must: {took:?}");
    assert!(n_answered > 20, "{n_answered} other calls were answered meanwhile");
    assert!(slowest < Duration::from_secs(1), "the slowest took {slowest:?}");
    assert_eq!(world.ask("js.echo", "x").await.payload, "x");
    world.finish().await;
}

#[tokio::test]
async fn a_memory_bomb_is_507_and_the_next_call_works() {
    let world = World::up().await;
    world.deploy("bomb.js", MEMORY_BOMB, "bomb").await;
    for _ in 0..2 {
        let (code, error, nex) = failure(&world.ask("bomb", "x").await);
        assert_eq!([code.as_str(), nex.as_str()], ["507", "NEX-305"]);
        assert!(error.contains("67108864"), "the limit is named: {error}");
        assert_eq!(world.ask("bomb", "ok").await.payload, "ok");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_full_queue_is_429_with_retry_after() {
    let world = World::up().await;
    let limits = json!({ "triggers": ["busy"], "limits": { "concurrency": 1, "queue": 1 } });
    let _started = world.start("busy", BUSY, limits).await.exits(0);
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let client = world.client.clone();
            tokio::spawn(async move { try_ask(&client, "busy", b"1000".to_vec()).await.unwrap() })
        })
        .collect();
    let mut n_done = 0;
    for call in calls {
        let reply = call.await.unwrap();
        if reply.headers.is_none() {
            assert_eq!(reply.payload, "done");
            n_done += 1;
            continue;
        }
        let (code, error, nex) = failure(&reply);
        assert_eq!([code.as_str(), nex.as_str()], ["429", "NEX-301"], "{error}");
        let seconds: u64 = header(&reply, "Retry-After").unwrap().parse().unwrap();
        assert!((1..=4).contains(&seconds), "Retry-After {seconds}");
    }
    assert_eq!(n_done, 2, "one runs and one waits");
    assert_eq!(world.ask("busy", "0").await.payload, "done");
    world.finish().await;
}

#[tokio::test]
async fn a_reply_over_the_server_s_limit_is_500_that_names_both_numbers() {
    let world = World::on(NatsServer::options().max_payload(65_536)).await;
    let source = "(subject, payload) => new Uint8Array(Number(payload.text()))\n";
    world.deploy("sized.js", source, "sized").await;
    for length in [65_535, 65_536] {
        assert_eq!(world.ask("sized", length.to_string()).await.payload.len(), length);
    }
    let (code, error, nex) = failure(&world.ask("sized", "65537").await);
    assert_eq!([code.as_str(), nex.as_str()], ["500", "NEX-306"]);
    assert!(error.contains("65537") && error.contains("65536"), "{error}");
    assert_eq!(world.ask("sized", "1").await.payload.len(), 1, "the connection is not lost");
    world.finish().await;
}

#[tokio::test]
async fn a_payload_over_the_server_s_limit_is_refused_by_the_caller() {
    let world = World::on(NatsServer::options().max_payload(65_536)).await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.file("fits", vec![b'x'; 65_536]);
    world.file("too-large", vec![b'x'; 65_537]);
    assert_eq!(world.nex.ok(&["call", "echo", "@fits"]).await.stdout.len(), 65_536);
    let refused = world.nex.run(&["call", "echo", "@too-large"]).await;
    let sentence = "the payload has 65537 bytes, more than the server's 65536";
    assert_refused(refused, 1, &[sentence], "max_payload");
    world.finish().await;
}

async fn later(client: Client, subject: &'static str) -> Message {
    try_ask(&client, subject, b"x".to_vec()).await.unwrap()
}
