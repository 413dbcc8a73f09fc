//! The state as a picture.
//!
//! Owns: who gets which lines of the terminal. Never: changes the state, or looks at a clock.
//!
//! ```text
//! header            2 lines
//! banner            1 line, while nothing can be seen
//! page              the list (nodes, then workloads), one workload, or its log
//! footer            1 line: a filter being typed, a remark, or the keys
//! ```

mod detail;
mod frame;
mod nodes;
mod overlay;
pub(super) mod text;
mod theme;
mod workloads;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::state::{Moment, Overlay, Page, State};
pub(super) use theme::Theme;

/// Smaller terminals get a few words only.
const LEAST: (u16, u16) = (40, 8);
const HEADER: usize = 2;
const FOOTER: usize = 1;

/// A state at a moment, in its colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) at: Moment,
    pub(super) theme: Theme,
}

impl View<'_> {
    /// Fills the area.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        if area.width < LEAST.0 || area.height < LEAST.1 {
            return put(area, buffer, &frame::too_small(self, area));
        }
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let mut lines = frame::header(self, width);
        lines.extend(frame::banner(self, width));
        let n_page = height.saturating_sub(lines.len() + FOOTER);
        let mut page = match self.state.page {
            Page::List => self.list(width, n_page),
            Page::Detail => detail::page(self, width, n_page),
            Page::Logs => detail::logs(self, width, n_page),
        };
        page.resize(n_page, Line::default());
        lines.extend(page);
        lines.push(frame::footer(self, width));
        put(area, buffer, &lines);
        match &self.state.overlay {
            Some(Overlay::Help) => overlay::help(self, area, buffer),
            Some(Overlay::Question(question)) => overlay::question(self, question, area, buffer),
            Some(Overlay::Filter) | None => {}
        }
    }

    fn list(&self, width: usize, n_lines: usize) -> Vec<Line<'static>> {
        let mut lines = nodes::block(self, width, nodes::n_lines(self.state, n_lines));
        lines.push(Line::default());
        let n_left = n_lines.saturating_sub(lines.len());
        lines.extend(workloads::table(self, width, n_left));
        lines
    }
}

/// How many lines a page key moves.
pub(super) fn page_length(state: &State) -> usize {
    let around = HEADER + FOOTER + usize::from(state.lost.is_some());
    let n_page = usize::from(state.size.1).saturating_sub(around);
    let n_lines = match state.page {
        // The table has a blank line above and a heading.
        Page::List => n_page.saturating_sub(nodes::n_lines(state, n_page) + 2),
        Page::Detail | Page::Logs => n_page.saturating_sub(1),
    };
    n_lines.max(1)
}

fn put(area: Rect, buffer: &mut Buffer, lines: &[Line<'_>]) {
    for (y, line) in (area.top()..area.bottom()).zip(lines) {
        buffer.set_line(area.left(), y, line, area.width);
        // The line's own style reaches to its end, so that a selected row is one bar.
        buffer.set_style(Rect::new(area.left(), y, area.width, 1), line.style);
    }
}
