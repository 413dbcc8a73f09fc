//! WASI preview 1 commands.
//!
//! - argv is name, subject, then the request's arguments; stdin is the payload; stdout is the reply
//! - stdout is complete however many writes it took
//! - the environment is the request's and nothing else
//! - stderr becomes log lines, also the last one without an end
//! - an exit code other than 0 is a failure that names it
//! - there is no file system

use nex_functions::runtime::Level;

use crate::support::{Setup, all_bytes, wasm};

const ECHO: &[u8] = include_bytes!("../../../../examples/wasm-echo.wasm");

/// A command whose `_start` is `body`; it may call `$write(fd, address, len)` and `$exit(code)`.
fn command(data: &str, body: &str) -> Setup {
    wasm(format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get"
                (func $args_sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_sizes_get"
                (func $env_sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 4096) "{data}")
            (func $write (param $fd i32) (param $address i32) (param $len i32)
                (i32.store (i32.const 0) (local.get $address))
                (i32.store (i32.const 4) (local.get $len))
                (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") {body}))"#
    ))
}

#[tokio::test]
async fn a_rust_command_echoes_stdin_and_its_subject() {
    let echo = wasm(ECHO).deploy().await;
    assert_eq!(echo.guest.shape(), "WASI p1 command");
    for payload in [vec![], all_bytes(), vec![9; 1_000_000]] {
        let expected = [&payload[..], b"probe.subject"].concat();
        assert_eq!(echo.reply(payload).await, expected);
    }
}

#[tokio::test]
async fn stdout_is_complete_however_many_writes_it_took() {
    let body = "(local $n i32)
        (loop $again
            (call $write (i32.const 1) (i32.const 4096) (i32.const 3))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 1000))))";
    assert_eq!(command("ab\\n", body).deploy().await.text("").await, "ab\n".repeat(1000));
}

#[tokio::test]
async fn arguments_and_environment_are_the_requests_alone() {
    let both = "(drop (call $args_sizes (i32.const 16) (i32.const 20)))
        (drop (call $args (i32.const 64) (i32.const 8192)))
        (call $write (i32.const 1) (i32.const 8192) (i32.load (i32.const 20)))
        (drop (call $env_sizes (i32.const 16) (i32.const 20)))
        (drop (call $env (i32.const 64) (i32.const 8192)))
        (call $write (i32.const 1) (i32.const 8192) (i32.load (i32.const 20)))";
    let guest =
        command("", both).environment("COLOUR", "blue").argv(&["one", "two"]).deploy().await;
    assert_eq!(guest.text("").await, "probe\0probe.subject\0one\0two\0COLOUR=blue\0");
}

#[tokio::test]
async fn stderr_becomes_log_lines() {
    let body = "(call $write (i32.const 2) (i32.const 4096) (i32.const 4))
        (call $write (i32.const 2) (i32.const 4100) (i32.const 8))";
    let guest = command("firsecond\\nlast", body).deploy().await;
    assert_eq!(guest.text("").await, "");
    let lines = guest.log.lines();
    assert_eq!(lines, [(Level::Info, "firsecond".to_owned()), (Level::Info, "la".to_owned())]);
}

#[tokio::test]
async fn an_exit_code_is_a_failure_that_names_it() {
    let guest = command("x", "(call $exit (i32.const 3))").deploy().await;
    assert_eq!(guest.failure("").await.0, "exited with code 3");
    let fine =
        "(call $write (i32.const 1) (i32.const 4096) (i32.const 1)) (call $exit (i32.const 0))";
    assert_eq!(command("x", fine).deploy().await.text("").await, "x");
}

#[tokio::test]
async fn there_is_no_file_system() {
    // Every descriptor that could be a directory answers with an error number.
    let body = "(local $fd i32)
        (loop $next
            (i32.store8 (i32.const 512) (call $open (local.get $fd) (i32.const 0)
                (i32.const 4096) (i32.const 1)
                (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 600)))
            (if (i32.eqz (i32.load8_u (i32.const 512))) (then (call $exit (i32.const 99))))
            (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $fd) (i32.const 32))))";
    assert_eq!(command(".", body).deploy().await.text("").await, "");
}
