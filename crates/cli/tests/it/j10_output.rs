//! J10: what commands write, and to whom.
//!
//! 1. `--json` is one document on standard output; of a following command, one a line.
//! 2. A broken pipe is success.
//! 3. Colour only on a terminal, and never with NO_COLOR; strangers' control codes never reach one.
//! 4. `nex doctor` says what is there, and succeeds when all is well.

use std::process::{Command, Stdio};

use nex_testkit::Process;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::guests::ECHO;
use crate::world::{SOON, World};

#[tokio::test]
async fn j10_json_is_one_document() {
    let world = World::up().await;
    world.file("echo.js", ECHO);
    let run = ["run", "echo.js", "--on", "js.echo", "--json"];
    let deployed = world.nex.ok(&run).await.json();
    let hex: String = Sha256::digest(ECHO).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(deployed["digest"], format!("sha256:{hex}"));
    assert_eq!(deployed["already_running"], false);
    let id = &deployed["workloads"][0]["id"];
    let again = world.nex.ok(&run).await.json();
    assert_eq!(again, json!({ "already_running": true, "id": id, "name": "echo" }));

    for (arguments, pointer) in [
        (&["ls"][..], "/0/id"),
        (&["ps"], "/0/id"),
        (&["workload", "ls"], "/0/0/id"),
        (&["info", "echo"], "/0/id"),
        (&["nodes"], "/0/node_id"),
        (&["node", "ls"], "/0/node_id"),
        (&["call", "echo", "hi"], "/reply"),
        (&["version"], "/version"),
        (&["doctor"], "/0/verdict"),
        (&["stop", "echo"], "/0/id"),
        (&["ls"], ""),
    ] {
        let document = world.nex.ok(&[arguments, &["--json"][..]].concat()).await.json();
        assert!(document.pointer(pointer).is_some(), "no {pointer} in {document:#}");
    }
    assert_eq!(world.nex.ok(&["ls", "--json"]).await.json(), json!([]));
    world.finish().await;
}

#[tokio::test]
async fn j10_following_commands_write_json_lines() {
    let world = World::up().await;
    let mut events = world.follow(&["events", "-f", "--json"]).await;
    let mut logs = world.follow(&["logs", "-f", "--json"]).await;
    world.deploy("say.js", "(s, p) => console.warn('careful')", "say").await;
    world.ask("say", "").await;
    let event = json_line(&mut events, "WORKLOADSTARTED").await;
    assert_eq!(event["from"], "default");
    let line = json_line(&mut logs, "careful").await;
    assert_eq!([&line["name"], &line["level"], &line["text"]], ["say", "warn", "careful"]);
    drop((events, logs));
    world.finish().await;
}

#[tokio::test]
async fn j10_a_broken_pipe_is_success() {
    let world = World::up().await;
    for arguments in [&["nodes"][..], &["--help"], &["ls", "--json"]] {
        let mut child = deaf(world.nex.command(arguments));
        assert!(child.wait().unwrap().success(), "{arguments:?}");
    }
    let following = world.nex.command(&["events", "-f"]);
    let mut following = deaf(following);
    world.deploy("echo.js", ECHO, "js.echo").await;
    let ended = nex_testkit::poll("it ends by itself", SOON, async || {
        // Every event is one more line that nobody reads.
        world.nex.ok(&["run", "echo.js", "--on", "js.echo", "--no-replace"]).await;
        following.try_wait().unwrap().ok_or("still there")
    })
    .await;
    if ended.is_err() {
        following.kill().unwrap();
    }
    assert!(ended.unwrap().success());
    world.finish().await;
}

#[tokio::test]
async fn j10_colour_is_for_terminals_that_want_it() {
    let world = World::up().await;
    let doctor = world.nex.ok(&["doctor"]).await.text();
    assert!(!doctor.contains('\u{1b}'), "a pipe gets no colour: {doctor:?}");
    for says in ["✓ NATS", "✓ JetStream", "✓ nodes", "1 with healthy nexlets", "✓ sandbox"]
    {
        assert!(doctor.contains(says), "no {says:?} in:\n{doctor}");
    }
    assert!(on_a_terminal(&world, "doctor", None).contains("\u{1b}["));
    assert!(!on_a_terminal(&world, "doctor", Some("1")).contains("\u{1b}["));

    let mut logs = world.follow(&["logs", "-f"]).await;
    world.deploy("evil.js", "(s, p) => console.log('a\\u001b]0;mine\\u0007b')", "evil").await;
    world.ask("evil", "").await;
    let line = logs.line(SOON, |line| line.contains("mine")).await.unwrap();
    assert!(!line.contains('\u{1b}') && !line.contains('\u{7}'), "{line:?}");
    drop(logs);
    world.finish().await;
}

/// Starts a command whose reader has gone before it writes.
fn deaf(mut command: Command) -> std::process::Child {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null()).spawn().unwrap()
}

/// The output of a command that has a terminal, which `script` makes.
fn on_a_terminal(world: &World, command: &str, no_color: Option<&str>) -> String {
    let nex = world.nex.command(&[command]);
    let line = format!("{} {command}", nex.get_program().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null());
    for (name, value) in nex.get_envs() {
        if let Some(value) = value.filter(|_| name != "NO_COLOR") {
            script.env(name, value);
        }
    }
    match no_color {
        Some(value) => script.env("NO_COLOR", value),
        None => script.env_remove("NO_COLOR"),
    };
    let output = script.output().expect("util-linux's script");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn json_line(process: &mut Process, contains: &str) -> Value {
    let line = process.line(SOON, |line| line.contains(contains)).await.unwrap();
    serde_json::from_str(&line).unwrap()
}
