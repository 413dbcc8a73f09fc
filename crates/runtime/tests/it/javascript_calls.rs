//! What a JavaScript function is given, and what becomes of what it returns.
//!
//! - payloads arrive as bytes of any value and length, with `text()` and `json()`
//! - bytes, text, nothing, JSON and `Response` are replies; promises are awaited
//! - an exception is a failure whose stack, with file and line, is logged
//! - timers and host operations run side by side

use std::time::{Duration, Instant};

use nex_functions::runtime::{Call, CallError, Level, Reply};

use crate::support::{all_bytes, call, javascript};

#[tokio::test]
async fn bytes_of_every_value_and_length_come_back() {
    let echo = javascript("(subject, payload) => payload").deploy().await;
    assert_eq!(echo.guest.shape(), "classic script");
    for payload in [vec![], all_bytes(), vec![7; 1_000_000], vec![1]] {
        assert_eq!(echo.reply(payload.clone()).await, payload);
    }
}

#[tokio::test]
async fn a_payload_is_a_byte_array_with_two_hidden_methods() {
    let guest = javascript(
        "(subject, payload) => ({
            isBytes: payload instanceof Uint8Array,
            name: payload.constructor.name,
            keys: Object.keys(payload),
            sliceIsBytes: payload.slice(1) instanceof Uint8Array,
            text: payload.text(),
            json: payload.json(),
        })",
    );
    assert_eq!(
        guest.deploy().await.text("[1]").await,
        r#"{"isBytes":true,"name":"Uint8Array","keys":["0","1","2"],"sliceIsBytes":true,"text":"[1]","json":[1]}"#
    );
}

#[tokio::test]
async fn every_kind_of_value_has_its_reply() {
    let cases = [
        ("'grüße 🦀'", "grüße 🦀"),
        ("undefined", ""),
        ("null", "null"),
        ("42", "42"),
        ("false", "false"),
        ("''", ""),
        ("({a: [1, 'b'], c: undefined})", r#"{"a":[1,"b"]}"#),
        ("new Date(0)", r#""1970-01-01T00:00:00.000Z""#),
        ("new Uint8Array([104, 105])", "hi"),
        ("new Uint8Array([1, 104, 105]).subarray(1)", "hi"),
        ("new Uint8Array([104, 105]).buffer", "hi"),
        ("Promise.resolve('later')", "later"),
        ("'\\ud800'", "\u{fffd}"),
    ];
    for (value, expected) in cases {
        let guest = javascript(&format!("() => {value}")).deploy().await;
        assert_eq!(guest.text("").await, expected, "{value}");
    }
}

#[tokio::test]
async fn what_json_cannot_express_is_a_failure() {
    let guest = javascript("() => () => 1").deploy().await;
    let (message, _) = guest.failure("").await;
    assert_eq!(
        message,
        "TypeError: the function returned [Function (anonymous)], which JSON cannot express"
    );
    let circular = javascript("() => { const a = {}; a.a = a; return a; }").deploy().await;
    assert!(circular.failure("").await.0.starts_with("TypeError: circular reference"));
}

#[tokio::test]
async fn a_response_has_a_body_headers_and_a_status() {
    let guest = javascript(
        "(subject, payload) => new Response(payload, {
            status: payload.length > 0 ? 418 : 200,
            headers: { 'X-Kind': 'teapot', 'Content-Type': 'text/tea' },
        })",
    )
    .deploy()
    .await;
    let headers = vec![
        ("content-type".to_owned(), "text/tea".to_owned()),
        ("x-kind".to_owned(), "teapot".to_owned()),
    ];
    let error =
        Reply { payload: "short".into(), headers: headers.clone(), error_status: Some(418) };
    assert_eq!(guest.call("short").await, Ok(error));
    assert_eq!(guest.call("").await, Ok(Reply { headers, ..Reply::default() }));
}

#[tokio::test]
async fn a_context_tells_of_the_message() {
    let guest = javascript(
        "export default (subject, payload, ctx) => ({
            subject,
            reply: ctx.reply,
            trigger: ctx.trigger,
            header: ctx.headers.get('x-tenant'),
            all: [...ctx.headers],
            env: ctx.env,
            text: ctx.text(),
            left: Math.round((ctx.deadline - Date.now()) / 1000),
        })",
    )
    .environment("COLOUR", "blue")
    .deploy()
    .await;
    let headers = vec![
        ("X-Tenant".to_owned(), "acme".to_owned()),
        ("traceparent".to_owned(), "a".to_owned()),
        ("x-tenant".to_owned(), "beta".to_owned()),
    ];
    let message = Call { headers, reply: Some("_INBOX.1".to_owned()), ..call("pay") };
    let reply = guest.guest.call(message).await.unwrap().payload;
    assert_eq!(
        std::str::from_utf8(&reply).unwrap(),
        r#"{"subject":"probe.subject","reply":"_INBOX.1","trigger":{"type":"subject","subject":"probe.subject"},"header":"acme, beta","all":[["traceparent","a"],["x-tenant","acme, beta"]],"env":{"COLOUR":"blue"},"text":"pay","left":4}"#
    );
}

#[tokio::test]
async fn all_shapes_of_a_function_are_found() {
    let cases = [
        ("(subject) => subject", "classic script"),
        ("function handle(subject) { return subject } handle", "classic script"),
        ("export default (subject) => subject", "ES module"),
        ("export default async function (subject) { return subject }", "ES module"),
        (
            "export default { prefix: '', handle(subject) { return this.prefix + subject } }",
            "ES module",
        ),
        ("export async function handler(subject) { return subject }", "ES module"),
        (
            "const name = await Promise.resolve('x'); export default (subject) => subject",
            "ES module",
        ),
    ];
    for (source, shape) in cases {
        let guest = javascript(source).deploy().await;
        assert_eq!(guest.guest.shape(), shape, "{source}");
        assert_eq!(guest.text("").await, "probe.subject", "{source}");
    }
}

#[tokio::test]
async fn an_exception_is_logged_with_file_and_line() {
    let guest =
        javascript("function inner(x) {\n  return x.missing.field;\n}\n(subject) => inner({})");
    let guest = guest.deploy().await;
    let (message, detail) = guest.failure("").await;
    assert_eq!(message, "TypeError: cannot read property 'field' of undefined");
    assert!(detail.contains("at inner (probe.js:2:"), "{detail}");
    assert!(!detail.contains("nex:"), "{detail}");
    assert_eq!(guest.log.text(), detail);
    assert!(guest.log.lines().iter().all(|(level, _)| *level == Level::Error));
    // A failure of the function is no failure of its instance.
    assert_eq!(guest.failure("").await.0, message);
}

#[tokio::test]
async fn rejections_and_other_thrown_values_are_failures() {
    let cases = [
        ("async () => { throw new RangeError('far') }", "RangeError: far"),
        ("() => Promise.reject('plain')", "uncaught plain"),
        ("() => { throw { code: 3 } }", "uncaught { code: 3 }"),
        ("() => { throw undefined }", "uncaught undefined"),
        (
            "() => { class Mine extends Error { name = 'Mine' }; throw new Mine('own') }",
            "Mine: own",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(javascript(source).deploy().await.failure("").await.0, expected, "{source}");
    }
    let caused =
        javascript("() => { throw new Error('outer', { cause: new TypeError('inner') }) }");
    let (_, detail) = caused.deploy().await.failure("").await;
    assert!(detail.contains("caused by TypeError: inner"), "{detail}");
}

#[tokio::test]
async fn an_async_module_waits_for_its_timer() {
    let guest = javascript(
        "export default async (subject, payload) => {
            await new Promise((resolve) => setTimeout(resolve, 20));
            return `${payload.text()} later`;
        }",
    )
    .deploy()
    .await;
    let start = Instant::now();
    assert_eq!(guest.text("much").await, "much later");
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn waits_run_side_by_side() {
    let timers = "const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));";
    let operations = "const wait = (ms) => scheduler.wait(ms);";
    for wait in [timers, operations] {
        let source = format!(
            "{wait} async () => {{ await Promise.all([wait(60), wait(60), wait(60)]); return 'x' }}"
        );
        let guest = javascript(&source).deploy().await;
        let start = Instant::now();
        assert_eq!(guest.text("").await, "x");
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_millis(60), "{elapsed:?}");
        assert!(elapsed < Duration::from_millis(170), "{elapsed:?}");
    }
}

#[tokio::test]
async fn timers_run_in_order_and_can_be_cleared() {
    let guest = javascript(
        "async () => {
            const seen = [];
            const note = (what) => seen.push(what);
            setTimeout(note, 15, 'late');
            setTimeout(note, 5, 'early');
            setTimeout(note, 5, 'early too');
            clearTimeout(setTimeout(note, 1, 'never'));
            let n = 0;
            const ticks = setInterval(() => { note(`tick ${++n}`); if (n === 2) clearInterval(ticks); }, 6);
            queueMicrotask(() => note('microtask'));
            await scheduler.wait(40);
            return seen;
        }",
    );
    assert_eq!(
        guest.deploy().await.text("").await,
        r#"["microtask","early","early too","tick 1","tick 2","late"]"#
    );
}

#[tokio::test]
async fn a_promise_that_cannot_settle_is_a_failure_at_once() {
    let guest = javascript("() => new Promise(() => {})").deploy().await;
    let start = Instant::now();
    assert_eq!(
        guest.failure("").await.0,
        "the function's promise can never settle: no timer or operation is pending"
    );
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn an_exception_in_a_timer_fails_the_call() {
    let guest = javascript(
        "() => new Promise(() => setTimeout(() => { throw new Error('in a timer') }, 1))",
    );
    assert_eq!(guest.deploy().await.failure("").await.0, "Error: in a timer");
}

#[tokio::test]
async fn a_rejection_that_nobody_hears_is_logged() {
    let guest = javascript("() => { Promise.reject(new Error('lost')); return 'fine' }");
    let guest = guest.deploy().await;
    assert_eq!(guest.text("").await, "fine");
    assert!(guest.log.text().starts_with("unhandled rejection: Error: lost\n"), "{:?}", guest.log);
}

#[tokio::test]
async fn a_wait_is_stopped_at_the_deadline() {
    let guest = javascript("async () => { await scheduler.wait(60_000) }").deploy().await;
    let start = Instant::now();
    let deadline = start + Duration::from_millis(40);
    let ended = guest.guest.call(Call { deadline, ..call("") }).await;
    assert_eq!(ended, Err(CallError::DeadlinePassed));
    assert!(start.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn operations_of_one_instance_are_bounded() {
    let guest = javascript(
        "async () => {
            const refused = new Set();
            for (let n = 0; n < 2000; n++) {
                scheduler.wait(100_000).catch((error) => refused.add(`${error}`));
            }
            await undefined;
            return [...refused];
        }",
    );
    assert_eq!(
        guest.deploy().await.text("").await,
        r#"["RangeError: too many operations are pending"]"#
    );
}
