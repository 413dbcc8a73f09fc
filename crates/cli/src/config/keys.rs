//! Keys of a configuration file: from JSON to the flags that they mean.
//!
//! Owns: flat, nested and camelCase spellings, the JSON types of each flag, and naming the nearest key
//! of one that is unknown. Never: reads a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value};

use super::configurable;

/// Flags that say which file is read, or what to do instead of the command.
const NOT_IN_FILES: [&str; 5] = ["config", "check", "help", "version", "inats_config"];

/// What the files say, by the flag's id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    pub(super) by_id: BTreeMap<String, FileValue>,
    /// A `./config.json` that is somebody else's, and why it is left alone.
    pub(super) left_alone: Option<String>,
    /// Whether a `./config.json` says something.
    pub(super) has_here: bool,
}

/// One setting of a file, as texts that its flag parses.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FileValue {
    pub(super) texts: Vec<String>,
    pub(super) path: PathBuf,
}

/// What it says may be secret.
impl fmt::Debug for FileValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileValue").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyError {
    Unknown { key: String, nearest: Option<String> },
    Type { key: String, wanted: &'static str },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key, nearest: Some(nearest) } => {
                write!(f, "unknown key \"{key}\", did you mean \"{nearest}\"?")
            }
            Self::Unknown { key, nearest: None } => write!(f, "unknown key \"{key}\""),
            Self::Type { key, wanted } => write!(f, "key \"{key}\" must be {wanted}"),
        }
    }
}

/// The keys that files may have, spelled as our documentation does.
#[derive(Debug)]
pub(super) struct Table<'c> {
    by_spelling: BTreeMap<String, &'c Arg>,
    shown: BTreeMap<String, String>,
}

impl<'c> Table<'c> {
    pub(super) fn of(command: &'c Command) -> Self {
        let (mut by_spelling, mut shown) = (BTreeMap::new(), BTreeMap::new());
        let all = configurable(command).into_iter().flat_map(Command::get_arguments);
        for arg in all.filter(|arg| !NOT_IN_FILES.contains(&arg.get_id().as_str())) {
            for name in names(arg) {
                by_spelling.insert(spelling(&name), arg);
                shown.insert(spelling(&name), name.replace('-', "_"));
            }
        }
        Self { by_spelling, shown }
    }

    /// The settings of a document, by the flag's id; the first key that cannot be used is an error.
    pub(super) fn read(
        &self,
        document: &Map<String, Value>,
        path: &Path,
    ) -> Result<BTreeMap<String, FileValue>, KeyError> {
        let mut found = BTreeMap::new();
        for (key, value) in self.flatten(document) {
            if value.is_null() {
                continue;
            }
            let Some(arg) = self.by_spelling.get(&spelling(&key)) else {
                let nearest = self.nearest(&key);
                return Err(KeyError::Unknown { key, nearest });
            };
            let texts = texts(arg, value)
                .ok_or_else(|| KeyError::Type { key: key.clone(), wanted: wanted(arg) })?;
            found.insert(arg.get_id().to_string(), FileValue { texts, path: path.to_owned() });
        }
        Ok(found)
    }

    /// Whether one of the keys is such that only Nex has it.
    pub(super) fn is_ours(&self, document: &Map<String, Value>) -> bool {
        let is_marked = |key: &String| {
            let key = spelling(key);
            let first = key.split('.').next().unwrap_or_default();
            matches!(first, "nats" | "logger" | "nexus") || first.starts_with("node")
        };
        let known = |key: &String| self.by_spelling.contains_key(&spelling(key));
        self.flatten(document).iter().any(|(key, _)| known(key) && is_marked(key))
    }

    /// Objects are opened at dots, unless the key as it stands is a flag's.
    fn flatten<'v>(&self, document: &'v Map<String, Value>) -> Vec<(String, &'v Value)> {
        let mut flat = Vec::new();
        for (key, value) in document {
            match value {
                Value::Object(inner) if !self.by_spelling.contains_key(&spelling(key)) => {
                    if inner.is_empty() {
                        flat.push((key.clone(), &Value::Null));
                    }
                    flat.extend(inner.iter().map(|(name, value)| (format!("{key}.{name}"), value)));
                }
                _ => flat.push((key.clone(), value)),
            }
        }
        flat
    }

    fn nearest(&self, key: &str) -> Option<String> {
        let key = spelling(key);
        let distance = |known: &String| strsim::damerau_levenshtein(&key, known);
        let (known, shown) = self.shown.iter().min_by_key(|(known, _)| distance(known))?;
        (distance(known) <= known.len().max(key.len()) / 2).then(|| shown.clone())
    }
}

/// The flag's long name and the names that it has besides.
pub(super) fn names(arg: &Arg) -> Vec<String> {
    let long = arg.get_long().map(str::to_owned);
    let others = arg.get_all_aliases().unwrap_or_default().into_iter().map(str::to_owned);
    long.into_iter().chain(others).collect()
}

/// `nats.creds-file`, `nats.creds_file` and `nats.credsFile` are one key.
fn spelling(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn is_map(arg: &Arg) -> bool {
    arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "KEY=VALUE"))
}

fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

fn wanted(arg: &Arg) -> &'static str {
    match () {
        () if is_switch(arg) => "true or false",
        () if is_map(arg) => "an object of texts",
        () if is_list(arg) => "a list",
        () => "a text or a number",
    }
}

/// What one would type after the flag; none when the JSON type does not fit.
fn texts(arg: &Arg, value: &Value) -> Option<Vec<String>> {
    if is_switch(arg) {
        return match value {
            Value::Bool(_) => Some(vec![value.to_string()]),
            Value::String(text) if text == "true" || text == "false" => Some(vec![text.clone()]),
            _ => None,
        };
    }
    match value {
        Value::Object(map) if is_map(arg) => {
            map.iter().map(|(key, value)| Some(format!("{key}={}", scalar(value)?))).collect()
        }
        Value::Array(items) if is_list(arg) => items.iter().map(item).collect(),
        // One flag that takes several separated by commas.
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            Some(vec![items?.join(",")])
        }
        _ => Some(vec![scalar(value)?]),
    }
}

fn item(value: &Value) -> Option<String> {
    if value.is_object() { Some(value.to_string()) } else { scalar(value) }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::args::Cli;

    fn read(document: Value) -> Result<BTreeMap<String, Vec<String>>, KeyError> {
        let command = Cli::command();
        let Value::Object(document) = document else { panic!("an object") };
        let read = Table::of(&command).read(&document, Path::new("config.json"))?;
        Ok(read.into_iter().map(|(id, value)| (id, value.texts)).collect())
    }

    #[test]
    fn flat_nested_and_camel_case_keys_mean_the_same() {
        for (document, id, text) in [
            (json!({"nats.servers": ["nats://a", "nats://b"]}), "nats_url", "nats://a,nats://b"),
            (json!({"nats": {"servers": ["nats://a"]}}), "nats_url", "nats://a"),
            (json!({"nats": {"credsFile": "/a"}}), "nats_creds", "/a"),
            (json!({"nats": {"creds_file": "/a"}}), "nats_creds", "/a"),
            (json!({"nats_creds": "/a"}), "nats_creds", "/a"),
            (json!({"nodeName": "n1"}), "node_name", "n1"),
            (json!({"logger": {"level": "debug"}}), "log_level", "debug"),
            (json!({"json": true}), "json", "true"),
            (json!({"tags": {"region": "lab"}}), "tags", "region=lab"),
        ] {
            let read = read(document.clone()).unwrap();
            assert_eq!(read.get(id), Some(&vec![text.to_owned()]), "{document}: {read:?}");
        }
        let agents = read(json!({"agents": [{"uri": "file:///x", "argv": ["-a"]}]})).unwrap();
        assert!(agents["agents"][0].contains("file:///x"));
    }

    #[test]
    fn what_is_unknown_or_of_another_type_is_named() {
        for (document, says) in [
            (json!({"nats": {"server": "x"}}), "\"nats.server\", did you mean \"nats.servers\"?"),
            (json!({"node_nam": "x"}), "\"node_nam\", did you mean \"node_name\"?"),
            (json!({"node": {"up": {"nexus": "x"}}}), "unknown key \"node.up\""),
            (json!({"config": "x"}), "unknown key \"config\""),
            (json!({"json": 1}), "key \"json\" must be true or false"),
            (json!({"nexus": {"a": 1}}), "key \"nexus\" must be a text or a number"),
        ] {
            let error = read(document).unwrap_err().to_string();
            assert!(error.contains(says), "no {says:?} in {error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(keys in prop::collection::vec("[a-zA-Z._-]{0,12}", 0..4), text in ".{0,12}") {
            let command = Cli::command();
            let table = Table::of(&command);
            for value in [json!(text), json!([text]), json!({text.clone(): null}), json!(1), Value::Null] {
                let document = keys.iter().map(|key| (key.clone(), value.clone())).collect();
                let _either_way = table.read(&document, Path::new("x"));
                table.is_ours(&document);
            }
        }
    }
}
