//! The life of a nexlet process: register, serve, drain.
//!
//! Owns: the order of things at start and end, and the heartbeat. Never: reads the environment; the
//! caller passes what the node gave it.
//!
//! ```text
//! connect ─► REGISTER ─► connect as agent ─► endpoints ─► first heartbeat ─► serve ─► drain
//! ```

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nex_api::agent::{AgentHeartbeat, RegisterAgentRequest, RegisterAgentResponse};
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::workload::AgentStartWorkloadRequest;
use nex_api::{NatsConnectionData, Time, decode, encode, subject};
use nex_bus::connection::nexlet_inbox;
use nex_bus::service::{Info, Running, serve};
use nex_bus::{Client, ConnectError, Settings, connect};
use nex_sandbox::{OnFailure, Tasks};
use nex_types::Id;
use tokio::sync::watch;

use crate::lameduck::Lameduck;
use crate::server::Server;
use crate::table::Table;
use crate::{DescriptionError, LogSink, Nexlet, SealKey};

/// Twice as often as Go's 10 s, so that jitter flips nobody to degraded (section 5.4).
const HEARTBEAT: Duration = Duration::from_secs(5);
const REGISTER_BOUND: Duration = Duration::from_secs(60);
/// Functions drain for at most 30 s, services are killed after their grace.
const DRAIN_BOUND: Duration = Duration::from_secs(35);
/// Workloads that are restored at the same time.
const RESTORE_AT_ONCE: usize = 8;

/// What the node gave the process at launch.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The node to register with.
    pub node_id: String,
    /// The id that it assigned.
    pub agent_id: String,
    /// The registration credentials.
    pub connection: NatsConnectionData,
    /// Proves that the node launched this process.
    pub register_token: Option<String>,
    /// Its public half is announced; environments that are sealed to it are opened with it.
    pub key: SealKey,
}

/// A nexlet that could not begin.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    #[error(transparent)]
    Description(#[from] DescriptionError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the node did not answer the registration: {0}")]
    Silent(String),
    #[error("the node refused the registration: {0}")]
    Refused(String),
    #[error("cannot serve: {0}")]
    Serve(String),
    #[error("system task \"{0}\" ended")]
    Task(&'static str),
}

/// Runs `nexlet` until `shutdown` resolves or its lame duck mode is over, then drains it.
///
/// # Errors
/// When its description is not legal, or it cannot connect, register or serve, or a part of it fails.
pub async fn run(
    nexlet: Arc<dyn Nexlet>,
    options: RunOptions,
    tasks: Tasks,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let description = nexlet.describe();
    description.check()?;
    let registered = register(&nexlet, &options).await?;
    let settings = settings(registered.connection_data, &description.name, &options.agent_id);
    let client = connect(&settings).await?;
    let (logs, log_task) = LogSink::new(client.clone());
    tasks.spawn("log publisher", OnFailure::Log, log_task);
    let (state, _) = watch::channel("running");
    let server = Arc::new(Server {
        description,
        ingress: nexlet.ingress(),
        event_listener: nexlet.event_listener(),
        nexlet,
        node_id: options.node_id.clone(),
        agent_id: options.agent_id.clone(),
        lameduck: Lameduck::default(),
        key: options.key.clone(),
        started: Time::now(),
        state,
        table: Table::default(),
        client: client.clone(),
        logs,
        tasks: tasks.clone(),
        unannounced: watch::Sender::new(0),
    });
    let service = start_service(&server, &tasks).await?;
    let heart = heartbeat(Arc::clone(&server), options.node_id, tasks.token());
    tasks.spawn("heartbeat", OnFailure::EndProcess, heart);
    let restored = Arc::clone(&server);
    tasks.spawn("restore", OnFailure::Log, restore(restored, registered.existing_state));
    let failed = tokio::select! {
        () = shutdown => None,
        () = server.lameduck.end.passed() => None,
        name = tasks.failure() => Some(name),
    };
    drain(&server, service).await;
    failed.map_or(Ok(()), |name| Err(RunError::Task(name)))
}

fn settings(data: NatsConnectionData, name: &str, agent_id: &str) -> Settings {
    let inbox_prefix = Some(nexlet_inbox(agent_id));
    Settings { inbox_prefix, ..Settings::minted(data, format!("nexlet-{name}")) }
}

async fn register(
    nexlet: &Arc<dyn Nexlet>,
    options: &RunOptions,
) -> Result<RegisterAgentResponse, RunError> {
    let description = nexlet.describe();
    let settings = settings(options.connection.clone(), &description.name, &options.agent_id);
    let client = connect(&settings).await?;
    let request = RegisterAgentRequest {
        description: description.description,
        max_workloads: 0.0,
        name: description.name,
        public_xkey: options.key.public(),
        register_type: description.register_type,
        register_token: options.register_token.clone(),
        start_request_schema: description.schema,
        supported_lifecycles: Some(description.lifecycles),
        version: description.version,
    };
    let subject = subject::register(&options.node_id, &options.agent_id);
    let asked = client.request(subject, encode(&request).into());
    let silent = |reason: String| RunError::Silent(reason);
    let reply = tokio::time::timeout(REGISTER_BOUND, asked)
        .await
        .map_err(|_| silent("nothing within 60s".to_owned()))?
        .map_err(|error| silent(error.to_string()))?;
    let header = |name: &str| {
        reply.headers.as_ref().and_then(|h| h.get(name)).map(|v| v.as_str().to_owned())
    };
    if header(ERROR_CODE_HEADER).is_some() {
        return Err(RunError::Refused(header(ERROR_HEADER).unwrap_or_default()));
    }
    let _already_closed = client.drain().await;
    decode(&reply.payload).map_err(|error| RunError::Refused(error.to_string()))
}

/// Endpoints before the first heartbeat: a healthy agent may be handed work at once.
async fn start_service(server: &Arc<Server>, tasks: &Tasks) -> Result<Running, RunError> {
    let info = Info {
        name: server.description.name.clone(),
        version: server.description.version.clone(),
        description: String::new(),
    };
    serve(&server.client, info, server.endpoints(), server.handler(), tasks)
        .await
        .map_err(|error| RunError::Serve(error.to_string()))
}

async fn heartbeat(
    server: Arc<Server>,
    node_id: String,
    token: tokio_util::sync::CancellationToken,
) {
    let subject = subject::agent_heartbeat(&node_id, &server.agent_id);
    let mut state = server.state.subscribe();
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        // A change of state is told at once, not at the next tick.
        tokio::select! {
            _ = ticks.tick() => {}
            changed = state.changed() => if changed.is_err() { return },
            () = token.cancelled() => return,
        }
        let data = "{}".to_owned();
        let beat = AgentHeartbeat { data, summary: server.summary() };
        if let Err(error) = server.client.publish(subject.clone(), encode(&beat).into()).await {
            tracing::warn!(%error, "heartbeat not sent");
        }
    }
}

async fn restore(
    server: Arc<Server>,
    existing: std::collections::BTreeMap<String, AgentStartWorkloadRequest>,
) {
    futures::stream::iter(existing)
        .for_each_concurrent(RESTORE_AT_ONCE, |(id, message)| {
            let server = Arc::clone(&server);
            async move {
                let Ok(workload_id) = Id::parse(&id) else {
                    tracing::error!(workload.id = id, "restored id is malformed");
                    return;
                };
                if let Err(failure) = server.start(workload_id, message, true).await {
                    tracing::error!(workload.id = id, error = %failure, "workload not restored");
                }
            }
        })
        .await;
}

/// Says that it stops, stops all workloads, answers what was delivered, and closes the connection.
async fn drain(server: &Arc<Server>, service: Running) {
    server.state.send_replace("stopping");
    let workloads = server.table.workloads();
    futures::future::join_all(workloads.iter().map(|workload| workload.stop())).await;
    let mut unannounced = server.unannounced.subscribe();
    let all_ended = unannounced.wait_for(|count| *count == 0);
    if tokio::time::timeout(DRAIN_BOUND, all_ended).await.is_err() {
        tracing::error!("workloads left after the drain deadline");
    }
    service.stop().await;
    server.nexlet.shutdown().await;
    close(&server.client).await;
}

async fn close(client: &Client) {
    let _already_closed = client.flush().await;
    let _already_closed = client.drain().await;
}
