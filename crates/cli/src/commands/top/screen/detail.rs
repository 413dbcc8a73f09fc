//! One workload: facts, events, the last lines; and its log on the whole screen.
//!
//! Owns: who of the three gets how many lines. Never: shows more than the end of a log.

use ratatui::text::{Line, Span};

use super::View;
use super::text::{clean, cut, left, wrap};
use crate::commands::info;
use crate::commands::top::detail as kept;
use crate::commands::top::detail::Detail;

/// Columns of the names of facts.
const KEY: usize = 16;
/// Events that are shown at most, beside the lines.
const EVENTS: usize = 5;

/// Facts above, then events, then as many of the last lines as there is room for.
pub(super) fn page(view: &View<'_>, columns: usize, n_lines: usize) -> Vec<Line<'static>> {
    let Some(detail) = &view.state.detail else { return Vec::new() };
    let mut lines = vec![title(view, detail, columns)];
    let facts = facts(view, detail, columns);
    // Events and lines keep two fifths of the page, whatever there is to tell above them.
    lines.extend(facts.into_iter().take((n_lines * 3 / 5).saturating_sub(1)));
    let n_left = n_lines.saturating_sub(lines.len());
    let n_events = detail.events.len().clamp(1, EVENTS).min((n_left / 2).saturating_sub(1));
    lines.push(Line::from("EVENTS").style(view.theme.heading()));
    lines.extend(events(view, detail, columns, n_events));
    lines.push(Line::from("LOG").style(view.theme.heading()));
    let n_left = n_lines.saturating_sub(lines.len());
    lines.extend(tail(view, detail, columns, n_left, Lengths::Cut));
    lines.truncate(n_lines);
    lines
}

/// The log alone.
pub(super) fn logs(view: &View<'_>, columns: usize, n_lines: usize) -> Vec<Line<'static>> {
    let Some(detail) = &view.state.detail else { return Vec::new() };
    let mut lines = vec![title(view, detail, columns)];
    lines.extend(tail(view, detail, columns, n_lines.saturating_sub(1), Lengths::Wrapped));
    lines
}

fn title(view: &View<'_>, detail: &Detail, columns: usize) -> Line<'static> {
    let workload = &detail.workload;
    let name = clean(&workload.name);
    let state = match detail.is_gone {
        true => "gone".to_owned(),
        false => workload.workload_state.as_str().to_owned(),
    };
    let below = match detail.scroll {
        0 => String::new(),
        n => format!(" · {n} newer lines below"),
    };
    let text = format!("{name} · {} · {state}{below}", clean(&workload.id));
    Line::from(left(&text, columns)).style(view.theme.heading())
}

/// As `nex info` tells them.
fn facts(view: &View<'_>, detail: &Detail, columns: usize) -> Vec<Line<'static>> {
    let told = info::facts(&detail.workload, false);
    let told = told.into_iter().filter(|(key, value)| *key != "id" && !value.is_empty());
    told.map(|(key, value)| {
        let value = cut(&clean(&value), columns.saturating_sub(KEY + 1));
        let key = Span::styled(left(&clean(key), KEY), view.theme.dim());
        Line::from(vec![key, Span::raw(format!(" {value}"))])
    })
    .collect()
}

fn events(view: &View<'_>, detail: &Detail, columns: usize, n: usize) -> Vec<Line<'static>> {
    if detail.events.is_empty() {
        let text = match &detail.no_events {
            Some(why) => format!("no events are kept ({}); what comes is shown", clean(why)),
            None => "none yet".to_owned(),
        };
        return vec![Line::from(cut(&text, columns)).style(view.theme.dim())];
    }
    let newest = detail.events.iter().skip(detail.events.len().saturating_sub(n));
    newest
        .map(|event| {
            let text = format!("{} {:<18} {}", event.time, event.kind, event.text);
            Line::from(cut(&text, columns))
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Lengths {
    Cut,
    Wrapped,
}

/// The last lines above those that are scrolled away, in so many lines of the screen.
fn tail(
    view: &View<'_>,
    detail: &Detail,
    columns: usize,
    n: usize,
    lengths: Lengths,
) -> Vec<Line<'static>> {
    if detail.lines.is_empty() {
        let text = match &detail.no_lines {
            Some(why) => format!("no lines are kept ({}); what comes is shown", clean(why)),
            None => "no lines yet".to_owned(),
        };
        return vec![Line::from(cut(&text, columns)).style(view.theme.dim())];
    }
    let mut lines = Vec::new();
    for line in detail.lines.iter().rev().skip(detail.scroll) {
        if lines.len() >= n {
            break;
        }
        let text = worded(line);
        let pieces = match lengths {
            Lengths::Cut => vec![cut(&text, columns)],
            Lengths::Wrapped => wrap(&text, columns),
        };
        let style = view.theme.level(&line.level);
        lines.extend(pieces.into_iter().rev().map(|piece| Line::from(piece).style(style)));
    }
    lines.truncate(n);
    lines.reverse();
    lines
}

fn worded(line: &kept::Line) -> String {
    match line.level.as_str() {
        "info" => format!("{} {}", line.time, line.text),
        level => format!("{} {level} {}", line.time, line.text),
    }
}
