//! Auction and deploy.
//!
//! Owns: how long bids are waited for, whose bid is taken, and claiming it. Never: uploads an artifact.

use std::time::Duration;

use nex_api::auction::{AuctionRequest, AuctionResponse};
use nex_api::node::NodePingRequest;
use nex_api::workload::{Lifecycle, StartWorkloadRequest, StartWorkloadResponse};
use nex_api::{Code, encode, subject};
use nex_bus::gather::{Bounds, Scatter};
use nex_bus::seal::seal_request;
use nex_policy::placement::{Offer, choose};
use nex_telemetry::traces::Kind;
use nex_types::{Id, Namespace, Tags};

use crate::{Client, Error, Fleet, read};

/// Bids of nodes that the view knows come within milliseconds.
const KNOWN_BOUND: Duration = Duration::from_millis(250);
/// Others stay silent when they do not bid, so that only time tells.
const STRANGERS_BOUND: Duration = Duration::from_secs(1);
/// The node answers after 55 s at the latest.
const START_BOUND: Duration = Duration::from_secs(60);
/// How often it is asked, while it starts a workload, whether it is still there.
const ALIVE_EVERY: Duration = Duration::from_secs(2);
/// So many questions unanswered in a row, and it is taken for lost.
const MOST_SILENT: usize = 3;

/// What came of a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// It runs.
    Placed {
        /// On this node; empty when a Go node did not tell.
        node_id: String,
        /// What the node answered.
        response: StartWorkloadResponse,
    },
    /// Nobody bid.
    Nobody,
    /// Who bid takes other lifecycles only.
    NotThisLifecycle(Vec<Lifecycle>),
}

impl Client {
    /// Finds the node that fits best and starts the workload there: fewest copies of the name, then
    /// fewest workloads. When that node ends meanwhile, another one is looked for, once.
    ///
    /// # Errors
    /// When NATS fails, or the node or nexlet refuses.
    pub async fn place(
        &self,
        fleet: &Fleet,
        request: &StartWorkloadRequest,
        tags: &Tags,
    ) -> Result<Placement, Error> {
        match self.place_once(fleet, request, tags).await {
            Err(error) if is_lost(&error) => {
                let fleet = self.fleet().await?;
                self.place_once(&fleet, request, tags).await
            }
            placed => placed,
        }
    }

    async fn place_once(
        &self,
        fleet: &Fleet,
        request: &StartWorkloadRequest,
        tags: &Tags,
    ) -> Result<Placement, Error> {
        let bids = self.auction(fleet, request, tags).await?;
        let takes = |bid: &&AuctionResponse| {
            let lifecycles = bid.supported_lifecycles.as_deref().unwrap_or_default();
            lifecycles.contains(&request.workload_lifecycle)
        };
        let fitting: Vec<&AuctionResponse> = bids.iter().filter(takes).collect();
        let offers: Vec<Offer> = fitting
            .iter()
            .map(|bid| Offer { copies: bid.copies, workloads: bid.workloads })
            .collect();
        let chosen = choose(&offers, rand::random_range(0..usize::MAX))
            .and_then(|position| fitting.get(position));
        let Some(bid) = chosen else {
            let first = bids.into_iter().next();
            return Ok(first.map_or(Placement::Nobody, |bid| {
                Placement::NotThisLifecycle(bid.supported_lifecycles.unwrap_or_default())
            }));
        };
        let response = self.deploy(fleet, bid, request).await?;
        Ok(Placement::Placed { node_id: bid.node_id.clone(), response })
    }

    /// The bids: of all who are expected to bid, and of whoever else is as fast.
    async fn auction(
        &self,
        fleet: &Fleet,
        request: &StartWorkloadRequest,
        tags: &Tags,
    ) -> Result<Vec<AuctionResponse>, Error> {
        let question = AuctionRequest {
            agent_type: request.workload_type.clone(),
            auction_id: Id::random().to_string(),
            name: request.name.clone(),
            tags: tags.clone(),
        };
        let mut expected = fleet.expected_bidders(&request.workload_type, tags);
        let mut n_strangers = fleet.n_strangers();
        let total = if n_strangers == 0 { KNOWN_BOUND } else { STRANGERS_BOUND };
        // When nobody is expected, whoever bids first has it.
        let stall = if expected.is_empty() && n_strangers == 0 { Duration::ZERO } else { total };
        let all_bid = |message: &nex_bus::Message| {
            let bidder = read::<AuctionResponse>(message).map(|bid| bid.node_id);
            let bidder = bidder.unwrap_or_default();
            match expected.iter().position(|id| *id == bidder) {
                Some(position) => {
                    expected.swap_remove(position);
                }
                None => n_strangers = n_strangers.saturating_sub(1),
            }
            expected.is_empty() && n_strangers == 0
        };
        let subject = subject::control(&request.namespace, "AUCTION");
        let bounds = Bounds { total, stall, max: None };
        let span = self.scope.child(Kind::Client, || "auction".to_owned());
        let (body, traceparent) = (encode(&question).into(), self.scope.traceparent_of(&span));
        let asked = Scatter::send_traced(&self.nats, subject, body, traceparent.as_deref()).await;
        let gathered = asked.map_err(|error| Error::Nats(error.to_string()))?;
        let gathered = gathered.gather(bounds, all_bid).await;
        drop(span);
        let (mut bids, mut refusal) = (Vec::new(), None);
        for message in &gathered.messages {
            match read(message) {
                Ok(bid) => bids.push(bid),
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(refusal) if bids.is_empty() => Err(refusal),
            _ => Ok(bids),
        }
    }

    /// Claims a bid. A clear environment is sealed to the bidding nexlet, when that takes it so.
    /// Repeating it with the same request within the bid's life starts nothing twice; a request that
    /// had to be sealed counts as another one, so seal it once before (see [`sealed`]).
    ///
    /// # Errors
    /// When the node or nexlet refuses, or does not answer within 60 s.
    async fn deploy(
        &self,
        fleet: &Fleet,
        bid: &AuctionResponse,
        request: &StartWorkloadRequest,
    ) -> Result<StartWorkloadResponse, Error> {
        let subject = subject::control_of(&request.namespace, "ADEPLOY", &bid.bidder_id);
        let mut span = self.scope.child(Kind::Client, || "deploy".to_owned());
        span.set("nex.node.id", bid.node_id.as_str());
        let (body, traceparent) = (encode(&sealed(bid, request)), self.scope.traceparent_of(&span));
        let asking = nex_bus::traced_request(body.into(), START_BOUND, traceparent.as_deref());
        let answer = tokio::select! {
            reply = self.nats.send_request(subject, asking) => {
                reply.map_err(Error::from).and_then(|reply| read(&reply))
            }
            () = self.until_gone(fleet, &bid.node_id) => Err(Error::NodeGone),
        };
        if let Err(error) = &answer {
            span.fail("refused", &error.to_string());
        }
        answer
    }

    /// Ends when the node does not answer any more; never for one that this client may not ask.
    async fn until_gone(&self, fleet: &Fleet, node_id: &str) {
        if !fleet.answers(node_id) {
            return std::future::pending().await;
        }
        let mut n_silent = 0;
        while n_silent < MOST_SILENT {
            tokio::time::sleep(ALIVE_EVERY).await;
            let subject = subject::control_of(Namespace::SYSTEM, "PING", node_id);
            let request = nex_bus::request(encode(&NodePingRequest::default()).into(), ALIVE_EVERY);
            let answer = self.nats.send_request(subject, request).await;
            n_silent = if answer.is_ok() { 0 } else { n_silent + 1 };
        }
    }
}

/// Whether it was the node that got lost, and not the request that was wrong.
fn is_lost(error: &Error) -> bool {
    let lost = [Code::NodeStopping, Code::TypeNotFound].map(|code| code.to_string());
    match error {
        Error::NodeGone | Error::NoResponders => true,
        Error::Refused(refusal) => refusal.code.as_ref().is_some_and(|code| lost.contains(code)),
        _ => false,
    }
}

/// The request with its environment sealed to the nexlet that backs `bid`, if that can open it: so
/// secrets are clear neither on the wire nor in any state.
#[must_use]
pub fn sealed(bid: &AuctionResponse, request: &StartWorkloadRequest) -> StartWorkloadRequest {
    let mut request = request.clone();
    // A nexlet that announces no usable key has to take it as it is.
    if let Ok(Some(sealed)) =
        seal_request(&request.run_request, &bid.start_request_schema, &bid.xkey)
    {
        request.run_request = sealed;
    }
    request
}
