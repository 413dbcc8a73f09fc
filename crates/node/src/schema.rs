//! Checks start requests against a nexlet's JSON schema, before anything is fetched.
//!
//! Owns: compiling, and a report that helps. Never: fetches a remote schema.

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

/// A compiled schema and its text, which goes into bids verbatim.
#[derive(Debug)]
pub(crate) struct Schema {
    text: String,
    document: Value,
    validator: Validator,
}

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    /// 400.
    #[error("{0}")]
    NotJson(String),
    /// 500.
    #[error("{0}")]
    NotASchema(String),
}

impl Schema {
    pub(crate) fn compile(text: &str) -> Result<Self, SchemaError> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| SchemaError::NotJson(error.to_string()))?;
        let validator = jsonschema::validator_for(&document)
            .map_err(|error| SchemaError::NotASchema(error.to_string()))?;
        Ok(Self { text: text.to_owned(), document, validator })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// All that is wrong with `request`, one line each.
    pub(crate) fn check(&self, request: &Value) -> Result<(), String> {
        let lines: Vec<String> =
            self.validator.iter_errors(request).map(|error| self.describe(&error)).collect();
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }

    fn describe(&self, error: &jsonschema::ValidationError<'_>) -> String {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
            let hints: Vec<String> = unexpected.iter().map(|key| self.unknown_key(key)).collect();
            return format!("{place}{}", hints.join("; "));
        }
        // The message may quote the instance, which may hold secrets: the masked form does not.
        format!("{place}{}", error.masked())
    }

    fn unknown_key(&self, key: &str) -> String {
        let valid = self.document.get("properties").and_then(Value::as_object);
        let nearest = valid
            .into_iter()
            .flat_map(|properties| properties.keys())
            .min_by_key(|candidate| distance(key, candidate))
            .filter(|candidate| distance(key, candidate) <= candidate.len() / 2);
        match nearest {
            Some(candidate) => format!("unknown key \"{key}\", did you mean \"{candidate}\"?"),
            None => format!("unknown key \"{key}\""),
        }
    }
}

/// Levenshtein's distance over bytes; both are short key names.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use nex_api::start::{FunctionRequest, schema_text};
    use serde_json::json;

    use super::*;

    fn check(request: &Value) -> Result<(), String> {
        Schema::compile(&schema_text::<FunctionRequest>()).unwrap().check(request)
    }

    #[test]
    fn a_good_request_passes() {
        assert_eq!(check(&json!({"uri":"nats://B/o","triggers":["a"]})), Ok(()));
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_valid_one() {
        let report =
            check(&json!({"uri":"x","triggers":["a"],"enviroment":{"A":"secret"}})).unwrap_err();
        assert_eq!(report, "unknown key \"enviroment\", did you mean \"environment\"?");
    }

    #[test]
    fn missing_and_empty_are_told_without_the_values() {
        let report = check(&json!({"triggers":[],"environment":{"A":5}})).unwrap_err();
        assert!(report.contains("uri") && report.contains("/triggers"), "{report}");
        assert!(!report.contains('5'), "{report}");
    }

    #[test]
    fn schemas_that_are_none_are_told_apart() {
        assert!(matches!(Schema::compile("{"), Err(SchemaError::NotJson(_))));
        assert!(matches!(
            Schema::compile(r#"{"type":"nonsense"}"#),
            Err(SchemaError::NotASchema(_))
        ));
        assert!(Schema::compile("{}").is_ok());
    }
}
