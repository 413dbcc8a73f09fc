//! Colours and weights.
//!
//! Owns: what they mean. Never: is the only sign of anything: without colours all of it can be read too.

use ratatui::style::{Color, Modifier, Style};

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Theme {
    has_colours: bool,
}

impl Theme {
    pub(in super::super) fn new(has_colours: bool) -> Self {
        Self { has_colours }
    }

    pub(super) fn plain(self) -> Style {
        Style::new()
    }

    pub(super) fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn heading(self) -> Style {
        self.coloured(self.bold(), Color::Cyan)
    }

    pub(super) fn alarm(self) -> Style {
        self.coloured(self.bold().add_modifier(Modifier::REVERSED), Color::Red)
    }

    pub(super) fn failure(self) -> Style {
        self.coloured(self.bold(), Color::Red)
    }

    /// Of a node or a workload.
    pub(super) fn state(self, state: &str) -> Style {
        match state {
            "running" | "warm" => self.coloured(self.plain(), Color::Green),
            "error" => self.failure(),
            "unknown" | "lameduck" | "stopping" => self.coloured(self.plain(), Color::Yellow),
            _ => self.plain(),
        }
    }

    /// Of a line of a log.
    pub(super) fn level(self, level: &str) -> Style {
        match level {
            "error" => self.coloured(self.plain(), Color::Red),
            "warn" => self.coloured(self.plain(), Color::Yellow),
            "debug" => self.dim(),
            _ => self.plain(),
        }
    }

    fn coloured(self, style: Style, colour: Color) -> Style {
        if self.has_colours { style.fg(colour) } else { style }
    }
}
