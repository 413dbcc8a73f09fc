//! Golden files of messages: what is read, what is printed byte for byte, what is refused.
//!
//! Owns: the format of the files, and the variants that follow from a row of a table. Never: knows a message.
//!
//! ```text
//! R key type   a required key: absent is refused, null is its zero value, another type is refused
//! O key type   an optional one: absent is fine too
//! = JSON       read and printed again, byte for byte (the first one is the sample for the variants)
//! < JSON       read, and printed as the next line, which begins with `>`
//! ! JSON       refused
//! ```

use std::fmt::Debug;

use nex_api::{decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Bodies that are no message at all.
const NOTHING: [&str; 6] = ["", "{", "{}", "7", "\"text\"", "\u{0}"];

/// What a test may ask of a message.
pub(crate) trait Message:
    Serialize + DeserializeOwned + Default + PartialEq + Debug
{
}
impl<T: Serialize + DeserializeOwned + Default + PartialEq + Debug> Message for T {}

struct Row<'a> {
    is_required: bool,
    key: &'a str,
    kind: &'a str,
}

/// Plays a whole file against a message.
pub(crate) fn check<T: Message>(file: &str, text: &str) {
    let (mut rows, mut sample, mut read) = (Vec::new(), None, None);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (mark, rest) = line.split_at(2);
        match mark {
            "R " | "O " => rows.push(row(mark == "R ", rest)),
            "= " => {
                assert_eq!(printed(&accepted::<T>(file, rest)), rest, "{file}");
                sample.get_or_insert(rest);
            }
            "< " => read = Some(accepted::<T>(file, rest)),
            "> " => assert_eq!(printed(&read.take().unwrap()), rest, "{file}"),
            "! " => refused::<T>(file, rest),
            _ => panic!("{file}: what is {line:?}?"),
        }
    }
    let sample = sample.unwrap_or_else(|| panic!("{file} has no sample"));
    check_body::<T>(file, sample);
    check_keys::<T>(file, sample, &rows);
}

/// The rules for whole bodies and unknown keys (section 4.0).
fn check_body<T: Message>(file: &str, sample: &str) {
    for body in NOTHING {
        refused::<T>(file, body);
    }
    assert_eq!(accepted::<T>(file, "null"), T::default(), "{file}");
    let mut more = object(sample);
    let values: Vec<Value> = more.as_object().unwrap().values().cloned().collect();
    refused::<T>(file, &Value::Array(values).to_string());
    more["from_the_future"] = json!({ "a": [1] });
    assert_eq!(accepted::<T>(file, &more.to_string()), accepted::<T>(file, sample), "{file}");
}

fn check_keys<T: Message>(file: &str, sample: &str, rows: &[Row<'_>]) {
    let keys: Vec<String> = object(sample).as_object().unwrap().keys().cloned().collect();
    let has_row = |key: &&String| !rows.iter().any(|row| row.key == **key);
    assert_eq!(keys.iter().find(has_row), None, "{file}: a key without a row");
    for Row { is_required, key, kind } in rows {
        let what = format!("{file}, key {key}");
        let with = |value: Value| {
            let mut message = object(sample);
            message[*key] = value;
            message.to_string()
        };
        let mut without = object(sample);
        without.as_object_mut().unwrap().remove(*key);
        match is_required {
            true => refused::<T>(&what, &without.to_string()),
            false => drop(accepted::<T>(&what, &without.to_string())),
        }
        match *kind {
            "enum" => refused::<T>(&what, &with(Value::Null)),
            _ => drop(accepted::<T>(&what, &with(Value::Null))),
        }
        for wrong in wrong_values(kind) {
            refused::<T>(&what, &with(wrong));
        }
    }
}

fn row(is_required: bool, text: &str) -> Row<'_> {
    let (key, kind) = text.split_once(' ').unwrap();
    Row { is_required, key, kind }
}

fn wrong_values(kind: &str) -> Vec<Value> {
    match kind {
        "string" => vec![json!(7), json!([]), json!({})],
        "number" => vec![json!("7"), json!(true)],
        "bool" => vec![json!("true"), json!(1)],
        "map" => vec![json!([]), json!("text"), json!({ "key": { "no": "text" } })],
        "object" => vec![json!(7), json!("text")],
        "list" => vec![json!({}), json!("text"), json!([{}])],
        "time" => vec![json!("yesterday"), json!(7), json!("2026-04-23 08:58:10")],
        "enum" => vec![json!("nosuch"), json!(""), json!(7)],
        other => panic!("what is a {other}?"),
    }
}

#[track_caller]
fn accepted<T: Message>(what: &str, body: &str) -> T {
    decode(body.as_bytes()).unwrap_or_else(|error| panic!("{what}: {error} in {body}"))
}

#[track_caller]
fn refused<T: Message>(what: &str, body: &str) {
    if let Ok(message) = decode::<T>(body.as_bytes()) {
        panic!("{what}: {body} was read as {message:?}");
    }
}

fn printed(message: &impl Serialize) -> String {
    String::from_utf8(encode(message)).unwrap()
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
