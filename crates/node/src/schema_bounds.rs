//! Bounds on what a strangers' schema may cost.
//!
//! Owns: the size of the text, and how many steps one value takes when every local `$ref` is followed.
//! Never: compiles or validates. Regular expressions are bounded by their engine, remote references by
//! having no retriever (`schema`).

use std::collections::HashMap;

use serde_json::Value;

/// Longer ones are no help to anybody, and would travel with every bid.
const LONGEST: usize = 128 * 1024;
/// Ours take a few hundred steps; a few kilobytes of nested references can take 2^60.
const MOST_STEPS: u64 = 100_000;

/// Why a schema costs too much.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMuch {
    #[error("the schema has {0} bytes, more than {LONGEST}")]
    Bytes(usize),
    #[error("the schema's references multiply to more than {MOST_STEPS} steps")]
    Steps,
}

/// Before the text is parsed.
pub(crate) fn check_size(text: &str) -> Result<(), TooMuch> {
    if text.len() > LONGEST { Err(TooMuch::Bytes(text.len())) } else { Ok(()) }
}

/// Before the document is compiled. A reference back to a schema that is being followed counts one step:
/// it goes on with a smaller value, or is a loop that the validator itself breaks.
pub(crate) fn check_steps(document: &Value) -> Result<(), TooMuch> {
    let mut steps = Steps { document, known: HashMap::new() };
    if steps.of(document) > MOST_STEPS { Err(TooMuch::Steps) } else { Ok(()) }
}

struct Steps<'d> {
    document: &'d Value,
    /// By pointer; zero while it is being followed.
    known: HashMap<&'d str, u64>,
}

impl<'d> Steps<'d> {
    fn of(&mut self, schema: &'d Value) -> u64 {
        match schema {
            Value::Array(items) => items.iter().fold(1, |sum, item| add(sum, self.of(item))),
            Value::Object(entries) => entries.iter().fold(1, |sum, (key, value)| match value {
                Value::String(target) if key.ends_with("ef") => add(sum, self.of_target(target)),
                // Definitions cost where they are referred to.
                _ if matches!(key.as_str(), "$defs" | "definitions" | "enum" | "const") => sum,
                value => add(sum, self.of(value)),
            }),
            _ => 0,
        }
    }

    fn of_target(&mut self, target: &'d str) -> u64 {
        if let Some(known) = self.known.get(target) {
            return (*known).max(1);
        }
        self.known.insert(target, 0);
        let pointer = target.strip_prefix('#').unwrap_or(target);
        let steps = self.document.pointer(pointer).map_or(1, |schema| self.of(schema));
        self.known.insert(target, steps);
        steps
    }
}

fn add(sum: u64, more: u64) -> u64 {
    sum.saturating_add(more)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ordinary_and_recursive_schemas_pass() {
        let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
        assert_eq!(check_steps(&tree), Ok(()));
        let ours = nex_api::start::schema_text::<nex_api::start::FunctionRequest>();
        assert_eq!(check_steps(&serde_json::from_str(&ours).unwrap()), Ok(()));
        assert_eq!(check_size(&ours), Ok(()));
        assert_eq!(check_steps(&json!(true)), Ok(()));
    }

    #[test]
    fn references_that_multiply_are_refused() {
        let mut definitions = serde_json::Map::new();
        for n in 0..60 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            definitions.insert(format!("d{n}"), json!({"allOf": [next, next]}));
        }
        definitions.insert("d60".to_owned(), json!({"type": "object"}));
        let laughs = json!({"$ref": "#/$defs/d0", "$defs": definitions});
        assert_eq!(check_steps(&laughs), Err(TooMuch::Steps));
        assert_eq!(check_size(&"x".repeat(LONGEST + 1)), Err(TooMuch::Bytes(LONGEST + 1)));
    }
}
