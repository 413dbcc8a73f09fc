//! The configuration files, and which of two wins.
//!
//! Owns: their places and their order: `--config`, `./config.json`, the user's, the machine's. Never:
//! knows a key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use serde_json::{Map, Value};

use super::keys::{FileValue, KeyError, Table, Values};
use crate::error::CliError;

/// The file of the folder that one stands in. Many projects have one of that name.
const HERE: &str = "config.json";
/// The file of the machine.
const MACHINE: &str = "/etc/nex/config.json";

/// What the files say; of a setting that stands in several, the first file's.
pub(super) fn load(command: &Command, typed: &ArgMatches) -> Result<Values, CliError> {
    let table = Table::of(command);
    let mut values = Values::default();
    if let Some(path) = typed.get_one::<PathBuf>("config") {
        let document = named(path)?;
        let read = table.read(&document, path).map_err(|error| refused(path, &error))?;
        add(&mut values.by_id, read);
    }
    here(&table, &mut values)?;
    for path in [user_file(), Some(PathBuf::from(MACHINE))].into_iter().flatten() {
        let Some(document) = document_at(&path)? else { continue };
        let read = table.read(&document, &path).map_err(|error| refused(&path, &error))?;
        add(&mut values.by_id, read);
    }
    Ok(values)
}

/// A file of that name in somebody's project is left alone. One with a key that only Nex has is ours,
/// and one whose keys are all known is too.
fn here(table: &Table<'_>, values: &mut Values) -> Result<(), CliError> {
    let path = Path::new(HERE);
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(()) };
    let Ok(Value::Object(document)) = serde_json::from_str(&text) else {
        values.left_alone = Some("it is not a JSON object".to_owned());
        return Ok(());
    };
    match table.read(&document, path) {
        Ok(read) if read.is_empty() => {}
        Ok(read) => {
            values.has_here = true;
            add(&mut values.by_id, read);
        }
        Err(error) if table.is_ours(&document) => return Err(refused(path, &error)),
        Err(error) => values.left_alone = Some(error.to_string()),
    }
    Ok(())
}

/// A file that was named must be there.
fn named(path: &Path) -> Result<Map<String, Value>, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read configuration file {}: {error}", path.display());
        CliError::usage(message).hint("name a file that is there: --config FILE")
    })?;
    parse(path, &text)
}

/// A file that need not be there, nor be readable.
fn document_at(path: &Path) -> Result<Option<Map<String, Value>>, CliError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(parse(path, &text)?)),
        Err(_) => Ok(None),
    }
}

fn parse(path: &Path, text: &str) -> Result<Map<String, Value>, CliError> {
    serde_json::from_str(text).map_err(|error| {
        CliError::usage(format!("configuration file {}: {error}", path.display()))
            .hint(format!("look at it: cat {}", path.display()))
    })
}

fn refused(path: &Path, error: &KeyError) -> CliError {
    CliError::usage(format!("configuration file {}: {error}", path.display()))
        .hint("see all keys: nex config")
}

fn add(values: &mut BTreeMap<String, FileValue>, more: BTreeMap<String, FileValue>) {
    for (id, value) in more {
        values.entry(id).or_insert(value);
    }
}

/// The user's own file, where the Go implementation keeps it.
pub(super) fn user_file() -> Option<PathBuf> {
    Some(crate::connection::user_config_dir()?.join("nex/config.json"))
}
