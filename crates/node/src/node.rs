//! A node's life: spawn, ready, drain.
//!
//! Owns: what runs in the background and the order in which it ends. Never: handles a request itself.
//!
//! ```text
//! Built ─spawn─► starting ─nexlets spawned─► running ─drain─► stopping ─► nexlets ended ─► stopped
//!                    └──────── LAMEDUCK ─────────┴─► lameduck ─delay over, drain─┘
//!                                              └─step_aside─► stopped, nexlets go on for a successor
//! ```

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nex_api::event::{Event, NODE_STARTED_TYPE, NodeStarted};
use nex_api::node::NodeState;
use nex_bus::service::{Info, Running, serve};
use nex_policy::health::Health;
use nex_sandbox::{OnFailure, Tasks};
use tokio::sync::Mutex;

use crate::config::Config;
use crate::control::{Shared, endpoints, handler};
use crate::feeds::{Feeds, beat};
use crate::identity::StateDir;
use crate::metrics::Prepared;
use crate::presence::attend;
use crate::records::Records;
use crate::status::NodeStatus;
use crate::supervise::{House, Supervisor, end_unconfigured, supervise};
use crate::{history, state, tombstones, traces, view};

/// Nexlets have 40 s to drain and be killed.
const NEXLETS_BOUND: Duration = Duration::from_secs(45);
const TASKS_BOUND: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// A node that is ready to run.
#[derive(Debug)]
pub struct Built {
    pub(crate) config: Config,
    pub(crate) shared: Arc<Shared>,
    pub(crate) feeds: Feeds,
    pub(crate) metrics: Option<Prepared>,
    pub(crate) directory: StateDir,
}

/// A node that runs.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    tasks: Tasks,
    house: Arc<House>,
    n_nexlets: usize,
    metrics_address: Option<SocketAddr>,
    service: Running,
    status: NodeStatus,
    /// Kept, and with it the lock, until everything has ended.
    directory: StateDir,
}

impl Built {
    /// Starts answering, then the nexlets.
    ///
    /// # Errors
    /// When the service cannot be registered with the server.
    pub async fn spawn(self) -> Result<Node, String> {
        let Self { config, shared, feeds, metrics, directory } = self;
        let tasks = shared.tasks.clone();
        let link = shared.agents.link.clone().run(shared.client.clone(), tasks.token());
        tasks.spawn("link clock", OnFailure::EndProcess, link);
        let read = feeds.read(Arc::clone(&shared), tasks.token());
        tasks.spawn("feeds", OnFailure::EndProcess, read);
        if let Some(tracing) = &config.tracing {
            traces::begin(&shared, tracing).await?;
        }
        let service = start_service(&shared, &config).await?;
        history::begin(&shared).await;
        shared.events.emit(&started(&shared, &config)).await;
        let beat = beat(Arc::clone(&shared), tasks.token());
        tasks.spawn("node heartbeat", OnFailure::EndProcess, beat);
        keep_state(&shared, &tasks).await;
        let histories = history::attend(Arc::clone(&shared), tasks.token());
        tasks.spawn("histories", OnFailure::Log, histories);
        let metrics_address = metrics.as_ref().and_then(Prepared::address);
        if let Some(metrics) = metrics {
            metrics.spawn(&shared);
        }
        let attend = attend(Arc::clone(&shared), config.orphan_after, tasks.token());
        tasks.spawn("presence", OnFailure::EndProcess, attend);
        let status = NodeStatus::of(&shared);
        let n_nexlets = config.nexlets.len();
        let house = keep_nexlets(&shared, config, directory.path())?;
        shared.state.send_if_modified(|state| {
            // It may have been told meanwhile that it is a lame duck.
            let was_starting = *state == NodeState::Starting;
            if was_starting {
                *state = NodeState::Running;
            }
            was_starting
        });
        shared.view.node_changed();
        Ok(Node { shared, tasks, house, n_nexlets, metrics_address, service, status, directory })
    }
}

async fn start_service(shared: &Arc<Shared>, config: &Config) -> Result<Running, String> {
    let info = Info {
        name: "nexnode".to_owned(),
        version: config.version.clone(),
        description: format!("Commit: {} | Build date: unknown", config.commit),
    };
    let remote_nexus = config.allow_remote_agents.then_some(config.nexus.as_str());
    let endpoints = endpoints(&shared.node_id, remote_nexus);
    let handler = handler(Arc::clone(shared));
    let served = serve(&shared.client, info, endpoints, handler, &shared.tasks).await;
    served.map_err(|error| error.to_string())
}

/// A supervisor for each nexlet; those of earlier configurations end.
fn keep_nexlets(shared: &Arc<Shared>, config: Config, state: &Path) -> Result<Arc<House>, String> {
    let house = Arc::new(House {
        state: state.to_owned(),
        orphan_after: config.orphan_after,
        leave_services: config.leave_services,
        tasks: Tasks::new(),
        launches: Mutex::new(()),
        unsettled: AtomicUsize::new(config.nexlets.len()),
    });
    let names: Vec<String> = config.nexlets.iter().map(|program| program.name.clone()).collect();
    let (others, of) = (Arc::clone(shared), Arc::clone(&house));
    house.tasks.spawn("unconfigured nexlets", OnFailure::Log, async move {
        end_unconfigured(&others, &of, &names).await;
    });
    for program in config.nexlets {
        let records = Records::of(state, &program.name).map_err(|error| error.to_string())?;
        let (shared, house_of) = (Arc::clone(shared), Arc::clone(&house));
        let supervisor = Supervisor { shared, house: house_of, program, records };
        let keeper = supervise(supervisor, house.tasks.token());
        house.tasks.spawn("nexlet", OnFailure::EndProcess, keeper);
    }
    Ok(house)
}

impl Node {
    /// The node's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.node_id
    }

    /// Waits until every configured nexlet is healthy and runs the program that it should; false when
    /// `bound` passes first.
    pub async fn ready(&self, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        loop {
            let now = Instant::now();
            let agents = self.shared.agents.all();
            let healthy = agents.iter().filter(|(_, a)| a.health(now) == Health::Healthy).count();
            let is_settled = self.house.unsettled.load(Ordering::Relaxed) == 0;
            if is_settled && healthy >= self.n_nexlets {
                self.status.write_ready(self.directory.path());
                return true;
            }
            if now >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Names of the nexlets that are healthy now.
    #[must_use]
    pub fn healthy_nexlets(&self) -> Vec<String> {
        let now = Instant::now();
        let agents = self.shared.agents.all();
        let healthy = agents.into_iter().filter(|(_, agent)| agent.health(now) == Health::Healthy);
        let mut names: Vec<String> = healthy.map(|(_, agent)| agent.name).collect();
        names.sort();
        names
    }

    /// Where `/metrics` is answered, if it is.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Where what should run is kept now.
    #[must_use]
    pub fn state(&self) -> state::Place {
        self.shared.workloads.place()
    }

    /// Waits until a part of the node has failed and tells which.
    pub async fn failure(&self) -> &'static str {
        tokio::select! {
            name = self.tasks.failure() => name,
            name = self.house.tasks.failure() => name,
        }
    }

    /// Waits until lame duck mode is over and the node is to be drained; for ever when it is in none.
    pub async fn lameduck_over(&self) {
        self.shared.lameduck.passed().await;
    }

    /// Ends everything in order: no more bids, nexlets drain and end, the service, the connection.
    pub async fn drain(self) {
        let shared = self.shared;
        shared.state.send_replace(NodeState::Stopping);
        shared.view.node_changed();
        if !self.house.tasks.shutdown(NEXLETS_BOUND).await {
            tracing::error!("nexlets left after the drain deadline");
        }
        NodeStatus::remove(self.directory.path());
        self.service.stop().await;
        shared.events.emit(&Event::NodeStopped { id: shared.node_id.clone() }).await;
        end(&shared, &self.tasks).await;
    }

    /// Says why the program that the node was to be replaced by is not.
    pub fn refuse_upgrade(&self, reason: &str) {
        self.status.write_refused(self.directory.path(), reason);
    }

    /// Ends the node alone: nexlets and their workloads go on, for a successor that is about to start
    /// in this process. No nexlet is launched any more.
    pub async fn step_aside(self) {
        let shared = self.shared;
        shared.state.send_replace(NodeState::Stopping);
        shared.view.stay();
        std::mem::forget(self.house.launches.lock().await);
        self.service.stop().await;
        end(&shared, &self.tasks).await;
    }
}

async fn end(shared: &Shared, tasks: &Tasks) {
    shared.tracer.flush_within(traces::FLUSH_BOUND).await;
    let _already_closed = shared.client.flush().await;
    if !tasks.shutdown(TASKS_BOUND).await {
        tracing::warn!("background tasks left");
    }
    let _already_closed = shared.client.drain().await;
}

/// What should run, and what others may see of it. What was buried meanwhile ends here, before a nexlet
/// asks what it should run.
async fn keep_state(shared: &Arc<Shared>, tasks: &Tasks) {
    let keeper = state::keep(Arc::clone(shared), tasks.token());
    tasks.spawn("state keeper", OnFailure::EndProcess, keeper);
    let view = view::publish(Arc::clone(shared), tasks.token());
    tasks.spawn("view", OnFailure::EndProcess, view);
    tombstones::end_buried(shared).await;
    let buried = tombstones::watch(Arc::clone(shared), tasks.token());
    tasks.spawn("tombstones", OnFailure::EndProcess, buried);
}

fn started(shared: &Shared, config: &Config) -> Event {
    Event::NodeStarted(NodeStarted {
        id: shared.node_id.clone(),
        name: config.name.clone(),
        nexus: config.nexus.clone(),
        tags: shared.tags(),
        event_type: NODE_STARTED_TYPE.to_owned(),
    })
}
