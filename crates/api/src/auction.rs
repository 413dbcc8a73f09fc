//! AUCTION: who could run a workload of this type (spec: control API, section 4.4).
//!
//! Owns: the two messages. Never: decides who bids (`nex-policy`).

use nex_types::Tags;
use serde::{Deserialize, Serialize};

use crate::codec::{nullable, present};
use crate::workload::Lifecycle;

/// The question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct AuctionRequest {
    #[serde(deserialize_with = "nullable")]
    pub agent_type: String,
    #[serde(deserialize_with = "nullable")]
    pub auction_id: String,
    /// Ours: the workload's name, so that bidders can tell how many copies of it they have.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub tags: Tags,
}

/// A bid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct AuctionResponse {
    #[serde(deserialize_with = "nullable")]
    pub bidder_id: String,
    /// Ours: workloads of the asked name in the caller's namespace that the bidder has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
    /// Ours: who bids, so that a caller can spread copies over nodes.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub node_id: String,
    #[serde(deserialize_with = "nullable")]
    pub start_request_schema: String,
    /// `null` when the nexlet named none.
    #[serde(deserialize_with = "present")]
    pub supported_lifecycles: Option<Vec<Lifecycle>>,
    /// Ours: all workloads that the bidder has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<u32>,
    /// The agent's public xkey, not the node's.
    #[serde(deserialize_with = "nullable")]
    pub xkey: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn both_messages_print_the_specification_s_samples() {
        let question = r#"{"agent_type":"native","auction_id":"kTrS8s1OfB1UZJ0Kwq6mKQ","tags":{"region":"lab"}}"#;
        let request: AuctionRequest = decode(question.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(encode(&request)).unwrap(), question);
        let bid = r#"{"bidder_id":"WvLS2fm0rYuHFVcv9jR5lm","start_request_schema":"{}","supported_lifecycles":["job","service"],"xkey":"XC7"}"#;
        let response: AuctionResponse = decode(bid.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(encode(&response)).unwrap(), bid);
    }
}
