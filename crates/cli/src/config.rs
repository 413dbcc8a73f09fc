//! The configuration file: what is not on the command line or in the environment may stand there.
//!
//! Owns: its place and keys. Never: holds secrets; credentials stand in files that it names.
//! The Go implementation's other keys and `nex config` are not there yet (docs/roadmap.md).

use std::path::PathBuf;

use serde::Deserialize;

use crate::args::Globals;
use crate::error::CliError;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    namespace: Option<String>,
    state_dir: Option<PathBuf>,
    nats: Option<NatsPart>,
    #[serde(rename = "nats.servers")]
    nats_servers: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NatsPart {
    servers: Option<Vec<String>>,
    creds_file: Option<PathBuf>,
}

/// Fills what is not given from the named file, which must exist, or else from the user's own one.
pub(crate) fn with_file(globals: Globals) -> Result<Globals, CliError> {
    let (path, must_exist) = match &globals.config {
        Some(path) => (path.clone(), true),
        None => match user_file() {
            Some(path) => (path, false),
            None => return Ok(globals),
        },
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if !must_exist => return Ok(globals),
        Err(error) => {
            let message = format!("cannot read configuration file {}: {error}", path.display());
            return Err(CliError::usage(message));
        }
    };
    let file: File = serde_json::from_str(&text).map_err(|error| {
        let message = format!("configuration file {}: {error}", path.display());
        CliError::usage(message).hint("keys: namespace, state_dir, nats.servers, nats.creds_file")
    })?;
    Ok(merge(globals, file))
}

fn merge(globals: Globals, file: File) -> Globals {
    let nats = file.nats.unwrap_or_default();
    let servers = nats.servers.or(file.nats_servers).map(|servers| servers.join(","));
    Globals {
        namespace: globals.namespace.or(file.namespace),
        state_dir: globals.state_dir.or(file.state_dir),
        nats_url: globals.nats_url.or(servers),
        nats_creds: globals.nats_creds.or(nats.creds_file),
        ..globals
    }
}

fn user_file() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(base.join("nex/config.json"))
}
