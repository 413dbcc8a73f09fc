//! REGISTER, asked by the nexlet: at its start, and again when its node is new.
//!
//! Owns: the request, what an answer means, and trying until there is one. Never: starts what the
//! answer lists.

use std::time::{Duration, Instant};

use nex_api::agent::{NODE_START_HEADER, RegisterAgentRequest, RegisterAgentResponse};
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::{NatsConnectionData, decode, encode, subject};
use nex_bus::connection::nexlet_inbox;
use nex_bus::{Client, ConnectError, Message, Settings, connect, request};

use crate::run::{RunError, RunOptions};
use crate::{Description, Nexlet};

const REPLY_BOUND: Duration = Duration::from_secs(10);
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What one id takes in the request, quotes and comma included, with room to spare.
const BYTES_PER_ID: usize = 32;

/// What a nexlet says of itself, each time.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    subject: String,
    request: RegisterAgentRequest,
}

/// The node's answer.
#[derive(Debug)]
pub(crate) struct Registered {
    /// Credentials for from now on, and what should run.
    pub(crate) reply: RegisterAgentResponse,
    /// Which life of the node answered; nodes of others do not tell.
    pub(crate) node_start: Option<String>,
}

impl Registration {
    pub(crate) fn new(description: &Description, options: &RunOptions) -> Self {
        let request = RegisterAgentRequest {
            description: description.description.clone(),
            max_workloads: 0.0,
            name: description.name.clone(),
            public_xkey: options.key.public(),
            register_type: description.register_type.clone(),
            register_token: options.register_token.clone(),
            running: Vec::new(),
            start_request_schema: description.schema.clone(),
            supported_lifecycles: Some(description.lifecycles.clone()),
            version: description.version.clone(),
        };
        Self { subject: subject::register(&options.node_id, &options.agent_id), request }
    }

    /// Asks once; may be called at any time, also to renew credentials. `running` are the workloads
    /// that run now; what does not fit into a message is left out.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        mut running: Vec<String>,
    ) -> Result<Registered, RunError> {
        running.truncate(client.server_info().max_payload / 2 / BYTES_PER_ID);
        let body = encode(&RegisterAgentRequest { running, ..self.request.clone() });
        let asked = client.send_request(self.subject.clone(), request(body.into(), REPLY_BOUND));
        let reply = asked.await.map_err(|error| RunError::Silent(error.to_string()))?;
        if header(&reply, ERROR_CODE_HEADER).is_some() {
            return Err(RunError::Refused(header(&reply, ERROR_HEADER).unwrap_or_default()));
        }
        let node_start = header(&reply, NODE_START_HEADER);
        let reply = decode(&reply.payload).map_err(|error| RunError::Refused(error.to_string()))?;
        Ok(Registered { reply, node_start })
    }
}

/// Registers, however long NATS is away, and connects with what the node gave; gives up when a
/// node that could be reached has not taken it for as long as an orphan waits.
pub(crate) async fn join(
    nexlet: &dyn Nexlet,
    registration: &Registration,
    options: &RunOptions,
) -> Result<(Client, Registered), RunError> {
    let name = nexlet.describe().name;
    let (mut pause, mut waited) = (FIRST_PAUSE, Duration::ZERO);
    loop {
        let began = Instant::now();
        let error = match join_once(&name, registration, options).await {
            Ok(joined) => return Ok(joined),
            Err(error) => error,
        };
        match &error {
            RunError::Connect(ConnectError::Unreachable { .. }) => {}
            RunError::Connect(ConnectError::Address { .. } | ConnectError::Seed) => {
                return Err(error);
            }
            _ => waited += began.elapsed() + pause,
        }
        if waited > options.orphan_after {
            return Err(error);
        }
        tracing::warn!(%error, again = ?pause, "not registered yet");
        tokio::time::sleep(pause).await;
        pause = longer(pause);
    }
}

/// The pause after this one.
pub(crate) fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

async fn join_once(
    name: &str,
    registration: &Registration,
    options: &RunOptions,
) -> Result<(Client, Registered), RunError> {
    let client = connect(&settings(options.connection.clone(), name, &options.agent_id)).await?;
    let registered = registration.ask(&client, Vec::new()).await;
    let _already_closed = client.drain().await;
    let registered = registered?;
    let client =
        connect(&settings(registered.reply.connection_data.clone(), name, &options.agent_id))
            .await?;
    Ok((client, registered))
}

fn settings(data: NatsConnectionData, name: &str, agent_id: &str) -> Settings {
    let inbox_prefix = Some(nexlet_inbox(agent_id));
    Settings { inbox_prefix, ..Settings::minted(data, format!("nexlet-{name}")) }
}

fn header(message: &Message, name: &str) -> Option<String> {
    message.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned())
}
