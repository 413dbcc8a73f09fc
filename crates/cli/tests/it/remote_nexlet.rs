//! A nexlet that no node launched, against a scripted Go node (spec: control API, sections 5.2 and 5.3; checks 25, 26).
//!
//! 1. It asks on RREGISTER of its nexus, and registers with the node, id and credentials that it is given.
//! 2. It starts what `existing_state` holds, under the same ids, and then sends heartbeats.
//! 3. Without such a node it ends with a sentence.
//! 4. Our own node takes it when it was told to, and then it is a nexlet like any other.

use std::process::Command;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures::StreamExt;
use nex_testkit::{NatsServer, Nex, Process, Signal, eventually, example, python, ticker_nexlet};
use serde_json::{Value, json};

use crate::world::{SOON, seat, try_ask};

const NODE: &str = "NB4XOM2IOV2NRLRZZU5PFMQFBAQXYQOG4WOVGOWRYJRBWI3JO5QJK7AG";
const AGENT: &str = "WvLS2fm0rYuHFVcv9jR5gk";
const WORKLOAD: &str = "WvLS2fm0rYuHFVcv9jR5nE";

fn connection(servers: &Value) -> Value {
    json!({
        "conn_name": "", "nats_servers": servers, "nats_user_jwt": "", "nats_user_name": "", "nats_user_nkey": "",
        "nats_user_password": "", "nats_user_seed": "", "tls_ca": "", "tls_cert": "", "tls_first": false, "tls_key": "",
    })
}

fn launch(server: &NatsServer, nexus: &str) -> Process {
    launch_program(Command::new(ticker_nexlet().unwrap()), server, nexus)
}

fn launch_program(mut command: Command, server: &NatsServer, nexus: &str) -> Process {
    command.env_clear().env("NEX_AGENT_NATS_SERVERS", server.url()).env("NEX_AGENT_NEXUS", nexus);
    Process::spawn(command).unwrap()
}

async fn next(messages: &mut Subscriber) -> Message {
    tokio::time::timeout(SOON, messages.next()).await.expect("in time").expect("open")
}

#[tokio::test]
async fn it_joins_a_go_node_of_its_nexus() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let mut remotes = client.subscribe("$NEX.SVC.lab.agent.RREGISTER").await.unwrap();
    let mut registrations =
        client.subscribe(format!("$NEX.SVC.{NODE}.agent.REGISTER.{AGENT}")).await.unwrap();
    let mut beats =
        client.subscribe(format!("$NEX.SVC.{NODE}.agent.HEARTBEAT.{AGENT}")).await.unwrap();
    server.until_subscribed("$NEX.SVC.lab.agent.RREGISTER").await;
    let mut nexlet = launch(&server, "lab");

    let asked = next(&mut remotes).await;
    assert_eq!(asked.payload, "{}");
    // Go's full-access minter names no server when it was given a context.
    let given = json!({ "assigned_agent_id": AGENT, "registration_creds": connection(&Value::Null), "respond_to": NODE });
    client.publish(asked.reply.unwrap(), given.to_string().into()).await.unwrap();

    let registering = next(&mut registrations).await;
    let body: Value = serde_json::from_slice(&registering.payload).unwrap();
    assert_eq!([&body["register_type"], &body["register_token"]], [&json!("ticker"), &Value::Null]);
    let request = json!({
        "description": "", "name": "clock", "namespace": "default", "tags": null, "workload_lifecycle": "service",
        "workload_type": "ticker", "run_request": json!({ "subject": "clock", "every": "10ms" }).to_string(),
    });
    let existing = json!({ WORKLOAD: { "request": request, "workload_creds": connection(&json!([server.url()])) } });
    let welcome = json!({
        "connection_data": connection(&json!([server.url()])), "existing_state": existing, "message": "", "node_id": NODE,
        "success": true,
    });
    let mut ticks = client.subscribe("clock").await.unwrap();
    client.publish(registering.reply.unwrap(), welcome.to_string().into()).await.unwrap();

    let beat: Value = serde_json::from_slice(&next(&mut beats).await.payload).unwrap();
    assert_eq!(beat["summary"]["state"], "running");
    assert_eq!(next(&mut ticks).await.payload, "1");
    let query = json!({ "filter": null, "namespace": "default" }).to_string().into_bytes();
    let listed =
        try_ask(&client, &format!("$NEX.SVC.{NODE}.agent.QUERYWORKLOADS"), query).await.unwrap();
    let listed: Value = serde_json::from_slice(&listed.payload).unwrap();
    assert_eq!(listed[0]["id"], WORKLOAD);
    nexlet.signal(Signal::SIGTERM);
    assert!(nexlet.exit(SOON).await.unwrap().success());
    server.assert_no_other_clients().await;
}

#[tokio::test]
async fn without_a_node_it_says_so_and_ends() {
    let server = NatsServer::start().await;
    let mut nexlet = launch(&server, "lab");
    let status = nexlet.exit(Duration::from_secs(10)).await.unwrap();
    assert!(!status.success());
    assert!(
        nexlet.stderr().contains("no node of nexus lab takes remote nexlets"),
        "{}",
        nexlet.stderr()
    );
}

#[tokio::test]
async fn our_node_takes_it_when_it_was_told_to() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).arguments(["--allow-remote-agent-registration"]).up().await;
    let mut nexlets = vec![launch(&server, "nexus")];
    let mut starts = vec![("ticker", r#"{"subject":"clock","every":"10ms"}"#)];
    if let Some(python) = python() {
        let mut command = Command::new(python);
        command.arg(example("echo-nexlet.py"));
        nexlets.push(launch_program(command, &server, "nexus"));
        starts.push(("echo", r#"{"subject":"py.echo"}"#));
    }
    for (kind, request) in &starts {
        let start =
            ["workload", "start", "--type", kind, "--name", kind, "--start-request", request];
        eventually("it takes a workload", SOON, async || {
            let started = nex.run(&start).await;
            if started.code == 0 { Ok(()) } else { Err(started) }
        })
        .await;
    }
    let listed = nex.ok(&["ls", "--json"]).await.json();
    assert_eq!(listed.as_array().unwrap().len(), starts.len(), "{listed:#}");
    let client = server.client().await;
    let mut ticks = client.subscribe("clock").await.unwrap();
    next(&mut ticks).await;
    drop(client);
    for mut nexlet in nexlets {
        nexlet.signal(Signal::SIGTERM);
        assert!(nexlet.exit(SOON).await.unwrap().success(), "{}", nexlet.failure("ended badly"));
    }
    nex.finish().await;
    server.assert_no_other_clients().await;
}
