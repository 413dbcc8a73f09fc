//! J6: a wasm command that writes standard input, then argv[1], to standard output.
//!
//! 1. The reply is all of it, a trailing newline kept, however many writes it took.
//! 2. argv and environment of the request reach it; standard error is its log.
//! 3. A module without WASI is taken as well, also as text.

use nex_testkit::{example, root};

use crate::world::{SOON, World, error_headers};

/// Writes argv[2], one byte a write, then to standard error; exits with 3 when there is none.
const ARGUMENT: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 512) "said it\n")
  (func $put (param $fd i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start") (local $at i32)
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (if (i32.lt_u (i32.load (i32.const 16)) (i32.const 3)) (then (call $exit (i32.const 3))))
    (drop (call $args (i32.const 64) (i32.const 1024)))
    (local.set $at (i32.load (i32.const 72)))
    (block $end (loop $next
      (br_if $end (i32.eqz (i32.load8_u (local.get $at))))
      (call $put (i32.const 1) (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (call $put (i32.const 2) (i32.const 512) (i32.const 8))))
"#;

#[tokio::test]
async fn j06_a_wasm_command_replies_all_that_it_wrote() {
    let world = World::up().await;
    world.nex.ok(&["run", &example("wasm-echo.wasm"), "--on", "wasm.echo"]).await;
    for (payload, expected) in [
        ("hello", "hellowasm.echo"),
        ("hello\n", "hello\nwasm.echo"),
        ("", "wasm.echo"),
        ("\n\n", "\n\nwasm.echo"),
    ] {
        assert_eq!(world.ask("wasm.echo", payload).await.payload, expected);
    }
    let big = "0123456789".repeat(100_000);
    let reply = world.ask("wasm.echo", big.clone()).await;
    assert!(reply.payload == format!("{big}wasm.echo"), "{} bytes came back", reply.payload.len());
    world.finish().await;
}

#[tokio::test]
async fn j06_arguments_reach_it_and_standard_error_is_its_log() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "say", "-f"]).await;
    world.file("say.wat", ARGUMENT);
    let argument = "a word of some length";
    world.nex.ok(&["run", "say.wat", "--on", "say", "--", argument]).await;
    assert_eq!(world.ask("say", "").await.payload, argument);
    logs.line(SOON, |line| line == "say: said it").await.unwrap();

    world.nex.ok(&["run", "say.wat", "--on", "say"]).await;
    let (code, says) = error_headers(&world.ask("say", "").await);
    assert_eq!(code, "500");
    assert!(says.contains('3'), "the exit code is named: {says}");
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn j06_a_reactor_is_taken_as_text() {
    let world = World::up().await;
    let source = std::fs::read_to_string(root().join("examples/reactor.wat")).unwrap();
    world.deploy("reactor.wat", &source, "reactor").await;
    let reply = world.ask("reactor", "hello").await;
    assert_eq!(reply.headers, None);
    assert_eq!(reply.payload, "hello");
    world.finish().await;
}
