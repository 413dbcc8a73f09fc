//! The `environment` of our start requests: clear, or sealed to the nexlet's key.
//!
//! Owns: both forms, their schema, and finding and replacing them in a `run_request`. Never: seals or
//! opens (`nex_bus::seal`), or shows a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::EncEnv;

const KEY: &str = "environment";
const SEALED: &str = "base64_encrypted_env";
const SENDER: &str = "encrypted_by";

/// Variables, or the sealed box that holds them. `Debug` hides both.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", untagged)]
pub enum Environment {
    /// Names and values.
    Clear(BTreeMap<String, String>),
    /// An object with exactly the two keys of [`EncEnv`].
    Sealed(EncEnv),
}

impl Environment {
    /// Whether there is certainly nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Clear(variables) if variables.is_empty())
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::Clear(BTreeMap::new())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear(_) => "Clear(..)",
            Self::Sealed(_) => "Sealed(..)",
        })
    }
}

impl From<BTreeMap<String, String>> for Environment {
    fn from(mut variables: BTreeMap<String, String>) -> Self {
        let is_sealed = variables.len() == 2
            && variables.contains_key(SEALED)
            && variables.contains_key(SENDER);
        if !is_sealed {
            return Self::Clear(variables);
        }
        let mut take = |key: &str| variables.remove(key).unwrap_or_default();
        Self::Sealed(EncEnv { base64_encrypted_env: take(SEALED), encrypted_by: take(SENDER) })
    }
}

impl JsonSchema for Environment {
    fn schema_name() -> Cow<'static, str> {
        "Environment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    /// The clear form comes first: its words are those that help who made a mistake.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "object", "additionalProperties": { "type": "string" } },
                {
                    "type": "object",
                    "properties": { SEALED: { "type": "string" }, SENDER: { "type": "string" } },
                    "required": [SEALED, SENDER],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// The environment in a `run_request`, if it is JSON that has one of either form.
#[must_use]
pub fn environment_of(run_request: &str) -> Option<Environment> {
    let document: Value = serde_json::from_str(run_request).ok()?;
    serde_json::from_value(document.get(KEY)?.clone()).ok()
}

/// The `run_request` with another environment; none when it is not a JSON object.
#[must_use]
pub fn with_environment(run_request: &str, environment: &Environment) -> Option<String> {
    let mut document: Value = serde_json::from_str(run_request).ok()?;
    let environment = serde_json::to_value(environment).ok()?;
    document.as_object_mut()?.insert(KEY.to_owned(), environment);
    Some(document.to_string())
}

/// Whether a nexlet with this schema takes a sealed environment: Go's, for instance, does not.
#[must_use]
pub fn takes_sealed(schema: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(schema) else { return false };
    let forms = document.pointer("/properties/environment/anyOf").and_then(Value::as_array);
    forms.into_iter().flatten().any(|form| {
        let required = form.get("required").and_then(Value::as_array);
        required.is_some_and(|keys| keys.iter().any(|key| key == SEALED))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::start::{FunctionRequest, NativeRequest, schema_text};

    const SEALED_REQUEST: &str = r#"{"environment":{"base64_encrypted_env":"eA==","encrypted_by":"XA"},"triggers":["a"],"uri":"u"}"#;

    #[test]
    fn both_forms_are_told_apart() {
        let request: FunctionRequest = serde_json::from_str(SEALED_REQUEST).unwrap();
        assert!(matches!(request.environment, Environment::Sealed(_)));
        assert_eq!(serde_json::to_value(&request).unwrap()["environment"]["encrypted_by"], "XA");
        let clear = r#"{"uri":"u","environment":{"encrypted_by":"me"}}"#;
        let request: NativeRequest = serde_json::from_str(clear).unwrap();
        assert!(matches!(&request.environment, Environment::Clear(map) if map.len() == 1));
        assert!(!format!("{:?}", request.environment).contains("me"));
    }

    #[test]
    fn our_schemas_say_that_they_take_the_sealed_form() {
        assert!(takes_sealed(&schema_text::<FunctionRequest>()));
        assert!(takes_sealed(&schema_text::<NativeRequest>()));
        let go = r#"{"properties":{"environment":{"type":"object"}}}"#;
        assert!(!takes_sealed(go) && !takes_sealed("{}") && !takes_sealed("{"));
    }

    #[test]
    fn an_environment_is_found_and_replaced() {
        assert!(matches!(environment_of(SEALED_REQUEST), Some(Environment::Sealed(_))));
        for none in ["", "[]", "{}", r#"{"environment":{"A":5}}"#, r#"{"environment":null}"#] {
            assert_eq!(environment_of(none), None, "{none}");
        }
        let clear = Environment::Clear([("A".to_owned(), "b".to_owned())].into());
        let replaced = with_environment(SEALED_REQUEST, &clear).unwrap();
        assert_eq!(replaced, r#"{"environment":{"A":"b"},"triggers":["a"],"uri":"u"}"#);
        assert_eq!(environment_of(&replaced), Some(clear.clone()));
        assert_eq!(with_environment("[]", &clear), None);
    }
}
