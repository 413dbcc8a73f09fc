//! `nex completions SHELL`: a script for the shell to read.
//!
//! Owns: printing it. Never: installs it.

use crate::error::CliError;
use crate::{complete, ui};

pub(crate) fn run(shell: clap_complete::Shell) -> Result<(), CliError> {
    ui::raw(&complete::script(shell));
    Ok(())
}
