//! What stands around every page: header, banner, footer; and the few words for a small terminal.
//!
//! Owns: these lines. Never: shows a page.

use std::collections::BTreeMap;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::View;
use super::text::{clean, cut, elapsed, fold, known, left, width};
use crate::commands::top::state::{Overlay, Page, State};

/// What keys do, as far as there is room for it.
const IN_LIST: [&str; 10] = [
    "q quit",
    "↑↓ move",
    "⏎ open",
    "/ filter",
    "s sort",
    "x stop",
    "c clone",
    "l logs",
    "? help",
    "r reverse",
];
const IN_DETAIL: [&str; 6] = ["Esc back", "l logs", "x stop", "c clone", "? help", "q quit"];
const IN_LOGS: [&str; 5] = ["Esc back", "↑↓ PgUp PgDn move", "End newest", "? help", "q quit"];

pub(super) fn header(view: &View<'_>, columns: usize) -> Vec<Line<'static>> {
    let View { state, theme, .. } = view;
    let setting = &state.setting;
    let whose = match setting.is_system {
        true => "all namespaces".to_owned(),
        false => setting.namespace.clone(),
    };
    let first = format!("nex top · {whose} · {} · {}", nodes(state), workloads(state));
    let round_trip = state.seen.as_ref().and_then(|seen| seen.round_trip);
    let second = format!(
        "NATS {} · round trip {} · every {}",
        clean(&setting.server),
        known(round_trip.filter(|_| state.lost.is_none()), elapsed),
        elapsed(setting.interval)
    );
    let second = match state.filter.is_empty() {
        true => second,
        false => format!("{second} · filter \"{}\"", state.filter),
    };
    vec![
        Line::from(left(&first, columns)).style(theme.bold()),
        Line::from(left(&second, columns)).style(theme.dim()),
    ]
}

fn nodes(state: &State) -> String {
    match state.seen.as_ref().map(|seen| seen.nodes.len()) {
        None => "nodes –".to_owned(),
        Some(1) => "1 node".to_owned(),
        Some(n) => format!("{n} nodes"),
    }
}

/// How many there are in which state, the most frequent first.
fn workloads(state: &State) -> String {
    let Some(seen) = &state.seen else { return "workloads –".to_owned() };
    let mut by_state: BTreeMap<&str, usize> = BTreeMap::new();
    for workload in &seen.workloads {
        *by_state.entry(workload.workload_state.as_str()).or_default() += 1;
    }
    let mut by_state: Vec<(&str, usize)> = by_state.into_iter().collect();
    by_state.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let states: Vec<String> = by_state.iter().map(|(state, n)| format!("{n} {state}")).collect();
    match seen.workloads.len() {
        0 => "no workloads".to_owned(),
        1 => format!("1 workload: {}", states.join(", ")),
        n => format!("{n} workloads: {}", states.join(", ")),
    }
}

/// While nothing can be seen; what stands below is old then.
pub(super) fn banner(view: &View<'_>, columns: usize) -> Option<Line<'static>> {
    let lost = view.state.lost.as_ref()?;
    let seconds = view.at.clock.saturating_sub(lost.since).as_secs();
    let text = format!(" NATS is lost for {seconds} s: {}; trying again", clean(&lost.why));
    Some(Line::from(left(&text, columns)).style(view.theme.alarm()))
}

pub(super) fn footer(view: &View<'_>, columns: usize) -> Line<'static> {
    let View { state, theme, .. } = view;
    if matches!(state.overlay, Some(Overlay::Filter)) {
        let text = format!("/{}▏  Enter keeps it · Esc clears it", state.filter);
        return Line::from(cut(&text, columns)).style(theme.bold());
    }
    if let Some(remark) = &state.remark {
        let style = if remark.is_failure { theme.failure() } else { theme.bold() };
        return Line::from(cut(&clean(&remark.text), columns)).style(style);
    }
    let keys: &[&str] = match state.page {
        Page::List => &IN_LIST,
        Page::Detail => &IN_DETAIL,
        Page::Logs => &IN_LOGS,
    };
    hints(view, keys, columns)
}

fn hints(view: &View<'_>, keys: &[&str], columns: usize) -> Line<'static> {
    let mut spans = Vec::new();
    let mut taken = 0;
    for hint in keys {
        let gap = if taken == 0 { "" } else { "  " };
        taken += width(gap) + width(hint);
        if taken > columns {
            break;
        }
        let (key, does) = hint.rsplit_once(' ').unwrap_or((hint, ""));
        spans.push(Span::raw(gap));
        spans.push(Span::styled(key.to_owned(), view.theme.bold()));
        spans.push(Span::styled(format!(" {does}"), view.theme.dim()));
    }
    Line::from(spans)
}

/// What can be said on a terminal where no table fits.
pub(super) fn too_small(view: &View<'_>, area: Rect) -> Vec<Line<'static>> {
    let state = view.state;
    let lost = state.lost.as_ref().map(|_| "NATS is lost".to_owned());
    let (least_columns, least_lines) = super::LEAST;
    let texts = [
        lost,
        Some(format!("{} · {}", nodes(state), workloads(state))),
        Some(format!("q quits · more at {least_columns}×{least_lines}")),
    ];
    let columns = usize::from(area.width);
    texts.into_iter().flatten().flat_map(|text| fold(&text, columns)).map(Line::from).collect()
}
