//! `nex completions SHELL`: a script for the shell to read.
//!
//! Owns: printing it. Never: installs it.

use clap::CommandFactory;

use crate::args::Cli;
use crate::error::CliError;
use crate::ui;

pub(crate) fn run(shell: clap_complete::Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nex", &mut script);
    ui::raw(&script);
    Ok(())
}
