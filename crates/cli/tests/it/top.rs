//! `nex top`, in a terminal of its own.
//!
//! 1. It shows nodes and workloads; it can be filtered, looked into, told to stop one, and left.
//! 2. What workloads count is shown per second.
//! 3. The terminal is as it was, whether a key or a signal ends it.
//! 4. A lost NATS is told, and comes back.
//! 5. Without a terminal, or with a silly interval, it is refused; without NATS it ends as every command does.

use std::time::Duration;

use nex_testkit::{Nex, Signal, Terminal, echo_service, eventually};
use serde_json::json;

use crate::world::{SOON, World, assert_refused};

const ENTER: &str = "\r";
const ESCAPE: &str = "\u{1b}";
const DOWN: &str = "\u{1b}[B";

/// `nex top` with more arguments, in the environment of the node's commands.
fn top(nex: &Nex, arguments: &[&str], size: (u16, u16)) -> Terminal {
    nex.terminal(&[&["top"], arguments].concat(), size)
}

/// A line of shell that gets the command as its arguments.
fn in_terminal(nex: &Nex, line: &str, arguments: &[&str], size: (u16, u16)) -> Terminal {
    let command = nex.command(&[&["top"], arguments].concat());
    let text = |value: &std::ffi::OsStr| value.to_str().unwrap().to_owned();
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<String> = words.map(text).collect();
    let pairs = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
    let pairs: Vec<(String, String)> = pairs.collect();
    let shell = ["-c", line, "sh"].into_iter().chain(words.iter().map(String::as_str));
    let environment: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let shell: Vec<&str> = shell.collect();
    Terminal::spawn("sh", &shell, &environment, &nex.work_dir(), size).unwrap()
}

async fn shows(terminal: &Terminal, texts: &[&str]) -> String {
    let what = format!("the screen shows {texts:?}");
    let all = |screen: &str| texts.iter().all(|text| screen.contains(text));
    terminal.shows(&what, SOON * 2, all).await.unwrap()
}

async fn run_services(world: &World, names: &[&str]) {
    let program = echo_service().unwrap().display().to_string();
    for name in names {
        world.nex.ok(&["run", &program, "--name", name]).await;
    }
}

#[tokio::test]
async fn workloads_are_filtered_looked_into_and_stopped() {
    let world = World::up().await;
    // Two of them, so that one can be stopped and the other stays.
    run_services(&world, &["alpha", "beta"]).await;
    let line = "\"$@\"; echo \"ended with $?\"; stty -a";
    let mut terminal = in_terminal(&world.nex, line, &["--interval", "500ms"], (80, 24));
    let node = world.nex.ok(&["nodes", "--json"]).await.json()[0]["tags"]["nex.node"].clone();
    let node = node.as_str().unwrap().chars().take(7).collect::<String>();
    let screen = shows(&terminal, &["1 node", "2 workloads: 2 running", "alpha", "beta"]).await;
    assert!(screen.contains(&node) && screen.contains("round trip"), "{screen}");
    assert!(is_on_alternate_screen(&terminal), "it has a screen of its own");

    terminal.press("/bet").unwrap();
    let only_beta = |screen: &str| screen.contains("beta") && !screen.contains("alpha");
    terminal.shows("only beta is left", SOON, only_beta).await.unwrap();
    terminal.press(ENTER).unwrap();
    terminal.press(ENTER).unwrap();
    shows(&terminal, &["lifecycle", "service", "WORKLOADSTARTED", "listens on svc.echo"]).await;
    terminal.press("l").unwrap();
    let log = |screen: &str| screen.contains("listens") && !screen.contains("lifecycle");
    terminal.shows("its log alone", SOON, log).await.unwrap();
    // Both share the subject: a line comes live once it was beta that took a message.
    eventually("a line comes live", SOON * 2, async || {
        world.ask("svc.echo", "hello").await;
        let screen = terminal.screen();
        if screen.contains("echoed 5 bytes") { Ok(()) } else { Err(screen) }
    })
    .await;
    terminal.press(ESCAPE).unwrap();
    shows(&terminal, &["EVENTS"]).await;

    terminal.press("x").unwrap();
    shows(&terminal, &["Stop beta", "y yes"]).await;
    terminal.press("y").unwrap();
    shows(&terminal, &["is stopped"]).await;
    // Two Escapes at once would be read as one.
    terminal.press(ESCAPE).unwrap();
    shows(&terminal, &["no workload has \"bet\""]).await;
    terminal.press(ESCAPE).unwrap();
    shows(&terminal, &["1 workload: 1 running", "alpha"]).await;
    assert_eq!(world.list().await.len(), 1);

    terminal.press("q").unwrap();
    // The settings of the terminal, as they were: lines are edited and typed keys are seen.
    let restored = shows(&terminal, &["ended with 0", " icanon", " echo "]).await;
    assert!(!restored.contains("NEXLETS"), "{restored}");
    assert!(!is_on_alternate_screen(&terminal), "the shell's own screen is back");
    assert!(terminal.ended(SOON).await.unwrap().success());
    world.nex.ok(&["stop", "alpha"]).await;
    world.finish().await;
}

#[tokio::test]
async fn a_copy_is_started_after_a_question() {
    let world = World::up().await;
    run_services(&world, &["alpha"]).await;
    let mut terminal = top(&world.nex, &["-A", "--interval", "500ms"], (120, 40));
    shows(&terminal, &["all namespaces", "default/alpha"]).await;
    terminal.press(DOWN).unwrap();
    terminal.press("cn").unwrap();
    terminal.press("c").unwrap();
    shows(&terminal, &["Start alpha a second time"]).await;
    terminal.press("y").unwrap();
    shows(&terminal, &["2 workloads: 2 running"]).await;
    assert_eq!(world.list().await.len(), 2);
    terminal.press("\u{3}").unwrap();
    assert!(terminal.ended(SOON).await.unwrap().success());
    world.nex.ok(&["stop", "alpha"]).await;
    world.finish().await;
}

#[tokio::test]
async fn what_a_workload_counts_is_shown_per_second() {
    let world = World::up().await;
    run_services(&world, &["alpha"]).await;
    let id = world.ids().await.remove(0);
    let mut terminal = top(&world.nex, &["--interval", "500ms"], (80, 24));
    shows(&terminal, &["alpha", "CALLS/S"]).await;
    let reading = |second: u32, calls: u32| {
        let duration = json!({"bounds": [0.001, 0.01], "counts": [0, calls, 0], "sum": 1.0});
        let function = json!({"calls": calls, "duration": duration});
        let time = format!("2026-01-01T00:00:0{second}Z");
        let who = json!({"id": id, "name": "alpha", "namespace": "default", "type": "native"});
        let mut reading = json!({"time": time, "function": function});
        reading.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
        reading.to_string()
    };
    let subject = format!("$NEX.FEED.default.metrics.{id}");
    // Its nexlet may send readings of its own in between, which have no calls.
    eventually("twelve calls a second", SOON * 2, async || {
        for payload in [reading(0, 100), reading(5, 160), "{no reading}".to_owned()] {
            world.client.publish(subject.clone(), payload.into()).await.unwrap();
        }
        world.client.flush().await.unwrap();
        let shows = |screen: &str| screen.contains(" 12.0 ") && screen.contains("9.9ms");
        let waits = terminal.shows("a rate", Duration::from_secs(2), shows);
        waits.await.map_err(|failure| failure.to_string())
    })
    .await;
    terminal.press("q").unwrap();
    assert!(terminal.ended(SOON).await.unwrap().success());
    world.nex.ok(&["stop", "alpha"]).await;
    world.finish().await;
}

#[tokio::test]
async fn a_signal_leaves_the_terminal_as_it_was() {
    let world = World::up().await;
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut terminal = top(&world.nex, &[], (80, 24));
        shows(&terminal, &["1 node", "nothing runs"]).await;
        assert!(is_on_alternate_screen(&terminal));
        terminal.signal(signal).unwrap();
        assert!(terminal.ended(SOON).await.unwrap().success());
        eventually("the screen is restored", SOON, async || {
            let is_restored =
                !is_on_alternate_screen(&terminal) && !terminal.look(|screen| screen.hide_cursor());
            if is_restored { Ok(()) } else { Err(terminal.screen()) }
        })
        .await;
    }
    world.finish().await;
}

#[tokio::test]
async fn the_size_may_change() {
    let world = World::up().await;
    let mut terminal = top(&world.nex, &[], (80, 24));
    shows(&terminal, &["NEXLETS", "? help"]).await;
    terminal.resize(20, 5).unwrap();
    shows(&terminal, &["q quits"]).await;
    terminal.resize(120, 40).unwrap();
    shows(&terminal, &["NEXLETS", "r reverse"]).await;
    terminal.press("q").unwrap();
    assert!(terminal.ended(SOON).await.unwrap().success());
    world.finish().await;
}

#[tokio::test]
async fn a_lost_nats_is_told_and_comes_back() {
    let mut world = World::up().await;
    let mut terminal = top(&world.nex, &["--interval", "500ms"], (80, 24));
    shows(&terminal, &["1 node", "every 500 ms"]).await;
    world.server.stop().await;
    let screen = shows(&terminal, &["NATS is lost", "trying again"]).await;
    assert!(screen.contains("1 node"), "what was seen stays: {screen}");
    world.server.restart().await;
    let is_back = |screen: &str| !screen.contains("NATS is lost") && screen.contains("round trip");
    terminal.shows("it is back", SOON * 2, is_back).await.unwrap();
    terminal.press("q").unwrap();
    assert!(terminal.ended(SOON).await.unwrap().success());
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_shown_is_refused() {
    let nex = Nex::managed().down();
    let refused = nex.run(&["top"]).await;
    let _told = assert_refused(refused, 2, &["terminal"], "nex ls --json");
    let refused = nex.run(&["top", "--json"]).await;
    let _told = assert_refused(refused, 2, &["no JSON"], "nex ls --json");
    for interval in ["1ms", "2h", "soon"] {
        let refused = nex.run(&["top", "--interval", interval]).await.exits(2);
        assert!(refused.stderr.contains("--interval"), "{refused}");
    }
    let away = ["--nats-url", "nats://127.0.0.1:1"];
    let mut terminal = in_terminal(&nex, "\"$@\"; echo \"ended with $?\"", &away, (80, 24));
    shows(&terminal, &["cannot be reached", "ended with 3"]).await;
    assert!(terminal.ended(SOON).await.unwrap().success());
}

fn is_on_alternate_screen(terminal: &Terminal) -> bool {
    terminal.look(|screen| screen.alternate_screen())
}
