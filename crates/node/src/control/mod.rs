//! The control API's endpoints: a list here, one file per request.
//!
//! Owns: what all handlers share, and which endpoint goes where. Never: lets one request wait for
//! another; `nex_bus::service` runs each in a task of its own.

mod adeploy;
mod agent_id;
mod auction;
mod clone;
mod info;
mod lameduck;
mod ping;
mod register;
mod register_remote;
mod undeploy;
mod wping;

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use nex_api::node::NodeState;
use nex_api::{Code, Time, subject};
use nex_bus::Client;
use nex_bus::service::{Answer, Endpoint, Handler};
use nex_sandbox::{Deadline, Tasks};
use nex_telemetry::traces::Tracer;
use nex_types::Tags;
use tokio::sync::watch;

pub(crate) use ping::response as ping_response;
pub(crate) use undeploy::stop;
pub(crate) use wping::with_facts;

use crate::agents::Agents;
use crate::bids::Bids;
use crate::events::Events;
use crate::history::History;
use crate::metrics::NexletRestarts;
use crate::minter::Minter;
use crate::state::State;
use crate::view::View;

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node_id: String,
    pub(crate) node_name: String,
    pub(crate) public_xkey: String,
    pub(crate) version: String,
    /// As they were at build; [`Shared::tags`] are those of now.
    pub(crate) fixed_tags: Tags,
    pub(crate) started: Time,
    pub(crate) started_at: Instant,
    pub(crate) state: watch::Sender<NodeState>,
    /// When lame duck mode is over and the node ends; set once it is in that mode.
    pub(crate) lameduck: Deadline,
    pub(crate) client: Client,
    pub(crate) tracer: Tracer,
    pub(crate) events: Events,
    pub(crate) agents: Agents,
    pub(crate) bids: Bids,
    pub(crate) workloads: State,
    pub(crate) minter: Minter,
    pub(crate) tasks: Tasks,
    pub(crate) view: View,
    pub(crate) history: History,
    pub(crate) nexlet_restarts: NexletRestarts,
}

impl Shared {
    /// The node's tags as they are now.
    pub(crate) fn tags(&self) -> Tags {
        let mut tags = self.fixed_tags.clone();
        if self.is_lameduck() {
            tags.insert("nex.lameduck".to_owned(), "true".to_owned());
        }
        tags
    }

    /// Whether the node was sent into lame duck mode, out of which there is no way back.
    pub(crate) fn is_lameduck(&self) -> bool {
        self.lameduck.get().is_some()
    }
}

const PTAGS: &str = "PingPlacementTags";
const PING: &str = "PingNexus";
const PING_NODE: &str = "PingNode";
const INFO: &str = "GetNodeInfo";
const LAMEDUCK: &str = "SetLameduck";
const AGENT_ID: &str = "GetAgentIdByName";
const REGISTER_REMOTE: &str = "RegisterRemoteAgent";
const REGISTER: &str = "RegisterAgent";
const AUCTION: &str = "AuctionRequest";
const UNDEPLOY: &str = "StopWorkload";
const ADEPLOY: &str = "AuctionDeployWorkload";
const CLONE: &str = "CloneWorkload";
const WPING: &str = "NamespacePingRequest";

/// The endpoints, in the order of the specification's section 2.2. That for remote nexlets is there when
/// their `nexus` is given, and shared by the nodes of it.
pub(crate) fn endpoints(node_id: &str, remote_nexus: Option<&str>) -> Vec<Endpoint> {
    let system = |verb: &str| subject::control("system", verb);
    let of_node = |verb: &str| subject::control_of("system", verb, node_id);
    let endpoint =
        |name, subject, group: &str| Endpoint { name, subject, queue_group: group.to_owned() };
    let own = |(name, subject)| endpoint(name, subject, node_id);
    let before = [
        (PTAGS, system("PTAGS")),
        (PING, system("PING")),
        (PING_NODE, of_node("PING")),
        (INFO, of_node("INFO")),
        (LAMEDUCK, of_node("LAMEDUCK")),
        (AGENT_ID, of_node("AGENTID")),
    ];
    let remote =
        remote_nexus.map(|nexus| endpoint(REGISTER_REMOTE, subject::register_remote(nexus), nexus));
    let after = [
        (REGISTER, subject::register(node_id, "*")),
        (AUCTION, subject::control("*", "AUCTION")),
        (UNDEPLOY, subject::control_of("*", "UNDEPLOY", "*")),
        (ADEPLOY, subject::control_of("*", "ADEPLOY", "*")),
        (CLONE, subject::control_of("*", "CLONE", "*")),
        (WPING, subject::control("*", "WPING")),
    ];
    before.map(own).into_iter().chain(remote).chain(after.map(own)).collect()
}

/// Takes requests to their files.
pub(crate) fn handler(shared: Arc<Shared>) -> Handler {
    Arc::new(move |request| {
        let shared = Arc::clone(&shared);
        async move {
            let (namespace, id) = subject::split_control(&request.subject);
            match request.endpoint {
                PTAGS => Answer::ok(&shared.tags()),
                PING | PING_NODE => ping::answer(&shared, &request.body),
                INFO => info::answer(&shared),
                LAMEDUCK => lameduck::answer(&shared, &request.body).await,
                AGENT_ID => agent_id::answer(&shared, &request.body),
                REGISTER_REMOTE => register_remote::answer(&shared, &request.body),
                REGISTER => register::answer(&shared, id, &request.body).await,
                AUCTION => auction::answer(&shared, namespace, &request),
                UNDEPLOY => undeploy::answer(&shared, namespace, id, &request.body).await,
                ADEPLOY => adeploy::answer(&shared, namespace, id, &request).await,
                CLONE => clone::answer(&shared, namespace, id, &request.body).await,
                WPING => wping::answer(&shared, namespace, &request.body).await,
                other => Answer::error(500, "unknown endpoint", other, Code::NodeFailed),
            }
        }
        .boxed()
    })
}

/// 403, in the four handlers that take a namespace.
fn mismatch(subject_namespace: &str, body_namespace: &str) -> Answer {
    let description = format!("namespace mismatch: {subject_namespace} != {body_namespace}");
    Answer::error(403, &description, "namespace mismatch", Code::NamespaceMismatch)
}

/// 400: the body is not the message that it should be.
fn malformed(description: &str, error: &nex_api::DecodeError) -> Answer {
    Answer::error(400, description, &error.to_string(), Code::MalformedRequest)
}
