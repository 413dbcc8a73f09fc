//! What a yes to a question does: as `nex stop` and `nex clone` do it.
//!
//! Owns: the words about what came of it. Never: asks.

use nex_api::workload::{WorkloadState, WorkloadSummary};
use nex_client::Client;
use nex_types::Tags;

use super::state::Action;
use crate::commands::stop;
use crate::error::CliError;

/// Does it to this one workload; what it came to, or why it failed.
pub(super) async fn act(
    client: &Client,
    action: Action,
    workload: &WorkloadSummary,
) -> Result<String, String> {
    let done = match action {
        Action::Stop => stop(client, workload).await,
        Action::Clone => clone(client, workload).await,
    };
    done.map_err(|error| match error.hint {
        Some(hint) => format!("{}; {hint}", error.message),
        None => error.message,
    })
}

async fn stop(client: &Client, workload: &WorkloadSummary) -> Result<String, CliError> {
    let name = &workload.name;
    if workload.workload_state == WorkloadState::Unknown {
        stop::bury(client, std::slice::from_ref(workload)).await?;
        return Ok(format!("the node of {name} does not answer; it will not bring it back"));
    }
    stop::stop_all(client, std::slice::from_ref(workload)).await?;
    Ok(format!("{name} ({}) is stopped", workload.id))
}

async fn clone(client: &Client, workload: &WorkloadSummary) -> Result<String, CliError> {
    let response = client.clone_workload(&workload.id, &Tags::new()).await?;
    Ok(format!("a copy of {} runs: {}", response.name, response.id))
}
