//! What a hostile component meets.
//!
//! - an endless loop, a wait far into the future, and an endless start end at the deadline
//! - memory is bounded, over all memories of a component together; so is stdout
//! - handles, what the host keeps for them, and random bytes are bounded
//! - the next call is answered as if nothing had been

use std::time::Duration;

use nex_functions::runtime::{CallError, Instances};

use crate::component_commands::run;
use crate::support::{Deployed, Setup, call_within, wasm};

const MEMORY: u64 = 8 * 1024 * 1024;
const LOOP: &str = "(loop $forever (br $forever))";

/// A component that imports `imports`, lowered as `host.f`, and whose `run` is `body`.
fn run_with(imports: &str, lowered: &str, signature: &str, body: &str) -> Setup {
    wasm(format!(
        r#"(component
            {imports}
            (core module $libc
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
            (core instance $libc (instantiate $libc))
            {lowered}
            (core module $m
                {signature}
                (import "libc" "memory" (memory 1))
                (func (export "run") (result i32) {body}))
            (core instance $i (instantiate $m
                (with "host" (instance (export "f" (func $f)) (export "g" (func $g))))
                (with "libc" (instance $libc))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#
    ))
}

async fn ends_at_the_deadline(guest: &Deployed) {
    let ended = guest.guest.call(call_within(Duration::from_millis(60))).await;
    assert_eq!(ended, Err(CallError::DeadlinePassed));
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline() {
    ends_at_the_deadline(&run(&format!("{LOOP} (i32.const 0)")).deploy().await).await;
    let function =
        include_str!("guests/function.wat").replace("{body}", &format!("{LOOP} (i32.const 0)"));
    for instances in [Instances::Fresh, Instances::Reuse] {
        let guest = wasm(function.clone()).instances(instances).deploy().await;
        ends_at_the_deadline(&guest).await;
        ends_at_the_deadline(&guest).await;
    }
}

#[tokio::test]
async fn an_endless_start_ends_at_the_deadline() {
    let guest = include_str!("guests/function.wat")
        .replace("{body}", "(i32.const 0)")
        .replace("(memory (export", &format!("(func $s {LOOP}) (start $s) (memory (export"));
    ends_at_the_deadline(&wasm(guest).deploy().await).await;
}

#[tokio::test]
async fn memory_over_the_limit_is_told_apart() {
    let grow = "(loop $more (drop (memory.grow (i32.const 16))) (br $more)) (i32.const 0)";
    let guest = run(grow).memory(MEMORY).deploy().await;
    assert_eq!(guest.call("").await, Err(CallError::OutOfMemory { limit: MEMORY }));
}

#[tokio::test]
async fn the_memories_of_a_component_count_together() {
    // Four of 48 pages are 12 MiB; each alone is within the 8 MiB.
    let memories: String = (0..4)
        .map(|n| format!("(core module $m{n} (memory 48)) (core instance (instantiate $m{n}))"))
        .collect();
    let guest = wasm(format!(
        r#"(component {memories}
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#
    ));
    let guest = guest.memory(MEMORY).deploy().await;
    assert_eq!(guest.call("").await, Err(CallError::OutOfMemory { limit: MEMORY }));
}

#[tokio::test]
async fn the_tables_of_handles_are_bounded() {
    let bomb = wasm(
        r#"(component
            (type $resource (resource (rep i32)))
            (core func $new (canon resource.new $resource))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (func (export "run") (result i32)
                    (loop $more (drop (call $new (i32.const 1))) (br $more)) (i32.const 0)))
            (core instance $i (instantiate $m
                (with "" (instance (export "new" (func $new))))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#,
    );
    let (message, _) = bomb.deploy().await.failure("").await;
    assert!(message.contains("handle limit exceeded"), "{message}");
}

const CLOCK: &str = r#"
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $p0)) (export "pollable" (type $p (eq $p0)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))"#;
const CLOCK_LOWERED: &str = r#"
    (core func $f (canon lower (func $clock "subscribe-duration")))
    (core func $g (canon lower (func $poll "[method]pollable.block")))"#;
const CLOCK_SIGNATURE: &str = r#"
    (import "host" "f" (func $subscribe (param i64) (result i32)))
    (import "host" "g" (func $block (param i32)))"#;

#[tokio::test]
async fn a_wait_far_into_the_future_ends_at_the_deadline() {
    for nanos in ["1000000000000000", "-1"] {
        let body = format!("(call $block (call $subscribe (i64.const {nanos}))) (i32.const 0)");
        let guest = run_with(CLOCK, CLOCK_LOWERED, CLOCK_SIGNATURE, &body).deploy().await;
        ends_at_the_deadline(&guest).await;
    }
}

#[tokio::test]
async fn what_the_host_keeps_for_a_guest_is_bounded() {
    let body = "(loop $more (drop (call $subscribe (i64.const -1))) (br $more)) (i32.const 0)";
    let guest = run_with(CLOCK, CLOCK_LOWERED, CLOCK_SIGNATURE, body).deploy().await;
    let (message, _) = guest.failure("").await;
    assert!(message.contains("resource table has no free keys"), "{message}");
}

#[tokio::test]
async fn random_bytes_are_bounded() {
    let imports = r#"(import "wasi:random/random@0.2.0" (instance $random
        (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))"#;
    let lowered = r#"
        (core func $f (canon lower (func $random "get-random-bytes")
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
        (alias core export $libc "realloc" (core func $g))"#;
    let signature = r#"(import "host" "f" (func $random (param i64 i32)))"#;
    let ask = |n: &str| format!("(call $random (i64.const {n}) (i32.const 16)) (i32.const 0)");
    for n in ["-1", "68719476736", "2000000"] {
        let guest = run_with(imports, lowered, signature, &ask(n)).deploy().await;
        let (message, _) = guest.failure("").await;
        assert!(message.contains("exceeds limit"), "{message}");
    }
    run_with(imports, lowered, signature, &ask("1000")).deploy().await.reply("").await;
}

#[tokio::test]
async fn stdout_is_bounded() {
    let imports = r#"
        (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
        (alias export $error "error" (type $error-type))
        (import "wasi:io/streams@0.2.0" (instance $streams
            (export "output-stream" (type $out (sub resource)))
            (alias outer 1 $error-type (type $e0)) (export "error" (type $e (eq $e0)))
            (type $s0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
            (export "stream-error" (type $s (eq $s0)))
            (export "[method]output-stream.blocking-write-and-flush" (func
                (param "self" (borrow $out)) (param "contents" (list u8))
                (result (result (error $s)))))))
        (alias export $streams "output-stream" (type $stream))
        (import "wasi:cli/stdout@0.2.0" (instance $stdout
            (alias outer 1 $stream (type $o0)) (export "output-stream" (type $o (eq $o0)))
            (export "get-stdout" (func (result (own $o))))))"#;
    let lowered = r#"
        (core func $f (canon lower (func $stdout "get-stdout")))
        (core func $g (canon lower
            (func $streams "[method]output-stream.blocking-write-and-flush")
            (memory (core memory $libc "memory"))))"#;
    let signature = r#"
        (import "host" "f" (func $stdout (result i32)))
        (import "host" "g" (func $write (param i32 i32 i32 i32)))"#;
    let write = |len: u32, times: u32| {
        format!(
            "(local $out i32) (local $n i32) (local.set $out (call $stdout))
            (loop $more
                (call $write (local.get $out) (i32.const 4096) (i32.const {len}) (i32.const 16))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $n) (i32.const {times}))))
            (i32.const 0)"
        )
    };
    let deploy = |body: String| run_with(imports, lowered, signature, &body).memory(MEMORY);
    let fine = deploy(write(4096, 1000)).deploy().await;
    assert_eq!(fine.reply("").await.len(), 4_096_000);
    let flood = deploy(write(4096, 1_000_000)).deploy().await;
    assert_eq!(flood.call("").await, Err(CallError::OutOfMemory { limit: MEMORY }));
    // One write alone may not be large either.
    deploy(write(60_000, 1)).deploy().await.failure("").await;
}
