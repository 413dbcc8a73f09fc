//! A foreign nexlet, played over a plain NATS client: what it says and answers is the test's.
//!
//! Owns: its registration, its heart and its answers, which end with it. Never: is one of ours.

use std::time::Duration;

use async_nats::{HeaderMap, Message};
use futures::StreamExt;
use nex_testkit::eventually;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::world::{SOON, World, json_of, text};

/// What a scripted endpoint answers: an error's code and description, if it is one, and a body.
#[derive(Clone)]
pub(crate) struct Line(pub(crate) Option<(&'static str, &'static str)>, pub(crate) String);

pub(crate) struct Scripted {
    pub(crate) id: String,
    pub(crate) node: String,
    tasks: Vec<AbortHandle>,
}

pub(crate) fn registration(kind: &str, schema: &str) -> Value {
    json!({
        "description": "A nexlet of this test", "max_workloads": 0, "name": "foreign",
        "public_xkey": "XD7JSEXZ2GKGZQ2ZOBCRKKSWQJ6BXXGRHB5HIFZBXPXTTMRRQ5ANTYIX",
        "register_type": kind, "start_request_schema": schema,
        "supported_lifecycles": ["job"], "version": "1.2.3",
    })
}

impl Scripted {
    /// Registers a nexlet of `kind` under `id`, and keeps it healthy.
    pub(crate) async fn register(world: &World, id: &str, kind: &str) -> Self {
        let node = world.node_id().await;
        let subject = format!("$NEX.SVC.{node}.agent.REGISTER.{id}");
        let reply = json_of(&world.ask(&subject, registration(kind, "{}").to_string()).await);
        assert_eq!([&reply["success"], &reply["message"]], [&json!(true), &json!("")]);
        let mut scripted = Self { id: id.to_owned(), node, tasks: Vec::new() };
        scripted.beat(world, kind).await;
        scripted
    }

    async fn beat(&mut self, world: &World, kind: &str) {
        let summary = json!({
            "name": "foreign", "start_time": "2026-04-23T08:58:10.2-06:00", "state": "running",
            "supported_lifecycles": "job", "type": kind, "version": "1.2.3", "workload_count": 0,
        });
        let beat = json!({ "data": "", "summary": summary }).to_string();
        let subject = format!("$NEX.SVC.{}.agent.HEARTBEAT.{}", self.node, self.id);
        let client = world.client.clone();
        let heart = async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(2));
            loop {
                ticks.tick().await;
                client.publish(subject.clone(), beat.clone().into()).await.unwrap();
            }
        };
        self.tasks.push(tokio::spawn(heart).abort_handle());
        eventually("the node counts it as healthy", SOON, async || {
            let subject = format!("$NEX.SVC.system.control.INFO.{}", self.node);
            let info = world.control_json(&subject, "").await;
            let agents = info["node_agent_summaries"].as_array().cloned().unwrap_or_default();
            let ours = agents.into_iter().find(|agent| agent["agent_id"] == self.id.as_str());
            ours.filter(|agent| agent["agent_health"] == "healthy").ok_or(info)
        })
        .await;
    }

    /// Answers every request on `subject`; the requests come back as they arrive.
    pub(crate) async fn answer(
        &mut self,
        world: &World,
        subject: &str,
        line: Line,
    ) -> tokio::sync::mpsc::UnboundedReceiver<Message> {
        let mut requests = world.client.subscribe(subject.to_owned()).await.unwrap();
        world.client.flush().await.unwrap();
        world.server.until_subscribed(subject).await;
        let client = world.client.clone();
        let (seen, requests_seen) = tokio::sync::mpsc::unbounded_channel();
        let script = async move {
            while let Some(request) = requests.next().await {
                let mut headers = HeaderMap::new();
                if let Some((code, description)) = line.0 {
                    headers.insert("Nats-Service-Error", description);
                    headers.insert("Nats-Service-Error-Code", code);
                }
                let (inbox, body) = (request.reply.clone().unwrap(), line.1.clone().into());
                client.publish_with_headers(inbox, headers, body).await.unwrap();
                let _test_is_over = seen.send(request);
            }
        };
        self.tasks.push(tokio::spawn(script).abort_handle());
        requests_seen
    }

    /// A subject of this nexlet's node.
    pub(crate) fn of_node(&self, verb: &str) -> String {
        format!("$NEX.SVC.{}.agent.{verb}", self.node)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A bid for a type, in namespace `default`.
pub(crate) async fn bid_for(world: &World, kind: &str) -> String {
    let auction = json!({ "agent_type": kind, "auction_id": "A", "tags": {} });
    text(&world.control_json("AUCTION", auction).await, "/bidder_id")
}

/// An ADEPLOY body for a scripted nexlet.
pub(crate) fn job(namespace: &str, kind: &str) -> Value {
    json!({
        "description": "", "name": "played", "namespace": namespace, "run_request": "{}",
        "tags": {}, "workload_lifecycle": "job", "workload_type": kind,
    })
}
