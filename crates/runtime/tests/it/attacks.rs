//! Guests that attack what they run in: each ends with an answer in time, and the next call works.
//!
//! - JavaScript: promises, timers and closures without end, recursion, back-tracking in an expression,
//!   a flood of log lines, a reply as large as memory
//! - WebAssembly: tables and memory that grow, a sleep far into the future, a loop over the clock
//! - all functions together: a budget of memory, from which idle instances go first

use std::time::{Duration, Instant};

use nex_functions::runtime::{CallError, Instances};
use nex_runtime::{EngineConfig, WasmEngine};

use crate::support::{ENGINE, call_within, javascript, wasm};

const MIB: u64 = 1024 * 1024;

/// Ends an attack with 500, 504 or 507 before long, and answers afterwards.
async fn check(source: &str) -> CallError {
    let source = format!("(s, p) => {{ if (p.text() === 'ok') return 'ok'; {source} }}");
    let guest = javascript(&source).memory(32 * MIB).deploy().await;
    let ended = guest.guest.call(call_within(Duration::from_millis(1500))).await;
    assert_eq!(guest.text("ok").await, "ok", "after {source}");
    ended.map(|reply| panic!("{source} answered {} bytes", reply.payload.len())).unwrap_err()
}

#[tokio::test]
async fn promises_and_timers_without_end_are_stopped_at_a_limit() {
    for source in [
        "const kept = []; while (true) kept.push(new Promise(() => {}));",
        "const kept = []; while (true) kept.push(setTimeout(() => {}, 1e6));",
        "return new Promise(() => { const f = () => Promise.resolve().then(f); f(); });",
        "return new Promise(() => { const f = () => { setTimeout(f, 0); setTimeout(f, 0); }; f(); });",
        "const f = () => queueMicrotask(f); f(); return new Promise(() => {});",
        "let text = 'x'; while (true) text += text;",
        "const kept = []; while (true) kept.push({ kept });",
    ] {
        let ended = check(source).await;
        let is_limit = match &ended {
            CallError::DeadlinePassed | CallError::OutOfMemory { .. } => true,
            // The guest's own bound, such as that of the length of a string.
            CallError::Failed { .. } => true,
            _ => false,
        };
        assert!(is_limit, "{source}: {ended:?}");
    }
}

#[tokio::test]
async fn recursion_and_back_tracking_end() {
    let ended = check("const f = () => f() + 1; return f();").await;
    assert!(matches!(ended, CallError::Failed { .. }), "{ended:?}");
    let ended = check("return String(/^(a+)+$/.test('a'.repeat(40) + 'b'));").await;
    assert_eq!(ended, CallError::DeadlinePassed);
    let ended = check("JSON.parse('['.repeat(5e6)); while (true) {}").await;
    let is_limit = matches!(
        ended,
        CallError::Failed { .. } | CallError::DeadlinePassed | CallError::OutOfMemory { .. }
    );
    assert!(is_limit, "{ended:?}");
}

#[tokio::test]
async fn a_flood_of_lines_ends_at_the_deadline() {
    let guest = javascript("() => { while (true) console.log('flood'); }").deploy().await;
    let ended = guest.guest.call(call_within(Duration::from_millis(200))).await;
    assert_eq!(ended, Err(CallError::DeadlinePassed));
    assert!(!guest.log.lines().is_empty(), "what was said before the end arrived");
}

#[tokio::test]
async fn a_reply_is_bounded_by_the_memory() {
    let ended = check("return new Uint8Array(64 << 20);").await;
    let is_limit = matches!(ended, CallError::OutOfMemory { .. } | CallError::Failed { .. });
    assert!(is_limit, "{ended:?}");
}

/// A command that imports what WASI has to wait and to look at the clock.
fn command(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "poll_oneoff"
                (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get"
                (func $clock (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 4)
            (func (export "_start") {body}))"#
    )
}

/// A subscription to the steady clock, a century ahead.
const SLEEP: &str = "
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3153600000000000000))
    (drop (call $poll (i32.const 0) (i32.const 512) (i32.const 1) (i32.const 1024)))";

#[tokio::test]
async fn waiting_for_a_century_ends_at_the_deadline() {
    let again = format!("(loop $again {SLEEP} (br $again))");
    let clock = "(loop $again (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 64)))
        (br $again))";
    for body in [SLEEP, &again, clock] {
        let guest = wasm(command(body)).deploy().await;
        let ended = guest.guest.call(call_within(Duration::from_millis(150))).await;
        assert_eq!(ended, Err(CallError::DeadlinePassed), "{body}");
    }
}

#[tokio::test]
async fn a_command_that_writes_without_end_is_stopped() {
    let body = "(i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 65536))
        (loop $again (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $again))";
    let guest = wasm(command(body)).memory(8 * MIB).deploy().await;
    let ended = guest.guest.call(call_within(Duration::from_secs(2))).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn a_table_that_grows_is_bounded() {
    let source = r#"(module
        (table $t 1 funcref)
        (memory (export "memory") 1)
        (func (export "alloc") (param i32) (result i32) (i32.const 1024))
        (func (export "handle") (param i32 i32 i32 i32) (result i64)
            (loop $more
                (br_if $more (i32.ne (i32.const -1)
                    (table.grow $t (ref.null func) (i32.const 4096)))))
            (i64.const 0)))"#;
    assert_eq!(wasm(source).deploy().await.reply("").await, "");
}

#[tokio::test]
async fn a_module_that_begins_too_large_is_refused() {
    for source in [
        r#"(module (memory (export "memory") 65536) (func (export "_start")))"#,
        r#"(module (table 1000000 funcref) (memory (export "memory") 1) (func (export "_start")))"#,
    ] {
        let deployed = wasm(source).try_deploy().await;
        if let Ok(guest) = deployed {
            let ended = guest.call("").await;
            assert!(ended.is_err(), "{source}: {ended:?}");
        }
    }
}

fn engine(max_memory: u64) -> WasmEngine {
    drop(ENGINE.clone());
    let cache_dir = Some(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"));
    let config = EngineConfig { cache_dir, max_instances: 20, ..EngineConfig::default() };
    WasmEngine::new(EngineConfig { max_memory, ..config }).unwrap()
}

/// A reactor with `pages` pages, whose calls end at once, or at their deadline.
fn pages(pages: u32, body: &str) -> String {
    format!(
        r#"(module
            (memory (export "memory") {pages})
            (func (export "alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "handle") (param i32 i32 i32 i32) (result i64) {body} (i64.const 0)))"#
    )
}

#[tokio::test]
async fn idle_instances_give_their_memory_to_others() {
    let engine = engine(4 * MIB);
    let (first, second) = (wasm(pages(40, "")), wasm(pages(40, "")));
    let first = first.try_deploy_to(&engine).await.unwrap();
    let second = second.try_deploy_to(&engine).await.unwrap();
    for _ in 0..3 {
        first.reply("").await;
        second.reply("").await;
    }
}

#[tokio::test]
async fn past_the_budget_a_call_waits_and_then_is_told_the_setting() {
    let engine = engine(4 * MIB);
    let holds = wasm(pages(40, "(loop $forever (br $forever))"));
    let holds = holds.instances(Instances::Fresh).try_deploy_to(&engine).await.unwrap();
    let other = wasm(pages(40, "")).try_deploy_to(&engine).await.unwrap();
    let held = |millis| holds.guest.call(call_within(Duration::from_millis(millis)));

    let (_, waited) = tokio::join!(held(200), other.call(""));
    assert!(waited.is_ok(), "it waits for a call that ends soon: {waited:?}");

    let busy = async {
        tokio::task::yield_now().await;
        other.guest.call(call_within(Duration::from_millis(400))).await
    };
    let (_, refused) = tokio::join!(held(1500), busy);
    let Err(CallError::Busy(sentence)) = refused else { panic!("{refused:?}") };
    assert!(sentence.contains("--functions-memory") && sentence.contains("4 MiB"), "{sentence}");
    assert!(other.call("").await.is_ok(), "all of it came back");
}

#[tokio::test]
async fn a_guest_that_grows_past_the_budget_is_told_the_setting() {
    let engine = engine(4 * MIB);
    let grows = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))";
    let guest = wasm(pages(1, grows)).try_deploy_to(&engine).await.unwrap();
    for _ in 0..3 {
        let started = Instant::now();
        let ended = guest.call("").await;
        assert!(matches!(ended, Err(CallError::Busy(_))), "{ended:?} in {:?}", started.elapsed());
    }
}
