//! `nex version`: what this binary is.
//!
//! Owns: the two forms. Never: asks a network.

use serde_json::json;

use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

pub(crate) fn run(globals: &Globals) -> Result<(), CliError> {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let functions = cfg!(feature = "functions");
    let services = cfg!(feature = "services");
    if globals.json {
        ui::json(&json!({
            "version": version, "os": os, "arch": arch, "functions": functions, "services": services,
        }));
    } else {
        ui::line(format_args!("nex {version} {os}/{arch}"));
    }
    Ok(())
}
