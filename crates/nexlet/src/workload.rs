//! What a nexlet implements: how to start a workload of its type, and how to tell and end it.
//!
//! Owns: the seam between the SDK and a type of workload. Never: speaks NATS.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nex_api::event::StopError;
use nex_api::workload::{StartWorkloadRequest, WorkloadState};
use nex_api::{Code, NatsConnectionData};
use nex_bus::{Client, Settings};
use nex_telemetry::traces::Scope;
use nex_types::{Id, Namespace, WorkloadName};
use serde::de::DeserializeOwned;

use crate::{Description, EventFeed, Ingress, LogFeed, Metrics, SealKey};

/// A type of workload.
#[async_trait]
pub trait Nexlet: Send + Sync + fmt::Debug + 'static {
    /// What is registered with the node.
    fn describe(&self) -> Description;

    /// Starts a workload; when this returns, it is ready. Several run at the same time. The node
    /// waits 55 s. Dropping the future must leave nothing behind.
    async fn start(&self, start: Start) -> Result<Started, StartFailure>;

    /// Lets go of what workloads shared, after the last of them has ended.
    async fn shutdown(&self) {}

    /// Instead of [`Nexlet::shutdown`], where it leaves its workloads as they are.
    async fn leave(&self) {}

    /// Whether its workloads go on without it, for the next nexlet of its type to find them: then one that
    /// hands over, or whose node stays away, leaves them as they are.
    fn leaves_workloads(&self) -> bool {
        false
    }

    /// Ends what an earlier nexlet left of a workload that was not started here; false when there is
    /// nothing of it, or another namespace's.
    async fn stop_left(&self, id: &Id, namespace: &Namespace) -> bool {
        let _nothing_is_left = (id, namespace);
        false
    }

    /// The node has answered a registration: from now on it says what should run.
    fn registered(&self) {}

    /// Where its workloads are reached from outside; with it, those that have a port are announced and
    /// PINGWORKLOAD is answered. Asked once, before anything is served.
    fn ingress(&self) -> Option<Ingress> {
        None
    }

    /// What hears `$NEX.FEED.<agent id>.events`. Asked once, before anything is served.
    fn event_listener(&self) -> Option<Arc<dyn EventListener>> {
        None
    }
}

/// Hears what anybody publishes for one nexlet. The bytes are a stranger's.
#[async_trait]
pub trait EventListener: Send + Sync + fmt::Debug + 'static {
    /// Called per message, several at the same time; a minute is the longest it may take.
    async fn hear(&self, message: Bytes);
}

/// One workload that runs. The SDK owns it; its state is asked, never pushed.
#[async_trait]
pub trait Workload: Send + Sync + fmt::Debug + 'static {
    /// How it is now.
    fn status(&self) -> Status;

    /// Begins its end: returns within a second, once the trigger is unsubscribed or the signal is
    /// sent. Calling it again is harmless.
    async fn stop(&self);

    /// Takes the credentials that replace the workload's own before those expire.
    async fn renew(&self, connection: &NatsConnectionData) {
        let _connects_no_more = connection;
    }

    /// Waits until nothing runs of it any more, asked or unasked. Many may wait, before and after.
    async fn ended(&self) -> Ended;

    /// What it has counted since it started, at its end too; none when it counts nothing. Asked every few
    /// seconds, and published for its namespace: it must cost little, and wait for nothing.
    fn metrics(&self) -> Option<Metrics> {
        None
    }

    /// The port on which it takes traffic from outside, for [`Nexlet::ingress`].
    fn port(&self) -> Option<u16> {
        None
    }
}

/// A workload to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// Assigned by the node.
    pub id: Id,
    /// Its owner.
    pub namespace: Namespace,
    /// Given, or invented by the SDK.
    pub name: WorkloadName,
    /// The whole request; `run_request` is valid by the announced schema.
    pub request: StartWorkloadRequest,
    /// The workload's own credentials.
    pub connection: NatsConnectionData,
    /// The nexlet's own connection, for the artifact's fetch alone.
    pub control: Client,
    /// Opens sealed environments (see [`Start::variables`]).
    pub key: SealKey,
    /// The workload's log.
    pub logs: LogFeed,
    /// The workload's events between its start and its end, which the SDK tells.
    pub events: EventFeed,
    /// Whether it is started again from state, under an id that it had before.
    pub existing: bool,
    /// The span of the start; steps of it are its children.
    pub scope: Scope,
}

impl Start {
    /// Reads `run_request`.
    ///
    /// # Errors
    /// When it is not such a `T`: the text that the caller gets.
    pub fn run_request<T: DeserializeOwned>(&self) -> Result<T, StartFailure> {
        serde_json::from_str(&self.request.run_request)
            .map_err(|error| StartFailure::new(Code::StartRequestInvalid, error.to_string()))
    }

    /// Connects to NATS as the workload, with its own credentials.
    ///
    /// # Errors
    /// When NATS cannot be reached or refuses them.
    pub async fn connect(&self) -> Result<Client, StartFailure> {
        let name = format!("workload-{}", self.id);
        nex_bus::connect(&Settings::minted(self.connection.clone(), name))
            .await
            .map_err(|error| StartFailure::new(Code::SpawnFailed, error.to_string()))
    }
}

/// Text of the `.creds` file that holds these credentials, if they are a JWT and its seed.
#[must_use]
pub fn creds_file(connection: &NatsConnectionData) -> Option<String> {
    let NatsConnectionData { nats_user_jwt, nats_user_seed, .. } = connection;
    let is_whole = !nats_user_jwt.is_empty() && !nats_user_seed.is_empty();
    is_whole.then(|| nex_bus::jwt::creds_file(nats_user_jwt, nats_user_seed))
}

/// A workload that was started.
#[derive(Debug)]
pub struct Started {
    /// Its handle.
    pub workload: Arc<dyn Workload>,
    /// What the caller should know although it worked.
    pub warnings: Vec<String>,
}

/// Why one was not started: an error reply with code 100 and our extra keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartFailure {
    /// The stable code.
    pub code: Code,
    /// One sentence: what and which.
    pub message: String,
    /// Several lines: source line, caret, stack.
    pub detail: Option<String>,
}

impl StartFailure {
    /// A failure without detail.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None }
    }
}

/// How a workload is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// By the wire's words.
    pub state: WorkloadState,
    /// The exact word: `running`, `idle`, `draining`, `stopping`, `failed`, `completed`.
    pub phase: &'static str,
    /// Facts for `metadata` (see `nex_api::workload::fact`): digest, triggers, calls, errors, exit.
    pub facts: BTreeMap<String, String>,
    /// For functions: how long calls took in all.
    pub runtime: Option<Duration>,
}

/// How a workload ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Set when it did not end well; goes into WORKLOADSTOPPED.
    pub error: Option<StopError>,
    /// Facts for the event's metadata, for instance `exit`.
    pub facts: BTreeMap<String, String>,
    /// Whether it stays listed, as it is, for people to see what became of it (see `FINISHED_STAYS`).
    pub stays_listed: bool,
}
