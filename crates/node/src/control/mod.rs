//! The control API's endpoints: a list here, one file per request.
//!
//! Owns: what all handlers share, and which endpoint goes where. Never: lets one request wait for
//! another; `nex_bus::service` runs each in a task of its own.

mod adeploy;
mod auction;
mod info;
mod ping;
mod register;
mod undeploy;
mod wping;

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use nex_api::node::NodeState;
use nex_api::{Code, Time, subject};
use nex_bus::Client;
use nex_bus::service::{Answer, Endpoint, Handler};
use nex_sandbox::Tasks;
use nex_types::Tags;
use tokio::sync::watch;

use crate::agents::Agents;
use crate::bids::Bids;
use crate::events::Events;
use crate::minter::Minter;
use crate::workloads::Workloads;

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node_id: String,
    pub(crate) node_name: String,
    pub(crate) public_xkey: String,
    pub(crate) version: String,
    pub(crate) tags: Tags,
    pub(crate) started: Time,
    pub(crate) started_at: Instant,
    pub(crate) state: watch::Sender<NodeState>,
    pub(crate) client: Client,
    pub(crate) events: Events,
    pub(crate) agents: Agents,
    pub(crate) bids: Bids,
    pub(crate) workloads: Workloads,
    pub(crate) minter: Minter,
    pub(crate) tasks: Tasks,
}

const PTAGS: &str = "PingPlacementTags";
const PING: &str = "PingNexus";
const PING_NODE: &str = "PingNode";
const INFO: &str = "GetNodeInfo";
const REGISTER: &str = "RegisterAgent";
const AUCTION: &str = "AuctionRequest";
const UNDEPLOY: &str = "StopWorkload";
const ADEPLOY: &str = "AuctionDeployWorkload";
const WPING: &str = "NamespacePingRequest";

/// The endpoints, in the order of the specification's section 2.2. LAMEDUCK, AGENTID, CLONE and
/// RREGISTER are not there yet (docs/roadmap.md): who asks gets "no responders".
pub(crate) fn endpoints(node_id: &str) -> Vec<Endpoint> {
    let system = |verb: &str| subject::control("system", verb);
    let of_node = |verb: &str| subject::control_of("system", verb, node_id);
    [
        (PTAGS, system("PTAGS")),
        (PING, system("PING")),
        (PING_NODE, of_node("PING")),
        (INFO, of_node("INFO")),
        (REGISTER, subject::register(node_id, "*")),
        (AUCTION, subject::control("*", "AUCTION")),
        (UNDEPLOY, subject::control_of("*", "UNDEPLOY", "*")),
        (ADEPLOY, subject::control_of("*", "ADEPLOY", "*")),
        (WPING, subject::control("*", "WPING")),
    ]
    .map(|(name, subject)| Endpoint { name, subject, queue_group: node_id.to_owned() })
    .into()
}

/// Takes requests to their files.
pub(crate) fn handler(shared: Arc<Shared>) -> Handler {
    Arc::new(move |request| {
        let shared = Arc::clone(&shared);
        async move {
            let (namespace, id) = subject::split_control(&request.subject);
            match request.endpoint {
                PTAGS => Answer::ok(&shared.tags),
                PING | PING_NODE => ping::answer(&shared, &request.body),
                INFO => info::answer(&shared),
                REGISTER => register::answer(&shared, id, &request.body).await,
                AUCTION => auction::answer(&shared, &request.body),
                UNDEPLOY => undeploy::answer(&shared, namespace, id, &request.body).await,
                ADEPLOY => adeploy::answer(&shared, namespace, id, &request.body).await,
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
