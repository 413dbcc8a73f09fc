//! From what a person typed to what is meant: names, ids and unique prefixes of ids.
//!
//! Owns: the rules of addresses (spec: CLI, "A workload's address"). Never: acts on what it found.

use std::time::Duration;

use nex_api::node::NodePingResponse;
use nex_api::workload::WorkloadSummary;
use nex_client::Client;
use nex_types::Namespace;

use crate::error::{CliError, Kind};

/// A hint is not worth a wait.
pub(crate) const ELSEWHERE_BOUND: Duration = Duration::from_millis(300);

/// The workloads that `address` means: all copies of a name, or one by id or unique prefix.
pub(crate) async fn workloads(
    client: &Client,
    address: &str,
) -> Result<Vec<WorkloadSummary>, CliError> {
    let is_nothing = |error: &CliError| error.message.is_empty();
    match choose(address, client.workloads(&[]).await?) {
        Err(error) if is_nothing(&error) => {}
        found => return found,
    }
    // Before it is said that something is not there, the nodes are asked.
    let live = client.workloads_live(&[]).await?;
    let names: Vec<String> = live.iter().map(|w| w.name.clone()).collect();
    match choose(address, live) {
        Err(error) if is_nothing(&error) => Err(not_found(client, address, &names).await),
        found => found,
    }
}

/// The node that `address` means: its id, a unique prefix of it, or its name.
pub(crate) fn node<'a>(
    nodes: &'a [NodePingResponse],
    address: &str,
) -> Option<&'a NodePingResponse> {
    let has_name =
        |node: &&NodePingResponse| node.tags.get("nex.node").is_some_and(|n| n == address);
    let exact =
        nodes.iter().find(|node| node.node_id == address).or_else(|| nodes.iter().find(has_name));
    let mut by_prefix = nodes.iter().filter(|node| node.node_id.starts_with(address));
    exact.or_else(|| by_prefix.next().filter(|_| by_prefix.next().is_none()))
}

/// Likewise; without it, an error that names the nearest one.
pub(crate) fn existing_node<'a>(
    nodes: &'a [NodePingResponse],
    address: &str,
) -> Result<&'a NodePingResponse, CliError> {
    node(nodes, address).ok_or_else(|| node_not_found(nodes, address))
}

/// That there is no such node.
pub(crate) fn node_not_found(nodes: &[NodePingResponse], address: &str) -> CliError {
    let names = nodes.iter().filter_map(|node| node.tags.get("nex.node")).map(String::as_str);
    CliError::unknown(&format!("node not found: {address}"), address, names)
        .hint("see which are there: nex nodes")
}

fn choose(address: &str, all: Vec<WorkloadSummary>) -> Result<Vec<WorkloadSummary>, CliError> {
    let is_exact = |w: &WorkloadSummary| w.id == address || w.name == address;
    if all.iter().any(is_exact) {
        return Ok(all.into_iter().filter(is_exact).collect());
    }
    let by_prefix: Vec<WorkloadSummary> =
        all.into_iter().filter(|w| !address.is_empty() && w.id.starts_with(address)).collect();
    match by_prefix.len() {
        0 => Err(CliError::new(Kind::NotFound, "")),
        1 => Ok(by_prefix),
        n => Err(ambiguous(address, n)),
    }
}

/// It is the beginning of several ids, and stands for none of them.
pub(crate) fn ambiguous(address: &str, n_ids: usize) -> CliError {
    CliError::new(Kind::NotFound, format!("{address} is the beginning of {n_ids} ids"))
        .hint("type more of it; see: nex ls")
}

/// That there is no such workload, with the nearest of the `names` that there are, and the namespace in
/// which there is one of that name or id.
pub(crate) async fn not_found(client: &Client, address: &str, names: &[String]) -> CliError {
    let message = format!("no workload {address} in namespace {}", client.namespace());
    let hint = match elsewhere(client, address).await {
        Some(namespace) => {
            format!("it is in namespace {namespace}: add -n {namespace}   or see: nex ls -A")
        }
        None => "see what runs: nex ls   in all namespaces: nex ls -A".to_owned(),
    };
    CliError::unknown(&message, address, names.iter().map(String::as_str)).hint(hint)
}

/// Another namespace that has it, as far as one may see them.
async fn elsewhere(client: &Client, address: &str) -> Option<Namespace> {
    if client.is_system() {
        return None;
    }
    let everything = Client::new(client.nats().clone(), Namespace::parse(Namespace::SYSTEM).ok()?);
    let seen = tokio::time::timeout(ELSEWHERE_BOUND, everything.known_workloads()).await.ok()?;
    let is_meant = |w: &&WorkloadSummary| w.name == address || w.id == address;
    let found = seen.iter().find(is_meant)?;
    Namespace::parse(&found.namespace).ok().filter(|namespace| namespace != client.namespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(id: &str, name: &str) -> WorkloadSummary {
        WorkloadSummary { id: id.to_owned(), name: name.to_owned(), ..Default::default() }
    }

    #[test]
    fn names_mean_all_copies_and_prefixes_must_be_unique() {
        let all = || vec![workload("abc", "echo"), workload("abd", "echo"), workload("xyz", "ab")];
        let ids = |address: &str| {
            choose(address, all()).map(|w| w.into_iter().map(|w| w.id).collect::<Vec<_>>())
        };
        assert_eq!(ids("echo").unwrap(), ["abc", "abd"]);
        assert_eq!(ids("abc").unwrap(), ["abc"]);
        assert_eq!(ids("x").unwrap(), ["xyz"]);
        assert_eq!(ids("ab").unwrap(), ["xyz"], "a name wins over prefixes");
        assert!(ids("a").unwrap_err().message.contains("2 ids"));
        assert!(ids("").is_err() && ids("nope").is_err());
    }
}
