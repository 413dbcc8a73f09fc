//! The JSON schema of a Nexfile, for editors.
//!
//! Owns: the keys of the top level; what stands in a start request comes from the types of `nex_api`.
//! Never: checks a file; reading one does, and says more.

use nex_api::start::{FunctionRequest, NativeRequest, schema_text};
use serde_json::{Map, Value, json};

use super::{KEYS, several};

/// Where the definitions of both kinds of requests go.
const DEFINITIONS: &str = "$defs";

/// The schema of a whole Nexfile.
pub(crate) fn schema() -> Value {
    let mut definitions = Map::new();
    let function = request(&schema_text::<FunctionRequest>(), "Function", &mut definitions);
    let native = request(&schema_text::<NativeRequest>(), "Native", &mut definitions);
    let keys: Map<String, Value> =
        KEYS.iter().map(|key| ((*key).to_owned(), property(key, &function, &native))).collect();
    let workload = json!({ "type": "object", "additionalProperties": false, "properties": keys });
    let mut top = keys;
    top.insert(
        several::KEY.to_owned(),
        json!({
            "description": "Several workloads; what stands beside this key is the default of each",
            "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/Workload" },
        }),
    );
    definitions.insert("Workload".to_owned(), workload);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Nexfile",
        "description": "What workloads are: nex run, nex apply",
        "type": "object", "additionalProperties": false,
        "properties": top, (DEFINITIONS): definitions,
    })
}

/// The properties of a request type; its definitions are added to all, under names of their own.
fn request(schema: &str, prefix: &str, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let text = schema.replace("\"#/$defs/", &format!("\"#/$defs/{prefix}."));
    let mut schema: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    if let Some(Value::Object(own)) = schema.remove(DEFINITIONS) {
        definitions
            .extend(own.into_iter().map(|(name, value)| (format!("{prefix}.{name}"), value)));
    }
    match schema.remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    }
}

fn property(key: &str, function: &Map<String, Value>, native: &Map<String, Value>) -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    match key {
        "name" => text("Name of the workload; else the file's name"),
        "type" => text(
            "javascript, typescript, wasm, native, or the type of another nexlet; else the bytes are asked",
        ),
        "lifecycle" => json!({ "enum": ["service", "function", "job"],
            "description": "How long it means to live; else by its type" }),
        "description" => text("Free text"),
        "tags" => texts("What the node must have"),
        "file" => text("The file to upload, from where the Nexfile lies"),
        "environment" => texts("Environment of the workload"),
        "copies" => json!({ "type": "integer", "minimum": 1, "maximum": 1000,
            "description": "How many shall run, spread over the nodes" }),
        "start_request" => json!({ "type": "object",
            "description": "The start request itself; uri instead of file when the artifact is there already" }),
        "triggers" => json!({ "anyOf": [{ "type": "string" }, either(key, function, native)],
            "description": "What makes a function run" }),
        _ => either(key, function, native),
    }
}

/// What functions, programs or both take under a key.
fn either(key: &str, function: &Map<String, Value>, native: &Map<String, Value>) -> Value {
    match (function.get(key), native.get(key)) {
        (Some(one), Some(other)) if one != other => json!({ "anyOf": [one, other] }),
        (Some(one), _) | (None, Some(one)) => one.clone(),
        (None, None) => json!(true),
    }
}

fn texts(what: &str) -> Value {
    json!({ "type": "object", "description": what,
        "additionalProperties": { "type": ["string", "number", "boolean"] } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|inner| references(inner, found));
            }
            Value::Array(list) => list.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn every_key_is_in_the_schema_and_every_reference_leads_somewhere() {
        let schema = schema();
        for key in KEYS {
            let (top, inner) =
                (&schema["properties"][key], &schema["$defs"]["Workload"]["properties"][key]);
            assert!(top.is_object() && top == inner, "{key}: {top} {inner}");
        }
        assert!(schema["properties"]["workloads"].is_object());
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.iter().any(|target| target.contains("Function.")), "{found:?}");
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{target} leads nowhere");
        }
    }
}
