//! The nodes: a line each, or fewer when there are few lines.
//!
//! Owns: how many lines they get. Never: shows a count that some of the nodes do not tell.

use std::collections::{BTreeMap, HashMap};

use nex_api::node::{NodePingResponse, NodeState};
use nex_api::workload::fact;
use ratatui::text::{Line, Span};

use super::View;
use super::text::{UNKNOWN, age, clean, left, right};
use crate::commands::top::state::{Seen, State, name_of};

/// The nodes may take one line of so many.
const SHARE: usize = 3;
/// On pages of fewer lines all of them share one.
const ROOMY: usize = 12;
/// Columns of state, version, uptime, workloads, nexlets, with a gap before each.
const NUMBERS: usize = 1 + 8 + 1 + 9 + 1 + 6 + 1 + 9 + 1 + 7;
const LONGEST_NAME: usize = 40;

/// How many lines of a page the nodes take.
pub(super) fn n_lines(state: &State, n_page: usize) -> usize {
    let n_nodes = state.seen.as_ref().map_or(0, |seen| seen.nodes.len());
    match n_page {
        _ if n_nodes == 0 => 1,
        0..ROOMY => 1,
        _ => (n_nodes + 1).min(n_page / SHARE),
    }
}

/// The nodes in so many lines.
pub(super) fn block(view: &View<'_>, columns: usize, n_lines: usize) -> Vec<Line<'static>> {
    let Some(seen) = &view.state.seen else {
        return vec![Line::from(left("looking for nodes …", columns)).style(view.theme.dim())];
    };
    if seen.nodes.is_empty() {
        let text = "no node is there; start one with: nex up";
        return vec![Line::from(left(text, columns)).style(view.theme.bold())];
    }
    let fits = seen.nodes.len() < n_lines;
    if !fits && n_lines < 3 {
        return vec![summary(view, seen, columns)];
    }
    let counts = counts(seen);
    let n_names = columns.saturating_sub(NUMBERS).min(LONGEST_NAME);
    let mut lines = vec![heading(view, n_names)];
    let n_shown = if fits { seen.nodes.len() } else { n_lines - 2 };
    lines.extend(seen.nodes.iter().take(n_shown).map(|node| {
        let n_workloads = counts
            .as_ref()
            .map(|counts| counts.get(node.node_id.as_str()).copied().unwrap_or_default());
        row(view, node, n_workloads, n_names)
    }));
    if n_shown < seen.nodes.len() {
        let rest = seen.nodes.get(n_shown..).unwrap_or_default();
        let text = format!("… and {} more: {}", rest.len(), by_state(rest));
        lines.push(Line::from(left(&text, columns)).style(view.theme.dim()));
    }
    lines
}

fn heading(view: &View<'_>, n_names: usize) -> Line<'static> {
    let text = format!(
        "{} {} {} {} {} {}",
        left("NODE", n_names),
        left("STATE", 8),
        left("VERSION", 9),
        right("UPTIME", 6),
        right("WORKLOADS", 9),
        right("NEXLETS", 7)
    );
    Line::from(text).style(view.theme.heading())
}

fn row(
    view: &View<'_>,
    node: &NodePingResponse,
    n_workloads: Option<usize>,
    n_names: usize,
) -> Line<'static> {
    let is_known = node.state != NodeState::Unknown;
    let uptime =
        (is_known && !node.start_time.is_zero()).then(|| age(view.at.time.since(node.start_time)));
    let shown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let state = node.state.as_str();
    Line::from(vec![
        Span::raw(left(&clean(&name_of(node)), n_names)),
        Span::styled(format!(" {}", left(state, 8)), view.theme.state(state)),
        Span::raw(format!(
            " {} {} {} {}",
            left(&clean(&node.version), 9),
            right(&shown(uptime), 6),
            right(&shown(n_workloads.map(|n| n.to_string())), 9),
            right(&shown(is_known.then(|| node.agent_count.to_string())), 7)
        )),
    ])
}

fn summary(view: &View<'_>, seen: &Seen, columns: usize) -> Line<'static> {
    let text = format!("nodes: {}", by_state(&seen.nodes));
    Line::from(left(&text, columns)).style(view.theme.bold())
}

fn by_state(nodes: &[NodePingResponse]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        *counts.entry(node.state.as_str()).or_default() += 1;
    }
    let texts: Vec<String> = counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
    texts.join(", ")
}

/// How many of the listed workloads are on which node; none when some do not tell theirs.
fn counts(seen: &Seen) -> Option<HashMap<&str, usize>> {
    let mut counts = HashMap::new();
    for workload in &seen.workloads {
        let node = workload.metadata.get(fact::NODE_ID)?;
        *counts.entry(node.as_str()).or_default() += 1;
    }
    Some(counts)
}
