//! The noun verbs, with the Go command line's tables, texts and JSON shapes.
//!
//! 1. `node list`, `node info`, `workload list`: tables and JSON.
//! 2. `workload start` and `stop`: texts, refusals before anything is sent, Nexfiles.
//! 3. `node up`: seeds, tags, events, nexlets of one's own choice and of others.
//! 4. The node's log over NATS.

use futures::StreamExt;
use nex_testkit::{NatsServer, Nex, eventually};
use serde_json::{Value, json};

use crate::guests::ECHO;
use crate::world::{SOON, World, assert_refused, seat, start_request, text};

/// A table's line as its cells.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('│').split('│').map(str::trim).collect()
}

#[tokio::test]
async fn lists_and_info_look_as_in_go() {
    let world = World::up().await;
    let node = world.node_id().await;
    let shown = world.nex.ok(&["node", "list"]).await.text();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with('╭') && lines[1].contains(" Nex Nodes "), "{shown}");
    let header =
        ["Nexus", "ID (* = Lameduck Mode)", "Name", "Version", "Uptime", "State", "Running Agents"];
    assert_eq!(cells(lines[3]), header);
    let row = cells(lines[5]);
    assert_eq!([row[0], row[1], row[5], row[6]], ["nexus", &node, "running", "3"]);
    assert_eq!(
        world.nex.ok(&["node", "ls", "--filter", "nex.node=x"]).await.text(),
        "No nodes found\n"
    );

    let info = world.nex.ok(&["node", "info", &node]).await.text();
    assert!(
        info.starts_with(&format!("Information about Node {node}\n\n    Nexus: nexus\n")),
        "{info}"
    );
    assert!(info.contains("🟢") && info.contains("Running Agents"), "{info}");
    let full = world.nex.ok(&["node", "info", &node, "--full"]).await.text();
    assert!(full.contains("🟢 [healthy]") && full.contains("Supported Lifecycles"), "{full}");

    assert_eq!(world.nex.ok(&["workload", "list"]).await.text(), "No workloads found\n");
    assert_eq!(world.nex.ok(&["workload", "list", "--json"]).await.json(), json!([]));
    let _started = world.start("echo", ECHO, json!({"triggers": ["js.echo"]})).await.exits(0);
    let list = world.nex.ok(&["workload", "list", "--json"]).await.json();
    assert_eq!(text(&list, "/0/0/name"), "echo");
    let table = world.nex.ok(&["workloads", "ls", "-n", "system", "--show-metadata"]).await.text();
    for says in ["Running Workloads - system", "Namespace", "Execution Time", "Metadata", "default"]
    {
        assert!(table.contains(says), "no {says:?} in {table}");
    }
    world.finish().await;
}

#[tokio::test]
async fn workloads_start_from_nexfiles_and_stop() {
    let world = World::up().await;
    let none = world.nex.run(&["workload", "start"]).await;
    assert_refused(none, 2, &["interactive start request not yet implemented"], "--nexfile FILE");
    let kind = ["workload", "start", "--type", "javascript", "--start-request"];
    let bad = world.nex.run(&[&kind[..], &["{}", "--lifecycle", "function"]].concat()).await;
    assert_refused(bad, 1, &["failed to validate run request", "NEX-103"], "nex run FILE");
    let job = world.nex.run(&[&kind[..], &["{}", "--lifecycle", "job"]].concat()).await;
    assert_refused(job, 2, &["agent does not support requested lifecycle"], "--lifecycle");

    let request = start_request(ECHO, json!({"triggers": ["js.file"]}));
    let nexfile = json!({"name": "by-file", "type": "javascript", "lifecycle": "function",
        "description": "d", "tags": {"nex.os": "linux"}, "start_request": request});
    world.file("echo.json", nexfile.to_string());
    let started = world.nex.ok(&["workload", "run", "-f", "echo.json"]).await.text();
    assert!(
        started.starts_with("Workload by-file [") && started.ends_with("] successfully started\n")
    );
    assert_eq!(world.ask("js.file", "a").await.payload, "a");
    let typo =
        world.nex.run_with_input(&["workload", "start", "-f", "-"], b"nam: x".to_vec()).await;
    assert_refused(
        typo,
        2,
        &["failed to unmarshal Nexfile", "did you mean \"name\"?"],
        "start_request",
    );

    let id = world.ids().await.remove(0);
    let stopped = world.nex.ok(&["workload", "stop", &id]).await.text();
    assert_eq!(stopped, format!("Workload {id} successfully stopped\n"));
    let unknown = world.nex.run(&["workload", "undeploy", &id]).await;
    assert_refused(unknown, 4, &[&id], "nex ls");
    world.finish().await;
}

#[tokio::test]
async fn a_folder_with_a_nexfile_runs() {
    let world = World::up().await;
    let nothing = world.nex.run(&["run"]).await;
    assert_refused(nothing, 2, &["there is no Nexfile in ."], "nex run FILE");
    std::fs::create_dir(world.nex.work_dir().join("project")).unwrap();
    world.file("project/echo.js", ECHO);
    world.file(
        "project/Nexfile",
        "name: ours\nfile: ./echo.js\ntriggers: [js.ours]\nlimits:\n  timeout: 2s\nenvironment: {GREETING: hi}\n",
    );
    let said = world.nex.ok(&["run", "project"]).await.text();
    assert!(said.contains("✓ ours deployed as javascript function"), "{said}");
    assert!(said.contains("nats req js.ours"), "{said}");
    assert_eq!(world.ask("js.ours", "heya").await.payload, "heya");
    // What is typed wins.
    world.nex.ok(&["run", "project", "--name", "other", "--on", "js.other"]).await;
    assert_eq!(world.ask("js.other", "heya").await.payload, "heya");
    world.finish().await;
}

/// A node that `nex node up` starts with these arguments, until the test ends it.
async fn node_up(nex: &Nex, arguments: &[&str]) -> nex_testkit::Process {
    let node = nex.spawn(&[&["node", "up"], arguments].concat());
    eventually("the node is ready", SOON * 4, async || {
        let said = String::from_utf8_lossy(&node.stdout()).into_owned();
        if said.contains("ready in") { Ok(()) } else { Err(node.stderr()) }
    })
    .await;
    node
}

#[tokio::test]
async fn node_up_takes_what_go_takes() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).down();
    let client = server.client().await;
    let mut log = client.subscribe("$NEX.FEED.system.logs.*.*").await.unwrap();
    let mut events = client.subscribe("$NEX.FEED.*.events.>").await.unwrap();
    client.flush().await.unwrap();
    let pair = nkeys::KeyPair::new_server();
    let seed = pair.seed().unwrap();
    let configuration = json!({
        "node_name": "from-file", "nexus": "lab", "tags": {"region": "lab"}, "events": "",
        "agents": [{"uri": "file:///bin/cat", "argv": ["-u"], "env": {"FOO": "bar"}}],
    });
    std::fs::write(nex.work_dir().join("node.json"), configuration.to_string()).unwrap();
    let flags = [
        "--config",
        "node.json",
        "--node-seed",
        &seed,
        "--nexlets",
        "wasm",
        "--logger.target",
        "std,nats",
    ];
    let mut node = nex.spawn(&[&["node", "up"], &flags[..]].concat());
    // The other program never registers, so that the node is never quite ready.
    eventually("the node answers with its wasm nexlet", SOON * 2, async || {
        let nodes: Value = nex.run(&["nodes", "--json"]).await.json();
        let info = nex.run(&["node", "info", &pair.public_key(), "--json"]).await;
        if info.text().contains("healthy") { Ok(nodes) } else { Err(nodes) }
    })
    .await;
    let info = nex.ok(&["node", "info", &pair.public_key(), "--json"]).await.json();
    let tags = &info["tags"];
    assert_eq!(
        [&tags["nex.node"], &tags["nex.nexus"], &tags["region"]],
        ["from-file", "lab", "lab"]
    );
    let line = tokio::time::timeout(SOON, log.next()).await.unwrap().unwrap();
    assert_eq!(
        line.subject.as_str(),
        format!("$NEX.FEED.system.logs.{}.stdout", pair.public_key())
    );
    assert!(String::from_utf8_lossy(&line.payload).contains(" [INFO] "), "{line:?}");
    node.signal(nex_testkit::Signal::SIGTERM);
    assert!(node.exit(SOON * 4).await.unwrap().success(), "{}", node.stderr());
    client.flush().await.unwrap();
    let heard = tokio::time::timeout(std::time::Duration::from_millis(100), events.next()).await;
    assert!(heard.is_err(), "events are off: {heard:?}");
    assert!(!node.stderr().contains(&seed));
}

#[tokio::test]
async fn node_up_refuses_what_it_cannot_do() {
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).down();
    let user = nkeys::KeyPair::new_user().seed().unwrap();
    for (flags, says) in [
        (&["--tags", "nex.os=plan9"][..], "can not use reserved tag prefix: nex."),
        (&["--node-seed", &user], "not the seed of a server key"),
    ] {
        let refused = nex.run(&[&["node", "up"], flags].concat()).await;
        let refused = assert_refused(refused, 2, &[says], "");
        assert!(!refused.stderr.contains(&user), "{refused}");
    }
    let wrong = nex.run(&["node", "up", "--events", "smoke"]).await.exits(2);
    assert!(wrong.stderr.contains("one of: nats, logs"), "{wrong}");
    std::fs::write(nex.work_dir().join("n.json"), r#"{"agents": [{"uri": "file:///no/such"}]}"#)
        .unwrap();
    let refused = nex.run(&["node", "up", "--config", "n.json"]).await;
    assert_refused(refused, 2, &["/no/such is not a file"], "\"uri\"");
}

#[tokio::test]
async fn the_native_nexlet_can_be_left_out() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).down();
    let mut node = node_up(&nex, &["--disable-native-start", "--nexlets", "wasm,native"]).await;
    let shown = nex
        .ok(&["node", "info", &text(&nex.ok(&["nodes", "--json"]).await.json(), "/0/node_id")])
        .await;
    assert!(shown.text().contains("wasm") && !shown.text().contains("native"), "{shown}");
    node.signal(nex_testkit::Signal::SIGTERM);
    assert!(node.exit(SOON * 4).await.unwrap().success());
}
