//! Nexfiles: what workloads are, in JSON or YAML (spec: control API, section 9.4, and ours on top).
//!
//! Owns: the keys, both spellings of a start request, and naming the nearest key of one that is unknown.
//! Never: uploads a file, or deploys.

mod schema;
mod several;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use nex_api::workload::{Lifecycle, StartWorkloadRequest};
use nex_types::{Tags, WorkloadName};
use serde_json::{Map, Value};

use crate::error::CliError;
use crate::suggest;

pub(crate) use schema::schema;
pub(crate) use several::load_all;

/// The Go command line's name.
pub(crate) const NAME: &str = "Nexfile";
/// The names that are looked for in a folder, in this order.
const NAMES: [&str; 4] = [NAME, "Nexfile.yaml", "Nexfile.json", "nexfile.yaml"];

const KEYS: [&str; 20] = [
    "name",
    "type",
    "lifecycle",
    "description",
    "tags",
    "start_request",
    "file",
    "triggers",
    "limits",
    "environment",
    "host_services",
    "copies",
    "sandbox",
    "restart",
    "health",
    "stop",
    "mounts",
    "timeout",
    "retries",
    "expose_ports",
];

/// One workload.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Nexfile {
    /// Where it was read, for messages and for what it names beside itself.
    pub(crate) path: PathBuf,
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) lifecycle: Option<Lifecycle>,
    pub(crate) description: String,
    /// What a node must have.
    pub(crate) tags: Tags,
    /// Ours: a file beside the Nexfile that is uploaded.
    pub(crate) file: Option<PathBuf>,
    /// Ours: how many shall run, spread over the nodes.
    pub(crate) copies: Option<u16>,
    /// The start request, with what of the top level belongs into it: `triggers`, `limits` and so on.
    pub(crate) request: Map<String, Value>,
}

/// The environment may be secret.
impl fmt::Debug for Nexfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nexfile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The one workload of the Nexfile at `path`; `-` is standard input, a folder stands for the Nexfile in it.
pub(crate) fn load(path: &Path) -> Result<Nexfile, CliError> {
    let found = path.is_dir().then(|| find_in(path)).flatten();
    let path = found.as_deref().unwrap_or(path);
    let mut workloads = several::read(path)?;
    match (workloads.pop(), workloads.len()) {
        (Some(only), 0) => Ok(only),
        (_, n_more) => {
            let message = format!("{} names {} workloads", path.display(), n_more + 1);
            Err(CliError::usage(message).hint(format!("nex apply -f {}", path.display())))
        }
    }
}

/// Whether a file with this name is taken for a Nexfile: by its whole name, or since it ends in `.yaml`
/// or `.yml`, as nothing that runs does.
pub(crate) fn is_called_so(path: &Path) -> bool {
    let ends_so = |ending: &std::ffi::OsStr| ending == "yaml" || ending == "yml";
    path.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known))
        || path.extension().is_some_and(ends_so)
}

/// The Nexfile of a folder.
pub(crate) fn find_in(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// What a text says of its workloads: JSON, else YAML.
fn parse(text: &str) -> Result<Vec<Nexfile>, String> {
    let document = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(json) if text.trim_start().starts_with('{') => return Err(json.to_string()),
        Err(_) => yaml::parse(text)?,
    };
    let Value::Object(document) = document else {
        return Err("it is not an object".to_owned());
    };
    several::workloads(document)?.into_iter().map(read_keys).collect()
}

impl Nexfile {
    /// The name, or the one that the file's name makes.
    pub(crate) fn workload_name(&self) -> Result<WorkloadName, CliError> {
        let stem = self.file.as_ref().and_then(|file| file.file_stem()?.to_str());
        // Of what has no letter a name would be invented, another one each time.
        let stem = stem.filter(|stem| stem.contains(|c: char| c.is_ascii_alphanumeric()));
        match (self.name.as_deref(), stem) {
            (Some(name), _) => WorkloadName::parse(name)
                .map_err(|error| CliError::usage(format!("{}: {error}", self.path.display()))),
            (None, Some(stem)) => Ok(WorkloadName::from_stem(stem)),
            (None, None) => {
                let message = format!(
                    "{}: a workload has no name, and no file that it could be called after",
                    self.path.display()
                );
                Err(CliError::usage(message).hint("give it a name:  name: NAME"))
            }
        }
    }

    /// As a start request whose artifact is there already, and what a node must have.
    pub(crate) fn into_request(self) -> (StartWorkloadRequest, Tags) {
        let workload_lifecycle = self.lifecycle_or_usual();
        let request = StartWorkloadRequest {
            description: self.description,
            name: self.name.unwrap_or_default(),
            run_request: Value::Object(self.request).to_string(),
            workload_lifecycle,
            workload_type: self.kind.unwrap_or_else(|| "native".to_owned()),
            ..StartWorkloadRequest::default()
        };
        (request, self.tags)
    }

    /// The file to upload, from where the Nexfile lies.
    pub(crate) fn file_beside(&self) -> Option<PathBuf> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        self.file.as_ref().map(|file| folder.join(file))
    }

    /// The triggers, when all of them are plain texts.
    pub(crate) fn plain_triggers(&self) -> Option<Vec<String>> {
        let triggers = self.request.get("triggers")?.as_array()?;
        triggers.iter().map(|trigger| Some(trigger.as_str()?.to_owned())).collect()
    }

    /// How long the workload means to live, when it does not say so.
    pub(crate) fn lifecycle_or_usual(&self) -> Lifecycle {
        let usual = match self.kind.as_deref() {
            Some("javascript" | "wasm") => Lifecycle::Function,
            _ => Lifecycle::Service,
        };
        self.lifecycle.unwrap_or(usual)
    }
}

fn read_keys(mut document: Map<String, Value>) -> Result<Nexfile, String> {
    if let Some(unknown) = document.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(unknown_key(unknown));
    }
    document.retain(|_, value| !value.is_null());
    let mut take = |key: &str| document.remove(key);
    let request = match take("start_request") {
        Some(Value::Object(request)) => request,
        Some(_) => return Err("start_request must be an object".to_owned()),
        None => Map::new(),
    };
    let nexfile = Nexfile {
        path: PathBuf::new(),
        name: text("name", take("name"))?,
        kind: text("type", take("type"))?,
        lifecycle: lifecycle(take("lifecycle"))?,
        description: text("description", take("description"))?.unwrap_or_default(),
        tags: texts("tags", take("tags"))?,
        file: text("file", take("file"))?.map(PathBuf::from),
        copies: copies(take("copies"))?,
        request,
    };
    let request = merged(
        nexfile.request,
        [
            ("triggers", list("triggers", take("triggers"))?),
            ("limits", object("limits", take("limits"))?),
            ("environment", environment(take("environment"))?),
            ("host_services", object("host_services", take("host_services"))?),
            ("sandbox", text("sandbox", take("sandbox"))?.map(Value::String)),
            ("restart", object("restart", take("restart"))?),
            ("health", object("health", take("health"))?),
            ("stop", object("stop", take("stop"))?),
            ("mounts", list("mounts", take("mounts"))?),
            ("timeout", text("timeout", take("timeout"))?.map(Value::String)),
            ("retries", take("retries")),
            ("expose_ports", take("expose_ports")),
        ],
    )?;
    Ok(Nexfile { request, ..nexfile })
}

/// Our keys of the top level stand for the same keys of the start request.
fn merged(
    mut request: Map<String, Value>,
    ours: [(&str, Option<Value>); 12],
) -> Result<Map<String, Value>, String> {
    for (key, value) in ours {
        let Some(value) = value else { continue };
        if request.insert(key.to_owned(), value).is_some() {
            return Err(format!("{key} stands at the top and in start_request"));
        }
    }
    Ok(request)
}

fn unknown_key(key: &str) -> String {
    match suggest::nearest(key, KEYS.into_iter().chain([several::KEY])) {
        Some(known) => format!("unknown key \"{key}\", did you mean \"{known}\"?"),
        None => format!("unknown key \"{key}\""),
    }
}

fn text(key: &str, value: Option<Value>) -> Result<Option<String>, String> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{key} must be a text")),
    }
}

fn lifecycle(value: Option<Value>) -> Result<Option<Lifecycle>, String> {
    let wrong = || "lifecycle must be service, function or job".to_owned();
    match text("lifecycle", value)?.as_deref() {
        None | Some("") => Ok(None),
        Some(word) => serde_json::from_value(word.into()).map(Some).map_err(|_| wrong()),
    }
}

fn copies(value: Option<Value>) -> Result<Option<u16>, String> {
    let Some(value) = value else { return Ok(None) };
    let copies = value.as_u64().and_then(|n| u16::try_from(n).ok());
    let copies = copies.filter(|n| (1..=1000).contains(n));
    copies.map(Some).ok_or_else(|| "copies must be a number from 1 to 1000".to_owned())
}

/// YAML's numbers and truths are texts here, as they are for Go.
fn texts(key: &str, value: Option<Value>) -> Result<BTreeMap<String, String>, String> {
    let wrong = || format!("{key} must be an object of texts");
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    let Value::Object(map) = value else { return Err(wrong()) };
    let pair = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
        _ => Err(wrong()),
    };
    map.into_iter().map(pair).collect()
}

fn environment(value: Option<Value>) -> Result<Option<Value>, String> {
    if value.is_none() {
        return Ok(None);
    }
    let texts = texts("environment", value)?.into_iter();
    Ok(Some(texts.map(|(key, value)| (key, Value::String(value))).collect()))
}

fn list(key: &str, value: Option<Value>) -> Result<Option<Value>, String> {
    match value {
        None | Some(Value::Array(_)) => Ok(value),
        Some(Value::String(one)) => Ok(Some(Value::Array(vec![one.into()]))),
        Some(_) => Err(format!("{key} must be a list")),
    }
}

fn object(key: &str, value: Option<Value>) -> Result<Option<Value>, String> {
    match value {
        None | Some(Value::Object(_)) => Ok(value),
        Some(_) => Err(format!("{key} must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Nexfile, String> {
        super::parse(text).map(|mut workloads| workloads.pop().unwrap())
    }

    #[test]
    fn the_go_form_is_read_in_json_and_in_yaml() {
        let json = r#"{"name":"echo","type":"native","lifecycle":"service","description":"d",
            "tags":{"region":"lab"},"start_request":{"uri":"file:///bin/echo","argv":["a"]}}"#;
        let yaml = "name: echo\ntype: native\nlifecycle: service\ndescription: d\ntags:\n  region: lab\n\
                    start_request:\n  uri: file:///bin/echo\n  argv: [a]\n";
        let read = parse(json).unwrap();
        assert_eq!(read, parse(yaml).unwrap());
        assert_eq!(
            (read.name.as_deref(), read.lifecycle),
            (Some("echo"), Some(Lifecycle::Service))
        );
        assert_eq!(Value::Object(read.request), json!({"uri": "file:///bin/echo", "argv": ["a"]}));
    }

    #[test]
    fn our_keys_of_the_top_level_go_into_the_start_request() {
        let text = "file: ./echo.js\ntriggers: [js.echo]\nlimits: {timeout: 2s}\n\
                    environment: {N: 1, ON: true}\ncopies: 1\n";
        let read = parse(text).unwrap();
        assert_eq!(read.copies, Some(1));
        let expected = json!({"triggers": ["js.echo"], "limits": {"timeout": "2s"},
            "environment": {"N": "1", "ON": "true"}});
        assert_eq!(Value::Object(read.request.clone()), expected);
        let read = Nexfile { path: PathBuf::from("a/Nexfile"), ..read };
        assert_eq!(read.file_beside(), Some(PathBuf::from("a/./echo.js")));
    }

    #[test]
    fn so_do_the_keys_of_programs() {
        let text = "file: ./app\nsandbox: strict\nrestart: {policy: on-failure, max: 3}\n\
                    health: {tcp: 8080}\nstop: {grace: 3s}\nmounts: /etc/ssl\nexpose_ports: [8080]\n\
                    limits: {cpu: 0.5}\n";
        let expected = json!({"sandbox": "strict", "restart": {"policy": "on-failure", "max": 3},
            "health": {"tcp": 8080}, "stop": {"grace": "3s"}, "mounts": ["/etc/ssl"],
            "expose_ports": [8080], "limits": {"cpu": 0.5}});
        assert_eq!(Value::Object(parse(text).unwrap().request), expected);
        let job = parse("lifecycle: job\nfile: ./job\ntimeout: 1m\nretries: 2\n").unwrap();
        assert_eq!(Value::Object(job.request), json!({"timeout": "1m", "retries": 2}));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, says) in [
            ("nam: x", "unknown key \"nam\", did you mean \"name\"?"),
            ("workload: [{file: a}]", "unknown key \"workload\", did you mean \"workloads\"?"),
            ("lifecycle: cron", "lifecycle must be"),
            ("copies: 0", "copies must be"),
            ("copies: many", "copies must be"),
            ("tags: [a]", "tags must be"),
            ("sandbox: [strict]", "sandbox must be a text"),
            ("health: yes", "health must be an object"),
            ("timeout: 10", "timeout must be a text"),
            ("triggers: a\nstart_request: {triggers: [b]}", "triggers stands at the top"),
            ("{\"name\": ", "EOF"),
            ("[1]", "not an object"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "no {says:?} in {error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}", lines in prop::collection::vec("[a-z_]{1,12}: [\\[{&*!|>a-z0-9, ]{0,8}", 0..6)) {
            let _either_way = parse(&text);
            let _either_way = parse(&lines.join("\n"));
        }
    }
}
