//! The reactor ABI.
//!
//! - bytes arrive and leave unchanged, of any value and length
//! - text and binary are the same
//! - `reuse` keeps an instance's state, `fresh` does not
//! - a guest that answers outside of its memory fails

use nex_functions::runtime::Instances;

use crate::support::{all_bytes, wasm};

const ECHO: &str = include_str!("../../../../examples/reactor.wat");

/// Answers with how often it was called: one byte.
const COUNTER: &str = r#"(module
    (memory (export "memory") 1)
    (global $n (mut i32) (i32.const 0))
    (func (export "alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle") (param i32 i32 i32 i32) (result i64)
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (i32.store8 (i32.const 0) (global.get $n))
        (i64.const 1)))"#;

#[tokio::test]
async fn echoes_bytes_of_every_value_and_length() {
    let echo = wasm(ECHO).deploy().await;
    assert_eq!(echo.guest.shape(), "reactor");
    for payload in [vec![], all_bytes(), vec![7; 1_000_000], vec![1]] {
        assert_eq!(echo.reply(payload.clone()).await, payload);
    }
}

#[tokio::test]
async fn text_and_binary_are_the_same() {
    let binary = wat::parse_str(ECHO).unwrap();
    assert_eq!(wasm(binary).deploy().await.text("hello").await, "hello");
}

#[tokio::test]
async fn reused_instances_keep_their_state_until_released() {
    let counter = wasm(COUNTER).deploy().await;
    assert_eq!(counter.reply("").await, [1][..]);
    assert_eq!(counter.reply("").await, [2][..]);
    counter.guest.release_idle();
    assert_eq!(counter.reply("").await, [1][..]);
    assert_eq!(counter.cold_starts.count(), 2);
}

#[tokio::test]
async fn fresh_instances_start_anew() {
    let counter = wasm(COUNTER).instances(Instances::Fresh).deploy().await;
    assert_eq!(counter.reply("").await, [1][..]);
    assert_eq!(counter.reply("").await, [1][..]);
}

#[tokio::test]
async fn an_answer_outside_of_memory_fails() {
    let liar =
        ECHO.replace("(i64.extend_i32_u (local.get $payload_len))", "(i64.const 0x7fffffff)");
    let (message, _) = wasm(liar).deploy().await.failure("x").await;
    assert!(message.contains("outside of memory"), "{message}");
}

#[tokio::test]
async fn a_trap_is_a_failure_with_a_backtrace_in_the_log() {
    let trap = COUNTER.replace("(i64.const 1)", "(unreachable)");
    let guest = wasm(trap).deploy().await;
    let (message, _) = guest.failure("").await;
    assert_eq!(message, "trapped: unreachable code was reached");
    assert!(guest.log.text().contains("wasm backtrace"), "{}", guest.log.text());
}
