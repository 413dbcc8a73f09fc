//! Starting a workload, or one new copy for each that has the name.
//!
//! Owns: start the new one, wait until it is ready, drain the old one; and that two who do this with
//! one name do it one after the other. Never: leaves a gap between, save for services that own a port.
//!
//! The rule (`nex_policy::placement::plan`): what runs of the name in another version is old, also
//! when several versions run because somebody was killed in the middle. Each old copy gets a new one on
//! its node, unless one is there already; then all old ones are stopped. Copies on nodes that do not
//! answer are replaced elsewhere and buried, so that those nodes do not bring them back.

use std::time::Duration;

use nex_api::workload::{StartWorkloadRequest, WorkloadSummary, fact};
use nex_client::{Client, Copies, Error, Fleet};
use nex_policy::placement::{Copy, plan};
use nex_types::Tags;

use super::digest;
use super::placement::{Placed, deploy_in};
use crate::commands::stop::{bury, stop_all};
use crate::error::{CliError, Kind};
use crate::ui;

/// How long somebody else may take with the same name.
const LEASE_PATIENCE: Duration = Duration::from_secs(60);

/// How many copies shall run in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// As many as there are, and at least one.
    AsManyAsNow,
    /// So many.
    Exactly(usize),
    /// So many more, beside what runs.
    More(usize),
}

impl Wanted {
    /// None when it depends on what runs.
    pub(super) fn total(self) -> Option<usize> {
        match self {
            Self::Exactly(n) => Some(n),
            Self::AsManyAsNow | Self::More(_) => None,
        }
    }
}

/// What `replace` did.
#[derive(Debug)]
pub(super) enum Done {
    AlreadyRunning(WorkloadSummary),
    Changed {
        placed: Vec<Placed>,
        n_stopped: usize,
        /// Copies on nodes that do not answer.
        n_buried: usize,
    },
}

/// Brings the name to the wanted version and number.
pub(super) async fn replace(
    client: &Client,
    request: &StartWorkloadRequest,
    tags: &Tags,
    wanted: Wanted,
) -> Result<Done, CliError> {
    if let Wanted::More(n_more) = wanted {
        let fleet = client.fleet().await?;
        let placed = start(client, &fleet, request, tags, vec![None; n_more]).await?;
        return Ok(Done::Changed { placed, n_stopped: 0, n_buried: 0 });
    }
    under_lease(client, &request.name, Box::pin(exchange(client, request, tags, wanted))).await
}

/// Does `work` while nobody else does likewise with the name.
pub(crate) async fn under_lease<T>(
    client: &Client,
    name: &str,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let Some(leases) = client.leases().await? else {
        ui::note("note: no JetStream here, so nothing keeps two who deploy one name apart");
        return work.await;
    };
    let waits = || ui::note(format_args!("waiting for another command that deploys {name}"));
    let lease = leases.take(name, LEASE_PATIENCE, waits).await.map_err(|error| match error {
        Error::TimedOut => CliError::new(
            Kind::TimedOut,
            format!("another command has been deploying {name} for over 60s"),
        )
        .hint("see what runs: nex ls"),
        other => other.into(),
    })?;
    lease.hold(work).await?
}

async fn exchange(
    client: &Client,
    request: &StartWorkloadRequest,
    tags: &Tags,
    wanted: Wanted,
) -> Result<Done, CliError> {
    let fleet = client.fleet().await?;
    let found = client.copies(&fleet, &request.name).await?;
    let version = digest::of(request).unwrap_or_default();
    let plan = plan(&copies(&found), version, wanted.total());
    if let (true, true, Some(first)) =
        (plan.start.is_empty(), plan.stop.is_empty(), found.here.first())
    {
        return Ok(Done::AlreadyRunning(first.clone()));
    }
    // What has ended goes from the lists when there is a new one.
    let mut old: Vec<WorkloadSummary> = found.finished;
    old.extend(found.here.iter().filter(|w| plan.stop.contains(&w.id)).cloned());
    if owns_ports(request) {
        stop_all(client, &old).await?;
    }
    let placed = start(client, &fleet, request, tags, plan.start).await?;
    if !owns_ports(request) {
        stop_all(client, &old).await?;
    }
    bury(client, &found.away).await?;
    Ok(Done::Changed { placed, n_stopped: old.len(), n_buried: found.away.len() })
}

/// Copies as the plan sees them: those that cannot be reached are of no version and on no node.
pub(super) fn copies(found: &Copies) -> Vec<Copy> {
    let describe = |w: &WorkloadSummary, is_here: bool| {
        let fact = |key: &str| match is_here {
            true => w.metadata.get(key).cloned().unwrap_or_default(),
            false => String::new(),
        };
        Copy {
            id: w.id.clone(),
            node: fact(fact::NODE_NAME),
            version: fact(fact::REQUEST_DIGEST),
            started: w.start_time.clone(),
        }
    };
    let here = found.here.iter().map(|w| describe(w, true));
    here.chain(found.away.iter().map(|w| describe(w, false))).collect()
}

/// Starts one copy after the other, so that each auction knows of the one before.
async fn start(
    client: &Client,
    fleet: &Fleet,
    request: &StartWorkloadRequest,
    tags: &Tags,
    places: Vec<Option<String>>,
) -> Result<Vec<Placed>, CliError> {
    let mut placed = Vec::new();
    for node in places {
        let node = node.filter(|node| !node.is_empty());
        placed.push(start_near(client, fleet, request, tags, node).await?);
    }
    Ok(placed)
}

/// On that node, or elsewhere when it takes no work.
async fn start_near(
    client: &Client,
    fleet: &Fleet,
    request: &StartWorkloadRequest,
    tags: &Tags,
    node: Option<String>,
) -> Result<Placed, CliError> {
    let Some(node) = node else { return deploy_in(client, fleet, request, tags).await };
    let mut there = tags.clone();
    there.insert("nex.node".to_owned(), node);
    match deploy_in(client, fleet, request, &there).await {
        Err(error) if error.kind == Kind::NoBidder => deploy_in(client, fleet, request, tags).await,
        placed => placed,
    }
}

/// Two services cannot listen on one port: the old one must go first.
fn owns_ports(request: &StartWorkloadRequest) -> bool {
    let run_request = serde_json::from_str::<serde_json::Value>(&request.run_request);
    let ports = run_request.ok().and_then(|r| r.get("expose_ports")?.as_array().map(Vec::len));
    ports.is_some_and(|n_ports| n_ports > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_with_ports_are_stopped_first() {
        let owns = |run_request: &str| {
            owns_ports(&StartWorkloadRequest {
                run_request: run_request.to_owned(),
                ..StartWorkloadRequest::default()
            })
        };
        assert!(owns(r#"{"expose_ports":[80]}"#));
        assert!(!owns(r#"{"expose_ports":[]}"#) && !owns("{}") && !owns("nonsense"));
    }
}
