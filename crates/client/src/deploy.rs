//! Auction and deploy.
//!
//! Owns: taking the first bid (until the view exists) and claiming it. Never: uploads an artifact.

use std::time::Duration;

use nex_api::auction::{AuctionRequest, AuctionResponse};
use nex_api::workload::{StartWorkloadRequest, StartWorkloadResponse};
use nex_api::{encode, subject};
use nex_bus::gather::{Bounds, gather};
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

    /// Claims a bid. Repeating it with the same request within the bid's life starts nothing twice.
    ///
    /// # Errors
    /// When the node or nexlet refuses, or does not answer within 60 s.
    pub async fn deploy(
        &self,
        bid: &AuctionResponse,
        request: &StartWorkloadRequest,
    ) -> Result<StartWorkloadResponse, Error> {
        let subject = subject::control_of(&request.namespace, "ADEPLOY", &bid.bidder_id);
        self.ask_one(subject, encode(request), START_BOUND).await
    }
}
