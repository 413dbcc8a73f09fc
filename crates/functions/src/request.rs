//! A start request's text becomes a checked request.
//!
//! Owns: naming what is wrong with it, with the nearest valid key. Never: fetches or subscribes.

use nex_api::Code;
use nex_api::start::{FunctionRequest, Trigger as WireTrigger};
use nex_nexlet::StartFailure;
use nex_types::{Digest, Namespace, SubjectPattern, WorkloadName};
use serde_json::Value;

use crate::host::{self, DeniedService};
use crate::limits::Limits;
use crate::runtime::{Instances, SourceLanguage};
use crate::trigger::{Trigger, refuse_shared_durables};

/// Keys of the request and of its parts, for refusals that name the nearest one. A test compares
/// them with the schema.
const REQUEST_KEYS: &[&str] = &[
    "uri",
    "digest",
    "language",
    "triggers",
    "environment",
    "argv",
    "limits",
    "host_services",
    "instances",
    "description",
];
const LIMIT_KEYS: &[&str] = &["timeout", "memory", "concurrency", "queue", "log_rate"];
/// The keys of each type of trigger besides `type`.
const TRIGGERS: &[(&str, &[&str])] = &[
    ("subject", &["subject", "queue"]),
    (
        "stream",
        &[
            "stream",
            "filter",
            "durable",
            "deliver",
            "max_deliver",
            "max_in_flight",
            "dead_letter",
            "expires",
        ],
    ),
    ("kv", &["bucket", "keys", "on", "from", "max_in_flight"]),
    ("object", &["bucket", "on", "names"]),
    ("schedule", &["cron", "timezone", "catch_up"]),
];
/// No function needs more, and each may cost a durable.
const MOST_TRIGGERS: usize = 64;
const SERVICE_KEYS: &[&str] = &["kv", "objects", "messaging", "http", "config"];
const BUCKET_KEYS: &[&str] = &["buckets", "max_bytes"];
const ALLOW_KEYS: &[&str] = &["allow"];

/// A request of which everything has been checked that can be without fetching.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) request: FunctionRequest,
    pub(crate) digest: Option<Digest>,
    pub(crate) limits: Limits,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) instances: Option<Instances>,
    pub(crate) host: host::Settings,
    pub(crate) source_language: SourceLanguage,
}

/// Whose request it is, and what the node says.
#[derive(Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) name: &'a WorkloadName,
    /// Subjects that nobody may listen on or publish to, besides those of every node.
    pub(crate) deny: &'a [SubjectPattern],
    pub(crate) deny_services: &'a [DeniedService],
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
    let host = host::Settings::check(request.host_services.as_ref(), owner)?;
    let source_language = match request.language {
        Some(nex_api::start::SourceLanguage::TypeScript) => SourceLanguage::TypeScript,
        Some(nex_api::start::SourceLanguage::JavaScript) | None => SourceLanguage::JavaScript,
    };
    Ok(Checked { request, digest, limits, triggers, instances, source_language, host })
}

fn parse_triggers(value: &Value, owner: &Owner<'_>) -> Result<Vec<Trigger>, StartFailure> {
    let listed = match value.get("triggers") {
        Some(Value::Array(listed)) if listed.len() > MOST_TRIGGERS => {
            return Err(invalid(format!("triggers: there are more than {MOST_TRIGGERS}")));
        }
        Some(Value::Array(listed)) if !listed.is_empty() => listed,
        Some(Value::Array(_)) | None => {
            return Err(invalid("triggers: name at least one, for example \"js.echo\""));
        }
        Some(_) => return Err(invalid("triggers: is not a list")),
    };
    let mut triggers = Vec::with_capacity(listed.len());
    for (idx, item) in listed.iter().enumerate() {
        triggers.push(parse_trigger(idx, item, owner)?);
    }
    refuse_shared_durables(&triggers)?;
    Ok(triggers)
}

fn parse_trigger(idx: usize, item: &Value, owner: &Owner<'_>) -> Result<Trigger, StartFailure> {
    let wire = match item {
        Value::String(subject) => WireTrigger::Subject(subject.clone()),
        Value::Object(keys) => {
            let mut keys = keys.clone();
            let kind = keys.entry("type").or_insert_with(|| "subject".into()).clone();
            let known = TRIGGERS.iter().find(|(name, _)| kind == *name);
            let Some((_, known)) = known else { return Err(unknown_type(idx, &kind)) };
            keys.remove("type");
            let place = format!("triggers[{idx}]");
            check_keys(&place, &Value::Object(keys.clone()), known, Code::TriggerInvalid)?;
            keys.insert("type".to_owned(), kind);
            let full = serde_json::from_value(Value::Object(keys));
            WireTrigger::Full(full.map_err(|error| not_a_trigger(idx, &error))?)
        }
        _ => {
            let message = format!("triggers[{idx}]: is neither a subject nor an object");
            return Err(StartFailure::new(Code::TriggerInvalid, message));
        }
    };
    Trigger::parse(wire, owner)
}

fn unknown_type(idx: usize, kind: &Value) -> StartFailure {
    let given = kind.as_str().unwrap_or_default();
    let nearest = TRIGGERS.iter().map(|(name, _)| *name).min_by_key(|name| distance(given, name));
    let nearest = nearest.unwrap_or_default();
    let message = format!("triggers[{idx}]: type {kind} is not known; did you mean \"{nearest}\"?");
    StartFailure::new(Code::TriggerInvalid, message)
}

fn refuse_unknown_keys(value: &Value) -> Result<(), StartFailure> {
    check_keys("run_request", value, REQUEST_KEYS, Code::StartRequestInvalid)?;
    if let Some(limits) = value.get("limits") {
        check_keys("limits", limits, LIMIT_KEYS, Code::StartRequestInvalid)?;
    }
    if let Some(services) = value.get("host_services") {
        refuse_unknown_service_keys(services)?;
    }
    Ok(())
}

fn refuse_unknown_service_keys(services: &Value) -> Result<(), StartFailure> {
    let invalid = Code::StartRequestInvalid;
    check_keys("host_services", services, SERVICE_KEYS, invalid)?;
    for (service, known) in [
        ("kv", BUCKET_KEYS),
        ("objects", BUCKET_KEYS),
        ("messaging", ALLOW_KEYS),
        ("http", ALLOW_KEYS),
    ] {
        let Some(settings) = services.get(service) else { continue };
        let place = format!("host_services.{service}");
        check_keys(&place, settings, known, invalid)?;
        if !settings.is_boolean() && !settings.is_object() {
            let message = format!("{place}: is neither false, true nor an object of settings");
            return Err(StartFailure::new(invalid, message));
        }
        let lists = [("buckets", BUCKET_KEYS), ("allow", ALLOW_KEYS)];
        for (list, _) in lists.iter().filter(|(list, _)| known.contains(list)) {
            let is_list = settings.get(list).is_none_or(is_list_of_text);
            if !is_list
                || (*list == "allow" && settings.is_object() && settings.get(list).is_none())
            {
                let message = format!("{place}.{list}: is not a list of texts");
                return Err(StartFailure::new(invalid, message));
            }
        }
    }
    Ok(())
}

fn is_list_of_text(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
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
        let deny_services = ["objects".parse().unwrap(), "other:kv".parse().unwrap()];
        let owner = Owner {
            namespace: &namespace,
            name: &name,
            deny: &deny,
            deny_services: &deny_services,
        };
        parse(text, &owner)
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
            (
                r#"{"uri":"x","triggers":[{"type":"stream","stream":"S","filtr":"a"}]}"#,
                "triggers[0]: unknown key \"filtr\"; did you mean \"filter\"?",
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
            (r#"{"uri":"x","triggers":["a"],"language":"ruby"}"#, invalid, "`typescript`"),
            (
                r#"{"uri":"x","triggers":["a"],"limits":{"queue":99999}}"#,
                invalid,
                "from 0 to 65536",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"strem","stream":"S"}]}"#,
                Code::TriggerInvalid,
                "type \"strem\" is not known; did you mean \"stream\"?",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"stream","stream":"S"},{"type":"stream","stream":"S"}]}"#,
                Code::TriggerInvalid,
                "share the durable nex_default_echo of stream S; give each a \"durable\"",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"stream","stream":"S","max_deliver":0}]}"#,
                Code::TriggerInvalid,
                "max_deliver is 0",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"stream","stream":"S","durable":"nex_x_y"}]}"#,
                Code::TriggerInvalid,
                "Nex's own",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"stream","stream":"S","dead_letter":"$KV.b.k"}]}"#,
                Code::SubjectDenied,
                "$*.>",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"stream","stream":"KV_nex-N"}]}"#,
                Code::SubjectDenied,
                "KV_nex-*",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"kv","bucket":"hs_default-b_x_kv"}]}"#,
                Code::SubjectDenied,
                "hs_*",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"object","bucket":"NEXCLIFILES"}]}"#,
                Code::SubjectDenied,
                "NEXCLIFILES*",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"kv","bucket":"b","on":[]}]}"#,
                Code::TriggerInvalid,
                "\"on\" is empty",
            ),
            (
                r#"{"uri":"x","triggers":[{"type":"schedule","cron":"* * *"}]}"#,
                Code::TriggerInvalid,
                "3 fields",
            ),
            (r#"{"uri":"x","triggers":["a..b"]}"#, Code::TriggerInvalid, "a..b"),
            (r#"{"uri":"x","triggers":["private.x"]}"#, Code::SubjectDenied, "private.>"),
            (r#"{"uri":"x","triggers":[">"]}"#, Code::SubjectDenied, "$*.>"),
            (
                r#"{"uri":"x","triggers":["a"],"host_services":{"http":true}}"#,
                invalid,
                "list the hosts",
            ),
            (
                r#"{"uri":"x","triggers":["a"],"host_services":{"http":{"allow":["a/b"]}}}"#,
                invalid,
                "a/b",
            ),
            (
                r#"{"uri":"x","triggers":["a"],"host_services":{"kvs":true}}"#,
                invalid,
                "did you mean \"kv\"",
            ),
            (
                r#"{"uri":"x","triggers":["a"],"host_services":{"kv":{"bucket":[]}}}"#,
                invalid,
                "did you mean \"buckets\"",
            ),
            (
                r#"{"uri":"x","triggers":["a"],"host_services":{"kv":{"buckets":["hs_b_x_kv"]}}}"#,
                Code::SubjectDenied,
                "hs_*",
            ),
            (
                r#"{"uri":"x","triggers":["a"],"host_services":{"messaging":{"allow":["$NEX.>"]}}}"#,
                Code::SubjectDenied,
                "$*.>",
            ),
            (
                r#"{"uri":"x","triggers":["a"],"host_services":{"kv":{"max_bytes":"1XB"}}}"#,
                invalid,
                "not a size",
            ),
            (
                r#"{"uri":"x","triggers":["a"],"host_services":{"objects":true}}"#,
                invalid,
                "--deny-services",
            ),
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
        let keys_at = |path: &str| {
            let object = schema.pointer(path).unwrap_or_else(|| panic!("no {path} in {schema:#}"));
            let mut keys: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
            keys.sort_unstable();
            keys
        };
        let sorted = |known: &[&str]| {
            let mut known: Vec<String> = known.iter().map(|key| (*key).to_owned()).collect();
            known.sort_unstable();
            known
        };
        for (path, known) in [
            ("/properties", REQUEST_KEYS),
            ("/$defs/FunctionLimits/properties", LIMIT_KEYS),
            ("/$defs/HostServices/properties", SERVICE_KEYS),
            ("/$defs/BucketSettings/properties", BUCKET_KEYS),
            ("/$defs/MessagingSettings/properties", ALLOW_KEYS),
            ("/$defs/HttpSettings/properties", ALLOW_KEYS),
        ] {
            assert_eq!(keys_at(path), sorted(known), "{path}");
        }
        for (idx, (kind, known)) in TRIGGERS.iter().enumerate() {
            let path = format!("/$defs/FullTrigger/oneOf/{idx}/properties");
            assert_eq!(keys_at(&path), sorted(&[known, &["type"][..]].concat()), "{kind}");
        }
    }

    #[test]
    fn distance_counts_letters() {
        for (one, other, letters) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!(distance(one, other), letters);
        }
    }
}
