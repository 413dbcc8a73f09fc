//! History of logs: what workloads wrote is there later, and joins what they write now.
//!
//! 1. Lines outlive their workload, by its name, its id, and as the previous run.
//! 2. `--level`, `--grep`, `--since`, `--tail`, `--node`, `--json-lines`, and several copies in the order of time.
//! 3. `-f` under a steady writer shows every line once.
//! 4. A flood of one workload costs another nothing; what was dropped is told although nothing follows.
//! 5. Each namespace has its own; the off switch; without JetStream lines are followed live, and that is said.

use nex_testkit::{NatsServer, eventually};
use serde_json::Value;

use crate::guests::ECHO;
use crate::world::{SOON, World, assert_refused, text};

/// Logs what it is sent, at the level that it is sent with.
const SAY: &str = "(subject, payload) => {
    const [level, ...words] = payload.text().split(' ');
    console[level](words.join(' '));
    return 'said';
}";

async fn say(world: &World, subject: &str, line: &str) {
    assert_eq!(world.ask(subject, line).await.payload, "said");
}

/// The lines of a command's output, once there are so many.
async fn lines(world: &World, arguments: &[&str], n: usize) -> Vec<String> {
    let mut lines = Vec::new();
    eventually(&format!("{arguments:?} prints {n} lines"), SOON, async || {
        let output = world.nex.run(arguments).await;
        lines = output.text().lines().map(str::to_owned).collect();
        if lines.len() == n { Ok(()) } else { Err(output.to_string()) }
    })
    .await;
    lines
}

fn json_lines(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn lines_outlive_their_workload() {
    let world = World::up().await;
    world.deploy("say.js", SAY, "say").await;
    let id = world.ids().await.remove(0);
    say(&world, "say", "log one").await;
    say(&world, "say", "warn two").await;
    assert_eq!(lines(&world, &["logs", "say"], 2).await, ["say: one", "say: warn two"]);
    world.nex.ok(&["stop", "say"]).await;
    assert_eq!(lines(&world, &["logs", "say"], 2).await, ["say: one", "say: warn two"]);
    assert_eq!(lines(&world, &["logs", &id[..8]], 2).await, ["say: one", "say: warn two"]);

    world.deploy("say.js", SAY, "say").await;
    say(&world, "say", "log three").await;
    lines(&world, &["logs", "say"], 3).await;
    let previous = world.nex.ok(&["logs", "say", "--previous"]).await;
    assert_eq!(previous.text(), "say: one\nsay: warn two\n");
    assert!(previous.stderr.contains(&id), "{previous}");

    let nobody = world.nex.run(&["logs", "nobody"]).await;
    assert_refused(nobody, 4, &["no workload nobody", "default"], "nex ls");
    let never = world.nex.run(&["logs", "nobody", "--previous"]).await;
    assert_refused(never, 4, &["no lines of an earlier run"], "nex logs nobody");
    world.finish().await;
}

#[tokio::test]
async fn lines_are_chosen_and_copies_are_merged_by_time() {
    let world = World::up().await;
    world.file("say.js", SAY);
    world.nex.ok(&["run", "say.js", "--on", "say", "--copies", "2"]).await;
    world.deploy("other.js", SAY, "other").await;
    for n in 0..20 {
        say(&world, "say", &format!("log number {n}")).await;
    }
    say(&world, "say", "error red").await;
    say(&world, "other", "warn orange").await;

    assert_eq!(lines(&world, &["logs", "say", "--tail", "3"], 3).await[2], "say: error red");
    let above = lines(&world, &["logs", "--level", "warn"], 2).await;
    assert_eq!(above, ["say: error red", "other: warn orange"]);
    assert_eq!(lines(&world, &["logs", "--grep", "number 7"], 1).await, ["say: number 7"]);
    assert_eq!(lines(&world, &["logs", "--since", "1h"], 22).await.len(), 22);
    lines(&world, &["logs", "--since", "1ns"], 0).await;

    let node = world.node_id().await;
    let all = lines(&world, &["logs", "say", "--node", &node[..10], "--json-lines"], 21).await;
    let all = json_lines(&all);
    let texts: Vec<String> = all[..20].iter().map(|line| text(line, "/text")).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("number {n}")).collect();
    assert_eq!(texts, expected, "in the order of time");
    let mut ids: Vec<String> = all.iter().map(|line| text(line, "/id")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "both copies wrote");
    let last = &all[20];
    let words = ["/level", "/stream", "/namespace", "/name", "/node"].map(|key| text(last, key));
    assert_eq!(words, ["error", "stderr", "default", "say", &node]);
    assert!(text(last, "/time").ends_with('Z'));
    lines(&world, &["logs", "say", "--node", "NOSUCHNODE"], 0).await;
    let document = world.nex.ok(&["logs", "say", "--tail", "2", "--json"]).await.json();
    assert_eq!(document.as_array().map(Vec::len), Some(2));

    let _refused = world.nex.run(&["logs", "--level", "loud"]).await.exits(2);
    world.finish().await;
}

#[tokio::test]
async fn past_and_present_join_under_a_steady_writer() {
    const N: usize = 600;
    let world = World::up().await;
    world.deploy("say.js", SAY, "say").await;
    let write = async {
        for n in 0..N {
            say(&world, "say", &format!("log {n}")).await;
        }
    };
    let read = async {
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(world.follow(&["logs", "say", "-f", "--tail", "100000"]).await);
        }
        readers
    };
    let ((), readers) = tokio::join!(write, read);
    let expected: Vec<String> = (0..N).map(|n| format!("say: {n}")).collect();
    for reader in readers {
        eventually("the last line is there", SOON, async || {
            let said = String::from_utf8_lossy(&reader.stdout()).into_owned();
            if said.ends_with(&format!("say: {}\n", N - 1)) { Ok(()) } else { Err(said.len()) }
        })
        .await;
        let said = String::from_utf8_lossy(&reader.stdout()).into_owned();
        assert_eq!(said.lines().collect::<Vec<_>>(), expected, "every line once, in order");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_flood_costs_another_nothing_and_its_end_is_told() {
    let world = World::up().await;
    let flood =
        "() => { for (let i = 0; i < 20000; i++) console.log('line ' + i); return 'done'; }";
    world.deploy("flood.js", flood, "flood").await;
    world.deploy("say.js", SAY, "say").await;
    let flooding = async { assert_eq!(world.ask("flood", "").await.payload, "done") };
    let quiet = async {
        for n in 0..50 {
            say(&world, "say", &format!("log {n}")).await;
        }
    };
    tokio::join!(flooding, quiet);
    let quiet: Vec<String> = (0..50).map(|n| format!("say: {n}")).collect();
    assert_eq!(lines(&world, &["logs", "say"], 50).await, quiet);
    // Nothing is written after the flood, and still it is told, with how many they were.
    let mut n_kept = 0;
    eventually("all of the flood is accounted for", SOON, async || {
        let all =
            world.nex.run(&["logs", "flood", "--tail", "100000", "--json-lines"]).await.text();
        let texts: Vec<String> =
            all.lines().map(|line| text(&serde_json::from_str(line).unwrap(), "/text")).collect();
        n_kept = texts.iter().filter(|line| line.starts_with("line ")).count();
        let dropped = texts.iter().filter_map(|line| line.split_once(" log lines were dropped"));
        let n_dropped: usize = dropped.filter_map(|(n, _)| n.parse::<usize>().ok()).sum();
        if n_kept + n_dropped == 20_000 { Ok(()) } else { Err((n_kept, n_dropped)) }
    })
    .await;
    assert!((1..20_000).contains(&n_kept), "{n_kept} lines were kept");
    world.finish().await;
}

#[tokio::test]
async fn each_namespace_has_its_own_history() {
    let world = World::up().await;
    world.file("say.js", SAY);
    for namespace in ["a", "b"] {
        let on = format!("say.{namespace}");
        world.nex.ok(&["-n", namespace, "run", "say.js", "--on", &on]).await;
        say(&world, &on, &format!("log of {namespace}")).await;
    }
    assert_eq!(lines(&world, &["-n", "a", "logs"], 1).await, ["say: of a"]);
    assert_eq!(lines(&world, &["-n", "b", "logs"], 1).await, ["say: of b"]);
    let mut both = lines(&world, &["-n", "system", "logs"], 2).await;
    both.sort();
    assert_eq!(both, ["say: of a", "say: of b"]);
    let none = world.nex.run(&["-n", "c", "logs"]).await;
    assert_refused(none, 1, &["no logs are kept here"], "nex logs -f");
    world.finish().await;
}

#[tokio::test]
async fn the_history_can_be_switched_off() {
    let world = World::with(NatsServer::options(), &["--no-log-history"]).await;
    world.deploy("say.js", SAY, "say").await;
    let mut logs = world.follow(&["logs", "-f"]).await;
    assert!(logs.stderr().contains("no logs are kept here"), "{}", logs.stderr());
    say(&world, "say", "log live").await;
    assert_eq!(logs.line(SOON, |_| true).await.unwrap(), "say: live");
    let none = world.nex.run(&["logs", "say"]).await;
    assert_refused(none, 1, &["no logs are kept here"], "nex logs -f");
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn without_jetstream_logs_and_events_are_followed_live() {
    let world = World::on(NatsServer::options().without_jetstream()).await;
    for what in ["logs", "events"] {
        let none = world.nex.run(&[what]).await;
        let hint = format!("nex {what} -f");
        assert_refused(none, 1, &["are kept", "no JetStream"], &hint);
    }
    let mut logs = world.follow(&["logs", "-f"]).await;
    let mut events = world.follow(&["events", "-f", "--since", "1h"]).await;
    assert!(logs.stderr().contains("no JetStream"), "{}", logs.stderr());
    world.deploy("say.js", SAY, "say").await;
    say(&world, "say", "log live").await;
    assert_eq!(logs.line(SOON, |_| true).await.unwrap(), "say: live");
    events.line(SOON, |line| line.contains("WORKLOADSTARTED")).await.unwrap();
    drop((logs, events));
    world.finish().await;
}

#[tokio::test]
async fn events_are_kept_with_their_types() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let id = world.ids().await.remove(0);
    world.nex.ok(&["stop", "echo"]).await;
    let stopped = ["events", "--type", "workloadstopped", "--json-lines"];
    let stopped = json_lines(&lines(&world, &stopped, 1).await);
    assert_eq!(text(&stopped[0], "/event/id"), id);
    assert_eq!(
        [text(&stopped[0], "/type"), text(&stopped[0], "/from")],
        ["WORKLOADSTOPPED", "default"]
    );
    assert!(text(&stopped[0], "/time").ends_with('Z'));

    let all = world.nex.ok(&["events", "--since", "1h"]).await.text();
    let kinds: Vec<&str> = all.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(kinds.first(), Some(&"NODESTARTED"), "{all}");
    assert_eq!(kinds.last(), Some(&"WORKLOADSTOPPED"), "{all}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "AGENTSTARTED").count(), 3, "{all}");
    assert_eq!(lines(&world, &["events", "--tail", "1"], 1).await.len(), 1);
    let other = world.nex.ok(&["-n", "other", "events"]).await.text();
    assert!(other.contains("NODESTARTED") && !other.contains("WORKLOAD"), "{other}");

    let mut events =
        world.follow(&["events", "-f", "--since", "1h", "--type", "WORKLOADSTARTED"]).await;
    events.line(SOON, |line| line.contains(&id)).await.unwrap();
    world.deploy("echo.js", ECHO, "js.echo").await;
    let again = world.ids().await.remove(0);
    events.line(SOON, |line| line.contains(&again)).await.unwrap();
    drop(events);
    world.finish().await;
}
