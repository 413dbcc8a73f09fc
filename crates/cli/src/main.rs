//! The `nex` binary: parse, log, dispatch, print the error with its hint, exit code.
//!
//! Owns: the order of these. Never: does the work of a command.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod complete;
mod config;
mod connection;
mod context;
mod error;
mod find;
mod issuer;
mod logging;
mod managed;
mod nexfile;
mod progress;
mod suggest;
mod traces;
mod ui;

use std::process::ExitCode;

use args::{Cli, Command};
use commands::config::ConfigArgs;
use config::Stop;
use error::CliError;

fn main() -> ExitCode {
    if let Some(answered) = complete::answer() {
        return answered;
    }
    let mut cli = match config::parse(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(Stop::Clap(error)) => return usage(&error),
        Err(Stop::File(error)) => return ui::report(&error),
    };
    if let Err(error) = logging::start(&cli.globals, &cli.command) {
        return ui::report(&error);
    }
    if let Command::Nexlet(command) = &mut cli.command
        && let Some(done) = command.before_threads()
    {
        return done.map_or_else(|error| ui::report(&error), |()| ExitCode::SUCCESS);
    }
    let runtime = match cli.command.runtime() {
        Ok(runtime) => runtime,
        Err(error) => return ui::report(&CliError::other(format!("no runtime: {error}"))),
    };
    let result = runtime.block_on(cli.run());
    // Blocking tasks, such as a read of standard input, must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ui::report(&error),
    }
}

/// `--help` and `--version` go to stdout and succeed, the rest is a usage error.
fn usage(error: &clap::Error) -> ExitCode {
    let _broken_pipe = error.print();
    if error.use_stderr() { ExitCode::from(error::USAGE) } else { ExitCode::SUCCESS }
}

impl Cli {
    async fn run(self) -> Result<(), CliError> {
        let globals = self.globals;
        if globals.check {
            return commands::config::run(&globals, &ConfigArgs::default());
        }
        match self.command {
            Command::Up(args) => commands::up::run(globals, *args).await,
            Command::Run(args) => commands::run::run(globals, *args).await,
            Command::Dev(args) => commands::dev::run(globals, *args).await,
            Command::Call(args) => commands::call::run(globals, args).await,
            Command::Ls(args) => commands::ls::run(globals, args).await,
            Command::Nodes(args) => commands::nodes::run(globals, args).await,
            Command::Info(args) => commands::info::run(globals, args).await,
            Command::Logs(args) => commands::logs::run(globals, args).await,
            Command::Events(args) => commands::events::run(globals, args).await,
            Command::Top(args) => commands::top::run(globals, args).await,
            Command::Scale(args) => commands::scale::run(globals, args).await,
            Command::Stop(args) => commands::stop::run(globals, args).await,
            Command::Clone(args) => commands::clone::run(globals, args).await,
            Command::Lameduck(args) => commands::lameduck::run(globals, args).await,
            Command::Apply(args) => commands::apply::run(globals, args).await,
            Command::Diff(args) => commands::apply::diff(globals, args).await,
            Command::Delete(args) => commands::delete::run(globals, args).await,
            Command::Init(args) => commands::init::run(&globals, &args),
            Command::Buckets(args) => commands::buckets::run(globals, args).await,
            Command::Node(command) => commands::node::run(globals, command).await,
            Command::Workload(command) => commands::workload::run(globals, command).await,
            Command::Config(args) => commands::config::run(&globals, &args),
            Command::Doctor(args) => commands::doctor::run(globals, args).await,
            Command::Explain(args) => commands::explain::run(&globals, &args),
            Command::Schema { what } => commands::schema::run(what),
            Command::Version => commands::version::run(&globals),
            Command::Completions { shell } => commands::completions::run(shell),
            Command::Nexlet(command) => commands::nexlet::run(globals, command).await,
        }
    }
}
