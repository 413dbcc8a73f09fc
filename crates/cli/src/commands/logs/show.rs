//! How lines look.
//!
//! Owns: names of workloads, text and JSON, one colour per workload. Never: decides which are shown.

use std::collections::{HashMap, HashSet};

use nex_api::event::WORKLOAD_STARTED;
use nex_api::workload::fact;
use nex_client::{Client, EventLine, LogRecord};
use serde_json::{Value, json};

use super::Form;
use crate::ui;

/// Of workloads; red and yellow are levels.
const COLOURS: [&str; 5] = [ui::CYAN, "35", ui::GREEN, "34", "96"];
/// Workloads whose names are remembered; the lines of ours tell them anyway.
const MOST_NAMES: usize = 100_000;

/// What is known of workloads beside their lines.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: HashMap<String, String>,
    nodes: HashMap<String, String>,
    running: HashSet<String>,
}

impl Names {
    /// Those that are listed now; none when nobody answers, since lines may be there all the same.
    pub(super) async fn new(client: &Client) -> Self {
        let mut names = Self::default();
        for workload in client.workloads(&[]).await.unwrap_or_default() {
            if let Some(node) = workload.metadata.get(fact::NODE_ID) {
                names.nodes.insert(workload.id.clone(), node.clone());
            }
            names.running.insert(workload.id.clone());
            names.names.insert(workload.id, workload.name);
        }
        names
    }

    /// The id of a workload that an event tells the name of.
    pub(super) fn learn(&mut self, event: &EventLine) -> Option<String> {
        if event.kind != WORKLOAD_STARTED || self.names.len() >= MOST_NAMES {
            return None;
        }
        let text = |pointer: &str| event.payload.pointer(pointer).and_then(Value::as_str);
        let id = text("/id")?.to_owned();
        let name = text("/metadata/name").unwrap_or(&id).to_owned();
        self.names.insert(id.clone(), name);
        Some(id)
    }

    pub(super) fn name_of<'a>(&'a self, record: &'a LogRecord) -> &'a str {
        let known = || self.names.get(&record.workload_id).map(String::as_str);
        record.name.as_deref().or_else(known).unwrap_or(&record.workload_id)
    }

    pub(super) fn node_of<'a>(&'a self, record: &'a LogRecord) -> Option<&'a str> {
        let known = || self.nodes.get(&record.workload_id).map(String::as_str);
        record.node_id.as_deref().or_else(known)
    }

    /// The names that are known.
    pub(super) fn of_workloads(&self) -> impl Iterator<Item = &str> {
        self.names.values().map(String::as_str)
    }

    pub(super) fn knows(&self, record: &LogRecord) -> bool {
        record.name.is_some() || self.names.contains_key(&record.workload_id)
    }

    pub(super) fn runs(&self, id: &str) -> bool {
        self.running.contains(id)
    }

    /// Whether it is the name or the beginning of an id of what runs.
    pub(super) fn has(&self, target: &str) -> bool {
        let is_it = |(id, name): (&String, &String)| name == target || id.starts_with(target);
        self.names.iter().any(is_it)
    }

    /// How many ids of what runs begin so, unless it is a whole id or a name.
    pub(super) fn n_beginning_with(&self, target: &str) -> usize {
        if self.names.iter().any(|(id, name)| id == target || name == target) {
            return 0;
        }
        self.names.keys().filter(|id| id.starts_with(target)).count()
    }
}

/// Where lines go.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) names: Names,
    form: Form,
    document: Vec<Value>,
}

impl Shown {
    pub(super) fn new(form: Form, names: Names) -> Self {
        Self { names, form, document: Vec::new() }
    }

    /// Shows a line; false when nobody reads.
    pub(super) fn show(&mut self, record: &LogRecord) -> bool {
        match self.form {
            Form::Text => self.show_text(record),
            Form::JsonLines => ui::follow(self.json_of(record)),
            Form::Json => {
                let document = self.json_of(record);
                self.document.push(document);
                true
            }
        }
    }

    /// All that there was is shown.
    pub(super) fn end_of_past(&mut self) {
        if self.form == Form::Json {
            ui::json(&std::mem::take(&mut self.document));
        }
    }

    fn json_of(&self, record: &LogRecord) -> Value {
        let mut document = json!({
            "time": record.time,
            "level": record.level,
            "stream": record.stream,
            "namespace": record.namespace,
            "id": record.workload_id,
            "name": self.names.name_of(record),
            "node": self.names.node_of(record),
        });
        let (key, value) = match std::str::from_utf8(&record.bytes) {
            Ok(text) => ("text", text.to_owned()),
            Err(_) => ("base64", nex_bus::connection::base64(&record.bytes)),
        };
        if let Value::Object(fields) = &mut document {
            fields.insert(key.to_owned(), Value::String(value));
        }
        document
    }

    fn show_text(&self, record: &LogRecord) -> bool {
        let text = String::from_utf8_lossy(&record.bytes);
        let mark = match record.level.as_str() {
            "error" => ui::paint_out("error ", ui::RED),
            "warn" => ui::paint_out("warn ", ui::YELLOW),
            _ => String::new(),
        };
        let name = ui::harmless(self.names.name_of(record));
        let name = ui::paint_out(&name, colour(&record.workload_id));
        ui::follow(format_args!("{name}: {mark}{}", ui::harmless(&text)))
    }
}

/// The same for all lines of a workload.
fn colour(id: &str) -> &'static str {
    let sum: usize = id.bytes().map(usize::from).sum();
    COLOURS.get(sum % COLOURS.len()).copied().unwrap_or(ui::CYAN)
}
