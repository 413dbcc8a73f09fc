//! `nex schema`: JSON schemas of files that people write, for their editors.
//!
//! Owns: printing them. Never: asks a network.

use clap::ValueEnum;

use crate::error::CliError;
use crate::{nexfile, ui};

/// What there is a schema of.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SchemaOf {
    /// A Nexfile
    Nexfile,
}

pub(crate) fn run(what: SchemaOf) -> Result<(), CliError> {
    match what {
        SchemaOf::Nexfile => ui::json(&nexfile::schema()),
    }
    Ok(())
}
