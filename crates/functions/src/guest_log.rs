//! A guest's log lines on their way into the workload's log.
//!
//! Owns: which stream a level goes to. Never: drops or cuts a line (the feed does, past its rate).

use nex_api::log::Stream;
use nex_nexlet::LogFeed;

use crate::runtime::{GuestLog, Level};

/// The feed of one function, as the engine sees it.
#[derive(Debug)]
pub(crate) struct FeedLog(pub(crate) LogFeed);

impl GuestLog for FeedLog {
    fn line(&self, level: Level, line: &str) {
        let stream = match level {
            Level::Debug | Level::Info => Stream::Stdout,
            Level::Warn | Level::Error => Stream::Stderr,
        };
        self.0.line(stream, level.as_str(), line.as_bytes());
    }
}
