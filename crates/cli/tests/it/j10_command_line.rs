//! J10: every command with `--help`, a wrong flag, no server, an unknown id.
//!
//! 1. Exit codes: 0 done, 1 refused, 2 the command line is wrong, 3 NATS cannot be reached, 4 unknown,
//!    5 nobody bids, 6 timed out.
//! 2. Each error is a sentence on standard error with a hint; nothing of it is on standard output.

use std::net::TcpListener;

use nex_testkit::{NatsServer, Nex, Output};

use crate::guests::ECHO;
use crate::world::{World, assert_refused};

pub(crate) const COMMANDS: &[&[&str]] = &[
    &["up"],
    &["run"],
    &["dev"],
    &["call"],
    &["ls"],
    &["nodes"],
    &["info"],
    &["logs"],
    &["events"],
    &["top"],
    &["stop"],
    &["scale"],
    &["clone"],
    &["lameduck"],
    &["apply"],
    &["diff"],
    &["delete"],
    &["init"],
    &["explain"],
    &["schema"],
    &["config"],
    &["doctor"],
    &["version"],
    &["completions"],
    &["node", "up"],
    &["node", "list"],
    &["node", "info"],
    &["node", "lameduck"],
    &["node", "forget"],
    &["node", "upgrade"],
    &["nexlet", "check"],
    &["workload", "start"],
    &["workload", "stop"],
    &["workload", "list"],
    &["workload", "clone"],
];

/// What needs a server, as one would type it.
const TALKERS: &[&[&str]] = &[
    &["ls"],
    &["nodes"],
    &["info", "x"],
    &["call", "x", "y"],
    &["logs", "-f"],
    &["events", "-f"],
    &["stop", "x"],
    &["clone", "x"],
    &["scale", "x", "2"],
    &["node", "forget", "x"],
    &["lameduck", "x"],
    &["run", "echo.js", "--on", "x"],
    &["dev", "echo.js", "--on", "x"],
    &["workload", "start", "--start-request", "{}"],
    &["node", "info", "x"],
    &["up"],
];

/// Commands without a server or a node.
fn alone() -> Nex {
    Nex::managed().down()
}

#[tokio::test]
async fn j10_help_is_data_for_every_command() {
    let nex = alone();
    let help = nex.ok(&["--help"]).await;
    let first: Vec<String> = help.text().lines().take(2).map(str::to_owned).collect();
    let about =
        "Nex runs code on NATS: JavaScript and WebAssembly functions, and static Linux programs.";
    assert_eq!(first, [about, ""]);
    for says in ["nex up", "nex run echo.js --on js.echo", "nex call echo 'hello'", "Usage: nex "] {
        assert!(help.text().contains(says), "no {says:?} in {help}");
    }
    for command in COMMANDS {
        let help = nex.ok(&[command, &["--help"][..]].concat()).await;
        let usage = format!("Usage: nex {}", command.join(" "));
        assert!(help.text().contains(&usage), "no {usage:?} in {help}");
        assert_eq!(help.stderr, "");
    }
    let version = nex.ok(&["--version"]).await.text();
    assert!(version.starts_with("nex 0.5.0"), "{version}");
    assert!(nex.ok(&["completions", "bash"]).await.text().contains("_nex"));
}

#[tokio::test]
async fn j10_a_wrong_command_line_is_2() {
    let nex = alone();
    for command in COMMANDS {
        let wrong = nex.run(&[command, &["--no-such-flag"][..]].concat()).await;
        let wrong = wrong.exits(2);
        assert!(wrong.stderr.contains("unexpected argument '--no-such-flag'"), "{wrong}");
        assert!(wrong.stdout.is_empty(), "{wrong}");
    }
    for arguments in [&["call"][..], &["stop"], &["info"], &["nosuch"], &[]] {
        let wrong = nex.run(arguments).await.exits(2);
        assert!(wrong.stderr.contains("Usage: nex"), "{wrong}");
    }
    let typo = nex.run(&["aply"]).await.exits(2);
    assert!(typo.stderr.contains("'apply'"), "what was meant is named: {typo}");
    let typo = nex.run(&["nodse"]).await.exits(2);
    assert!(typo.stderr.contains("'nodes'"), "what was meant is named: {typo}");
}

#[tokio::test]
async fn j10_a_function_without_a_trigger_is_2_with_the_line_to_type() {
    let world = World::up().await;
    world.file("echo.js", ECHO);
    let refused = world.nex.run(&["run", "echo.js"]).await;
    assert_refused(
        refused,
        2,
        &["echo.js is a function and needs a trigger"],
        "nex run echo.js --on echo",
    );
    let service = nex_testkit::echo_service().unwrap().display().to_string();
    let refused = world.nex.run(&["run", &service, "--on", "x"]).await;
    assert_refused(refused, 2, &["is a program, and programs have no triggers"], "leave out --on");
    for (arguments, says) in [
        (&["run", "echo.js", "--on", "a b"][..], "a b"),
        (&["run", "echo.js", "--on", "x", "--name", "a.b"], "a.b"),
        (&["run", "echo.js", "--on", "x", "NOVALUE"], "NOVALUE"),
        (&["ls", "-n", "a_b"], "a_b"),
    ] {
        let wrong = world.nex.run(arguments).await.exits(2);
        assert!(wrong.stderr.contains(says), "no {says:?} in {wrong}");
    }
    world.finish().await;
}

#[tokio::test]
async fn j10_no_server_is_3() {
    // Nobody listens where somebody did a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("nats://127.0.0.1:{port}");
    let nex = Nex::managed().environment("NATS_URL", &url).down();
    std::fs::write(nex.work_dir().join("echo.js"), ECHO).unwrap();
    for command in TALKERS {
        let refused = nex.run(command).await;
        if *command == ["up"] {
            // What it does first it has said already.
            let refused = refused.exits(3);
            assert!(refused.stderr.contains(&url), "{refused}");
            continue;
        }
        assert_refused(refused, 3, &[&url], "nex up");
    }
    let doctor = nex.run(&["doctor"]).await.exits(1);
    assert!(doctor.text().contains("✗ NATS"), "{doctor}");
}

#[tokio::test]
async fn j10_what_is_unknown_is_4() {
    let world = World::up().await;
    for (arguments, says) in [
        (&["info", "nosuch"][..], "no workload nosuch in namespace default"),
        (&["stop", "nosuch"], "no workload nosuch in namespace default"),
        (&["call", "nosuch", "x"], "nobody listens on nosuch"),
        (&["workload", "stop", "nosuch", "-n", "team"], "no workload nosuch in namespace team"),
    ] {
        let refused = world.nex.run(arguments).await;
        assert_refused(refused, 4, &[says], "nex ls");
    }
    world.finish().await;
}

#[tokio::test]
async fn j10_no_bid_is_5_with_the_reason_per_node() {
    let world = World::up().await;
    world.file("echo.js", ECHO);
    let name = name_of_node(&world.nex).await;
    let refused = world.nex.run(&["run", "echo.js", "--on", "x", "--tags", "region=moon"]).await;
    let reason = format!("{name}: has no tag region=moon");
    let sentence = "no agents available for workload placement";
    assert_refused(refused, 5, &[sentence, &reason], "nex info");

    let arguments = ["workload", "start", "--type", "nosuch", "--start-request", "{}"];
    let refused = world.nex.run(&arguments).await;
    let reason = format!("{name}: has no nexlet of type nosuch");
    assert_refused(refused, 5, &[sentence, &reason], "nex info");
    world.finish().await;
}

#[tokio::test]
async fn j10_no_node_is_5_for_a_deploy() {
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).down();
    std::fs::write(nex.work_dir().join("echo.js"), ECHO).unwrap();
    let refused = nex.run(&["run", "echo.js", "--on", "x"]).await;
    assert_refused(refused, 5, &["no node is there"], "nex up");
    assert_eq!(nex.ok(&["nodes"]).await.text(), "No nodes found\n");
    let doctor: Output = nex.run(&["doctor"]).await.exits(1);
    assert!(doctor.text().contains("✗ nodes"), "{doctor}");
}

#[tokio::test]
async fn j10_no_reply_in_time_is_6() {
    let world = World::up().await;
    let silent = world.client.subscribe("silence").await.unwrap();
    world.server.until_subscribed("silence").await;
    let refused = world.nex.run(&["call", "silence", "x", "--timeout", "200ms"]).await;
    assert_refused(refused, 6, &["no reply on silence within 200ms"], "--timeout");
    drop(silent);
    world.finish().await;
}

async fn name_of_node(nex: &Nex) -> String {
    let nodes = nex.ok(&["nodes", "--json"]).await.json();
    crate::world::text(&nodes, "/0/tags/nex.node")
}
