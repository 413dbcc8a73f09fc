//! J31: credentials minted by a signing key, on a server in operator mode (check 32).
//!
//! 1. A function and a service are deployed, called, logged and announced; their artifacts arrive.
//! 2. A trigger outside of the policy is a 403 that names the pattern.
//! 3. What a workload may not reach, the server refuses: the control plane, JetStream, other namespaces, Nex's inboxes.
//! 4. The JWTs say so. No seed is in a list, a log, an event or on a command line.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerError};
use futures::StreamExt;
use nex_testkit::{NatsServer, Nex, Operator, echo_service};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::world::{SOON, World, assert_refused, json_of, text};

const AGENT: &str = "WvLS2fm0rYuHFVcv9jR5gk";

/// A node with a signing key and a policy, and more arguments of `nex up`.
pub(crate) async fn world(operator: &Operator, arguments: &[&str]) -> World {
    let server = NatsServer::options().operator(operator).start().await;
    let policy = json!({
        "default": {"subscribe": ["js.>", "svc.>"], "publish": ["out.>"]},
        "b": {"subscribe": ["b.>"], "publish": ["b.>"]},
    });
    let policy = operator.file("policy.json", &policy.to_string());
    let creds = operator.file("node.creds", &operator.a.creds());
    let seed = operator.file("signing.seed", &operator.a.signing_seed());
    let options = Nex::against(&server)
        .environment("NATS_CREDS", &creds.display().to_string())
        .environment("NEX_ISSUER_SIGNING_KEY", &format!("@{}", seed.display()))
        .arguments(["--issuer-signing-key-root-account", &operator.a.public()])
        .arguments(["--policy", &policy.display().to_string()])
        .arguments(arguments);
    let client = server.client_with(&operator.a.creds()).await;
    World::started(server, options, client).await
}

#[tokio::test]
async fn j31_a_function_and_a_service_work_with_what_is_minted() {
    let operator = Operator::new();
    let world = world(&operator, &[]).await;
    let mut logs = world.follow(&["logs", "-f"]).await;
    let mut events =
        world.client.subscribe("$NEX.FEED.default.events.WORKLOADSTARTED").await.unwrap();
    world.client.flush().await.unwrap();
    world.file("echo.js", "export default (s, p) => { console.log('called'); return p; }");
    let deployed = world.nex.ok(&["run", "echo.js", "--on", "js.echo"]).await;
    world.until_answered("js.echo", "hello", "hello").await;
    logs.line(SOON, |line| line.contains("called")).await.unwrap();
    let started = tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();

    let listed = world.list().await;

    // Its program comes out of the object store; it has the credentials, but does not look for them.
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    let native = tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&native.payload).contains("native"), "{native:?}");
    let refused = world.nex.run(&["run", "echo.js", "--name", "other", "--on", "b.x"]).await;
    assert_refused(
        refused,
        1,
        &["namespace default may not subscribe to b.x", "NEX-122"],
        "--policy",
    );

    let info = world.nex.ok(&["info", "echo"]).await;
    assert!(info.text().contains("js.echo") && info.text().contains("_INBOX.NEX.>"), "{info}");
    let said = [
        deployed.text(),
        info.text(),
        Value::Array(listed).to_string(),
        String::from_utf8_lossy(&started.payload).into_owned(),
        String::from_utf8_lossy(&logs.stdout()).into_owned(),
        String::from_utf8_lossy(&world.nex.node().unwrap().stdout()).into_owned(),
        world.nex.node().unwrap().stderr(),
        world.nex.processes().into_iter().map(|entry| entry.command + "\n").collect(),
    ];
    said.iter().for_each(|text| assert_no_secret(text));
    drop((logs, events));
    world.finish().await;
}

#[tokio::test]
async fn j31_what_a_workload_may_not_reach_the_server_refuses() {
    let operator = Operator::new();
    let world = world(&operator, &[]).await;
    let node = world.node_id().await;
    let agent = register(&world, &node).await;
    let (nexlet, mut nexlet_errors) = connect(&world, &agent).await;
    let workload = started_on(&world, &node, &nexlet).await;
    let (program, mut errors) = connect(&world, &workload).await;

    // Its own subjects, and an answer to its own request.
    let mut heard = world.client.subscribe("out.x").await.unwrap();
    let mut asked = program.subscribe("svc.asked").await.unwrap();
    program.flush().await.unwrap();
    world.server.until_subscribed("svc.asked").await;
    world.server.until_subscribed("out.x").await;
    program.publish("out.x", "mine".into()).await.unwrap();
    assert_eq!(heard.next().await.unwrap().payload, "mine");
    world.client.publish("svc.asked", "x".into()).await.unwrap();
    assert_eq!(asked.next().await.unwrap().payload, "x");

    // Nothing else.
    for subject in ["$NEX.SVC.default.control.WPING", "$JS.API.STREAM.NAMES", "b.x", "_INBOX.NEX.x"]
    {
        program.publish(subject, "x".into()).await.unwrap();
        refused(&mut errors, "publish", subject).await;
    }
    for subject in ["b.>", ">", "$NEX.FEED.b.logs.>", "$NEX.SVC.>", "_INBOX.NEX.>"] {
        let subscribed = program.subscribe(subject).await.unwrap();
        refused(&mut errors, "subscription", subject).await;
        drop(subscribed);
    }
    // Nor may the nexlet act as the node or a client does.
    for subject in
        ["$NEX.SVC.default.control.WPING", "$JS.API.CONSUMER.CREATE.OBJ_NEXCLIFILES", "js.echo"]
    {
        nexlet.publish(subject, "x".into()).await.unwrap();
        refused(&mut nexlet_errors, "publish", subject).await;
    }
    drop((program, nexlet, heard, asked));
    world.finish().await;
}

/// Registers as a foreign nexlet does, and checks what its JWT says.
async fn register(world: &World, node: &str) -> Value {
    let registration = json!({
        "description": "", "max_workloads": 0, "name": "probe", "public_xkey": "X",
        "register_type": "probe", "start_request_schema": "{}",
        "supported_lifecycles": ["service"], "version": "1.0.0",
    });
    let subject = format!("$NEX.SVC.{node}.agent.REGISTER.{AGENT}");
    let reply = json_of(&world.ask(&subject, registration.to_string()).await);
    let claims = claims(&reply["connection_data"]);
    let allowed = |direction: &str| claims["nats"][direction]["allow"].as_array().unwrap().clone();
    for subject in [format!("$NEX.SVC.{node}.agent.HEARTBEAT.{AGENT}"), "_INBOX.>".to_owned()] {
        assert!(allowed("pub").contains(&json!(subject)), "{claims:#}");
    }
    let start = format!("$NEX.SVC.{node}.agent.{AGENT}.STARTWORKLOAD.*");
    assert!(allowed("sub").contains(&json!(start)), "{claims:#}");
    reply["connection_data"].clone()
}

/// Becomes healthy, takes a workload, and returns its credentials.
async fn started_on(world: &World, node: &str, nexlet: &Client) -> Value {
    let start = format!("$NEX.SVC.{node}.agent.{AGENT}.STARTWORKLOAD.*");
    let mut starts = nexlet.subscribe(start.clone()).await.unwrap();
    world.server.until_subscribed(&start).await;
    let summary = json!({
        "name": "probe", "start_time": "2026-04-23T08:58:10.2-06:00", "state": "running",
        "supported_lifecycles": "service", "type": "probe", "version": "1.0.0", "workload_count": 0,
    });
    let beat = json!({ "data": "", "summary": summary }).to_string();
    let heartbeat = format!("$NEX.SVC.{node}.agent.HEARTBEAT.{AGENT}");
    nexlet.publish(heartbeat, beat.into()).await.unwrap();
    let auction = json!({ "agent_type": "probe", "auction_id": "A", "tags": {} });
    let bid = nex_testkit::eventually("somebody bids", SOON, async || {
        let subject = crate::world::control("AUCTION");
        let asked = crate::world::try_ask(&world.client, &subject, auction.to_string().into());
        let asked = tokio::time::timeout(Duration::from_millis(500), asked).await;
        asked.map_err(|_| "silence".to_owned())?.map_err(|error| error.to_string())
    })
    .await;
    let bid = text(&json_of(&bid), "/bidder_id");
    let body = json!({
        "description": "", "name": "probe", "namespace": "default", "run_request": "{}",
        "tags": {}, "workload_lifecycle": "service", "workload_type": "probe",
    });
    let deploy = async { world.control(&format!("ADEPLOY.{bid}"), body).await };
    let serve = async {
        let message = starts.next().await.unwrap();
        let reply = json!({ "id": "w", "name": "probe" }).to_string();
        nexlet.publish(message.reply.clone().unwrap(), reply.into()).await.unwrap();
        serde_json::from_slice::<Value>(&message.payload).unwrap()
    };
    let (deployed, request) = tokio::join!(deploy, serve);
    assert_eq!(json_of(&deployed)["name"], "probe");
    let claims = claims(&request["workload_creds"]);
    let expected = json!(["$NEX.FEED.default.logs.>", "_INBOX.>", "js.>", "svc.>"]);
    assert_eq!(claims["nats"]["sub"]["allow"], expected, "{claims:#}");
    request["workload_creds"].clone()
}

/// A connection with minted data, and what the server complains of on it.
async fn connect(world: &World, minted: &Value) -> (Client, mpsc::UnboundedReceiver<String>) {
    let (jwt, seed) = (text(minted, "/nats_user_jwt"), text(minted, "/nats_user_seed"));
    let (sender, errors) = mpsc::unbounded_channel();
    let complaint = move |event: Event| {
        let sender = sender.clone();
        async move {
            if let Event::ServerError(ServerError::Other(text)) = event {
                let _test_ended = sender.send(text.to_lowercase());
            }
        }
    };
    let creds = nex_bus::jwt::creds_file(&jwt, &seed);
    let options = ConnectOptions::with_credentials(&creds).unwrap();
    let client = options.event_callback(complaint).connect(world.server.url()).await.unwrap();
    (client, errors)
}

async fn refused(errors: &mut mpsc::UnboundedReceiver<String>, what: &str, subject: &str) {
    let error = tokio::time::timeout(SOON, errors.recv()).await;
    let error = error.unwrap_or_else(|_| panic!("{what} to {subject} was not refused")).unwrap();
    let says = format!("permissions violation for {what} to \"{}\"", subject.to_lowercase());
    assert!(error.contains(&says), "{error}");
}

fn claims(minted: &Value) -> Value {
    let jwt = text(minted, "/nats_user_jwt");
    let part = jwt.split('.').nth(1).unwrap().replace('-', "+").replace('_', "/");
    let padded = format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4));
    serde_json::from_slice(&nex_bus::connection::from_base64(&padded).unwrap()).unwrap()
}

/// No seed of an account or user, and no JWT.
#[track_caller]
pub(crate) fn assert_no_secret(said: &str) {
    let words = said.split(|c: char| !c.is_ascii_alphanumeric());
    let is_seed =
        |word: &&str| word.len() == 58 && (word.starts_with("SU") || word.starts_with("SA"));
    let seeds: Vec<&str> = words.filter(is_seed).collect();
    assert!(seeds.is_empty(), "{seeds:?} in {said}");
    assert!(!said.contains("eyJ0eXAiOiJKV1Qi"), "a JWT in {said}");
}
