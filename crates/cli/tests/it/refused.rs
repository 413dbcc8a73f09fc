//! What cannot run is refused at deploy: exit code 1 (2 for a file that is not there), a sentence, a hint.
//!
//! 1. JavaScript: a syntax error with file, line, column, the line and a caret; what is not callable.
//! 2. WebAssembly: imports that nobody offers, named.
//! 3. Programs: dynamic, for another machine, scripts, nothing at all.
//! 4. Artifacts: no such file, no such bucket, another digest.
//! 5. Denied subjects, with the pattern.
//! 6. Nothing of a refused deploy is listed, and nothing of it listens.

use nex_testkit::Output;
use serde_json::json;

use crate::guests::ECHO;
use crate::world::{World, assert_no_responders, assert_refused};

const RUN: &str = "nex run";

impl World {
    async fn try_deploy(&self, file: &str, content: impl AsRef<[u8]>) -> Output {
        self.file(file, content);
        self.nex.run(&["run", file, "--on", "never"]).await
    }

    async fn finish_with_nothing_deployed(self) {
        assert_eq!(self.list().await, Vec::<serde_json::Value>::new());
        assert_no_responders(&self.client, "never").await;
        self.finish().await;
    }
}

#[tokio::test]
async fn a_syntax_error_shows_its_line_with_a_caret() {
    let world = World::up().await;
    let source = "// greets\n(subject, payload) => {\n  const x = ;\n}\n";
    let refused = world.try_deploy("bad.js", source).await;
    let says =
        ["bad.js:3:13: SyntaxError", "NEX-210", "\n    const x = ;\n", "\n              ^\n"];
    assert_refused(refused, 1, &says, "export default (subject, payload) =>");

    let refused =
        world.try_deploy("bad.mjs", "export default (s, p) => {\n  await p;\n  let let;\n}").await;
    assert_refused(refused, 1, &["bad.js:", "SyntaxError"], "export default (subject, payload) =>");
    world.finish_with_nothing_deployed().await;
}

#[tokio::test]
async fn what_is_not_callable_is_refused_at_deploy() {
    let world = World::up().await;
    for (source, says) in [
        ("42", "is not callable: the script evaluates to 42"),
        ("const f = () => 1;", "is not callable"),
        ("export const answer = 42;", "callable"),
        ("throw new Error('no luck today')", "no luck today"),
        ("import fs from 'fs'; export default () => 1", "fs"),
    ] {
        let refused = world.try_deploy("wrong.js", source).await;
        assert_refused(refused, 1, &[says, "NEX-210"], "export default (subject, payload) =>");
    }
    world.finish_with_nothing_deployed().await;
}

#[tokio::test]
async fn wasm_with_unknown_imports_is_refused_by_their_names() {
    let world = World::up().await;
    let unknown = r#"(module (import "moon" "phase" (func)) (memory (export "memory") 1) (func (export "_start")))"#;
    let refused = world.try_deploy("moon.wat", unknown).await;
    assert_refused(refused, 1, &["moon", "phase", "NEX-211"], "wasm32-wasip1");

    let lacking = "(module (func (export \"add\")))";
    let refused = world.try_deploy("add.wat", lacking).await;
    assert_refused(refused, 1, &["memory", "NEX-211"], "wasm32-wasip1");
    let refused = world.try_deploy("cut.wasm", b"\0asm\x01\0\0\0\x01\x7f").await;
    assert_refused(refused, 1, &["NEX-211"], "wasm32-wasip1");
    world.finish_with_nothing_deployed().await;
}

#[tokio::test]
async fn programs_that_are_not_static_ones_of_this_machine_are_refused() {
    let world = World::up().await;
    let refused = world.nex.run(&["run", "/bin/true"]).await;
    let says = ["/bin/true: the file cannot be run: it is dynamically linked (needs /", "-static"];
    assert_refused(refused, 1, &says, "+crt-static");
    for (name, bytes, says) in [
        ("foreign", foreign_program(), "aarch64"),
        ("cut", foreign_program()[..20].to_vec(), "cannot be run"),
        ("script", b"#!/bin/sh\necho hi\n".to_vec(), "the file is a script for sh"),
        ("windows", b"MZ\x90\0".to_vec(), "the file is a program for Windows"),
        ("empty", Vec::new(), "the file is empty"),
    ] {
        world.file(name, bytes);
        let refused = world.nex.run(&["run", name]).await;
        assert_refused(refused, 1, &[&format!("{name}: "), says], "");
    }
    // The same bytes are refused by the nexlet when a client does not look.
    world.file("foreign", foreign_program());
    let refused = world.nex.run(&["run", "foreign", "--type", "native"]).await;
    assert_refused(refused, 1, &["aarch64", "NEX-220"], "+crt-static");
    world.finish_with_nothing_deployed().await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_2() {
    let world = World::up().await;
    let refused = world.nex.run(&["run", "nosuch.js", "--on", "never"]).await;
    assert_refused(refused, 2, &["cannot read nosuch.js: No such file or directory"], RUN);
    let refused = world.nex.run(&["run", ".", "--on", "never"]).await;
    assert_refused(refused, 2, &["there is no Nexfile in ."], RUN);
    world.finish_with_nothing_deployed().await;
}

#[tokio::test]
async fn a_missing_bucket_a_missing_object_and_a_wrong_digest_are_refused() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.nex.ok(&["stop", "echo"]).await;
    let wrong = format!("sha256:{}", "0".repeat(64));
    for (request, says) in [
        (json!({ "uri": "nats://NOBUCKET/x" }), &["bucket NOBUCKET does not exist", "NEX-200"][..]),
        (json!({ "uri": "nats://NEXCLIFILES/gone" }), &["gone", "NEXCLIFILES", "NEX-200"]),
        (
            json!({ "uri": "nats://NEXCLIFILES/echo", "digest": wrong }),
            &["digest sha256:", &wrong, "NEX-201"],
        ),
    ] {
        let refused = start(&world, request).await;
        assert_refused(refused, 1, says, RUN);
    }
    world.finish_with_nothing_deployed().await;
}

#[tokio::test]
async fn a_start_request_that_is_not_one_is_refused_with_the_key() {
    let world = World::up().await;
    for (request, says) in [
        (
            r#"{"uri":"data:,x","trigers":["never"]}"#,
            "unknown key \"trigers\", did you mean \"triggers\"?",
        ),
        (r#"{"triggers":["never"]}"#, "uri"),
        (r#"{"uri":"data:,x","triggers":[]}"#, "triggers"),
        (r#"{"uri":"data:,x","triggers":["never"],"limits":{"timeout":"16m"}}"#, "timeout"),
        (r#"{"uri":"data:,x","triggers":["never"],"limits":{"speed":"1"}}"#, "speed"),
        ("{", "failed to unmarshal start request"),
    ] {
        let arguments = ["workload", "start", "--type", "javascript", "--lifecycle", "function"];
        let refused =
            world.nex.run(&[&arguments[..], &["--start-request", request]].concat()).await;
        assert_refused(refused, 1, &[says, "NEX-103"], RUN);
    }
    world.finish_with_nothing_deployed().await;
}

#[tokio::test]
async fn denied_subjects_are_refused_with_the_pattern() {
    let world = World::up().await;
    world.file("echo.js", ECHO);
    for (subject, pattern) in [
        ("$SYS.x", "$*.>"),
        ("$JS.API.>", "$*.>"),
        ("$NEX.SVC.default.control.AUCTION", "$*.>"),
        ("_INBOX.x", "_INBOX.>"),
        (">", "$*.>"),
        ("*.x", "$*.>"),
    ] {
        let refused = world.nex.run(&["run", "echo.js", "--on", subject]).await;
        let sentence = format!("a function may not listen on {subject}: {pattern} is denied");
        assert_refused(refused, 1, &[&sentence, "NEX-212"], "--on");
    }
    world.finish_with_nothing_deployed().await;
}

async fn start(world: &World, request: serde_json::Value) -> Output {
    let mut request = request;
    request["triggers"] = json!(["never"]);
    let request = request.to_string();
    let arguments = ["workload", "start", "--type", "javascript", "--lifecycle", "function"];
    world.nex.run(&[&arguments[..], &["--name", "x", "--start-request", &request]].concat()).await
}

/// The header of a static program for aarch64, with one segment.
fn foreign_program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2_u16, 183] {
        bytes.extend(half.to_le_bytes()); // executable, aarch64
    }
    bytes.extend(1_u32.to_le_bytes());
    for word in [0x40_0078_u64, 64, 0] {
        bytes.extend(word.to_le_bytes()); // entry, program headers, section headers
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for word in [1_u32, 5] {
        bytes.extend(word.to_le_bytes()); // loaded, readable and executable
    }
    for word in [0_u64, 0x40_0000, 0x40_0000, 128, 128, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.resize(128, 0);
    bytes
}
