//! How far something is that takes long: a bar on a terminal.
//!
//! Owns: when it is shown. Never: shows one to a pipe, or of what is over within half a second; leaves one
//! behind.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::ui;

/// What is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);
const TEMPLATE: &str = "{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left";

/// The progress of one thing, which is over when this goes.
pub(crate) struct Progress {
    what: String,
    since: Instant,
    bar: Option<ProgressBar>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Progress {
    /// Begins now; `what` is text of ours, or made harmless.
    pub(crate) fn of(what: String) -> Self {
        Self { what, since: Instant::now(), bar: None }
    }

    /// So many bytes are done.
    pub(crate) fn at(&mut self, done: u64, total: u64) {
        if self.bar.is_none()
            && (self.since.elapsed() < PATIENCE || !io::stderr().is_terminal() || ui::is_raw())
        {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(total).with_message(self.what.clone());
            // The template is ours: one that is none leaves the usual bar.
            ProgressStyle::with_template(TEMPLATE)
                .map_or(bar.clone(), |style| bar.with_style(style))
        });
        bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
