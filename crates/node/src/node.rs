//! A node's life: spawn, ready, drain.
//!
//! Owns: what runs in the background and the order in which it ends. Never: handles a request itself.
//!
//! ```text
//! Built ─spawn─► starting ─nexlets spawned─► running ─drain─► stopping ─► nexlets ended ─► stopped
//!                    └──────── LAMEDUCK ─────────┴─► lameduck ─delay over, drain─┘
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use nex_api::event::{Event, NODE_STARTED_TYPE, NodeStarted};
use nex_api::node::NodeState;
use nex_bus::service::{Info, Running, serve};
use nex_policy::health::Health;
use nex_sandbox::{OnFailure, Tasks};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::control::{Shared, endpoints, handler};
use crate::feeds::{Feeds, beat};
use crate::identity::StateDir;
use crate::supervise::supervise;
use crate::{state, tombstones, view};

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
    pub(crate) directory: StateDir,
}

/// A node that runs.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    tasks: Tasks,
    nexlets: Tasks,
    n_nexlets: usize,
    service: Running,
    nexlet_token: CancellationToken,
    /// Kept, and with it the lock, until everything has ended.
    _directory: StateDir,
}

impl Built {
    /// Starts answering, then the nexlets.
    ///
    /// # Errors
    /// When the service cannot be registered with the server.
    pub async fn spawn(self) -> Result<Node, String> {
        let Self { config, shared, feeds, directory } = self;
        let (tasks, nexlets) = (shared.tasks.clone(), Tasks::new());
        let read = feeds.read(Arc::clone(&shared), tasks.token());
        tasks.spawn("feeds", OnFailure::EndProcess, read);
        let info = Info {
            name: "nexnode".to_owned(),
            version: config.version.clone(),
            description: format!("Commit: {} | Build date: unknown", config.commit),
        };
        let remote_nexus = config.allow_remote_agents.then_some(config.nexus.as_str());
        let endpoints = endpoints(&shared.node_id, remote_nexus);
        let service = serve(&shared.client, info, endpoints, handler(Arc::clone(&shared)), &tasks)
            .await
            .map_err(|error| error.to_string())?;
        shared.events.emit(&started(&shared, &config)).await;
        tasks.spawn(
            "node heartbeat",
            OnFailure::EndProcess,
            beat(Arc::clone(&shared), tasks.token()),
        );
        let keeper = state::keep(Arc::clone(&shared), tasks.token());
        tasks.spawn("state keeper", OnFailure::EndProcess, keeper);
        let view = view::publish(Arc::clone(&shared), tasks.token());
        tasks.spawn("view", OnFailure::EndProcess, view);
        tombstones::end_buried(&shared).await;
        let buried = tombstones::watch(Arc::clone(&shared), tasks.token());
        tasks.spawn("tombstones", OnFailure::EndProcess, buried);
        let nexlet_token = nexlets.token();
        let n_nexlets = config.nexlets.len();
        for program in config.nexlets {
            let child_token = nexlet_token.clone();
            let keeper = supervise(Arc::clone(&shared), program, tasks.clone(), child_token);
            nexlets.spawn("nexlet", OnFailure::EndProcess, keeper);
        }
        shared.state.send_if_modified(|state| {
            // It may have been told meanwhile that it is a lame duck.
            let was_starting = *state == NodeState::Starting;
            if was_starting {
                *state = NodeState::Running;
            }
            was_starting
        });
        shared.view.node_changed();
        Ok(Node { shared, tasks, nexlets, n_nexlets, service, nexlet_token, _directory: directory })
    }
}

impl Node {
    /// The node's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.node_id
    }

    /// Waits until every configured nexlet is healthy; false when `bound` passes first.
    pub async fn ready(&self, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        loop {
            let now = Instant::now();
            let agents = self.shared.agents.all();
            let healthy = agents.iter().filter(|(_, a)| a.health(now) == Health::Healthy).count();
            if healthy >= self.n_nexlets {
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
        healthy.map(|(_, agent)| agent.name).collect()
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
            name = self.nexlets.failure() => name,
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
        self.nexlet_token.cancel();
        if !self.nexlets.shutdown(NEXLETS_BOUND).await {
            tracing::error!("nexlets left after the drain deadline");
        }
        self.service.stop().await;
        shared.events.emit(&Event::NodeStopped { id: shared.node_id.clone() }).await;
        let _already_closed = shared.client.flush().await;
        if !self.tasks.shutdown(TASKS_BOUND).await {
            tracing::warn!("background tasks left");
        }
        let _already_closed = shared.client.drain().await;
    }
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
