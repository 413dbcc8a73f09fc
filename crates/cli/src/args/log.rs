//! Flags of the process's own log: ours, and the Go command line's beside them.
//!
//! Owns: names and help texts. Never: installs the log (see `logging`).

use clap::{Args, ValueEnum};

/// How the log looks and where it goes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Log options")]
pub(crate) struct LogArgs {
    /// How much the log tells
    #[arg(short = 'l', long = "log-level", alias = "logger.level", global = true, value_enum)]
    pub(crate) log_level: Option<LogLevel>,
    /// Where the log goes; repeatable [default: std]
    #[arg(
        long = "log-target",
        alias = "logger.target",
        global = true,
        value_enum,
        value_delimiter = ',',
        hide_short_help = true
    )]
    pub(crate) log_target: Vec<LogTarget>,
    /// Colour also when the log goes elsewhere than to a terminal
    #[arg(long = "log-color", alias = "logger.color", global = true, hide_short_help = true)]
    pub(crate) log_color: bool,
    /// Tell file and line
    #[arg(
        long = "log-line-info",
        alias = "logger.line-info",
        global = true,
        hide_short_help = true
    )]
    pub(crate) log_line_info: bool,
    #[command(flatten)]
    unused: UnusedLogArgs,
}

/// Forms that only the Go command line's log has.
#[derive(Debug, Clone, Default, Args)]
struct UnusedLogArgs {
    #[arg(long = "logger.timefmt", global = true, hide = true, value_parser = TIME_FORMATS)]
    timefmt: Option<String>,
    #[arg(long = "logger.short", global = true, hide = true)]
    short: bool,
    #[arg(long = "logger.with-pid", global = true, hide = true)]
    with_pid: bool,
    #[arg(long = "logger.group-on-right", global = true, hide = true)]
    group_on_right: bool,
}

const TIME_FORMATS: [&str; 6] = ["DateTime", "TimeOnly", "DateOnly", "Stamp", "RFC822", "RFC3339"];

/// Levels of the process's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// As the Go command line names it; the same as `error`
    #[value(hide = true)]
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fatal | Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogTarget {
    /// Standard error
    Std,
    /// nex.log and nex.err in the current folder
    File,
    /// $NEX.FEED.system.logs.NODE.stdout and .stderr; nodes only
    Nats,
}
