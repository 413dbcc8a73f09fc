//! `nex lameduck NODE`: a node takes no more work, and ends after a delay.
//!
//! Owns: the request and what is said of it. Never: waits for the end; `nex events` shows it.

use std::time::Duration;

use clap::Args;
use nex_client::Error;
use nex_types::{Tags, parse_go};

use super::served::parse_tags;
use crate::args::Globals;
use crate::error::{CliError, Kind};
use crate::{complete, find, ui};

/// Send a node into lame duck mode: it takes no more work, and ends after a delay
///
/// From now on the node bids for nothing, and its tag nex.lameduck is "true". At nine tenths of the delay its
/// workloads are told to stop; functions finish the calls that they have, services have their grace. At the
/// end the node goes, and the `nex up` behind it ends with status 0. There is no way back; a second request
/// can only bring the end nearer.
///
///   nex lameduck swift-otter                       with the usual minute
///   nex lameduck swift-otter --delay 10m           time to start copies elsewhere: nex clone ID
///   nex lameduck NB4X --tag region=lab             only if that is one of its tags
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LameduckArgs {
    /// Id, unique prefix of it, or name
    #[arg(add = complete::nodes())]
    node: String,
    /// How long until the node ends, for instance 30s, 5m or 1h
    #[arg(long, default_value = "1m", value_parser = delay)]
    delay: Duration,
    /// Only if the node has this tag; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ';')]
    tag: Vec<String>,
}

fn delay(text: &str) -> Result<Duration, String> {
    parse_go(text).map_err(|_| "say it like 30s, 5m or 1h30m".to_owned())
}

pub(crate) async fn run(globals: Globals, args: LameduckArgs) -> Result<(), CliError> {
    let guard = parse_tags(&args.tag)?;
    let client = globals.client().await?;
    let nodes = client.nodes(&Tags::new()).await?;
    let node = find::existing_node(&nodes, &args.node)?;
    let told = client.lameduck(&node.node_id, args.delay, &guard).await;
    let response = told.map_err(|error| match error {
        Error::NoResponders => find::node_not_found(&[], &args.node),
        Error::TimedOut if !guard.is_empty() => {
            CliError::new(Kind::TimedOut, format!("{} did not answer: its tags differ", args.node))
                .hint(format!("see its tags: nex info {}", args.node))
        }
        other => other.into(),
    })?;
    if globals.json {
        ui::json(&response);
    }
    if !response.success {
        return Err(CliError::other("Node failed to enter lame duck mode"));
    }
    if !globals.json {
        let now = jiff::Zoned::now();
        let end = now.checked_add(args.delay).unwrap_or(now);
        ui::line(format_args!(
            "Node successfully commanded into lame duck mode. Workloads will being shutting down at {}",
            end.strftime("%Y-%m-%dT%H:%M:%S%:z")
        ));
        ui::note(format_args!("the node says: {}", ui::harmless(&response.message)));
    }
    Ok(())
}
