//! Bids that a node made and that may be claimed (spec: control API, section 13, "Bids and deploys").
//!
//! Owns: which bids are open, and the reply that a claimed one got. Never: starts anything.
//!
//! ```text
//! open ──first valid ADEPLOY──► claimed ──same body──► the same reply
//!   └──TTL──► gone                 └──another body, or TTL──► silence
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nex_bus::service::Answer;
use nex_types::{Digest, Id};
use tokio::sync::watch;

/// More open bids than this are a flood; the oldest go.
const MOST: usize = 4096;

/// A bid's claim.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Nobody has it, or somebody with another request.
    Unknown,
    /// The caller is the first: it starts the workload and reports the answer.
    First { agent_id: String, answer: watch::Sender<Option<Answer>> },
    /// The same request again: the first one's answer comes here.
    Again(watch::Receiver<Option<Answer>>),
}

#[derive(Debug)]
struct Bid {
    agent_id: String,
    made: Instant,
    claimed: Option<(Digest, watch::Receiver<Option<Answer>>)>,
}

/// All of a node's bids. A std mutex over short sections.
#[derive(Debug)]
pub(crate) struct Bids {
    /// How long a bid may be claimed.
    ttl: Duration,
    bids: Mutex<HashMap<String, Bid>>,
}

impl Bids {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, bids: Mutex::default() }
    }

    /// Makes a bid that `agent_id` backs.
    pub(crate) fn make(&self, agent_id: &str, now: Instant) -> String {
        let id = Id::random().to_string();
        let bid = Bid { agent_id: agent_id.to_owned(), made: now, claimed: None };
        let mut bids = self.bids.lock().unwrap_or_else(PoisonError::into_inner);
        bids.retain(|_, bid| now.saturating_duration_since(bid.made) < self.ttl);
        if bids.len() >= MOST {
            let oldest = bids.iter().min_by_key(|(_, bid)| bid.made).map(|(id, _)| id.clone());
            oldest.and_then(|id| bids.remove(&id));
        }
        bids.insert(id.clone(), bid);
        id
    }

    /// Whether the bid is open to somebody; asked before the body is parsed.
    pub(crate) fn is_known(&self, id: &str, now: Instant) -> bool {
        let bids = self.bids.lock().unwrap_or_else(PoisonError::into_inner);
        bids.get(id).is_some_and(|bid| now.saturating_duration_since(bid.made) < self.ttl)
    }

    /// Claims a bid with a valid request.
    pub(crate) fn claim(&self, id: &str, request: Digest, now: Instant) -> Claim {
        let mut bids = self.bids.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bid) = bids.get_mut(id) else { return Claim::Unknown };
        if now.saturating_duration_since(bid.made) >= self.ttl {
            return Claim::Unknown;
        }
        match &bid.claimed {
            Some((digest, answer)) if *digest == request => Claim::Again(answer.clone()),
            Some(_) => Claim::Unknown,
            None => {
                let (answer, receiver) = watch::channel(None);
                bid.claimed = Some((request, receiver));
                Claim::First { agent_id: bid.agent_id.clone(), answer }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn a_bid_is_claimed_once_and_retried_alike() {
        let (bids, now) = (Bids::new(TTL), Instant::now());
        let id = bids.make("agent", now);
        let (mine, other) = (Digest::of(b"mine"), Digest::of(b"other"));
        assert!(bids.is_known(&id, now) && !bids.is_known("made-up", now));
        assert!(
            matches!(bids.claim(&id, mine, now), Claim::First { agent_id, .. } if agent_id == "agent")
        );
        assert!(matches!(bids.claim(&id, mine, now), Claim::Again(_)));
        assert!(matches!(bids.claim(&id, other, now), Claim::Unknown));
        assert!(matches!(bids.claim(&id, mine, now + TTL), Claim::Unknown));
        assert!(!bids.is_known(&id, now + TTL));
    }
}
