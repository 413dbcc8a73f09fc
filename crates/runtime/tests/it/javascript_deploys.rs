//! Scripts that are refused at deploy, and what the author is told.

use std::time::{Duration, Instant};

use crate::support::javascript;

#[tokio::test]
async fn a_syntax_error_names_line_and_column_and_shows_the_line() {
    let refusal = javascript("(subject) => {\n  const x = 1;\n  return x +* 2;\n}").refusal().await;
    assert!(refusal.message.starts_with("probe.js:3:13: SyntaxError: "), "{}", refusal.message);
    let detail = refusal.detail.unwrap();
    let mut lines = detail.lines();
    assert_eq!(lines.next(), Some("  return x +* 2;"));
    assert_eq!(lines.next(), Some("            ^"));
}

#[tokio::test]
async fn a_syntax_error_of_a_module_is_told_as_such() {
    let refusal = javascript("export default (subject) => {\n  return ) }\n").refusal().await;
    assert!(refusal.message.starts_with("probe.js:2:10: SyntaxError: "), "{}", refusal.message);
}

#[tokio::test]
async fn what_is_not_callable_is_refused() {
    let cases = [
        ("42", "the script evaluates to 42, not to a function (subject, payload) => …"),
        ("", "the script evaluates to undefined, not to a function (subject, payload) => …"),
        (
            "({handle() {}})",
            "the script evaluates to { handle: [Function: handle] }, not to a function (subject, payload) => …",
        ),
        (
            "export const a = 1, b = 2;",
            "the module exports a, b: it needs `export default` of a function (subject, payload, ctx) or of an object with `handle`, or an exported function `handler`",
        ),
        (
            "export default 1",
            "the module exports default: it needs `export default` of a function (subject, payload, ctx) or of an object with `handle`, or an exported function `handler`",
        ),
    ];
    for (source, reason) in cases {
        let refusal = javascript(source).refusal().await;
        assert_eq!(refusal.message, format!("probe.js is not callable: {reason}"), "{source}");
    }
}

#[tokio::test]
async fn an_import_is_refused_with_the_hint_to_bundle() {
    for source in ["import x from 'lodash';\nexport default () => x", "import './a.js';\n() => 1"] {
        let refusal = javascript(source).refusal().await;
        assert!(refusal.message.contains("could not load module '"), "{}", refusal.message);
        assert!(refusal.message.contains("npx esbuild"), "{}", refusal.message);
    }
    let later = javascript("async () => { await import('lodash') }").deploy().await;
    assert!(later.failure("").await.0.contains("npx esbuild"));
}

#[tokio::test]
async fn an_exception_at_the_top_level_names_its_line() {
    let refusal = javascript("const x = 1;\nnull.field;\n() => x").refusal().await;
    assert!(refusal.message.starts_with("probe.js:2:1: TypeError: "), "{}", refusal.message);
    assert!(refusal.detail.unwrap().starts_with("null.field;\n^\n"));
}

#[tokio::test]
async fn what_an_image_must_not_hold_is_refused_at_the_top_level() {
    let cases = [
        "Math.random()",
        "setTimeout(() => {}, 1)",
        "setInterval(() => {}, 1)",
        "scheduler.wait(1)",
    ];
    for call in cases {
        let refusal = javascript(&format!("\n{call};\n() => 1")).refusal().await;
        assert!(refusal.message.starts_with("probe.js:2:"), "{call}: {}", refusal.message);
        assert!(
            refusal.message.contains("is not available at the top level"),
            "{call}: {}",
            refusal.message
        );
    }
}

#[tokio::test]
async fn a_top_level_that_does_not_end_is_refused() {
    let start = Instant::now();
    let endless = javascript("for (;;) {}").timeout(Duration::from_millis(50)).refusal().await;
    assert_eq!(endless.message, "the top level did not end within 50ms");
    assert!(start.elapsed() < Duration::from_secs(1));
    let waiting = javascript("await new Promise(() => {}); export default () => 1").refusal().await;
    assert_eq!(waiting.message, "probe.js awaits at its top level what never comes");
}

#[tokio::test]
async fn a_top_level_over_the_memory_limit_is_refused() {
    let limit = 8 * 1024 * 1024;
    let hungry = "const a = []; for (;;) a.push(new Uint8Array(100_000)); () => 1";
    let refusal = javascript(hungry).memory(limit).refusal().await;
    assert_eq!(refusal.message, "the top level needs more memory than 8388608 bytes");
    let tiny = javascript("() => 1").memory(1024 * 1024).refusal().await;
    assert!(tiny.message.contains("more than its limit of 1048576 bytes"), "{}", tiny.message);
}

#[tokio::test]
async fn the_log_hears_of_the_top_level() {
    let guest = javascript("console.log('once');\n() => 'x'").deploy().await;
    assert_eq!(guest.text("").await, "x");
    assert_eq!(guest.log.text(), "once");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    assert_eq!(
        crate::support::javascript_bytes(b"() => '\xff'").refusal().await.message,
        "probe.js is not UTF-8"
    );
    let zero = javascript("() => '\0'").refusal().await;
    assert!(zero.message.contains("zero byte"), "{}", zero.message);
}

#[tokio::test]
async fn marks_at_the_beginning_of_a_file_are_no_errors() {
    for source in
        ["\u{feff}() => 'x'", "#!/usr/bin/env node\n() => 'x'", "\u{feff}export default () => 'x'"]
    {
        assert_eq!(javascript(source).deploy().await.text("").await, "x", "{source}");
    }
}

#[tokio::test]
async fn scripts_as_people_write_them_are_accepted() {
    let cases = [
        "(subject, payload) => {\n  console.log(subject);\n  return 'x';\n};\n",
        "'use strict';\nfunction run() { return 'x' }\nrun;\n// the end\n",
        "var answer = 'x'; (function () { return answer })",
        "let deps = { get: () => 'x' }; async () => deps.get()",
        "globalThis.tool = () => 'x'; (subject, payload) => tool()",
    ];
    for source in cases {
        assert_eq!(javascript(source).deploy().await.text("").await, "x", "{source}");
    }
}

#[tokio::test]
async fn an_unhandled_rejection_at_the_top_level_is_refused() {
    let refusal = javascript("Promise.reject(new Error('early'));\n() => 1").refusal().await;
    assert!(refusal.message.starts_with("probe.js:1:"), "{}", refusal.message);
    assert!(refusal.message.ends_with("Error: early"), "{}", refusal.message);
}
