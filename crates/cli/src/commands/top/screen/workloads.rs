//! The table of workloads.
//!
//! Owns: which columns fit, and which rows. Never: sorts them; `order` has.

use ratatui::text::{Line, Span};

use super::View;
use super::text::{
    UNKNOWN, age, bytes, clean, count, known, left, percent, percentile, rate, right,
};
use crate::commands::top::order::Key;
use crate::commands::top::state::{Row, State};

/// A column of the table.
struct Column {
    key: Key,
    title: &'static str,
    /// Where there is little room.
    narrow: usize,
    wide: usize,
    /// The greatest goes first when not even that is there.
    rank: u8,
}

const fn column(key: Key, title: &'static str, narrow: usize, wide: usize, rank: u8) -> Column {
    Column { key, title, narrow, wide, rank }
}

const COLUMNS: [Column; 11] = [
    column(Key::Name, "NAME", 11, 24, 0),
    column(Key::Type, "TYPE", 10, 10, 6),
    column(Key::Node, "NODE", 8, 16, 5),
    column(Key::State, "STATE", 8, 8, 1),
    column(Key::Calls, "CALLS/S", 7, 8, 2),
    column(Key::P99, "P99", 5, 7, 4),
    column(Key::Errors, "ERR/S", 5, 6, 3),
    column(Key::Cpu, "CPU%", 4, 6, 7),
    column(Key::Memory, "MEM", 5, 7, 8),
    column(Key::Restarts, "RST", 3, 5, 10),
    column(Key::Uptime, "UP", 4, 5, 9),
];

/// The table in so many lines, its heading among them.
pub(super) fn table(view: &View<'_>, columns: usize, n_lines: usize) -> Vec<Line<'static>> {
    let state = view.state;
    if state.rows.is_empty() {
        return nothing(state).map(|text| Line::from(left(&text, columns))).into_iter().collect();
    }
    let chosen = choose(columns, state.setting.is_system);
    let n_rows = n_lines.saturating_sub(1);
    let first = first_row(state.position(), state.rows.len(), n_rows);
    let mut lines = vec![heading(view, &chosen, columns)];
    let shown = state.rows.iter().skip(first).take(n_rows);
    lines.extend(shown.map(|row| line(view, &chosen, row, columns)));
    lines
}

/// Why there is no row.
fn nothing(state: &State) -> Option<String> {
    let seen = state.seen.as_ref()?;
    Some(match (seen.workloads.is_empty(), state.setting.is_system) {
        (false, _) => format!("no workload has \"{}\"; Esc clears the filter", state.filter),
        (true, true) => "nothing runs; deploy something with: nex run FILE".to_owned(),
        (true, false) => format!(
            "nothing runs in namespace {}; nex run FILE deploys, nex top -A shows all",
            state.setting.namespace
        ),
    })
}

/// The selected row stands in the middle, where the list is long enough on both sides.
fn first_row(selected: usize, n_all: usize, n_shown: usize) -> usize {
    selected.saturating_sub(n_shown / 2).min(n_all.saturating_sub(n_shown))
}

/// Columns and their widths: as many as fit narrow, then as wide as there is room, the name last. With
/// their namespaces, names take twice as much, and the type goes first.
fn choose(columns: usize, with_namespace: bool) -> Vec<(&'static Column, usize)> {
    let rank = |column: &Column| match column.key {
        Key::Type if with_namespace => u8::MAX,
        _ => column.rank,
    };
    let narrow = |column: &Column| match column.key {
        Key::Name if with_namespace => column.narrow * 2,
        _ => column.narrow,
    };
    let mut chosen: Vec<(&Column, usize)> = COLUMNS.iter().map(|c| (c, narrow(c))).collect();
    while total(&chosen) > columns && chosen.len() > 1 {
        let last = chosen.iter().map(|(column, _)| rank(column)).max().unwrap_or_default();
        chosen.retain(|(column, _)| rank(column) != last);
    }
    let mut room = columns.saturating_sub(total(&chosen));
    for (column, width) in chosen.iter_mut().rev() {
        let more = column.wide.saturating_sub(*width).min(room);
        *width += more;
        room -= more;
    }
    if let Some((_, width)) = chosen.first_mut() {
        *width += room;
    }
    chosen
}

fn total(chosen: &[(&Column, usize)]) -> usize {
    chosen.iter().map(|(_, width)| width + 1).sum::<usize>().saturating_sub(1)
}

fn heading(view: &View<'_>, chosen: &[(&Column, usize)], columns: usize) -> Line<'static> {
    let order = view.state.order;
    let arrow = if order.is_descending() { "▼" } else { "▲" };
    let mut text = String::new();
    for (column, width) in chosen {
        let arrow = if order.key == column.key { arrow } else { "" };
        // The arrow of a number stands in the gap before it, since titles fill their columns.
        let gap = if text.is_empty() { 0 } else { 1 };
        text += &match column.key.is_text() {
            true => " ".repeat(gap) + &left(&format!("{}{arrow}", column.title), *width),
            false => right(&format!("{arrow}{}", column.title), *width + gap),
        };
    }
    Line::from(left(&text, columns)).style(view.theme.heading())
}

fn place(column: &Column, text: &str, width: usize) -> String {
    if column.key.is_text() { left(text, width) } else { right(text, width) }
}

fn line(view: &View<'_>, chosen: &[(&Column, usize)], row: &Row, columns: usize) -> Line<'static> {
    let is_selected = Some(&row.workload.id) == view.state.selected.as_ref();
    let mut spans = Vec::new();
    for (column, width) in chosen {
        if !spans.is_empty() {
            spans.push(Span::raw(" "));
        }
        let text = place(column, &cell(view.state, column.key, row), *width);
        let style = match column.key {
            Key::State => view.theme.state(row.workload.workload_state.as_str()),
            _ => view.theme.plain(),
        };
        spans.push(Span::styled(text, style));
    }
    let line = Line::from(spans);
    let blanks = columns.saturating_sub(line.width());
    let line = line.spans.into_iter().chain([Span::raw(" ".repeat(blanks))]);
    let line = Line::from(line.collect::<Vec<_>>());
    match (is_selected, view.state.lost.is_some()) {
        (true, _) => line.style(view.theme.selected()),
        (false, true) => line.style(view.theme.dim()),
        (false, false) => line,
    }
}

fn cell(state: &State, key: Key, row: &Row) -> String {
    let (workload, figures) = (&row.workload, &row.figures);
    match key {
        Key::Name if state.setting.is_system && !workload.namespace.is_empty() => {
            clean(&format!("{}/{}", workload.namespace, workload.name))
        }
        Key::Name => clean(&workload.name),
        Key::Type => clean(&workload.workload_type),
        Key::Node if row.node.is_empty() => UNKNOWN.to_owned(),
        Key::Node => clean(&row.node),
        Key::State => workload.workload_state.as_str().to_owned(),
        Key::Calls => known(figures.calls, rate),
        Key::P99 => known(figures.p99, percentile),
        Key::Errors => known(figures.errors, rate),
        Key::Cpu => known(figures.cpu_percent, percent),
        Key::Memory => known(figures.memory, bytes),
        Key::Restarts => known(figures.restarts, count),
        Key::Uptime => known(figures.uptime, age),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_fits_in_eighty() {
        let chosen = choose(80, false);
        assert_eq!((chosen.len(), total(&chosen)), (COLUMNS.len(), 80));
        assert_eq!(total(&choose(120, false)), 120);
        let with_namespaces = choose(80, true);
        assert_eq!((with_namespaces.len(), total(&with_namespaces)), (COLUMNS.len() - 1, 80));
        let few: Vec<&str> = choose(40, false).iter().map(|(column, _)| column.title).collect();
        assert_eq!(few, ["NAME", "STATE", "CALLS/S", "P99", "ERR/S"]);
        assert_eq!(choose(5, false).len(), 1);
    }

    #[test]
    fn the_selected_row_is_always_among_those_shown() {
        for n_all in 0..30_usize {
            for selected in 0..n_all {
                let first = first_row(selected, n_all, 7);
                assert!((first..first + 7).contains(&selected), "{selected} of {n_all}");
                assert!(first == 0 || first + 7 <= n_all, "no line is wasted");
            }
        }
    }
}
