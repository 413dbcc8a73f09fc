//! Components of our own world.
//!
//! - subject, payload and headers go in; payload and headers come out
//! - the errors of the world are errors of the call, with the status that the guest chose
//! - an instance is fresh for each call, or reused where that was asked for
//! - a panic is a failure with a backtrace in the log
//! - C and text are taken as Rust is
//! - a component whose services are switched off deploys, and is told so when it calls

use nex_functions::runtime::{Call, CallError, Instances, Level, Reply};

use crate::support::{Setup, all_bytes, call, wasm};

const RUST: &[u8] = include_bytes!("../../../../examples/component-rust.wasm");
const C: &[u8] = include_bytes!("../../../../examples/component-c.wasm");
const COUNTER: &[u8] = include_bytes!("../../../../examples/component-counter.wasm");
const SHELL: &str = include_str!("guests/function.wat");

/// A component of our world as text: `body` is what `handle` does, with the message's address in `$message`.
fn function(body: &str) -> Setup {
    wasm(SHELL.replace("{body}", body))
}

/// Answers with the number of its calls as one byte, kept in its memory.
const COUNTING: &str = "
    (i32.store8 (i32.const 512) (i32.add (i32.load8_u (i32.const 512)) (i32.const 1)))
    (i32.store8 (i32.const 256) (i32.const 0))
    (i32.store (i32.const 260) (i32.const 512))
    (i32.store (i32.const 264) (i32.const 1))
    (i32.store (i32.const 268) (i32.const 0))
    (i32.store (i32.const 272) (i32.const 0))
    (i32.const 256)";

#[tokio::test]
async fn what_goes_in_comes_out() {
    let echo = wasm(RUST).deploy().await;
    assert_eq!(echo.guest.shape(), "component");
    for payload in [vec![], all_bytes(), vec![7; 1_000_000]] {
        assert_eq!(echo.reply(payload.clone()).await, payload);
    }
    let headers = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "ä".to_owned())];
    let with_headers = Call { headers: headers.clone(), ..call("x") };
    let reply = echo.guest.call(with_headers).await.unwrap();
    assert_eq!(reply, Reply { payload: "x".into(), headers, error_status: None });
    assert_eq!(echo.text("subject").await, "probe.subject");
}

#[tokio::test]
async fn the_world_s_errors_are_errors_of_the_call() {
    let echo = wasm(RUST).deploy().await;
    let bad = CallError::BadInput("the payload is bad".to_owned());
    assert_eq!(echo.call("bad").await, Err(bad));
    assert_eq!(echo.failure("fail").await.0, "the payload says fail");
    let teapot = echo.call("teapot").await.unwrap();
    assert_eq!((teapot.error_status, &teapot.payload[..]), (Some(418), &b"short and stout"[..]));
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_backtrace_in_the_log() {
    let echo = wasm(RUST).deploy().await;
    let (message, detail) = echo.failure("panic").await;
    assert_eq!(message, "trapped: unreachable code was reached");
    assert!(detail.contains("wasm backtrace"), "{detail}");
    assert!(echo.log.lines().iter().all(|(level, _)| *level == Level::Error));
    assert!(echo.log.text().contains("wasm backtrace"));
    assert_eq!(echo.text("still here").await, "still here");
}

#[tokio::test]
async fn instances_are_fresh_unless_reuse_is_asked_for() {
    let fresh = function(COUNTING).deploy().await;
    let reused = function(COUNTING).instances(Instances::Reuse).deploy().await;
    for n_call in 1..4_u8 {
        assert_eq!(fresh.reply("").await, [1][..]);
        assert_eq!(reused.reply("").await, [n_call][..]);
    }
    reused.guest.release_idle();
    assert_eq!(reused.reply("").await, [1][..]);
}

#[tokio::test]
async fn a_reused_instance_that_failed_is_not_used_again() {
    let fails_at_two = format!(
        "(if (i32.eq (i32.load8_u (i32.const 512)) (i32.const 2)) (then (unreachable))) {COUNTING}"
    );
    let guest = function(&fails_at_two).instances(Instances::Reuse).deploy().await;
    assert_eq!(guest.reply("").await, [1][..]);
    assert_eq!(guest.reply("").await, [2][..]);
    assert_eq!(guest.failure("").await.0, "trapped: unreachable code was reached");
    assert_eq!(guest.reply("").await, [1][..]);
}

#[tokio::test]
async fn a_component_in_c_answers() {
    let reverse = wasm(C).deploy().await;
    assert_eq!(reverse.text("stressed").await, "desserts");
    let empty = CallError::BadInput("there is nothing to turn round".to_owned());
    assert_eq!(reverse.call("").await, Err(empty));
}

#[tokio::test]
async fn what_is_switched_off_is_told_when_it_is_called() {
    let counter = wasm(COUNTER).deploy().await;
    let (message, _) = counter.failure("apples").await;
    assert_eq!(message, "cannot count: Error::AccessDenied");
    let expected = "key-value is switched off for this workload (host_services)";
    assert!(counter.log.text().contains(expected), "{}", counter.log.text());
    // What the guest logs has its level.
    let logged = (Level::Error, "counter: Error::AccessDenied".to_owned());
    assert!(counter.log.lines().contains(&logged), "{:?}", counter.log.lines());
}

#[tokio::test]
async fn an_answer_outside_of_memory_is_a_failure() {
    for body in ["(i32.const 262140)", "(i32.const -4)", "(i32.const 257)"] {
        function(body).deploy().await.failure("").await;
    }
    // The payload's bytes are not there.
    let beyond = "(i32.store (i32.const 260) (i32.const 260000))
        (i32.store (i32.const 264) (i32.const 70000)) (i32.const 256)";
    function(beyond).deploy().await.failure("").await;
}

#[tokio::test]
async fn a_status_that_is_none_is_a_failure() {
    let two_hundred = "(i32.store8 (i32.const 256) (i32.const 1))
        (i32.store8 (i32.const 260) (i32.const 2))
        (i32.store16 (i32.const 264) (i32.const 200))
        (i32.const 256)";
    let (message, _) = function(two_hundred).deploy().await.failure("").await;
    assert_eq!(message, "returned the error status 200, which is not 400 to 599");
}
