//! A start request's text becomes a checked request.
//!
//! Owns: naming what is wrong with it, with the nearest valid key. Never: fetches or subscribes.

use nex_api::Code;
use nex_api::start::{FunctionRequest, Trigger};
use nex_nexlet::StartFailure;
use nex_types::{Digest, Namespace, SubjectPattern, WorkloadName};
use serde_json::Value;

use crate::limits::Limits;
use crate::runtime::Instances;
use crate::trigger::SubjectTrigger;

/// Keys of the request and of its parts, for refusals that name the nearest one. A test compares
/// them with the schema.
const REQUEST_KEYS: &[&str] =
    &["uri", "digest", "triggers", "environment", "argv", "limits", "instances", "description"];
const LIMIT_KEYS: &[&str] = &["timeout", "memory", "concurrency", "queue", "log_rate"];
const TRIGGER_KEYS: &[&str] = &["type", "subject", "queue"];

/// A request of which everything has been checked that can be without fetching.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) request: FunctionRequest,
    pub(crate) digest: Option<Digest>,
    pub(crate) limits: Limits,
    pub(crate) triggers: Vec<SubjectTrigger>,
    pub(crate) instances: Option<Instances>,
}

/// Whose request it is, and what its triggers may not be.
#[derive(Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) name: &'a WorkloadName,
    pub(crate) deny: &'a [SubjectPattern],
}

/// Reads and checks `text`, the `run_request`.
pub(crate) fn parse(text: &str, owner: &Owner<'_>) -> Result<Checked, StartFailure> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| invalid(format!("run_request is not JSON: {error}")))?;
    refuse_unknown_keys(&value)?;
    let triggers = parse_triggers(&value, owner)?;
    let request: FunctionRequest =
        serde_json::from_value(value).map_err(|error| invalid(format!("run_request: {error}")))?;
    let limits = Limits::parse(
        request.limits.as_ref().unwrap_or(&nex_api::start::FunctionLimits::default()),
    )
    .map_err(|error| invalid(error.to_string()))?;
    let digest = request.digest.as_deref().map(str::parse).transpose();
    let digest =
        digest.map_err(|error: nex_types::DigestError| invalid(format!("digest: {error}")))?;
    let instances = request.instances.map(|reuse| match reuse {
        nex_api::start::InstanceReuse::Reuse => Instances::Reuse,
        nex_api::start::InstanceReuse::Fresh => Instances::Fresh,
    });
    Ok(Checked { request, digest, limits, triggers, instances })
}

fn parse_triggers(value: &Value, owner: &Owner<'_>) -> Result<Vec<SubjectTrigger>, StartFailure> {
    let listed = match value.get("triggers") {
        Some(Value::Array(listed)) if !listed.is_empty() => listed,
        Some(Value::Array(_)) | None => {
            return Err(invalid("triggers: name at least one, for example \"js.echo\""));
        }
        Some(_) => return Err(invalid("triggers: is not a list")),
    };
    let mut triggers = Vec::with_capacity(listed.len());
    for (idx, item) in listed.iter().enumerate() {
        refuse_other_kinds(idx, item)?;
        let trigger = match item {
            Value::String(subject) => Trigger::Subject(subject.clone()),
            other => Trigger::Full(
                serde_json::from_value(other.clone())
                    .map_err(|error| not_a_trigger(idx, &error))?,
            ),
        };
        triggers.push(SubjectTrigger::parse(trigger, owner)?);
    }
    Ok(triggers)
}

fn refuse_other_kinds(idx: usize, item: &Value) -> Result<(), StartFailure> {
    match item.get("type").and_then(Value::as_str) {
        None | Some("subject") => Ok(()),
        Some(kind) => {
            let message = format!("triggers[{idx}]: type \"{kind}\" is not known; use \"subject\"");
            Err(StartFailure::new(Code::TriggerInvalid, message))
        }
    }
}

fn refuse_unknown_keys(value: &Value) -> Result<(), StartFailure> {
    check_keys("run_request", value, REQUEST_KEYS, Code::StartRequestInvalid)?;
    if let Some(limits) = value.get("limits") {
        check_keys("limits", limits, LIMIT_KEYS, Code::StartRequestInvalid)?;
    }
    let triggers = value.get("triggers").and_then(Value::as_array);
    for (idx, trigger) in triggers.into_iter().flatten().enumerate() {
        // A trigger of another kind has other keys; its kind is what is wrong with it.
        if trigger.get("type").is_none_or(|kind| kind == "subject") {
            check_keys(&format!("triggers[{idx}]"), trigger, TRIGGER_KEYS, Code::TriggerInvalid)?;
        }
    }
    Ok(())
}

fn check_keys(place: &str, value: &Value, known: &[&str], code: Code) -> Result<(), StartFailure> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let Some(unknown) = object.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let nearest =
        known.iter().min_by_key(|key| distance(unknown, key)).copied().unwrap_or_default();
    Err(StartFailure::new(
        code,
        format!("{place}: unknown key \"{unknown}\"; did you mean \"{nearest}\"?"),
    ))
}

/// How many letters have to be changed, added or taken away.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, wanted) in row.iter_mut().skip(1).zip(&other) {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = *cell;
            left = changed.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn not_a_trigger(idx: usize, error: &serde_json::Error) -> StartFailure {
    StartFailure::new(Code::TriggerInvalid, format!("triggers[{idx}]: {error}"))
}

fn invalid(message: impl Into<String>) -> StartFailure {
    StartFailure::new(Code::StartRequestInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Checked, StartFailure> {
        let namespace = Namespace::parse("default").unwrap();
        let name = WorkloadName::parse("echo").unwrap();
        let deny = [SubjectPattern::parse("private.>").unwrap()];
        parse(text, &Owner { namespace: &namespace, name: &name, deny: &deny })
    }

    fn refusal(text: &str) -> (Code, String) {
        let failure = check(text).unwrap_err();
        (failure.code, failure.message)
    }

    #[test]
    fn the_shortest_request_is_enough() {
        let checked = check(r#"{"uri":"nats://B/o","triggers":["js.echo"]}"#).unwrap();
        assert_eq!(checked.triggers.len(), 1);
        assert_eq!(checked.instances, None);
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest() {
        let cases = [
            (
                r#"{"uri":"x","triggers":["a"],"enviroment":{}}"#,
                "run_request: unknown key \"enviroment\"; did you mean \"environment\"?",
            ),
            (
                r#"{"uri":"x","triggers":["a"],"limits":{"timout":"1s"}}"#,
                "limits: unknown key \"timout\"; did you mean \"timeout\"?",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"subject","subjct":"a"}]}"#,
                "triggers[0]: unknown key \"subjct\"; did you mean \"subject\"?",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(refusal(text).1, message);
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        let invalid = Code::StartRequestInvalid;
        for (text, code, part) in [
            ("{", invalid, "not JSON"),
            (r#"{"triggers":["a"]}"#, invalid, "missing field `uri`"),
            (r#"{"uri":"x"}"#, invalid, "at least one"),
            (r#"{"uri":"x","triggers":[]}"#, invalid, "at least one"),
            (r#"{"uri":"x","triggers":"a"}"#, invalid, "not a list"),
            (r#"{"uri":"x","triggers":["a"],"digest":"md5:1"}"#, invalid, "is not a digest"),
            (
                r#"{"uri":"x","triggers":["a"],"limits":{"queue":99999}}"#,
                invalid,
                "from 0 to 65536",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"stream","stream":"S"}]}"#,
                Code::TriggerInvalid,
                "type \"stream\" is not known",
            ),
            (r#"{"uri":"x","triggers":["a..b"]}"#, Code::TriggerInvalid, "a..b"),
            (r#"{"uri":"x","triggers":["private.x"]}"#, Code::SubjectDenied, "private.>"),
            (r#"{"uri":"x","triggers":[">"]}"#, Code::SubjectDenied, "$*.>"),
        ] {
            let (seen, message) = refusal(text);
            assert_eq!(seen, code, "{text}: {message}");
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn the_keys_are_those_of_the_schema() {
        let text = nex_api::start::schema_text::<FunctionRequest>();
        let schema: Value = serde_json::from_str(&text).unwrap();
        for (path, known) in [
            ("/properties", REQUEST_KEYS),
            ("/$defs/FunctionLimits/properties", LIMIT_KEYS),
            ("/$defs/SubjectTrigger/properties", TRIGGER_KEYS),
        ] {
            let mut keys: Vec<&str> = schema
                .pointer(path)
                .unwrap()
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let mut known = known.to_vec();
            keys.sort_unstable();
            known.sort_unstable();
            assert_eq!(keys, known, "{path}");
        }
    }

    #[test]
    fn distance_counts_letters() {
        for (one, other, letters) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!(distance(one, other), letters);
        }
    }
}
