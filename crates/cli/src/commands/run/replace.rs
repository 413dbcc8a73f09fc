//! Starting a workload, or one new copy for each that has the name.
//!
//! Owns: start the new one, wait until it is ready, drain the old one. Never: leaves a gap between.

use nex_api::workload::{StartWorkloadRequest, StartWorkloadResponse, WorkloadSummary, fact};
use nex_client::Client;
use nex_types::Tags;

use super::{deploy, digest};
use crate::commands::stop::stop_all;
use crate::error::CliError;

/// What `replace` did.
#[derive(Debug)]
pub(super) enum Done {
    AlreadyRunning(WorkloadSummary),
    Started { responses: Vec<StartWorkloadResponse>, n_replaced: usize },
}

/// Starts one, or one for each that has the name, and then stops the old ones.
pub(super) async fn replace(
    client: &Client,
    request: &StartWorkloadRequest,
    tags: &Tags,
    no_replace: bool,
) -> Result<Done, CliError> {
    let running = match no_replace {
        true => Vec::new(),
        false => client.workloads(std::slice::from_ref(&request.name)).await?,
    };
    let running: Vec<WorkloadSummary> =
        running.into_iter().filter(|w| w.name == request.name).collect();
    let wanted = digest::of(request);
    let is_same = |w: &WorkloadSummary| {
        let has = w.metadata.get(fact::REQUEST_DIGEST).map(String::as_str);
        has.is_some() && has == wanted
    };
    if let Some(first) = running.first()
        && running.iter().all(is_same)
    {
        return Ok(Done::AlreadyRunning(first.clone()));
    }
    let mut responses = Vec::new();
    for old in &running {
        let mut tags = tags.clone();
        if let Some(node) = old.metadata.get(fact::NODE_NAME) {
            tags.insert("nex.node".to_owned(), node.clone());
        }
        responses.push(deploy(client, request, &tags).await?);
    }
    if running.is_empty() {
        responses.push(deploy(client, request, tags).await?);
    }
    stop_all(client, &running).await?;
    Ok(Done::Started { responses, n_replaced: running.len() })
}
