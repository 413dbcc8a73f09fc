//! Triggers of functions as they stand in a start request, and the names of what belongs to them on the
//! server (spec: functions, section 2).
//!
//! Owns: keys, and the names of durables, of the streams of ticks and of the buckets that count runs; both
//! nodes (for credentials) and nexlets compute them here. Never: checks a value, or makes anything.

use nex_types::{Digest, Namespace, WorkloadName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A trigger; plain text is short for a subject trigger with the default queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Trigger {
    /// `"js.echo"`
    Subject(String),
    /// `{"type":"subject","subject":"js.echo","queue":"…"}`
    Full(FullTrigger),
}

/// A trigger in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FullTrigger {
    /// A core NATS subject.
    Subject(SubjectTrigger),
    /// The messages of a stream.
    Stream(StreamTrigger),
    /// Changes of a key-value bucket.
    Kv(KvTrigger),
    /// Changes of an object store.
    Object(ObjectTrigger),
    /// Times.
    Schedule(ScheduleTrigger),
}

/// A core NATS subject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectTrigger {
    /// Wildcards are allowed.
    pub subject: String,
    /// Queue group; default `nex.<namespace>.<workload name>`, `""` means every copy gets every message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

/// The messages of a stream, at least once each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamTrigger {
    /// The stream's name.
    pub stream: String,
    /// Only messages on this subject; default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Name of the durable consumer; default `nex_<namespace>_<workload name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<String>,
    /// Where to begin, when the durable is made; default `new`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver: Option<Deliver>,
    /// How often a message is tried; default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_deliver: Option<u32>,
    /// Messages that run at once in all copies; default 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_in_flight: Option<u32>,
    /// Subject, captured by a stream, that takes what could not be processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// Go duration without any copy after which the durable is removed; default `72h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Changes of a key-value bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvTrigger {
    /// The bucket's name.
    pub bucket: String,
    /// Keys, wildcards allowed; default `>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// What counts; default both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub on: Option<Vec<Change>>,
    /// Where to begin, when the durable is made; default `new`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<From>,
    /// Changes that run at once in all copies; default 1, which keeps their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_in_flight: Option<u32>,
}

/// Changes of an object store; the payload is the object's metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectTrigger {
    /// The object store's name.
    pub bucket: String,
    /// What counts; default both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub on: Option<Vec<Change>>,
    /// Names of objects, in which `*` stands for any text; default `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
}

/// Times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTrigger {
    /// Five or six fields (with seconds), or `@every 10s`.
    pub cron: String,
    /// Name in the IANA database; default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Whether the last tick that was missed while no copy ran is made up for; default `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
}

/// Where a stream trigger begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Deliver {
    /// At what comes from now on.
    #[default]
    New,
    /// At the first message that is there.
    All,
    /// At the last message that is there.
    Last,
}

/// Where a trigger on keys begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// At what changes from now on.
    #[default]
    New,
    /// At the latest value of each key.
    All,
}

/// A change of a key or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Change {
    Put,
    Delete,
}

/// What becomes of ticks that nobody was there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// Nothing.
    #[default]
    None,
    /// The last one runs.
    Last,
}

/// Whose trigger it is.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Of<'a> {
    pub namespace: &'a Namespace,
    pub name: &'a WorkloadName,
}

/// A durable consumer of one trigger: it belongs to (namespace, name, trigger), never to a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// Its stream.
    pub stream: String,
    /// Its name there.
    pub name: String,
    /// The one subject that it filters by, if it does.
    pub filter: Option<String>,
}

impl Trigger {
    /// The full form.
    #[must_use]
    pub fn into_full(self) -> FullTrigger {
        match self {
            Self::Subject(subject) => FullTrigger::Subject(SubjectTrigger { subject, queue: None }),
            Self::Full(full) => full,
        }
    }
}

impl FullTrigger {
    /// Its durable; subjects have none.
    ///
    /// A workload's name may have `_`, a namespace may not. What follows the name tells triggers apart that
    /// may stand side by side on one stream: the keys of a bucket, the names of objects, the times.
    #[must_use]
    pub fn durable(&self, of: Of<'_>) -> Option<Durable> {
        let plain = format!("nex_{}_{}", of.namespace, of.name);
        let durable = match self {
            Self::Subject(_) => return None,
            Self::Stream(StreamTrigger { stream, filter, durable, .. }) => Durable {
                stream: stream.clone(),
                name: durable.clone().unwrap_or(plain),
                filter: filter.clone(),
            },
            Self::Kv(KvTrigger { bucket, keys, .. }) => {
                let keys = keys.as_deref().unwrap_or(">");
                Durable {
                    stream: format!("KV_{bucket}"),
                    name: format!("{plain}_kv_{}", short(keys)),
                    filter: Some(format!("$KV.{bucket}.{keys}")),
                }
            }
            Self::Object(ObjectTrigger { bucket, names, .. }) => Durable {
                stream: format!("OBJ_{bucket}"),
                name: format!("{plain}_obj_{}", short(names.as_deref().unwrap_or("*"))),
                filter: Some(format!("$O.{bucket}.M.>")),
            },
            Self::Schedule(schedule) => Durable {
                stream: ticks_stream(of.namespace),
                name: format!("{plain}_tick_{}", schedule.id()),
                filter: Some(schedule.subject(of)),
            },
        };
        Some(durable)
    }
}

impl ScheduleTrigger {
    /// Tells the schedules of one function apart.
    #[must_use]
    pub fn id(&self) -> String {
        short(&format!("{} {}", self.cron, self.timezone.as_deref().unwrap_or("UTC")))
    }

    /// Where its ticks are published: below `$`, where no function may publish.
    #[must_use]
    pub fn subject(&self, of: Of<'_>) -> String {
        format!("{}.{}.{}", ticks_prefix(of.namespace), of.name, self.id())
    }
}

/// The stream that takes the ticks of a namespace.
#[must_use]
pub fn ticks_stream(namespace: &Namespace) -> String {
    format!("NEX_TICKS_{namespace}")
}

/// How the subjects of that stream begin.
#[must_use]
pub fn ticks_prefix(namespace: &Namespace) -> String {
    format!("$NEX.TICKS.{namespace}")
}

/// The bucket in which a namespace's messages stand that failed or that a nexlet died over.
#[must_use]
pub fn runs_bucket(namespace: &Namespace) -> String {
    format!("nex-runs-{namespace}")
}

impl Durable {
    /// How the keys of its messages begin in [`runs_bucket`]. Names of streams may have letters that keys
    /// may not; they are hashed together.
    #[must_use]
    pub fn runs_prefix(&self) -> String {
        short(&format!("{} {}", self.stream, self.name))
    }
}

/// Twelve letters of a text's digest.
fn short(text: &str) -> String {
    Digest::of(text.as_bytes()).hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn durable(trigger: serde_json::Value) -> Option<Durable> {
        let namespace = Namespace::parse("team").unwrap();
        let name = WorkloadName::parse("app").unwrap();
        let trigger: Trigger = serde_json::from_value(trigger).unwrap();
        trigger.into_full().durable(Of { namespace: &namespace, name: &name })
    }

    #[test]
    fn every_type_is_read_and_has_a_durable_of_its_own() {
        assert_eq!(durable(json!("a.b")), None);
        assert_eq!(durable(json!({"type": "subject", "subject": "a", "queue": ""})), None);
        let stream = durable(json!({"type": "stream", "stream": "S", "filter": "s.>"})).unwrap();
        assert_eq!((stream.stream.as_str(), stream.name.as_str()), ("S", "nex_team_app"));
        assert_eq!(stream.filter.as_deref(), Some("s.>"));
        let named = durable(json!({"type": "stream", "stream": "S", "durable": "mine"})).unwrap();
        assert_eq!(named.name, "mine");
        let kv = durable(json!({"type": "kv", "bucket": "B"})).unwrap();
        assert_eq!((kv.stream.as_str(), kv.filter.as_deref()), ("KV_B", Some("$KV.B.>")));
        let some = durable(json!({"type": "kv", "bucket": "B", "keys": "a.*"})).unwrap();
        assert_ne!(kv.name, some.name);
        let object = durable(json!({"type": "object", "bucket": "B", "on": ["put"]})).unwrap();
        assert_eq!((object.stream.as_str(), object.filter.as_deref()), ("OBJ_B", Some("$O.B.M.>")));
        let every = durable(json!({"type": "schedule", "cron": "@every 1s"})).unwrap();
        assert_eq!(every.stream, "NEX_TICKS_team");
        assert!(every.filter.unwrap().starts_with("$NEX.TICKS.team.app."));
    }

    #[test]
    fn unknown_keys_and_values_are_refused() {
        for wrong in [
            json!({"type": "stream", "stream": "S", "filtr": "x"}),
            json!({"type": "kv", "bucket": "B", "on": ["read"]}),
            json!({"type": "kv"}),
            json!({"type": "clock"}),
        ] {
            assert!(serde_json::from_value::<Trigger>(wrong).is_err());
        }
    }
}
