//! What the doctor asks NATS: who answers, what one may do there, JetStream, clocks, nodes.
//!
//! Owns: these checks. Never: leaves anything on the server.

use std::time::Duration;

use nex_api::Time;
use nex_bus::managed::{MINIMUM_VERSION, is_new_enough};
use nex_bus::{ROUND_TRIP_BOUND, round_trip, streams};
use nex_client::{Client, Error};
use nex_types::Tags;

use super::Finding;
use crate::args::Globals;
use crate::connection::Chosen;
use crate::managed;

/// Ages and schedules are read off both clocks.
const CLOCKS_APART: Duration = Duration::from_secs(2);

pub(super) async fn findings(globals: &Globals) -> Vec<Finding> {
    let chosen = match globals.chosen() {
        Ok(chosen) => chosen,
        Err(error) => return vec![error.into()],
    };
    let place = format!("{} ({})", chosen.settings.servers_text(), chosen.from);
    let client = match globals.client().await {
        Ok(client) => client,
        Err(error) => {
            let named = format!("named by: {}", chosen.from);
            let failed = Finding::from(error);
            return vec![Finding::note("server", named), failed];
        }
    };
    let mut findings = vec![version(&client, &place), identity(globals, &client, &chosen)];
    findings.push(inbox(&client).await);
    findings.push(control(&client).await);
    findings.extend(jetstream(&client, &chosen.domain).await);
    findings.push(nodes(&client).await);
    findings
}

fn version(client: &Client, place: &str) -> Finding {
    let version = client.nats().server_info().version;
    let shown = format!("{version} at {place}");
    let (major, minor) = MINIMUM_VERSION;
    match is_new_enough(&version) {
        true => Finding::ok("NATS", shown),
        false => Finding::bad("NATS", format!("{shown} is older than {major}.{minor}"))
            .advice("update the server: https://github.com/nats-io/nats-server/releases"),
    }
}

/// Who gets to the control plane, and what holds functions back. Without authentication, the network is
/// the only wall around the nodes.
fn identity(globals: &Globals, client: &Client, chosen: &Chosen) -> Finding {
    if managed::is_control(&globals.managed_dir(), &chosen.settings) {
        let found = "programs without credentials do not reach the control plane";
        return Finding::ok("identity", found);
    }
    match client.nats().server_info().auth_required {
        true => Finding::ok("identity", chosen.identity())
            .advice("unless the node has an issuer, the deny list is the only wall of functions"),
        false => Finding::note("identity", "the server asks for none: whoever reaches it controls its nodes")
            .advice("keep it on loopback, or give it accounts, and the node --nats-creds and --issuer-signing-key"),
    }
}

async fn inbox(client: &Client) -> Finding {
    match round_trip(client.nats(), ROUND_TRIP_BOUND).await {
        true => Finding::ok("inbox", "replies arrive"),
        false => Finding::bad("inbox", "no message to one's own inbox arrives")
            .advice("allow publish and subscribe on _INBOX.> for these credentials"),
    }
}

/// Nodes answer at once, and the server says at once when there is none: silence is a denied subject.
async fn control(client: &Client) -> Finding {
    let subject = format!("$NEX.SVC.{}.control.>", client.namespace());
    match client.probe().await {
        Ok(()) | Err(Error::NoResponders | Error::Refused(_)) => {
            Finding::ok("control", format!("may publish to {subject}"))
        }
        Err(_) => Finding::bad("control", format!("no answer on {subject}"))
            .advice(format!("allow publish on {subject} for these credentials")),
    }
}

async fn jetstream(client: &Client, domain: &str) -> Vec<Finding> {
    let of = if domain.is_empty() { String::new() } else { format!(" in domain {domain}") };
    if !streams::has_jetstream(client.nats()).await {
        let found = format!("not there{of}: only small files can be deployed");
        return vec![Finding::bad("JetStream", found).advice("start nats-server with -js")];
    }
    let mut findings = vec![Finding::ok("JetStream", format!("there{of}"))];
    findings.extend(clock(client).await);
    findings
}

/// The server tells its time only beside a stream; without one there is nothing to compare.
async fn clock(client: &Client) -> Option<Finding> {
    let asked = Time::now();
    let server = Time::parse(&streams::server_time(client.nats()).await?)?;
    let now = Time::now();
    // Only what the way there and back does not explain.
    let apart = asked.since(server).max(server.since(now));
    Some(match apart > CLOCKS_APART {
        true => Finding::bad("clock", format!("{} s apart from the server's", apart.as_secs()))
            .advice("let a time service set both clocks, for example: timedatectl set-ntp true"),
        false => Finding::ok("clock", "as the server's"),
    })
}

async fn nodes(client: &Client) -> Finding {
    let nodes = client.nodes(&Tags::new()).await.unwrap_or_default();
    if nodes.is_empty() {
        return Finding::bad("nodes", "none answers").advice("start one with: nex up");
    }
    let mut sick = Vec::new();
    for node in &nodes {
        let Ok(info) = client.node_info(&node.node_id).await else { continue };
        let unhealthy = info.node_agent_summaries.iter().filter(|a| a.agent_health != "healthy");
        sick.extend(unhealthy.map(|a| format!("{} is {}", a.agent_summary.name, a.agent_health)));
    }
    match sick.is_empty() {
        true => Finding::ok("nodes", format!("{} with healthy nexlets", nodes.len())),
        false => Finding::bad("nodes", sick.join(", ")).advice("look closer with: nex info NODE"),
    }
}
