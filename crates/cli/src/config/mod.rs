//! Where settings come from: the command line, configuration files, variables, defaults, in this order.
//!
//! The command line's own definition is the one table of settings: names, variables, defaults and help
//! stand there, and the keys of files are looked up in it. What a file says becomes the default of its
//! flag and switches the flag's variable off.
//!
//! Owns: that order, and who said what. Never: acts on a setting.

mod files;
mod keys;
mod origin;
pub(crate) mod report;

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Arg, ArgMatches, Command, FromArgMatches};

use crate::args::{self, Cli, Globals};
use crate::error::CliError;
use crate::ui;
use keys::Values;
pub(crate) use origin::{Origin, Origins};

/// A command line that cannot be acted on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help, the version, or a usage error; clap prints it.
    Clap(clap::Error),
    /// A configuration file that cannot be used.
    File(CliError),
}

/// The command line with what the files add to it.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, Stop> {
    let command = each_configurable(args::command(), without_empty_variable);
    let typed = command.clone().try_get_matches_from(arguments).map_err(Stop::Clap)?;
    // Its node tells a nexlet everything; the folder that it runs in tells it nothing.
    let is_nexlet = matches!(
        typed.subcommand(),
        Some(("nexlet", nexlet)) if nexlet.subcommand_name() != Some("check")
    );
    let values = match is_nexlet {
        true => Values::default(),
        false => files::load(&command, &typed).map_err(Stop::File)?,
    };
    if values.has_here {
        ui::note("note: settings from ./config.json are in force");
    }
    let matches = match values.by_id.is_empty() {
        true => typed,
        false => layered(command, &values).try_get_matches_from(arguments).map_err(Stop::Clap)?,
    };
    let mut cli = Cli::from_arg_matches(&matches).map_err(Stop::Clap)?;
    cli.globals.origins = Origins::new(&matches, values);
    Ok(cli)
}

/// The global settings of a command line that somebody is still typing. What is wrong in it says nothing.
pub(crate) fn unfinished(arguments: &[OsString]) -> Option<Globals> {
    let command = each_configurable(args::command(), without_empty_variable).ignore_errors(true);
    let typed = command.clone().try_get_matches_from(arguments).ok()?;
    let values = files::load(&command, &typed).unwrap_or_default();
    let matches = match values.by_id.is_empty() {
        true => typed,
        false => layered(command, &values).try_get_matches_from(arguments).ok()?,
    };
    let mut globals = Globals::from_arg_matches(innermost(&matches)).ok()?;
    globals.origins = Origins::new(&matches, values);
    Some(globals)
}

/// Commands whose flags may stand in a file; all take the global ones.
pub(crate) fn configurable(command: &Command) -> Vec<&Command> {
    let up = command.find_subcommand("up");
    let node_up = command.find_subcommand("node").and_then(|node| node.find_subcommand("up"));
    [Some(command), node_up, up].into_iter().flatten().collect()
}

/// The same commands with the files' values as defaults.
fn layered(command: Command, values: &Values) -> Command {
    each_configurable(command, |arg| match values.by_id.get(arg.get_id().as_str()) {
        Some(value) => {
            // A flag without a value shows no default, and clap wants none hidden.
            let takes_value = arg.get_action().takes_values();
            let arg = arg.env(Resettable::Reset).default_values(value.texts.clone());
            if takes_value { arg.hide_default_value(true) } else { arg }
        }
        None => arg,
    })
}

/// A variable that is set to nothing says nothing, as with other tools.
fn without_empty_variable(arg: Arg) -> Arg {
    let is_empty = |name| std::env::var_os(name).is_some_and(|value| value.is_empty());
    match arg.get_env().is_some_and(is_empty) {
        true => arg.env(Resettable::Reset),
        false => arg,
    }
}

fn each_configurable(command: Command, change: impl Fn(Arg) -> Arg) -> Command {
    let change = |command: Command| command.mut_args(&change);
    change(command)
        .mut_subcommand("up", change)
        .mut_subcommand("node", |node| node.mut_subcommand("up", change))
}

/// The innermost matches, which hold the flags of the command itself.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}
