//! YAML as a JSON value: the library reads the grammar, this builds the value.
//!
//! Owns: plain words that are null, truths or numbers (YAML's core schema), and bounds: one document, no
//! aliases, which could blow a small text up, limited depth. Never: knows a key of a Nexfile.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// As deep as the JSON parser goes.
const DEEPEST: usize = 128;

/// A collection that is not closed yet.
#[derive(Debug)]
enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

/// The one document of a text.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut document = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let line = span.start.line();
        let at = |what: &str| format!("{what} at line {line}");
        let value = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= DEEPEST => {
                return Err(at("too many levels"));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Map(map, _)) => Value::Object(map),
                None => return Err(at("an end without a beginning")),
            },
            Event::Alias(_) => return Err(at("aliases are not taken")),
            _ => continue,
        };
        put(&mut open, &mut document, value).map_err(at)?;
    }
    document.ok_or_else(|| "it is empty".to_owned())
}

/// Puts a finished value where it belongs.
fn put(open: &mut [Open], document: &mut Option<Value>, value: Value) -> Result<(), &'static str> {
    match open.last_mut() {
        None if document.is_some() => return Err("a second document"),
        None => *document = Some(value),
        Some(Open::List(list)) => list.push(value),
        Some(Open::Map(map, key @ None)) => {
            let name = match value {
                Value::String(name) => name,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err("a key that is no text"),
            };
            if map.contains_key(&name) {
                return Err("a key for the second time");
            }
            *key = Some(name);
        }
        Some(Open::Map(map, key)) => {
            map.insert(key.take().unwrap_or_default(), value);
        }
    }
    Ok(())
}

/// A word without quotes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if is_number && let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let is_decimal = is_number && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let decimal = is_decimal.then(|| text.parse::<f64>().ok()).flatten();
    match decimal.and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_words_have_types_and_quoted_ones_are_texts() {
        let text = "a: 1\nb: '1'\nc: [true, ~, 2.5, 1.2.3, -7]\nd:\n  e: |\n    two\n    lines\n";
        let expected = json!({"a": 1, "b": "1", "c": [true, null, 2.5, "1.2.3", -7], "d": {"e": "two\nlines\n"}});
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_is_not_taken_is_said_with_its_line() {
        let deep = "[".repeat(500);
        for (text, says) in [
            ("a: &x 1\nb: *x\n", "aliases are not taken at line 2"),
            ("a: 1\na: 2\n", "a key for the second time at line 2"),
            ("---\na: 1\n---\nb: 1\n", "a second document at line"),
            ("[a]: 1", "a key that is no text"),
            ("", "it is empty"),
            ("a: [", "did not find expected node content at byte 4 line 2"),
            (&deep, "recursion limit"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "no {says:?} in {error:?}");
        }
    }
}
