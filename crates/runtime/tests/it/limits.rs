//! What bounds a guest that does not end by itself.
//!
//! - an endless loop is stopped at its deadline, while others on the same thread are answered
//! - memory over the limit is told apart from other traps
//! - recursion without end is a failure, not a crash
//! - a stopped instance is not used again

use std::time::{Duration, Instant};

use nex_functions::runtime::CallError;

use crate::support::{call_within, wasm};

/// A reactor whose `handle` is `body`.
fn reactor(body: &str) -> String {
    format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "alloc") (param i32) (result i32) (i32.const 1024))
            (func $handle (export "handle") (param i32 i32 i32 i32) (result i64) {body}))"#
    )
}

const ENDLESS: &str = "(loop $forever (br $forever)) (i64.const 0)";

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline() {
    let guest = wasm(reactor(ENDLESS)).deploy().await;
    let start = Instant::now();
    let ended = guest.guest.call(call_within(Duration::from_millis(60))).await;
    let elapsed = start.elapsed();
    assert_eq!(ended, Err(CallError::DeadlinePassed));
    assert!(elapsed >= Duration::from_millis(55), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(400), "{elapsed:?}");
}

#[tokio::test]
async fn an_endless_loop_leaves_the_thread_to_others() {
    let endless = wasm(reactor(ENDLESS)).deploy().await;
    let echo = wasm(include_str!("../../../../examples/reactor.wat")).deploy().await;
    let stopped = endless.guest.call(call_within(Duration::from_millis(300)));
    let answers = async {
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(echo.text("hello").await, "hello");
            tokio::task::yield_now().await;
        }
        start.elapsed()
    };
    let (stopped, elapsed) = tokio::join!(stopped, answers);
    assert_eq!(stopped, Err(CallError::DeadlinePassed));
    assert!(elapsed < Duration::from_millis(290), "answers only after the loop: {elapsed:?}");
}

#[tokio::test]
async fn a_guest_that_is_dropped_stops() {
    let guest = wasm(reactor(ENDLESS)).deploy().await;
    let call = guest.guest.call(call_within(Duration::from_secs(60)));
    let dropped = tokio::time::timeout(Duration::from_millis(20), call).await;
    assert!(dropped.is_err());
}

#[tokio::test]
async fn memory_over_the_limit_is_told_apart() {
    let body = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (i64.const 0)";
    let guest = wasm(reactor(body)).memory(8 * 1024 * 1024).deploy().await;
    assert_eq!(guest.call("").await, Err(CallError::OutOfMemory { limit: 8 * 1024 * 1024 }));
}

#[tokio::test]
async fn recursion_without_end_is_a_failure() {
    let body = "(call $handle (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    let guest = wasm(reactor(body)).deploy().await;
    assert_eq!(guest.failure("").await.0, "call stack exhausted");
}
