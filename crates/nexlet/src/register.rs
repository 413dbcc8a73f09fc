//! REGISTER, asked by the nexlet: at its start, and again when its node is new or its credentials age.
//!
//! Owns: the request, what an answer means, and trying until there is one. Never: starts what the
//! answer lists.

use std::fmt;
use std::time::{Duration, Instant};

use nex_api::agent::{NODE_START_HEADER, RegisterAgentRequest, RegisterAgentResponse};
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::{decode, encode, subject};
use nex_bus::connection::nexlet_inbox;
use nex_bus::{
    Client, ConnectError, Message, Renewer, Settings, connect, connect_renewable, request,
};

use crate::Description;
use crate::run::{RunError, RunOptions};

const REPLY_BOUND: Duration = Duration::from_secs(10);
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What one id takes in the request, quotes and comma included, with room to spare.
const BYTES_PER_ID: usize = 32;

/// What a nexlet says of itself, each time. `Debug` hides its token.
#[derive(Clone)]
pub(crate) struct Registration {
    subject: String,
    request: RegisterAgentRequest,
    /// With the credentials that serve to register, and for nothing else.
    settings: Settings,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// The node's answer.
#[derive(Debug)]
pub(crate) struct Registered {
    /// Credentials for from now on, and what should run.
    pub(crate) reply: RegisterAgentResponse,
    /// Which life of the node answered; nodes of others do not tell.
    pub(crate) node_start: Option<String>,
}

/// A nexlet that was taken: its connection, as the node says.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) client: Client,
    /// Of that connection.
    pub(crate) renewer: Renewer,
    pub(crate) registered: Registered,
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
        let name = format!("nexlet-{}", description.name);
        let inbox_prefix = Some(nexlet_inbox(&options.agent_id));
        let minted = Settings::minted(options.connection.clone(), name);
        Self {
            subject: subject::register(&options.node_id, &options.agent_id),
            request,
            settings: Settings { inbox_prefix, ..minted },
        }
    }

    /// Whether the node lets it register while it is registered.
    pub(crate) fn has_token(&self) -> bool {
        self.request.register_token.is_some()
    }

    /// Asks once over a connection of its own, for when there is none or its credentials have expired.
    pub(crate) async fn ask_apart(&self, running: Vec<String>) -> Result<Registered, RunError> {
        let client = connect(&self.settings).await?;
        let registered = self.ask(&client, running).await;
        let _already_closed = client.drain().await;
        registered
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
    registration: &Registration,
    orphan_after: Duration,
) -> Result<Joined, RunError> {
    let (mut pause, mut waited) = (FIRST_PAUSE, Duration::ZERO);
    loop {
        let began = Instant::now();
        let error = match join_once(registration).await {
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
        if waited > orphan_after {
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

async fn join_once(registration: &Registration) -> Result<Joined, RunError> {
    let registered = registration.ask_apart(Vec::new()).await?;
    let data = registered.reply.connection_data.clone();
    let settings = Settings { data, ..registration.settings.clone() };
    let (client, renewer) = connect_renewable(&settings).await?;
    Ok(Joined { client, renewer, registered })
}

fn header(message: &Message, name: &str) -> Option<String> {
    message.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned())
}
