//! Nexlets that are not ours, launched by hand under a real node.
//!
//! Owns: the example in Python as a process, and a scripted one that does what tests tell it. Never: a test.

use std::process::Command;
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message};
use futures::StreamExt;
use nex_testkit::{Process, eventually, example, python};
use serde_json::{Value, json};

use crate::world::{SOON, World};

/// The example in Python under an id of the test's choice; none on a machine without Python.
pub(crate) async fn python_nexlet(world: &World, agent_id: &str) -> Option<Process> {
    let mut command = Command::new(python()?);
    command.arg(example("echo-nexlet.py")).env_clear();
    command.env("NEX_AGENT_NATS_SERVERS", world.server.url());
    command.env("NEX_AGENT_NODE_ID", world.node_id().await).env("NEX_AGENT_ASSIGNED_ID", agent_id);
    for empty in ["USER_SEED", "B64_JWT", "USER", "PASSWORD", "USER_NKEY"] {
        command.env(format!("NEX_AGENT_NATS_{empty}"), "");
    }
    let mut process = Process::spawn(command).unwrap();
    process.line(SOON, |line| line.contains("serves node")).await.unwrap();
    Some(process)
}

/// Waits until INFO shows the agent with this health.
pub(crate) async fn until_health(world: &World, agent_id: &str, health: &str, within: Duration) {
    let node = world.node_id().await;
    eventually(&format!("{agent_id} is {health}"), within, async || {
        let info = world.control_json(&format!("$NEX.SVC.system.control.INFO.{node}"), "{}").await;
        let agents = info["node_agent_summaries"].as_array().cloned().unwrap_or_default();
        let found = agents.into_iter().find(|agent| agent["agent_id"] == agent_id);
        found.filter(|agent| agent["agent_health"] == health).map(|_| ()).ok_or(info)
    })
    .await;
}

pub(crate) fn registration(kind: &str) -> Value {
    json!({
        "description": "A nexlet of this test", "max_workloads": 0, "name": "foreign", "public_xkey": "",
        "register_type": kind, "start_request_schema": "{}", "supported_lifecycles": ["service"],
        "version": "1.2.3",
    })
}

pub(crate) fn summary(kind: &str) -> Value {
    json!({
        "name": "foreign", "start_time": "2026-04-23T08:58:10.2-06:00", "state": "running",
        "supported_lifecycles": "service", "type": kind, "version": "1.2.3", "workload_count": 0,
    })
}

/// Registers and sends one heartbeat, as a nexlet that listens on nothing yet.
pub(crate) async fn register(world: &World, agent_id: &str, body: &Value, beat: &Value) -> Message {
    let node = world.node_id().await;
    let subject = format!("$NEX.SVC.{node}.agent.REGISTER.{agent_id}");
    let reply = world.ask(&subject, body.to_string()).await;
    heartbeat(world, agent_id, beat).await;
    reply
}

pub(crate) async fn heartbeat(world: &World, agent_id: &str, beat: &Value) {
    let node = world.node_id().await;
    let body = json!({ "data": "", "summary": beat }).to_string();
    world
        .client
        .publish(format!("$NEX.SVC.{node}.agent.HEARTBEAT.{agent_id}"), body.into())
        .await
        .unwrap();
    world.client.flush().await.unwrap();
}

/// What a scripted nexlet answers: body and headers, several times; nothing is silence.
pub(crate) type Replies = Vec<(Vec<u8>, Vec<(&'static str, &'static str)>)>;

/// Answers every request of the node to this agent as `script` says, until the test ends.
pub(crate) async fn script(
    world: &World,
    agent_id: &str,
    script: impl Fn(&str, &[u8]) -> Replies + Send + 'static,
) {
    let node = world.node_id().await;
    let client: Client = world.client.clone();
    let (all, own) = (format!("$NEX.SVC.{node}.agent.*"), format!("$NEX.SVC.{node}.agent.*.*"));
    let start = format!("$NEX.SVC.{node}.agent.{agent_id}.STARTWORKLOAD.*");
    let mut requests = futures::stream::select_all([
        client.subscribe(all).await.unwrap(),
        client.subscribe(own).await.unwrap(),
        client.subscribe(start.clone()).await.unwrap(),
    ]);
    world.server.until_subscribed(&start).await;
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            // The verb, and the id after it if there is one.
            let tokens: Vec<&str> = request.subject.split('.').skip(4).collect();
            let tail = tokens.join(".");
            let Some(reply) = request.reply.clone() else { continue };
            for (body, headers) in script(&tail, &request.payload) {
                let mut map = HeaderMap::new();
                headers.iter().for_each(|(name, value)| map.insert(*name, *value));
                client.publish_with_headers(reply.clone(), map, body.into()).await.unwrap();
            }
        }
    });
}
