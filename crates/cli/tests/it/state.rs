//! State in JetStream as Go nodes have it, too (spec: control API, section 5.9; check 30).
//!
//! 1. A deploy stands in `nex-<node id>` under `<type>_<id>` when it is answered, as its own JSON; an
//!    undeploy removes it.
//! 2. An entry that a Go node wrote is started under its id.
//! 3. Half-written and foreign entries are skipped, named in the log, and kept.
//! 4. What is larger than an entry is refused before it starts; an older bucket's own limit counts.
//! 5. `--state memory`, and a server without JetStream: a node that ends forgets, and says so.

use async_nats::jetstream::{self, kv};
use futures::TryStreamExt;
use nex_testkit::{NatsServer, Nex, echo_service};
use serde_json::{Value, json};

use crate::control_deploy::{bid, deploy_body};
use crate::guests::ECHO;
use crate::world::{World, error_headers, seat, start_request, text};

pub(crate) async fn bucket(world: &World) -> kv::Store {
    let name = format!("nex-{}", world.node_id().await);
    jetstream::new(world.client.clone()).get_key_value(name).await.unwrap()
}

/// The keys of the node's bucket, sorted.
pub(crate) async fn keys(world: &World) -> Vec<String> {
    try_keys(world, &world.node_id().await).await.unwrap()
}

/// Likewise, of a node that may be away, with a JetStream that may be.
pub(crate) async fn try_keys(world: &World, node_id: &str) -> Result<Vec<String>, String> {
    let context = jetstream::new(world.client.clone());
    let store = context.get_key_value(format!("nex-{node_id}")).await.map_err(|e| e.to_string())?;
    let keys = store.keys().await.map_err(|error| error.to_string())?;
    let mut keys: Vec<String> = keys.try_collect().await.map_err(|error| error.to_string())?;
    keys.sort();
    Ok(keys)
}

#[tokio::test]
async fn a_deploy_stands_in_the_bucket_while_it_runs() {
    let world = World::up().await;
    let subject = format!("ADEPLOY.{}", bid(&world, "javascript").await);
    let body = deploy_body("default", "kept", "kept.it");
    let id = text(&world.control_json(&subject, &body).await, "/id");
    // Read at once: it was written before the reply.
    let value = bucket(&world).await.get(format!("javascript_{id}")).await.unwrap().unwrap();
    let value: Value = serde_json::from_slice(&value).unwrap();
    assert_eq!(value, body);
    let config = &bucket(&world).await.stream.cached_info().config.clone();
    assert_eq!((config.max_messages_per_subject, config.max_bytes), (1, 100_000_000));
    assert_eq!(config.max_message_size, 512 * 1024);

    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    let native: Vec<String> = keys(&world).await;
    assert!(native.len() == 2 && native[1].starts_with("native_"), "{native:?}");
    world.control_json(&format!("UNDEPLOY.{id}"), json!({ "namespace": "default" })).await;
    assert_eq!(keys(&world).await, native[1..]);
    world.nex.ok(&["stop", "echo-service"]).await;
    assert_eq!(keys(&world).await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn entries_of_others_are_started_or_skipped_and_kept() {
    let mut world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let (ids, store) = (world.ids().await, bucket(&world).await);
    world.nex.terminate().await;

    let of_go = deploy_body("default", "of-go", "of.go").to_string();
    let strange = ["javascript_half", "javascript", "javascript2_X", "wasm_X", "native_a.b"];
    for key in strange {
        let cut = if key == "javascript_half" { of_go.len() / 2 } else { of_go.len() };
        store.put(key, of_go[..cut].to_owned().into()).await.unwrap();
    }
    store.put("javascript_WvLS2fm0rYuHFVcv9jR5nE", of_go.clone().into()).await.unwrap();
    world.nex.up_again().await;
    world.until_answered("js.echo", "a", "a").await;
    world.until_answered("of.go", "b", "b").await;
    let mut expected = [ids, vec!["WvLS2fm0rYuHFVcv9jR5nE".to_owned()]].concat();
    expected.sort();
    assert_eq!(world.ids().await, expected);
    let log = world.nex.node().unwrap().stderr();
    for key in strange {
        assert_eq!(log.matches(&format!("key=\"{key}\"")).count(), 1, "{key} in {log}");
    }
    world.nex.ok(&["stop", "echo", "of-go"]).await;
    let mut kept: Vec<&str> = strange.to_vec();
    kept.sort_unstable();
    assert_eq!(keys(&world).await, kept);
    world.finish().await;
}

#[tokio::test]
async fn what_is_too_large_to_keep_is_refused_with_its_size() {
    let world = World::up().await;
    let body = large(600_000);
    let subject = format!("ADEPLOY.{}", bid(&world, "javascript").await);
    let (code, says) = error_headers(&world.control(&subject, &body).await);
    assert_eq!((code.as_str(), says.as_str()), ("413", "start request too large"));
    let reply = world.control(&format!("ADEPLOY.{}", bid(&world, "javascript").await), body).await;
    let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(text(&reply, "/code"), "NEX-121");
    let says = text(&reply, "/error");
    assert!(says.contains("600") && says.contains("524288"), "{says}");
    assert_eq!(world.ids().await, Vec::<String>::new());
    world.finish().await;
}

fn large(bytes: usize) -> Value {
    let mut body = deploy_body("default", "large", "large");
    let source = format!("{ECHO}//{}", "x".repeat(bytes));
    body["run_request"] =
        start_request(&source, json!({ "triggers": ["large"] })).to_string().into();
    body
}

#[tokio::test]
async fn an_older_bucket_is_used_as_it_is() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let state = || Nex::against(&server).state_dir(folder.path().to_owned());
    let nex = state().arguments(["--state", "memory"]).up().await;
    let node_id = text(&nex.ok(&["nodes", "--json"]).await.json(), "/0/node_id");
    nex.finish().await;
    let config = kv::Config {
        bucket: format!("nex-{node_id}"),
        history: 1,
        max_value_size: 10_000,
        max_bytes: 100_000_000,
        ..kv::Config::default()
    };
    let client = server.client().await;
    jetstream::new(client.clone()).create_key_value(config).await.unwrap();

    let nex = state().up().await;
    std::fs::write(nex.work_dir().join("small.js"), ECHO).unwrap();
    nex.ok(&["run", "small.js", "--on", "small"]).await;
    let request = start_request(&"x".repeat(11_000), json!({ "triggers": ["large"] })).to_string();
    let kind = ["--type", "javascript", "--lifecycle", "function"];
    let arguments =
        [&["workload", "start", "--name", "large", "--start-request", &request], &kind[..]];
    let refused = nex.run(&arguments.concat()).await;
    assert!(refused.code != 0 && refused.stderr.contains("10000"), "{refused}");
    nex.finish().await;
}

#[tokio::test]
async fn a_node_without_state_forgets_and_says_so() {
    let _seat = seat().await;
    for (server, arguments) in [
        (NatsServer::options(), &["--state", "memory"][..]),
        (NatsServer::options().without_jetstream(), &[]),
    ] {
        let server = server.start().await;
        let mut nex = Nex::against(&server).arguments(arguments).up().await;
        let printed = String::from_utf8(nex.node().unwrap().stdout()).unwrap();
        assert!(printed.contains("forgotten when this node ends"), "{printed}");
        let request = start_request(ECHO, json!({ "triggers": ["echo"] })).to_string();
        let start = ["workload", "start", "--name", "echo", "--type", "javascript"];
        let more = ["--lifecycle", "function", "--start-request", &request];
        nex.ok(&[&start[..], &more].concat()).await;
        nex.terminate().await;
        assert!(!nex.state_dir().join("workloads").read_dir().is_ok_and(|d| d.count() > 0));
        nex.up_again().await;
        assert_eq!(nex.ok(&["ls", "--json"]).await.json(), json!([]));
        nex.finish().await;
    }
}
