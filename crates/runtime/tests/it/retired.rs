//! When a reused instance is let go: after many calls, or with most of its memory in use.

use nex_functions::runtime::Instances;

use crate::support::{javascript, wasm};

/// Calls that one instance serves.
const MOST_CALLS: usize = 10_000;

const COUNTS: &str = "let n = 0; (subject, payload) => String(++n)";

#[tokio::test]
async fn an_instance_of_a_script_serves_ten_thousand_calls() {
    let guest = javascript(COUNTS).deploy().await;
    for _ in 1..MOST_CALLS {
        guest.reply("").await;
    }
    assert_eq!(guest.text("").await, MOST_CALLS.to_string());
    assert_eq!(guest.text("").await, "1");
}

#[tokio::test]
async fn an_instance_of_a_reactor_serves_ten_thousand_calls() {
    let counts = r#"(module
        (memory (export "memory") 1)
        (func (export "alloc") (param i32) (result i32) (i32.const 1024))
        (func (export "handle") (param i32 i32 i32 i32) (result i64)
            (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
            (i64.or (i64.shl (i64.const 8) (i64.const 32)) (i64.const 4))))"#;
    let guest = wasm(counts).instances(Instances::Reuse).deploy().await;
    for _ in 1..MOST_CALLS {
        guest.reply("").await;
    }
    assert_eq!(guest.reply("").await, u32::try_from(MOST_CALLS).unwrap().to_le_bytes()[..]);
    assert_eq!(guest.reply("").await, 1_u32.to_le_bytes()[..]);
}

#[tokio::test]
async fn an_instance_that_uses_most_of_its_memory_is_let_go() {
    let source = "let n = 0; const kept = [];
        (subject, payload) => { kept.push(new Uint8Array(Number(payload.text()) << 20).fill(1)); return String(++n); }";
    let guest = javascript(source).deploy().await;
    assert_eq!(guest.text("1").await, "1");
    assert_eq!(guest.text("1").await, "2");
    assert_eq!(guest.text("52").await, "3", "of 64 MiB more than 48 are in use now");
    assert_eq!(guest.text("1").await, "1");
}
