//! What lies above a page: the help, and a question.
//!
//! Owns: their words and their place. Never: takes the answer; `keys` does.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Widget};

use super::View;
use super::text::{clean, fold, width};
use crate::commands::top::state::{Action, Question};

const HELP: [&str; 16] = [
    "↑ ↓ j k          select a workload",
    "PgUp PgDn        a page up or down",
    "Home End g G     the first, the last",
    "Enter            look at one: facts, events, log",
    "l                its log on the whole screen",
    "Esc              back; clears the filter",
    "/                filter by name, node, type, state",
    "s                sort by the next column",
    "r                the other way round",
    "x                stop it, after a question",
    "c                start it a second time, likewise",
    "q Ctrl-C         quit",
    "",
    "CALLS/S, P99, ERR/S, CPU%: between the last two",
    "readings, which come every 5 s. 100% is one CPU.",
    "RST: restarts. –: not known.",
];

pub(super) fn help(view: &View<'_>, area: Rect, buffer: &mut Buffer) {
    let lines: Vec<String> = HELP.iter().map(|line| (*line).to_owned()).collect();
    boxed(view, " keys · any key closes ", &lines, area, buffer);
}

pub(super) fn question(view: &View<'_>, question: &Question, area: Rect, buffer: &mut Buffer) {
    let workload = &question.workload;
    let name = clean(&workload.name);
    let place = match question.node.is_empty() {
        true => String::new(),
        false => format!(" on node {}", clean(&question.node)),
    };
    let (title, asks) = match question.action {
        Action::Stop => (" stop ", format!("Stop {name} ({}){place}?", clean(&workload.id))),
        Action::Clone => {
            (" clone ", format!("Start {name} a second time, wherever there is room?"))
        }
    };
    let columns = usize::from(area.width).saturating_sub(6).clamp(1, 70);
    let mut lines = fold(&asks, columns);
    lines.extend([String::new(), "y yes · any other key no".to_owned()]);
    boxed(view, title, &lines, area, buffer);
}

/// In the middle, as large as it must be and fits.
fn boxed(view: &View<'_>, title: &str, lines: &[String], area: Rect, buffer: &mut Buffer) {
    let longest = lines.iter().map(|line| width(line)).chain([width(title)]).max();
    let fits = |n: usize, most: u16| u16::try_from(n).unwrap_or(u16::MAX).min(most);
    let columns = fits(longest.unwrap_or_default() + 4, area.width);
    let rows = fits(lines.len() + 2, area.height);
    let place = Rect {
        x: area.x + (area.width - columns) / 2,
        y: area.y + (area.height - rows) / 2,
        width: columns,
        height: rows,
    };
    Clear.render(place, buffer);
    let frame = Block::bordered().title(title.to_owned()).border_style(view.theme.heading());
    let inner = frame.inner(place);
    frame.render(place, buffer);
    let inside = (inner.top()..inner.bottom()).zip(lines);
    for (y, line) in inside {
        buffer.set_line(inner.x + 1, y, &Line::from(line.as_str()), inner.width.saturating_sub(1));
    }
}
