//! Which lines are wanted.
//!
//! Owns: the filters, and which run is the previous one. Never: reads more than it must, or prints.

use nex_client::{Begin, Client, LogRecord};
use nex_types::Tags;

use super::show::Names;
use super::{Level, LogsArgs, not_found, nothing_kept};
use crate::error::{CliError, Kind};
use crate::{find, ui};

#[derive(Debug)]
pub(super) struct Selection {
    target: Option<String>,
    level: Option<Level>,
    grep: Option<String>,
    /// The beginning of a node's id.
    node: Option<String>,
    /// Only this workload.
    id: Option<String>,
    namespace: String,
}

impl Selection {
    pub(super) async fn new(
        client: &Client,
        args: &LogsArgs,
        names: &Names,
    ) -> Result<Self, CliError> {
        let node = match &args.node {
            Some(address) => Some(node_id(client, address).await),
            None => None,
        };
        if let Some(target) = &args.target {
            ambiguous(target, names)?;
        }
        Ok(Self {
            target: args.target.clone(),
            level: args.level,
            grep: args.grep.clone(),
            node,
            id: None,
            namespace: client.namespace().to_string(),
        })
    }

    pub(super) fn wants(&self, record: &LogRecord, names: &Names) -> bool {
        let has_node =
            |node: &String| names.node_of(record).is_some_and(|id| id.starts_with(node.as_str()));
        self.is_of_target(record, names)
            && self.id.as_ref().is_none_or(|id| *id == record.workload_id)
            && self.level.is_none_or(|level| Level::of(&record.level) >= level)
            && self.node.as_ref().is_none_or(has_node)
            && self
                .grep
                .as_ref()
                .is_none_or(|text| String::from_utf8_lossy(&record.bytes).contains(text.as_str()))
    }

    fn is_of_target(&self, record: &LogRecord, names: &Names) -> bool {
        let Some(target) = &self.target else { return true };
        names.name_of(record) == target || record.workload_id.starts_with(target.as_str())
    }

    /// Of the workloads of that name that run no more, the one that wrote last.
    pub(super) async fn choose_previous(
        &mut self,
        client: &Client,
        names: &Names,
    ) -> Result<(), CliError> {
        let mut history = client.logs(Begin::Oldest, false).await?;
        if let Some(why) = history.missing().filter(|_| !history.is_kept()) {
            return Err(nothing_kept("logs", why));
        }
        let mut newest = None;
        while let Some(record) = history.past().await {
            if self.is_of_target(&record, names) && !names.runs(&record.workload_id) {
                newest = Some(record.workload_id);
            }
        }
        let target = self.target.as_deref().unwrap_or_default();
        let Some(id) = newest else {
            let message = format!("no lines of an earlier run of {target} are kept");
            return Err(CliError::new(Kind::NotFound, message)
                .hint(format!("see what is there of it: nex logs {target}")));
        };
        ui::note(format_args!("the previous run is {id}"));
        self.id = Some(id);
        Ok(())
    }

    /// Nothing was shown: an error when there is no such workload.
    pub(super) fn explain_nothing(&self, names: &Names) -> Result<(), CliError> {
        self.refuse_unknown(names)?;
        ui::note("no such lines");
        Ok(())
    }

    /// An error when what was asked for neither runs nor has lines, which were looked for.
    pub(super) fn refuse_unknown(&self, names: &Names) -> Result<(), CliError> {
        let has_filters = self.level.is_some() || self.grep.is_some() || self.node.is_some();
        match &self.target {
            Some(target) if !has_filters && !names.has(target) => {
                Err(not_found(target, &self.namespace, names))
            }
            _ => Ok(()),
        }
    }
}

/// A node's id by its name; what is no node's name may be the id of one that is gone.
async fn node_id(client: &Client, address: &str) -> String {
    let nodes = client.nodes(&Tags::new()).await.unwrap_or_else(|error| {
        ui::note(format_args!("the nodes cannot be listed, {address} is taken for an id: {error}"));
        Vec::new()
    });
    find::node(&nodes, address).map_or_else(|| address.to_owned(), |node| node.node_id.clone())
}

/// The beginning of several ids stands for none of them, as everywhere.
fn ambiguous(target: &str, names: &Names) -> Result<(), CliError> {
    match names.n_beginning_with(target) {
        n if n > 1 => Err(find::ambiguous(target, n)),
        _ => Ok(()),
    }
}
