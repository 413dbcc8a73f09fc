//! Files on their way to where nodes fetch them, and their end.
//!
//! 1. Older uploads of a name go after a deploy, save for what any workload refers to, also one whose node is
//!    away; what went is told with `-v` and in JSON. Where nobody can tell what is needed, nothing goes.
//! 2. A file is never whole in memory, and a slow upload shows how far it is: on a terminal, nowhere else.
//! 3. What a pipe gives can be deployed.

use std::time::Duration;

use async_nats::jetstream;
use futures::TryStreamExt;
use nex_testkit::{NatsServer, Nex, echo_service};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{SOON, World, seat};

/// Of a file that takes its time.
const LARGE: u64 = 64 << 20;

/// Deploys another version of the program `prog`, and tells the object that it became and those that went.
async fn version(nex: &Nex, n: u8) -> (String, Vec<String>) {
    // What follows the last part of a program is not loaded, and makes another digest.
    let mut program = std::fs::read(echo_service().unwrap()).unwrap();
    program.push(n);
    std::fs::write(nex.work_dir().join("prog"), program).unwrap();
    let deployed = nex.ok(&["run", "prog", "--json"]).await.json();
    assert_eq!(deployed["already_running"], false, "{deployed:#}");
    let digest = deployed["digest"].as_str().unwrap();
    let object = format!("prog_{}", digest.trim_start_matches("sha256:"));
    (object, serde_json::from_value(deployed["pruned"].clone()).unwrap())
}

async fn objects(client: &async_nats::Client) -> Vec<String> {
    let bucket = jetstream::new(client.clone()).get_object_store("NEXCLIFILES").await.unwrap();
    let listed: Vec<_> = bucket.list().await.unwrap().try_collect().await.unwrap();
    listed.into_iter().map(|object| object.name).filter(|name| name != "prog_latest").collect()
}

#[tokio::test]
async fn older_uploads_go_when_nothing_refers_to_them() {
    let world = World::up().await;
    let (first, _) = version(&world.nex, 0).await;
    let digest = first.trim_start_matches("prog_");
    let keeper = json!({ "uri": format!("nats://NEXCLIFILES/prog:{digest}") }).to_string();
    world.nex.ok(&["workload", "start", "--name", "keeper", "--start-request", &keeper]).await;
    let mut uploads = vec![first.clone()];
    let mut all_pruned = Vec::new();
    for n in 1..=7 {
        let (object, pruned) = version(&world.nex, n).await;
        uploads.push(object);
        all_pruned.extend(pruned);
    }
    assert_eq!(
        all_pruned,
        &uploads[1..3],
        "the last five stay, and what another workload refers to"
    );
    let mut left = objects(&world.client).await;
    left.sort();
    let mut expected = [&uploads[..1], &uploads[3..]].concat();
    expected.sort();
    assert_eq!(left, expected);

    world.nex.ok(&["stop", "keeper"]).await;
    let again = world.nex.ok(&["run", "prog", "-v"]).await.text();
    assert!(!again.contains("removed"), "nothing was deployed, and nothing goes: {again}");
    world.file("prog", std::fs::read(echo_service().unwrap()).unwrap());
    let told = world.nex.ok(&["run", "prog", "-v"]).await.text();
    for went in [&uploads[0], &uploads[3]] {
        assert!(told.contains(&format!("removed the upload {went}")), "no {went} in {told}");
    }

    let view =
        jetstream::new(world.client.clone()).get_key_value("nex-view-default").await.unwrap();
    let stranger = json!({
        "id": "stranger", "name": "stranger", "runtime": "--", "start_time": "", "tags": {},
        "workload_lifecycle": "service", "workload_state": "running", "workload_type": "other",
    });
    view.put("w.stranger", stranger.to_string().into()).await.unwrap();
    let (_, pruned) = version(&world.nex, 8).await;
    assert_eq!(pruned, Vec::<String>::new(), "nobody knows what the stranger refers to");
    view.purge("w.stranger").await.unwrap();
    let (_, pruned) = version(&world.nex, 9).await;
    assert_eq!(pruned.len(), 2, "{pruned:?}");
    world.finish().await;
}

#[tokio::test]
async fn what_a_node_that_is_away_may_bring_back_stays() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let mut away = Nex::up(&server).await;
    let (first, _) = version(&away, 0).await;
    let nodes = away.ok(&["nodes", "--json"]).await.json();
    let node = nodes.pointer("/0/node_id").and_then(Value::as_str).unwrap().to_owned();
    away.kill9().await;
    let nex = Nex::up(&server).await;
    nex.ok(&["node", "forget", &node]).await;
    for n in 1..=7 {
        version(&nex, n).await;
    }
    let client = server.client().await;
    let left = objects(&client).await;
    assert!(left.contains(&first), "{left:#?}");
    assert_eq!(left.len(), 6, "{left:#?}");
    drop((client, away));
    nex.finish().await;
}

#[tokio::test]
async fn a_slow_upload_shows_how_far_it_is_and_is_not_whole_in_memory() {
    let server = NatsServer::start().await;
    let slow = slowly_to(server.port()).await;
    let nex = Nex::managed().environment("NATS_URL", &slow).down();
    let large = std::fs::File::create(nex.work_dir().join("large.bin")).unwrap();
    large.set_len(LARGE).unwrap();
    let arguments = ["run", "large.bin", "--type", "wasm", "--on", "x"];
    let mut terminal = nex.terminal(&arguments, (80, 24));
    let shown =
        terminal.shows("the bar", SOON, |screen| screen.contains("uploading large.bin")).await;
    let screen = shown.unwrap();
    assert!(screen.contains("of 64.00 MiB"), "{screen}");
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", terminal.id().unwrap())).unwrap();
    let of_its_own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kib: u64 = of_its_own.trim().trim_end_matches("kB").trim().parse().unwrap();
    assert!(kib * 1024 < LARGE / 2, "it has {kib} KiB of its own");
    terminal.press("\x03").unwrap();
    terminal.ended(SOON).await.unwrap();

    large.set_len(LARGE / 8).unwrap();
    let refused = nex.run(&arguments).await.exits(5);
    assert!(!refused.stderr.contains("uploading"), "a pipe gets no bar: {refused}");
}

#[tokio::test]
async fn what_a_pipe_gives_is_deployed() {
    let world = World::up().await;
    let program = std::fs::read(echo_service().unwrap()).unwrap();
    let run = ["run", "/dev/stdin", "--name", "piped"];
    let deployed = world.nex.run_with_input(&run, program).await.exits(0).text();
    assert!(deployed.contains("✓ piped deployed as native service"), "{deployed}");
    world.finish().await;
}

/// The address of somebody who passes on to `port` what clients say, slowly, and at once what they are told.
async fn slowly_to(port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut piece = vec![0; 64 * 1024];
                while let Ok(n @ 1..) = from_client.read(&mut piece).await {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    if to_server.write_all(&piece[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("nats://{address}")
}
