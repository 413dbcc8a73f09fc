//! The pool of instances that all functions share.
//!
//! - idle instances make room when the pool is full; running ones do not
//! - a slot shows nothing of the instance that had it before

use std::time::Duration;

use nex_functions::runtime::{CallError, Instances};
use nex_runtime::{EngineConfig, WasmEngine};

use crate::support::{ENGINE, Setup, call_within, javascript, wasm};

const ECHO: &str = include_str!("../../../../examples/reactor.wat");

/// An engine with two slots, which shares compiled code with the others.
fn small_engine() -> WasmEngine {
    // The shared engine is made first, so that its compiled guest is there.
    drop(ENGINE.clone());
    let cache_dir = Some(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"));
    WasmEngine::new(EngineConfig { cache_dir, max_instances: 2, ..EngineConfig::default() })
        .unwrap()
}

async fn answers(engine: &WasmEngine, setup: Setup) {
    let guest = setup.try_deploy_to(engine).await.unwrap();
    assert_eq!(guest.text("x").await, "x");
    // Deployed guests are kept, so that their idle instances are, too.
    std::mem::forget(guest);
}

#[tokio::test]
async fn idle_instances_make_room_for_others() {
    let engine = small_engine();
    for _ in 0..3 {
        answers(&engine, wasm(ECHO)).await;
        answers(&engine, javascript("(subject, payload) => payload")).await;
    }
}

#[tokio::test]
async fn a_call_that_finds_no_slot_in_time_is_told_the_setting() {
    let engine = small_engine();
    let waiting = javascript("async () => { await scheduler.wait(60_000) }");
    let waiting = waiting.try_deploy_to(&engine).await.unwrap();
    let echo = wasm(ECHO).try_deploy_to(&engine).await.unwrap();
    let within = || waiting.guest.call(call_within(Duration::from_millis(600)));
    let third = async {
        tokio::task::yield_now().await;
        echo.guest.call(call_within(Duration::from_millis(400))).await
    };
    let (_, _, refused) = tokio::join!(within(), within(), third);
    let sentence = "all 2 instances of the nexlet (--functions-instances) are in use";
    assert_eq!(refused, Err(CallError::Busy(sentence.to_owned())));
    assert_eq!(echo.text("x").await, "x");
}

/// Writes all of its memory full, or answers with the number of bytes that are not zero.
const WRITER: &str = r#"(module
    (memory (export "memory") 40)
    (func (export "alloc") (param i32) (result i32) (i32.const 8))
    (func (export "handle") (param i32 i32 i32 i32) (result i64)
        (memory.fill (i32.const 0) (i32.const 0xaa) (i32.const 2621440))
        (i64.const 0)))"#;

const READER: &str = r#"(module
    (memory (export "memory") 40)
    (func (export "alloc") (param i32) (result i32) (i32.const 8))
    (func (export "handle") (param i32 i32 i32 i32) (result i64)
        (local $at i32)
        (local $n i32)
        (local.set $at (i32.const 64))
        (loop $next
            (local.set $n (i32.add (local.get $n)
                (i32.ne (i32.load8_u (local.get $at)) (i32.const 0))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 2621440))))
        (i32.store (i32.const 0) (local.get $n))
        (i64.const 4)))"#;

#[tokio::test]
async fn a_slot_shows_nothing_of_the_instance_before() {
    let engine = small_engine();
    let fresh = |setup: Setup| setup.instances(Instances::Fresh);
    let writer = fresh(wasm(WRITER)).try_deploy_to(&engine).await.unwrap();
    let reader = fresh(wasm(READER)).try_deploy_to(&engine).await.unwrap();
    let script = fresh(javascript("const t = 'x'.repeat(9); () => t.length"));
    let script = script.try_deploy_to(&engine).await.unwrap();
    for _ in 0..10 {
        writer.reply("").await;
        assert_eq!(reader.reply("").await, [0, 0, 0, 0][..]);
        writer.reply("").await;
        assert_eq!(script.text("").await, "9");
        assert_eq!(reader.reply("").await, [0, 0, 0, 0][..]);
    }
}
