//! Completions: what a shell is offered.
//!
//! 1. Names and ids of workloads and nodes, namespaces, error codes, of the server and the namespace that are
//!    typed already.
//! 2. Only plain words: a name that a stranger made up does nothing to a shell or a terminal.
//! 3. Without a server nothing is offered, and nothing is said.
//! 4. Each shell gets its script, and bash does with it what it should.

use std::process::Command;

use async_nats::jetstream;
use nex_testkit::{Nex, echo_service};
use serde_json::json;

use crate::world::{World, text};

/// The words that are offered for the last one.
fn offered(nex: &Nex, words: &[&str]) -> Vec<String> {
    let mut command = nex.command(&[&["--", "nex"], words].concat());
    command.env("COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    let offered = String::from_utf8(output.stdout).unwrap();
    assert!(!offered.contains(|c: char| c.is_control() && c != '\n'), "{offered:?}");
    offered.lines().map(str::to_owned).collect()
}

async fn world() -> World {
    let world = World::up().await;
    let service = echo_service().unwrap().display().to_string();
    world.nex.ok(&["run", &service, "--name", "orders"]).await;
    world
}

#[tokio::test]
async fn names_of_what_is_there_are_offered() {
    let world = world().await;
    let nex = &world.nex;
    let id = world.ids().await.remove(0);
    let nodes = nex.ok(&["nodes", "--json"]).await.json();
    let (node, node_id) = (text(&nodes, "/0/tags/nex.node"), text(&nodes, "/0/node_id"));
    for command in ["stop", "info", "logs", "clone", "scale"] {
        assert_eq!(offered(nex, &[command, "ord"]), ["orders"], "{command}");
    }
    assert_eq!(offered(nex, &["workload", "stop", "o"]), ["orders"]);
    assert_eq!(offered(nex, &["stop", "greet", "ord"]), ["orders"], "the second name");
    assert_eq!(offered(nex, &["stop", &id[..4]]), [id.as_str()]);
    assert_eq!(offered(nex, &["call", "ord"]), Vec::<String>::new(), "a service is not called");
    for command in [&["lameduck"][..], &["node", "info"], &["node", "forget"], &["logs", "--node"]]
    {
        assert_eq!(offered(nex, &[command, &[&node[..3]]].concat()), [node.as_str()]);
        assert_eq!(offered(nex, &[command, &[&node_id[..5]]].concat()), [node_id.as_str()]);
    }
    assert_eq!(offered(nex, &["-n", "team", "stop", "o"]), Vec::<String>::new());
    assert_eq!(offered(nex, &["-n", "system", "stop", "o"]), ["orders"]);
    assert_eq!(offered(nex, &["ls", "-n", "d"]), ["default"]);
    assert_eq!(offered(nex, &["ls", "--namespace", "sy"]), ["system"]);
    assert!(offered(nex, &["explain", "NEX-21"]).contains(&"NEX-212".to_owned()));
    assert!(offered(nex, &["explain", "21"]).contains(&"212".to_owned()));
    assert_eq!(offered(nex, &["versi"]), ["version"]);
    let bucket =
        jetstream::kv::Config { bucket: "hs_default_n_kv".to_owned(), ..Default::default() };
    jetstream::new(world.client.clone()).create_key_value(bucket).await.unwrap();
    assert_eq!(offered(nex, &["buckets", "rm", "hs"]), ["hs_default_n_kv"]);
    // As if the shell did not say which word it is: then it is the last.
    let fish = nex.command(&["--", "nex", "stop", "ord"]).env("COMPLETE", "/usr/bin/fish").output();
    assert_eq!(fish.unwrap().stdout, b"orders\tnative service\n");
    world.finish().await;
}

#[tokio::test]
async fn a_stranger_s_name_does_nothing_to_a_shell() {
    let world = world().await;
    let view =
        jetstream::new(world.client.clone()).get_key_value("nex-view-default").await.unwrap();
    for (n, name) in ["orders;reboot", "$(reboot)", "o\u{1b}[2J", "-rf", "o o"].iter().enumerate() {
        let workload = json!({
            "id": name, "name": name, "namespace": "default", "runtime": "--", "start_time": "",
            "tags": {}, "workload_lifecycle": "function\u{1b}[2J", "workload_state": "running",
            "workload_type": "native",
        });
        view.put(format!("w.evil{n}"), workload.to_string().into()).await.unwrap();
    }
    for command in ["stop", "info", "logs"] {
        assert_eq!(offered(&world.nex, &[command, "o"]), ["orders"]);
        let all = offered(&world.nex, &[command, ""]);
        assert!(!all.iter().any(|word| word.contains("reboot") || word == "-rf"), "{all:?}");
    }
    for n in 0..5 {
        view.purge(format!("w.evil{n}")).await.unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn without_a_server_nothing_is_offered_and_nothing_is_said() {
    // The first refuses, the second takes the connection and stays silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = "127.0.0.1:1".parse().unwrap();
    for address in [gone, silent.local_addr().unwrap()] {
        let nex = Nex::managed().environment("NATS_URL", &format!("nats://{address}")).down();
        assert_eq!(offered(&nex, &["stop", "o"]), Vec::<String>::new());
        assert_eq!(offered(&nex, &["info", "o"]), Vec::<String>::new());
        assert_eq!(offered(&nex, &["ls", "-n", "s"]), ["system"]);
        assert_eq!(offered(&nex, &["--context", "no-such", "stop", "o"]), Vec::<String>::new());
        assert!(offered(&nex, &["stop", "--pur"]).contains(&"--purge".to_owned()));
    }
    // Somebody else's variable changes nothing.
    let nex = Nex::managed().environment("COMPLETE", "yes").down();
    assert!(nex.ok(&["version"]).await.text().starts_with("nex "));
}

#[tokio::test]
async fn each_shell_gets_its_script_and_bash_completes_with_it() {
    let world = world().await;
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = world.nex.ok(&["completions", shell]).await.text();
        assert!(script.contains("COMPLETE") && script.contains("nex"), "{shell}: {script}");
    }
    let nex = world.nex.command(&["completions", "bash"]);
    let line = format!(
        "source <('{}' completions bash)\n\
         COMP_WORDS=(nex stop ord) COMP_CWORD=2 COMP_TYPE=9\n\
         \"$(complete -p nex | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\" nex ord stop\n\
         echo \"offered: ${{COMPREPLY[*]}}\"",
        nex.get_program().display()
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", &line]).current_dir(world.nex.work_dir());
    for (name, value) in nex.get_envs() {
        if let Some(value) = value {
            bash.env(name, value);
        }
    }
    let output = bash.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("offered: orders\n"), "{output:?}");
    world.finish().await;
}
