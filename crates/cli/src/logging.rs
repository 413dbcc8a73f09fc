//! The process's own log: on standard error, in files, or over NATS.
//!
//! Owns: the level, the form and the places. Never: carries workloads' logs; those have feeds of their own.

mod feed;
mod line;

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

pub(crate) use feed::{finish, publish};
use line::GoLine;

use crate::args::{Command, Globals, LogTarget};
use crate::error::CliError;
use crate::ui;

type Place = Box<dyn Layer<Registry> + Send + Sync>;

/// Installs the log. Short commands tell warnings only, daemons tell what they do; what draws on the
/// whole terminal tells nothing there.
pub(crate) fn start(globals: &Globals, command: &Command) -> Result<(), CliError> {
    let (log, is_daemon) = (&globals.log, command.is_daemon());
    let is_on_screen = command.owns_terminal() && std::io::stderr().is_terminal();
    let usual = if is_daemon { "info" } else { "warn" };
    let level = log.log_level.map_or(usual, |level| level.as_str());
    let targets = match log.log_target.as_slice() {
        [] => &[LogTarget::Std],
        targets => targets,
    };
    let mut places: Vec<Place> = Vec::new();
    for target in targets.iter().filter(|t| !is_on_screen || **t != LogTarget::Std) {
        places.push(place(globals, *target, is_daemon)?);
    }
    // The NATS client reports lost connections itself; ours says it with the connection's name.
    // WASI makes a span of each of a guest's calls, which costs more than the call.
    let filter = EnvFilter::new(format!("{level},async_nats=off,wasmtime_wasi=off"));
    // Only a second installation fails, and there is none.
    let _installed = tracing_subscriber::registry().with(places).with(filter).try_init();
    Ok(())
}

fn place(globals: &Globals, target: LogTarget, is_daemon: bool) -> Result<Place, CliError> {
    let log = &globals.log;
    let as_json = globals.json && is_daemon;
    let layer = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_file(log.log_line_info)
        .with_line_number(log.log_line_info);
    Ok(match target {
        LogTarget::Std => {
            let layer = layer
                .with_writer(ui::Stderr::default)
                .with_ansi(log.log_color || std::io::stderr().is_terminal());
            if as_json { layer.json().boxed() } else { layer.boxed() }
        }
        LogTarget::File => {
            let errors = file("nex.err")?.with_max_level(Level::ERROR);
            let layer = layer.with_writer(errors.or_else(file("nex.log")?)).with_ansi(false);
            if as_json { layer.json().boxed() } else { layer.boxed() }
        }
        LogTarget::Nats => {
            let layer = layer.with_writer(feed::lines()).with_ansi(false);
            if as_json { layer.json().boxed() } else { layer.event_format(GoLine).boxed() }
        }
    })
}

fn file(name: &str) -> Result<Arc<File>, CliError> {
    let file = OpenOptions::new().create(true).append(true).open(name);
    file.map(Arc::new).map_err(|error| {
        CliError::other(format!("cannot write the log to {name}: {error}"))
            .hint("leave out --log-target file, or go to a folder that can be written")
    })
}
