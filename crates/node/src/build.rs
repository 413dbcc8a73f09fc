//! Builds a node: flat, in dependency order; nothing runs yet, and all that can fail has failed.
//!
//! Owns: the order. Never: starts a nexlet or answers a request.

use std::sync::Arc;
use std::time::Instant;

use nex_api::Time;
use nex_api::node::NodeState;
use nex_bus::connection::NEX_INBOX;
use nex_bus::{ConnectError, Settings, connect};
use nex_sandbox::{Deadline, Tasks};
use nex_types::Tags;
use tokio::sync::watch;

use crate::agents::Agents;
use crate::bids::Bids;
use crate::config::Config;
use crate::control::Shared;
use crate::events::Events;
use crate::feeds::Feeds;
use crate::history::History;
use crate::identity::{Identity, StateDir};
use crate::metrics::{MetricsError, NexletRestarts, Prepared};
use crate::minter::{Issuer, Minter, Parts};
use crate::node::Built;
use crate::state::State;
use crate::traces;
use crate::view::View;

/// A node that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("can not use reserved tag prefix: nex. (tag {0})")]
    ReservedTag(String),
    #[error("\"{0}\" is not a nexus name: it must be one subject token")]
    Nexus(String),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("cannot subscribe: {0}")]
    Subscribe(String),
    #[error("what should run cannot be read from the state directory")]
    State(#[source] std::io::Error),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

impl Config {
    /// Connects and prepares everything.
    ///
    /// # Errors
    /// When a tag or name is not legal, or NATS cannot be reached.
    pub async fn build(
        self,
        directory: StateDir,
        identity: &Identity,
    ) -> Result<Built, BuildError> {
        let mut tags = tags(&self)?;
        let settings =
            Settings { inbox_prefix: Some(NEX_INBOX.to_owned()), ..self.connection.clone() };
        let client = connect(&settings).await?;
        if !client.server_info().auth_required && !matches!(self.issuer, Issuer::Managed) {
            let nats = settings.servers_text();
            tracing::warn!(
                nats,
                "NATS wants no credentials: whoever reaches it controls this node"
            );
        }
        let parts = Parts {
            own: self.connection.clone().with_creds_read()?,
            policy: self.policy.clone(),
            buckets: self.artifact_buckets.clone(),
            node_id: identity.node_id().to_owned(),
            nexus: self.nexus.clone(),
        };
        let feeds = Feeds::subscribe(&client, identity.node_id()).await;
        let feeds = feeds.map_err(BuildError::Subscribe)?;
        let metrics = self.metrics.clone().prepare(&client).await?;
        if let Some(address) = metrics.as_ref().and_then(Prepared::address) {
            tags.insert("nex.metrics".to_owned(), address.to_string());
        }
        // Boxed, since it is large and awaited once.
        let reading =
            Box::pin(State::open(self.state, &client, directory.path(), identity.node_id()));
        let workloads = reading.await.map_err(BuildError::State)?;
        let shared = Arc::new(Shared {
            node_id: identity.node_id().to_owned(),
            node_name: self.name.clone(),
            public_xkey: identity.public_xkey().to_owned(),
            version: self.version.clone(),
            fixed_tags: tags,
            started: Time::now(),
            started_at: Instant::now(),
            state: watch::Sender::new(NodeState::Starting),
            lameduck: Deadline::default(),
            events: Events::new(client.clone(), identity.node_id().to_owned(), self.events),
            history: History::new(client.clone(), self.keep_logs, self.events),
            client,
            tracer: traces::tracer(self.tracing.as_ref()),
            agents: Agents::default(),
            bids: Bids::new(self.bid_ttl),
            workloads,
            minter: Minter::new(self.issuer.clone(), parts),
            tasks: Tasks::new(),
            view: View::default(),
            nexlet_restarts: NexletRestarts::default(),
        });
        Ok(Built { config: self, shared, feeds, metrics, directory })
    }
}

/// The user's tags and the node's own (spec: control API, section 10).
fn tags(config: &Config) -> Result<Tags, BuildError> {
    if let Some(reserved) = config.tags.keys().find(|key| key.starts_with("nex.")) {
        return Err(BuildError::ReservedTag(reserved.clone()));
    }
    if config.nexus.is_empty() || config.nexus.contains(['.', ' ', '*', '>']) {
        return Err(BuildError::Nexus(config.nexus.clone()));
    }
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let own = [
        ("nex.arch", arch.to_owned()),
        ("nex.cpucount", cpus.to_string()),
        ("nex.lameduck", "false".to_owned()),
        ("nex.nexus", config.nexus.clone()),
        ("nex.node", config.name.clone()),
        ("nex.os", std::env::consts::OS.to_owned()),
    ];
    let mut tags = config.tags.clone();
    tags.extend(own.map(|(key, value)| (key.to_owned(), value)));
    Ok(tags)
}
