//! Several workloads in one Nexfile, and several Nexfiles in one command.
//!
//! Owns: reading files, what a folder stands for, and keys of the top level as defaults of all
//! workloads. Never: knows what a key means.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{KEYS, Nexfile, find_in, parse};
use crate::error::CliError;

/// The key that holds several workloads.
pub(super) const KEY: &str = "workloads";
/// Nobody writes a larger one by hand.
const LARGEST: u64 = 1024 * 1024;
/// Workloads of one file.
const MOST: usize = 1000;

/// All workloads of these files and folders; names must differ.
pub(crate) fn load_all(paths: &[PathBuf]) -> Result<Vec<Nexfile>, CliError> {
    let mut all = Vec::new();
    for path in paths {
        for file in files(path)? {
            all.extend(read(&file)?);
        }
    }
    let mut seen = BTreeMap::new();
    for nexfile in &all {
        let name = nexfile.workload_name()?.to_string();
        let Some(first) = seen.insert(name.clone(), &nexfile.path) else { continue };
        let (first, second) = (first.display(), nexfile.path.display());
        let message = format!("two workloads are called {name}: in {first} and in {second}");
        return Err(CliError::usage(message).hint("give one of them another name:  name: NAME"));
    }
    Ok(all)
}

/// The workloads of one file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<Nexfile>, CliError> {
    let text = text(path).map_err(|error| {
        CliError::usage(format!("cannot read Nexfile {}: {error}", path.display()))
            .hint("name one that is there, or write one: see docs/guide/nexfiles.md")
    })?;
    let workloads = parse(&text).map_err(|why| {
        CliError::usage(format!("failed to unmarshal Nexfile: {}: {why}", path.display()))
            .hint(format!("keys: {}, {KEY}", KEYS.join(", ")))
    })?;
    Ok(workloads.into_iter().map(|nexfile| Nexfile { path: path.to_owned(), ..nexfile }).collect())
}

/// A folder stands for its Nexfile; without one, for all that ends in `.yaml` or `.yml`.
fn files(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    if let Some(nexfile) = find_in(path) {
        return Ok(vec![nexfile]);
    }
    let listed = std::fs::read_dir(path).and_then(|items| items.collect::<Result<Vec<_>, _>>());
    let listed = listed.map_err(|error| {
        CliError::usage(format!("cannot list {}: {error}", path.display())).hint("name a file")
    })?;
    let is_nexfile = |path: &PathBuf| path.is_file() && super::is_called_so(path);
    let mut files: Vec<PathBuf> =
        listed.into_iter().map(|item| item.path()).filter(is_nexfile).collect();
    files.sort();
    if files.is_empty() {
        let message = format!("there is no Nexfile in {}, and no *.yaml", path.display());
        return Err(CliError::usage(message).hint("make a project that has one: nex init"));
    }
    Ok(files)
}

fn text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let n_read = if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_string(&mut text)?
    } else {
        std::fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?
    };
    if n_read as u64 > LARGEST {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

/// The workloads of a document, each with the defaults of the top level: what a workload says wins,
/// key by key also within objects, and `null` takes a default away.
pub(super) fn workloads(
    mut document: Map<String, Value>,
) -> Result<Vec<Map<String, Value>>, String> {
    let workloads = match document.remove(KEY) {
        None => return Ok(vec![document]),
        Some(Value::Array(workloads)) => workloads,
        Some(_) => return Err(format!("{KEY} must be a list")),
    };
    if workloads.is_empty() || workloads.len() > MOST {
        return Err(format!("{KEY} must be 1 to {MOST}, not {}", workloads.len()));
    }
    if document.contains_key("name") {
        return Err(format!("name stands beside {KEY}: each of them has its own"));
    }
    let read = |(idx, workload): (usize, Value)| match workload {
        Value::Object(workload) => Ok(with_defaults(&document, workload)),
        _ => Err(format!("number {} of {KEY} is not an object", idx + 1)),
    };
    workloads.into_iter().enumerate().map(read).collect()
}

fn with_defaults(defaults: &Map<String, Value>, own: Map<String, Value>) -> Map<String, Value> {
    let mut all = defaults.clone();
    for (key, value) in own {
        match (all.get_mut(&key), value) {
            (Some(Value::Object(default)), Value::Object(own)) => default.extend(own),
            (_, value) => {
                all.insert(key, value);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_top_level_holds_the_defaults_of_all_workloads() {
        let text = "type: javascript\nenvironment: {STAGE: lab, N: 1}\nlimits: {timeout: 2s}\n\
                    workloads:\n- {file: a.js, triggers: a, environment: {N: 2}}\n\
                    - {name: b, file: a.js, triggers: [b], type: wasm, limits: ~}\n";
        let read = parse(text).unwrap();
        let names: Vec<String> =
            read.iter().map(|nexfile| nexfile.workload_name().unwrap().to_string()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(read[0].kind.as_deref(), Some("javascript"));
        assert_eq!(read[1].kind.as_deref(), Some("wasm"));
        let requests: Vec<Value> =
            read.into_iter().map(|nexfile| Value::Object(nexfile.request)).collect();
        let first = json!({"triggers": ["a"], "limits": {"timeout": "2s"},
            "environment": {"STAGE": "lab", "N": "2"}});
        let second = json!({"triggers": ["b"], "environment": {"STAGE": "lab", "N": "1"}});
        assert_eq!(requests, [first, second]);
    }

    #[test]
    fn what_is_wrong_with_several_is_named() {
        for (text, says) in [
            ("workloads: []", "workloads must be 1 to 1000, not 0"),
            ("workloads: {a: {file: a.js}}", "workloads must be a list"),
            ("workloads: [a.js]", "number 1 of workloads is not an object"),
            ("name: x\nworkloads: [{file: a.js}]", "name stands beside workloads"),
            ("workloads: [{file: a.js, workloads: [{file: b.js}]}]", "unknown key \"workloads\""),
            (
                "limit: {}\nworkloads: [{file: a.js}]",
                "unknown key \"limit\", did you mean \"limits\"?",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "no {says:?} in {error:?}");
        }
    }

    #[test]
    fn a_folder_is_its_nexfile_or_all_its_yaml_and_names_differ() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let all = || load_all(&[folder.path().to_owned()]);
        assert!(all().unwrap_err().message.contains("there is no Nexfile"));
        std::fs::write(at("b.yaml"), "file: b.js").unwrap();
        std::fs::write(at("a.yml"), "file: a.js").unwrap();
        std::fs::write(at("notes.txt"), "no YAML: [").unwrap();
        let names = |all: Vec<Nexfile>| {
            let name = |nexfile: &Nexfile| nexfile.workload_name().unwrap().to_string();
            all.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(all().unwrap()), ["a", "b"]);
        std::fs::write(at("c.yaml"), "file: x/a.js").unwrap();
        let error = all().unwrap_err();
        assert!(error.message.starts_with("two workloads are called a: in "), "{error:?}");
        std::fs::write(at("Nexfile.json"), r#"{"file": "only.js"}"#).unwrap();
        assert_eq!(names(all().unwrap()), ["only"]);
        std::fs::write(at("Nexfile"), vec![b' '; 1024 * 1024 + 1]).unwrap();
        assert!(all().unwrap_err().message.contains("larger than 1 MiB"));
    }
}
