//! Images and instances of JavaScript functions.
//!
//! - `reuse` keeps module state, `fresh` does not; both begin with the image of the top level
//! - each instance that is made for a call counts as a cold start, one that waited does not
//! - random numbers differ among instances; the environment is in no image
//! - whatever is left over after the reply costs the instance
//! - memory and stack are bounded, and a bound that was hit costs the instance

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nex_functions::runtime::{Call, CallError, Instances};

use crate::support::{call, call_within, javascript};

const COUNTER: &str = "let n = 0; export default () => ++n";

#[tokio::test]
async fn reused_instances_keep_their_state_until_released() {
    let guest = javascript(COUNTER).deploy().await;
    assert_eq!(guest.text("").await, "1");
    assert_eq!(guest.text("").await, "2");
    guest.guest.release_idle();
    assert_eq!(guest.text("").await, "1");
}

#[tokio::test]
async fn an_instance_that_is_made_for_a_call_is_a_cold_start() {
    let reused = javascript(COUNTER).deploy().await;
    assert_eq!(reused.cold_starts.count(), 0, "the deploy is no call");
    reused.text("").await;
    reused.text("").await;
    assert_eq!(reused.cold_starts.count(), 1);
    reused.guest.release_idle();
    reused.text("").await;
    assert_eq!(reused.cold_starts.count(), 2);
    let fresh = javascript(COUNTER).instances(Instances::Fresh).deploy().await;
    fresh.text("").await;
    fresh.text("").await;
    assert_eq!(fresh.cold_starts.count(), 2);
}

#[tokio::test]
async fn fresh_instances_begin_with_the_image() {
    let source =
        "const table = new Map([['a', 1]]); let n = 10; export default () => [++n, table.get('a')]";
    let guest = javascript(source).instances(Instances::Fresh).deploy().await;
    assert_eq!(guest.text("").await, "[11,1]");
    assert_eq!(guest.text("").await, "[11,1]");
}

#[tokio::test]
async fn calls_at_the_same_time_have_instances_of_their_own() {
    let source =
        "let n = 0; export default async () => { n++; await scheduler.wait(20); return n }";
    let guest = javascript(source).deploy().await;
    let (first, second) = tokio::join!(guest.text(""), guest.text(""));
    assert_eq!((first.as_str(), second.as_str()), ("1", "1"));
}

#[tokio::test]
async fn random_numbers_differ_among_instances() {
    let source = "() => Array.from({length: 3}, Math.random)";
    let guest = javascript(source).instances(Instances::Fresh).deploy().await;
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let text = guest.text("").await;
        let numbers: Vec<f64> = serde_json::from_str(&text).unwrap();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)), "{text}");
        assert!(seen.insert(text), "the same numbers twice");
    }
}

#[tokio::test]
async fn the_environment_is_given_to_calls_only() {
    let source = "const early = typeof ctx; export default (s, p, ctx) => [early, ctx.env.SECRET, Object.isFrozen(ctx.env)]";
    let guest = javascript(source).environment("SECRET", "blue").deploy().await;
    assert_eq!(guest.text("").await, r#"["undefined","blue",true]"#);
    assert!(!format!("{:?}", guest.guest).contains("blue"));
}

#[tokio::test]
async fn a_leftover_timer_costs_the_instance() {
    let source = "let n = 0; export default () => { n++; if (n === 2) setTimeout(() => {}, 100_000); return n }";
    let guest = javascript(source).deploy().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(guest.text("").await);
    }
    assert_eq!(seen, ["1", "2", "1"]);
}

#[tokio::test]
async fn wait_until_is_awaited_and_keeps_the_instance_clean() {
    let source = "let done = 0;
        export default (s, p, ctx) => {
            ctx.waitUntil(scheduler.wait(10).then(() => { done++; console.log('done') }));
            return done;
        }";
    let guest = javascript(source).deploy().await;
    assert_eq!(guest.text("").await, "0");
    assert_eq!(guest.log.text(), "done");
    assert_eq!(guest.text("").await, "1");
}

#[tokio::test]
async fn who_waits_has_the_reply_before_wait_until_ends() {
    let source =
        "export default (s, p, ctx) => { ctx.waitUntil(scheduler.wait(60_000)); return 'now' }";
    let guest = javascript(source).deploy().await;
    let (early, reply) = tokio::sync::oneshot::channel();
    let message = Call { early: Some(early), ..call_within(Duration::from_secs(30)) };
    tokio::select! {
        reply = reply => assert_eq!(reply.unwrap().payload, "now"),
        ended = guest.guest.call(message) => panic!("ended first: {ended:?}"),
    }
}

#[tokio::test]
async fn wait_until_ends_at_the_deadline_and_the_reply_stands() {
    let source = "let n = 0; export default (s, p, ctx) => { ctx.waitUntil(scheduler.wait(60_000)); return ++n }";
    let guest = javascript(source).deploy().await;
    for _ in 0..2 {
        let reply = guest.guest.call(call_within(Duration::from_millis(40))).await.unwrap();
        assert_eq!(reply.payload, "1");
    }
    assert!(guest.log.text().contains("waitUntil"), "{:?}", guest.log);
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline_and_leaves_the_thread_to_others() {
    let endless = javascript("() => { for (;;) {} }").deploy().await;
    let echo = javascript("(subject, payload) => payload").deploy().await;
    let start = Instant::now();
    let stopped = endless.guest.call(call_within(Duration::from_millis(200)));
    let answers = async {
        for _ in 0..20 {
            assert_eq!(echo.text("hello").await, "hello");
            tokio::task::yield_now().await;
        }
        start.elapsed()
    };
    let (stopped, answered) = tokio::join!(stopped, answers);
    let elapsed = start.elapsed();
    assert_eq!(stopped, Err(CallError::DeadlinePassed));
    assert!(answered < Duration::from_millis(190), "answers only after the loop: {answered:?}");
    assert!(elapsed >= Duration::from_millis(195), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(500), "{elapsed:?}");
}

#[tokio::test]
async fn a_memory_bomb_is_told_apart_and_the_next_call_is_fine() {
    let source = "(s, p) => { if (p.length > 0) { const a = []; for (;;) a.push(new Uint8Array(1e6)) } return 'fine' }";
    let limit = 16 * 1024 * 1024;
    let guest = javascript(source).memory(limit).deploy().await;
    assert_eq!(guest.text("").await, "fine");
    assert_eq!(guest.call("x").await, Err(CallError::OutOfMemory { limit }));
    assert_eq!(guest.text("").await, "fine");
}

#[tokio::test]
async fn endless_recursion_is_a_failure_that_can_be_caught() {
    let source = "const deep = (n) => deep(n + 1) + 1; () => deep(0)";
    let (message, _) = javascript(source).deploy().await.failure("").await;
    assert!(message.contains("call stack"), "{message}");
    let source = "const deep = (n) => deep(n + 1) + 1; () => { try { deep(0) } catch (e) { return e.name } }";
    assert_eq!(javascript(source).deploy().await.text("").await, "RangeError");
}

#[tokio::test]
async fn deep_nesting_is_survived() {
    let cases = [
        "() => JSON.parse('['.repeat(100000))",
        "() => { let a = []; for (let i = 0; i < 100000; i++) a = [a]; return a }",
        "() => new RegExp('('.repeat(100000))",
        "() => eval('('.repeat(100000))",
        "() => { let a = {}; for (let i = 0; i < 100000; i++) a = {a}; return structuredClone(a) }",
    ];
    for source in cases {
        javascript(source).deploy().await.failure("").await;
    }
}

#[tokio::test]
async fn a_dropped_call_costs_only_its_instance() {
    let source = "export default async (s, p) => { if (p.length > 0) await scheduler.wait(60_000); return 'x' }";
    let guest = javascript(source).deploy().await;
    let message = Call { deadline: Instant::now() + Duration::from_secs(60), ..call("x") };
    let dropped = tokio::time::timeout(Duration::from_millis(20), guest.guest.call(message)).await;
    assert!(dropped.is_err());
    assert_eq!(guest.text("").await, "x");
}

#[tokio::test]
async fn functions_see_nothing_of_each_other() {
    let first = javascript("globalThis.mine = 'secret'; () => globalThis.mine").deploy().await;
    let second = javascript("() => typeof globalThis.mine").deploy().await;
    assert_eq!(first.text("").await, "secret");
    assert_eq!(second.text("").await, "undefined");
}
