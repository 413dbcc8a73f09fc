//! Checks start requests against a nexlet's JSON schema, before anything is fetched.
//!
//! Owns: compiling, and a report that helps. Never: fetches a remote schema, or takes one that costs
//! more than its bounds: it is a stranger's text.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::schema_bounds::{check_size, check_steps};

/// Bytes that one compiled pattern may take.
const PATTERN_LIMIT: usize = 1 << 20;

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
    /// Compiles a schema.
    ///
    /// # Errors
    /// When it is not JSON, larger than its bounds, or not a schema.
    pub(crate) fn compile(text: &str) -> Result<Self, SchemaError> {
        check_size(text).map_err(|error| SchemaError::NotJson(error.to_string()))?;
        let document: Value =
            serde_json::from_str(text).map_err(|error| SchemaError::NotJson(error.to_string()))?;
        check_steps(&document).map_err(|error| SchemaError::NotASchema(error.to_string()))?;
        // The linear engine, which Go peers have too: no pattern takes longer than its text.
        let patterns =
            PatternOptions::regex().size_limit(PATTERN_LIMIT).dfa_size_limit(PATTERN_LIMIT);
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .build(&document)
            .map_err(|error| SchemaError::NotASchema(error.to_string()))?;
        Ok(Self { text: text.to_owned(), document, validator })
    }

    /// The schema as it was given.
    #[must_use]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// All that is wrong with `request`, one line each.
    ///
    /// # Errors
    /// These lines.
    pub(crate) fn check(&self, request: &Value) -> Result<(), String> {
        let lines: Vec<String> =
            self.validator.iter_errors(request).flat_map(|error| self.describe(&error)).collect();
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }

    fn describe(&self, error: &ValidationError<'_>) -> Vec<String> {
        if let Some(meant) = meant(error) {
            return meant.iter().flat_map(|inner| self.describe(inner)).collect();
        }
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
            let valid = self.keys_beside(error.schema_path().as_str());
            let hints: Vec<String> =
                unexpected.iter().map(|key| unknown_key(key, &valid)).collect();
            return vec![format!("{place}{}", hints.join("; "))];
        }
        // The message may quote the instance, which may hold secrets: the masked form does not.
        vec![format!("{place}{}", error.masked())]
    }

    /// The keys that the object takes whose keyword stands at `keyword` in the schema.
    fn keys_beside(&self, keyword: &str) -> Vec<&str> {
        let object = keyword.rsplit_once('/').map_or("", |(object, _)| object);
        let valid = self.document.pointer(&format!("{object}/properties"));
        let valid = valid.and_then(Value::as_object);
        valid.into_iter().flat_map(|properties| properties.keys()).map(String::as_str).collect()
    }
}

/// Of several forms that a value may have, what is wrong with the one that was meant: the first of
/// the value's own type.
fn meant<'e>(error: &'e ValidationError<'_>) -> Option<&'e [ValidationError<'static>]> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) =
        error.kind()
    else {
        return None;
    };
    let is_other_type = |inner: &ValidationError<'_>| {
        matches!(inner.kind(), ValidationErrorKind::Type { .. })
            && inner.instance_path() == error.instance_path()
    };
    let meant = context.iter().find(|form| !form.iter().any(is_other_type))?;
    Some(meant.as_slice())
}

fn unknown_key(key: &str, valid: &[&str]) -> String {
    let nearest = valid
        .iter()
        .min_by_key(|candidate| distance(key, candidate))
        .filter(|candidate| distance(key, candidate) <= candidate.len() / 2);
    match nearest {
        Some(candidate) => format!("unknown key \"{key}\", did you mean \"{candidate}\"?"),
        None => format!("unknown key \"{key}\""),
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
    fn inside_of_optional_objects_too() {
        let report = |more: Value| {
            let mut request = json!({"uri":"x","triggers":["a"]});
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            check(&request).unwrap_err()
        };
        let unknown = report(json!({"limits":{"memry":"1MiB"}}));
        assert_eq!(unknown, "/limits: unknown key \"memry\", did you mean \"memory\"?");
        let wrong = report(json!({"limits":{"queue":"many"}}));
        assert!(wrong.starts_with("/limits/queue: "), "{wrong}");
        let trigger = report(json!({"triggers":[{"type":"subject","subjct":"a"}]}));
        assert!(trigger.contains("did you mean \"subject\"?"), "{trigger}");
        let neither = report(json!({"triggers":[7]}));
        assert!(neither.starts_with("/triggers/0: "), "{neither}");
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

    #[test]
    fn hostile_schemas_are_refused_or_harmless() {
        let remote =
            ["http://127.0.0.1:9/x", "https://example.org/x", "file:///etc/passwd", "nats://x"];
        for target in remote {
            let schema = json!({"$ref": target}).to_string();
            let error = Schema::compile(&schema).expect_err(target);
            assert!(matches!(error, SchemaError::NotASchema(_)), "{target}: {error}");
            assert!(!error.to_string().contains("root:"), "{error}");
        }
        let deep = format!("{}{{}}{}", r#"{"not":"#.repeat(4000), "}".repeat(4000));
        assert!(matches!(Schema::compile(&deep), Err(SchemaError::NotJson(_))));
        let large = json!({"description": "x".repeat(900 << 10)}).to_string();
        assert!(matches!(Schema::compile(&large), Err(SchemaError::NotJson(_))));
        let pattern = json!({"pattern": "(((a{100}){100}){100}){100}"}).to_string();
        assert!(matches!(Schema::compile(&pattern), Err(SchemaError::NotASchema(_))));
    }

    #[test]
    fn loops_and_slow_patterns_end() {
        let slow = json!({"properties": {"a": {"pattern": "^(a+)+$"}}}).to_string();
        let slow = Schema::compile(&slow).unwrap();
        assert!(slow.check(&json!({"a": format!("{}!", "a".repeat(100_000))})).is_err());
        for looping in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            json!({"not": {"$ref": "#"}}),
        ] {
            if let Ok(schema) = Schema::compile(&looping.to_string()) {
                let _either = schema.check(&json!({"a": 1}));
            }
        }
    }
}
