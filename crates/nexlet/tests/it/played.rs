//! The node, played: it welcomes the nexlet and asks it things.
//!
//! Owns: one server, one nexlet in a task. Never: asserts what one test is about.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nex_api::agent::RegisterAgentResponse;
use nex_api::workload::{AgentStartWorkloadRequest, StartWorkloadRequest};
use nex_api::{NatsConnectionData, encode, subject};
use nex_bus::{Client, Message, Subscriber};
use nex_nexlet::{RunError, RunOptions, run};
use nex_sandbox::Tasks;
use nex_testkit::{NatsServer, eventually};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::toy::{AGENT, NODE, Toy};

pub(crate) const SOON: Duration = Duration::from_secs(15);

pub(crate) struct Played {
    pub(crate) client: Client,
    pub(crate) toy: Arc<Toy>,
    pub(crate) life: JoinHandle<Result<(), RunError>>,
    _server: NatsServer,
}

impl Played {
    /// A nexlet that has been welcomed and beats.
    pub(crate) async fn welcome(toy: Toy) -> Self {
        let (played, mut registrations) = Self::launch(toy).await;
        let beat = subject::agent_heartbeat(NODE, AGENT);
        let mut beats = played.client.subscribe(beat).await.unwrap();
        let request = registrations.next().await.unwrap();
        let connection = NatsConnectionData::open(vec![played._server.url()]);
        let response = RegisterAgentResponse {
            connection_data: connection,
            node_id: NODE.to_owned(),
            success: true,
            ..RegisterAgentResponse::default()
        };
        let answer = encode(&response).into();
        played.client.publish(request.reply.unwrap(), answer).await.unwrap();
        tokio::time::timeout(SOON, beats.next()).await.expect("a first heartbeat").unwrap();
        played
    }

    /// A nexlet that has begun to run, and its registrations.
    pub(crate) async fn launch(toy: Toy) -> (Self, Subscriber) {
        let server = NatsServer::start().await;
        let client = server.client().await;
        let subject = subject::register(NODE, "*");
        let registrations = client.subscribe(subject.clone()).await.unwrap();
        server.until_subscribed(&subject).await;
        let options = RunOptions {
            node_id: NODE.to_owned(),
            agent_id: AGENT.to_owned(),
            connection: NatsConnectionData::open(vec![server.url()]),
            register_token: None,
            key: nex_bus::seal::SealKey::fresh(),
            orphan_after: nex_nexlet::ORPHAN_AFTER,
            tracer: nex_nexlet::Tracer::off(),
        };
        let toy = Arc::new(toy);
        let running = run(
            Arc::clone(&toy) as _,
            options,
            Tasks::new(),
            std::future::pending::<nex_nexlet::Ending>(),
        );
        let life = tokio::spawn(running);
        (Self { client, toy, life, _server: server }, registrations)
    }

    pub(crate) async fn ask(&self, subject: String, body: impl Into<Vec<u8>>) -> Message {
        let asked = self.client.request(subject.clone(), body.into().into());
        asked.await.unwrap_or_else(|error| panic!("no reply on {subject}: {error}"))
    }

    pub(crate) async fn start(&self, id: &str, name: &str) -> Message {
        let request = StartWorkloadRequest {
            name: name.to_owned(),
            namespace: "default".to_owned(),
            run_request: "{}".to_owned(),
            workload_type: "toy".to_owned(),
            ..StartWorkloadRequest::default()
        };
        let message = AgentStartWorkloadRequest { request, ..Default::default() };
        self.ask(subject::start_workload(NODE, AGENT, id), encode(&message)).await
    }

    pub(crate) async fn feed(&self, subject: &str) -> Subscriber {
        let feed = self.client.subscribe(subject.to_owned()).await.unwrap();
        self._server.until_subscribed(subject).await;
        feed
    }

    /// The nexlet's own state, by its ping.
    pub(crate) async fn until_state(&self, state: &str) {
        eventually(&format!("the nexlet is {state}"), SOON, async || {
            let reply = self.ask(subject::agent_ping(NODE, AGENT), "").await;
            let summary = json_of(&reply);
            if summary["state"] == state { Ok(()) } else { Err(summary) }
        })
        .await;
    }
}

pub(crate) fn json_of(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

pub(crate) async fn next(feed: &mut Subscriber) -> Value {
    let message = tokio::time::timeout(SOON, feed.next()).await;
    json_of(&message.expect("a message").unwrap())
}
