//! Command components (`wasi:cli/run`): the contract of WASI preview 1 commands, by component interfaces.
//!
//! - argv is name, subject, then the request's arguments; stdin is the payload; stdout is the reply
//! - the environment is the request's; stderr becomes log lines
//! - an exit code other than 0, and an error that `run` returns, are failures that name it
//! - nothing lasts from one call to the next; there is no socket

use nex_functions::runtime::Level;

use crate::support::{Setup, all_bytes, wasm};

const COMMAND: &[u8] = include_bytes!("../../../../examples/component-command.wasm");

/// A component whose `run` is `body`, which leaves 0 for success or 1 for an error.
pub(crate) fn run(body: &str) -> Setup {
    wasm(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func $run (export "run") (result i32) {body}))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#
    ))
}

#[tokio::test]
async fn stdin_and_arguments_go_in_and_stdout_comes_out() {
    let command = wasm(COMMAND).argv(&["one", "two"]).deploy().await;
    assert_eq!(command.guest.shape(), "WASI command component");
    for payload in [vec![], all_bytes(), vec![9; 1_000_000]] {
        let expected = [&payload[..], b"probe.subjectonetwo"].concat();
        assert_eq!(command.reply(payload).await, expected);
    }
}

#[tokio::test]
async fn the_environment_is_the_request_s_and_stderr_is_the_log() {
    let command = wasm(COMMAND).environment("GREETING", "good day\nto you").deploy().await;
    assert_eq!(command.text("x").await, "xprobe.subject");
    let line = |text: &str| (Level::Info, text.to_owned());
    assert_eq!(command.log.lines(), [line("good day"), line("to you")]);
}

#[tokio::test]
async fn an_exit_code_is_a_failure_that_names_it() {
    // WASI 0.2 has no numbers for exit codes: whatever is not 0 is 1.
    let command = wasm(COMMAND).deploy().await;
    assert_eq!(command.failure("exit").await.0, "exited with code 1");
    assert_eq!(run("(i32.const 1)").deploy().await.failure("").await.0, "exited with code 1");
    assert_eq!(run("(i32.const 0)").deploy().await.text("").await, "");
}

#[tokio::test]
async fn a_trap_is_a_failure_with_its_backtrace_in_the_log() {
    let command = run("(unreachable)").deploy().await;
    assert_eq!(command.failure("").await.0, "trapped: unreachable code was reached");
    assert!(command.log.text().contains("wasm backtrace"), "{}", command.log.text());
}

#[tokio::test]
async fn a_socket_is_refused() {
    let socket = wasm(
        r#"(component
            (import "wasi:sockets/network@0.2.0" (instance $network
                (type $e0 (enum "unknown" "access-denied" "not-supported"
                    "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
                    "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
                    "address-not-bindable" "address-in-use" "remote-unreachable"
                    "connection-refused" "connection-reset" "connection-aborted"
                    "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
                    "permanent-resolver-failure"))
                (export "error-code" (type (eq $e0)))))
            (alias export $network "error-code" (type $code))
            (import "wasi:sockets/tcp@0.2.0" (instance $tcp
                (export "tcp-socket" (type (sub resource)))))
            (alias export $tcp "tcp-socket" (type $socket))
            (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
                (alias outer 1 $code (type $c0)) (export "error-code" (type $c (eq $c0)))
                (alias outer 1 $socket (type $s0)) (export "tcp-socket" (type $s (eq $s0)))
                (type $f0 (enum "ipv4" "ipv6")) (export "ip-address-family" (type $f (eq $f0)))
                (export "create-tcp-socket" (func (param "address-family" $f)
                    (result (result (own $s) (error $c)))))))
            (core module $libc (memory (export "memory") 1))
            (core instance $libc (instantiate $libc))
            (core func $create (canon lower (func $create "create-tcp-socket")
                (memory (core memory $libc "memory"))))
            (core module $m
                (import "host" "create" (func $create (param i32 i32)))
                (import "libc" "memory" (memory 1))
                (func (export "run") (result i32)
                    (call $create (i32.const 0) (i32.const 16))
                    ;; An error, and access-denied.
                    (i32.eqz (i32.and (i32.eq (i32.load8_u (i32.const 16)) (i32.const 1))
                        (i32.eq (i32.load8_u (i32.const 20)) (i32.const 1))))))
            (core instance $i (instantiate $m
                (with "host" (instance (export "create" (func $create))))
                (with "libc" (instance $libc))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#,
    );
    assert_eq!(socket.deploy().await.text("").await, "");
}
