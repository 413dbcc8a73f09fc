//! Auction and deploy.
//!
//! Owns: taking the first bid (until the view exists) and claiming it. Never: uploads an artifact.

use std::time::Duration;

use nex_api::auction::{AuctionRequest, AuctionResponse};
use nex_api::workload::{StartWorkloadRequest, StartWorkloadResponse};
use nex_api::{encode, subject};
use nex_bus::gather::{Bounds, gather};
use nex_bus::seal::seal_request;
use nex_types::{Id, Tags};

use crate::{Client, Error, read};

/// Bids come within milliseconds or not at all, since who does not bid stays silent.
const BID_BOUND: Duration = Duration::from_secs(1);
/// The node answers after 55 s at the latest.
const START_BOUND: Duration = Duration::from_secs(60);

impl Client {
    /// Asks who could run `agent_type`; the first bid, or none.
    ///
    /// # Errors
    /// When NATS fails or a node refuses the question.
    pub async fn auction(
        &self,
        agent_type: &str,
        tags: &Tags,
    ) -> Result<Option<AuctionResponse>, Error> {
        let request = AuctionRequest {
            agent_type: agent_type.to_owned(),
            auction_id: Id::random().to_string(),
            tags: tags.clone(),
        };
        let subject = subject::control(self.namespace.as_str(), "AUCTION");
        let bounds = Bounds { total: BID_BOUND, stall: Duration::ZERO, max: Some(1) };
        let gathered = gather(&self.nats, subject, encode(&request).into(), bounds, |_| true)
            .await
            .map_err(|error| Error::Nats(error.to_string()))?;
        gathered.messages.first().map(read).transpose()
    }

    /// Claims a bid. A clear environment is sealed to the bidding nexlet, when that takes it so.
    /// Repeating it with the same request within the bid's life starts nothing twice; a request that
    /// had to be sealed counts as another one, so seal it once before (see [`sealed`]).
    ///
    /// # Errors
    /// When the node or nexlet refuses, or does not answer within 60 s.
    pub async fn deploy(
        &self,
        bid: &AuctionResponse,
        request: &StartWorkloadRequest,
    ) -> Result<StartWorkloadResponse, Error> {
        let subject = subject::control_of(&request.namespace, "ADEPLOY", &bid.bidder_id);
        self.ask_one(subject, encode(&sealed(bid, request)), START_BOUND).await
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
