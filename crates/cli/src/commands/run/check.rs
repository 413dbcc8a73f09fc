//! Whether a bid fits a request, before the bid is claimed.
//!
//! Owns: the lifecycle and the schema that the bid carries. Never: sends anything.

use nex_api::Code;
use nex_api::auction::AuctionResponse;
use nex_api::workload::StartWorkloadRequest;
use nex_node::Schema;

use crate::error::CliError;

/// Refuses what the bidder would refuse, in its own words.
pub(super) fn check(bid: &AuctionResponse, request: &StartWorkloadRequest) -> Result<(), CliError> {
    let kind = &request.workload_type;
    let offers = bid.supported_lifecycles.as_deref().unwrap_or_default();
    // A nexlet that names none takes all.
    if !offers.is_empty() && !offers.contains(&request.workload_lifecycle) {
        let offered: Vec<&str> = offers.iter().map(|lifecycle| lifecycle.as_str()).collect();
        let message = format!(
            "agent does not support requested lifecycle: {kind} takes {}, not {}",
            offered.join(" and "),
            request.workload_lifecycle
        );
        return Err(CliError::usage(message).hint("choose another with: --lifecycle LIFECYCLE"));
    }
    let refused = |what: &str, why: String| {
        CliError::coded(Code::StartRequestInvalid, format!("{what}: {why}"))
    };
    let value = serde_json::from_str(&request.run_request)
        .map_err(|error| refused("failed to unmarshal start request", error.to_string()))?;
    // A schema that cannot be used is the bidder's matter.
    match Schema::compile(&bid.start_request_schema) {
        Ok(schema) => {
            schema.check(&value).map_err(|report| refused("failed to validate run request", report))
        }
        Err(_) => Ok(()),
    }
}
