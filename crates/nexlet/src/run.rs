//! The life of a nexlet process: register, serve, drain.
//!
//! Owns: the order of things at start and end, and the heartbeat. Never: reads the environment; the
//! caller passes what the node gave it.
//!
//! ```text
//! connect ─► REGISTER ─► connect as agent ─► endpoints ─► first heartbeat ─► serve ─► drain
//! ```

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nex_api::agent::{AgentHeartbeat, HeartbeatData};
use nex_api::{NatsConnectionData, Time, encode, subject};
use nex_bus::service::{Info, Running, serve};
use nex_bus::{Client, ConnectError, LinkClock};
use nex_sandbox::{OnFailure, Tasks};
use nex_telemetry::traces::Tracer;
use tokio::sync::watch;

use crate::ended::Ended;
use crate::keeper::Keeper;
use crate::lameduck::Lameduck;
use crate::metrics;
use crate::register::{Joined, Registration, join};
use crate::renewal::Renewal;
use crate::restore::restore;
use crate::server::Server;
use crate::table::Table;
use crate::{DescriptionError, LogSink, Nexlet, SealKey, traces};

/// Twice as often as Go's 10 s, so that jitter flips nobody to degraded (section 5.4).
const LONGEST_PERIOD: Duration = Duration::from_secs(5);
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);
/// Functions drain for at most 30 s, services are killed after their grace.
const DRAIN_BOUND: Duration = Duration::from_secs(35);
/// A start takes at most 54 s.
const STARTS_BOUND: Duration = Duration::from_secs(55);

/// How long a nexlet goes on without its node.
pub const ORPHAN_AFTER: Duration = Duration::from_secs(600);

/// What the node gave the process at launch. `Debug` hides secrets.
#[derive(Clone)]
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
    /// How long it goes on without its node, counted while NATS can be reached; see [`ORPHAN_AFTER`].
    pub orphan_after: Duration,
    /// Makes spans, which the node passes on; off unless the node says otherwise.
    pub tracer: Tracer,
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("node_id", &self.node_id)
            .field("agent_id", &self.agent_id)
            .field("connection", &self.connection)
            .field("orphan_after", &self.orphan_after)
            .finish_non_exhaustive()
    }
}

/// Why a nexlet ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was told to: its workloads end, and callers and listeners are told so.
    Drain,
    /// Another nexlet has its workloads, or will find them: the control API is left to that one, calls
    /// that were received are finished, and no end is announced.
    HandOver,
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

/// Runs `nexlet` until `shutdown` resolves, its lame duck mode is over or its node has been away for too
/// long, then drains it.
///
/// # Errors
/// When its description is not legal, or it cannot connect, register or serve, or a part of it fails.
pub async fn run(
    nexlet: Arc<dyn Nexlet>,
    options: RunOptions,
    tasks: Tasks,
    shutdown: impl Future<Output = Ending>,
) -> Result<(), RunError> {
    let mut shutdown = pin!(shutdown);
    let description = nexlet.describe();
    description.check()?;
    let registration = Registration::new(&description, &options);
    let Joined { client, renewer, registered } = tokio::select! {
        joined = join(&registration, options.orphan_after) => joined?,
        _ending = &mut shutdown => return Ok(()),
    };
    let link = LinkClock::default();
    let watching = link.clone().run(client.clone(), tasks.token());
    tasks.spawn("link clock", OnFailure::EndProcess, watching);
    let server = server(nexlet, &options, client, &tasks);
    let service = start_service(&server, &tasks).await?;
    let data = &registered.reply.connection_data;
    let renewal = Renewal::new(renewer, data, registration.has_token());
    let node_start = registered.node_start;
    let keeper =
        Keeper::listen(Arc::clone(&server), registration, renewal, link, node_start).await?;
    restore(&server, registered.reply.existing_state);
    server.nexlet.registered();
    // The node gives up who is silent for as long as an orphan waits.
    let period = (options.orphan_after / 8).clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
    let metrics = metrics::publish_all(Arc::clone(&server), tasks.token());
    tasks.spawn("metrics publisher", OnFailure::Log, metrics);
    let heart = heartbeat(Arc::clone(&server), options.node_id, period, tasks.token());
    tasks.spawn("heartbeat", OnFailure::EndProcess, heart);
    let (ending, failed) = tokio::select! {
        ending = shutdown => (ending, None),
        () = server.lameduck.end.passed() => (Ending::Drain, None),
        () = keeper.keep(options.orphan_after) => {
            tracing::warn!(after = ?options.orphan_after, "the node stayed away, ending");
            (unasked(&server), None)
        }
        name = tasks.failure() => (unasked(&server), Some(name)),
    };
    drain(&server, service, ending).await;
    failed.map_or(Ok(()), |name| Err(RunError::Task(name)))
}

/// Nobody said that the workloads shall end: those that can, go on.
fn unasked(server: &Server) -> Ending {
    if server.nexlet.leaves_workloads() { Ending::HandOver } else { Ending::Drain }
}

fn server(
    nexlet: Arc<dyn Nexlet>,
    options: &RunOptions,
    client: Client,
    tasks: &Tasks,
) -> Arc<Server> {
    let (logs, log_task) = LogSink::new(client.clone());
    tasks.spawn("log publisher", OnFailure::Log, log_task);
    if let Some(spans) = options.tracer.take_spans() {
        let subject = subject::agent_spans(&options.node_id, &options.agent_id);
        let resource = traces::resource(&nexlet.describe(), &options.agent_id);
        let publishing = traces::publish(spans, client.clone(), subject, resource, tasks.token());
        tasks.spawn("span publisher", OnFailure::Log, publishing);
    }
    Arc::new(Server {
        description: nexlet.describe(),
        ingress: nexlet.ingress(),
        event_listener: nexlet.event_listener(),
        nexlet,
        node_id: options.node_id.clone(),
        agent_id: options.agent_id.clone(),
        lameduck: Lameduck::default(),
        key: options.key.clone(),
        tracer: options.tracer.clone(),
        started: Time::now(),
        state: watch::Sender::new("running"),
        table: Table::default(),
        ended: Ended::default(),
        client,
        logs: logs.on_node(&options.node_id),
        tasks: tasks.clone(),
        unannounced: watch::Sender::new(0),
        restoring: watch::Sender::new(0),
        ending: watch::Sender::new(None),
    })
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
    period: Duration,
    token: tokio_util::sync::CancellationToken,
) {
    let subject = subject::agent_heartbeat(&node_id, &server.agent_id);
    let mut state = server.state.subscribe();
    let mut ticks = tokio::time::interval(period);
    loop {
        // A change of state is told at once, not at the next tick.
        tokio::select! {
            _ = ticks.tick() => {}
            changed = state.changed() => if changed.is_err() { return },
            () = token.cancelled() => return,
        }
        let data = HeartbeatData { restoring: *server.restoring.borrow() > 0 };
        let data = String::from_utf8(encode(&data)).unwrap_or_default();
        let beat = AgentHeartbeat { data, summary: server.summary() };
        if let Err(error) = server.client.publish(subject.clone(), encode(&beat).into()).await {
            tracing::warn!(%error, "heartbeat not sent");
        }
    }
}

/// Says that it stops, stops all workloads, answers what was delivered, and closes the connection.
/// Whoever hands over leaves the control API first.
async fn drain(server: &Arc<Server>, service: Running, ending: Ending) {
    server.ending.send_replace(Some(ending));
    let mut service = Some(service);
    if ending == Ending::HandOver
        && let Some(service) = service.take()
    {
        service.stop().await;
        server.table.until_none_starts(STARTS_BOUND).await;
    }
    server.state.send_replace("stopping");
    let leaves = ending == Ending::HandOver && server.nexlet.leaves_workloads();
    if !leaves {
        end_workloads(server).await;
    }
    if let Some(service) = service {
        service.stop().await;
    }
    match leaves {
        true => server.nexlet.leave().await,
        false => server.nexlet.shutdown().await,
    }
    server.logs.flush().await;
    server.tracer.flush_within(traces::FLUSH_BOUND).await;
    close(&server.client).await;
}

async fn end_workloads(server: &Server) {
    let workloads = server.table.workloads();
    futures::future::join_all(workloads.iter().map(|workload| workload.stop())).await;
    let mut unannounced = server.unannounced.subscribe();
    let all_ended = unannounced.wait_for(|count| *count == 0);
    if tokio::time::timeout(DRAIN_BOUND, all_ended).await.is_err() {
        tracing::error!("workloads left after the drain deadline");
    }
}

async fn close(client: &Client) {
    let _already_closed = client.flush().await;
    let _already_closed = client.drain().await;
}
