//! Starting, stopping and listing workloads (spec: control API, section 4.4).
//!
//! Owns: ADEPLOY, STARTWORKLOAD, UNDEPLOY, STOPWORKLOAD, WPING and QUERYWORKLOADS messages.
//! Never: knows what stands inside `run_request` (see [`crate::start`]).

use std::collections::BTreeMap;
use std::fmt;

use nex_types::{Digest, Tags};
use serde::{Deserialize, Serialize};

use crate::NatsConnectionData;
use crate::codec::nullable;
use crate::start::{Environment, environment_of};

/// `sha256:` and 64 digits, with room for another kind.
const LONGEST_DIGEST: usize = 160;

/// How long a workload means to live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Until it is told to stop.
    #[default]
    Service,
    /// To its end, once.
    Job,
    /// Per trigger.
    Function,
}

impl Lifecycle {
    /// As the wire spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Job => "job",
            Self::Function => "function",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A workload's state as the wire spells it; the exact phase stands in `metadata.phase`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the wire's own words")]
pub enum WorkloadState {
    #[default]
    Starting,
    Running,
    Warm,
    Stopping,
    Stopped,
    Error,
    /// Ours, and never on the wire: a list says it of a workload whose node has not been heard of for long.
    #[serde(skip_deserializing)]
    Unknown,
}

impl WorkloadState {
    /// As the wire spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Warm => "warm",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// ADEPLOY's body, and what a node remembers of a workload. `Debug` hides `run_request`, which may hold secrets.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct StartWorkloadRequest {
    #[serde(deserialize_with = "nullable")]
    pub description: String,
    #[serde(
        default,
        skip_serializing_if = "serde_json::Map::is_empty",
        deserialize_with = "nullable"
    )]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// May be empty: the nexlet invents one.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub reference: String,
    /// A JSON document as text, valid by the nexlet's schema.
    #[serde(deserialize_with = "nullable")]
    pub run_request: String,
    #[serde(deserialize_with = "nullable")]
    pub tags: Tags,
    pub workload_lifecycle: Lifecycle,
    #[serde(deserialize_with = "nullable")]
    pub workload_type: String,
}

impl fmt::Debug for StartWorkloadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartWorkloadRequest")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("workload_type", &self.workload_type)
            .field("workload_lifecycle", &self.workload_lifecycle)
            .finish_non_exhaustive()
    }
}

impl StartWorkloadRequest {
    /// What makes two requests the same to `nex run`: type, lifecycle and `run_request`. It is over the
    /// secrets too, if they are clear: see [`Self::announced_digest`] for what others may see.
    #[must_use]
    pub fn content_digest(&self) -> Digest {
        let Self { workload_type, workload_lifecycle, run_request, .. } = self;
        Digest::of(format!("{workload_type}\n{workload_lifecycle}\n{run_request}").as_bytes())
    }

    /// The digest that lists may show: the one that the caller sent along in `metadata`, or its own
    /// when that tells nothing of clear secrets.
    #[must_use]
    pub fn announced_digest(&self) -> Option<String> {
        let sent = self.metadata.get(fact::REQUEST_DIGEST).and_then(serde_json::Value::as_str);
        if let Some(sent) = sent {
            return (sent.len() <= LONGEST_DIGEST).then(|| sent.to_owned());
        }
        let environment = environment_of(&self.run_request);
        let is_clear =
            environment.is_some_and(|e| matches!(e, Environment::Clear(_)) && !e.is_empty());
        (!is_clear).then(|| self.content_digest().to_string())
    }
}

/// The answer to ADEPLOY and STARTWORKLOAD.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartWorkloadResponse {
    /// The new workload's id.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Its name, invented when none was given.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Ours: what the caller should know although it worked.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub warnings: Vec<String>,
}

/// The body of a nexlet's error reply to STARTWORKLOAD; the last three keys are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct StartWorkloadFailure {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// May have several lines: source line, caret, stack.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub name: String,
}

/// STARTWORKLOAD, and an entry of `existing_state`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentStartWorkloadRequest {
    /// What to start.
    #[serde(deserialize_with = "nullable")]
    pub request: StartWorkloadRequest,
    /// The workload's own credentials.
    #[serde(deserialize_with = "nullable")]
    pub workload_creds: NatsConnectionData,
}

/// UNDEPLOY and STOPWORKLOAD.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopWorkloadRequest {
    /// The owner.
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    /// Ours, from node to nexlet: what has ended by itself stays listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unless_ended: bool,
}

/// The answer to UNDEPLOY and STOPWORKLOAD.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct StopWorkloadResponse {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub message: String,
    #[serde(deserialize_with = "nullable")]
    pub stopped: bool,
    #[serde(deserialize_with = "nullable")]
    pub workload_type: String,
}

impl StopWorkloadResponse {
    /// What a node says when none of its nexlets has the workload; not an error reply.
    #[must_use]
    pub fn not_found(id: &str) -> Self {
        Self { id: id.to_owned(), message: NOT_FOUND.to_owned(), ..Self::default() }
    }
}

/// The generic error text of the wire.
pub const NOT_FOUND: &str = "workload not found";

/// CLONE and GETWORKLOAD; the reply is a bare [`StartWorkloadRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneWorkloadRequest {
    /// The caller's namespace.
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    /// Public curve key; with `reseal`, the environment is sealed to it.
    #[serde(deserialize_with = "nullable")]
    pub new_target_xkey: String,
    /// Ours: whether the environment shall be sealed to `new_target_xkey` (section 13).
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub reseal: bool,
}

/// WPING and QUERYWORKLOADS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListWorkloadsRequest {
    /// Ids or names; empty means all.
    #[serde(deserialize_with = "nullable")]
    pub filter: Vec<String>,
    /// Ours: whether the summaries shall tell [`fact::METRICS`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub metrics: bool,
    /// `system` means all namespaces.
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
}

/// One workload in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct WorkloadSummary {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "nullable")]
    pub metadata: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub namespace: String,
    /// `--`, or for functions how long calls took in all.
    #[serde(deserialize_with = "nullable")]
    pub runtime: String,
    #[serde(deserialize_with = "nullable")]
    pub start_time: String,
    #[serde(deserialize_with = "nullable")]
    pub tags: Tags,
    #[serde(deserialize_with = "nullable")]
    pub workload_lifecycle: String,
    pub workload_state: WorkloadState,
    #[serde(deserialize_with = "nullable")]
    pub workload_type: String,
}

/// Keys of `WorkloadSummary.metadata` (spec: control API, section 13, "Facts in summaries").
pub mod fact {
    #![expect(missing_docs, reason = "the wire's own names")]
    pub const NODE_ID: &str = "node_id";
    pub const NODE_NAME: &str = "node_name";
    pub const DIGEST: &str = "digest";
    pub const TRIGGERS: &str = "triggers";
    pub const PHASE: &str = "phase";
    pub const CALLS: &str = "calls";
    pub const ERRORS: &str = "errors";
    pub const RESTARTS: &str = "restarts";
    pub const EXIT: &str = "exit";
    pub const SANDBOX: &str = "sandbox";
    /// Ours: the last lines that a program wrote before it ended.
    pub const LAST_OUTPUT: &str = "last_output";
    /// Ours: when a program that ended is started again.
    pub const NEXT_START: &str = "next_start";
    /// Ours: a [`crate::metrics::WorkloadMetrics`] as JSON, for whoever asks for it.
    pub const METRICS: &str = "metrics";
    pub const COPY_OF: &str = "copy_of";
    /// Ours: what the workload's credentials allow, as JSON or a sentence.
    pub const PERMISSIONS: &str = "permissions";
    /// Ours, in WORKLOADSTOPPED: it ended because its nexlet did, and should run again with the next.
    pub const DRAINED: &str = "drained";
    /// Ours: [`super::StartWorkloadRequest::announced_digest`], so that `nex run` can tell "already running".
    pub const REQUEST_DIGEST: &str = "request_digest";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn a_digest_over_clear_secrets_is_not_announced() {
        let of = |run_request: &str| {
            let run_request = run_request.to_owned();
            StartWorkloadRequest { run_request, ..StartWorkloadRequest::default() }
        };
        let plain = of(r#"{"uri":"u"}"#);
        assert_eq!(plain.announced_digest(), Some(plain.content_digest().to_string()));
        let mut secret = of(r#"{"environment":{"PIN":"1234"},"uri":"u"}"#);
        assert_eq!(secret.announced_digest(), None);
        secret.metadata.insert(fact::REQUEST_DIGEST.to_owned(), "sha256:1".into());
        assert_eq!(secret.announced_digest().as_deref(), Some("sha256:1"));
        secret.metadata.insert(fact::REQUEST_DIGEST.to_owned(), "x".repeat(1000).into());
        assert_eq!(secret.announced_digest(), None);
    }

    #[test]
    fn a_start_request_prints_the_specification_s_sample() {
        let sample = r#"{"description":"demo","name":"hello","namespace":"default","run_request":"{\"uri\":\"file:///usr/bin/sleep\",\"argv\":[\"60\"]}","tags":{},"workload_lifecycle":"service","workload_type":"native"}"#;
        let request: StartWorkloadRequest = decode(sample.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(encode(&request)).unwrap(), sample);
        assert!(
            decode::<StartWorkloadRequest>(sample.replace("service", "cron").as_bytes()).is_err()
        );
        assert!(!format!("{request:?}").contains("sleep"), "run_request may hold secrets");
    }

    #[test]
    fn not_found_is_the_specification_s_body() {
        let sample =
            r#"{"id":"nope","message":"workload not found","stopped":false,"workload_type":""}"#;
        assert_eq!(
            String::from_utf8(encode(&StopWorkloadResponse::not_found("nope"))).unwrap(),
            sample
        );
    }

    #[test]
    fn a_list_prints_the_specification_s_sample() {
        let sample = r#"[{"id":"WvLS2fm0rYuHFVcv9jR5nE","name":"hello","namespace":"default","runtime":"--","start_time":"2026-04-23T08:59:00-06:00","tags":{},"workload_lifecycle":"service","workload_state":"running","workload_type":"native"}]"#;
        let list: Vec<WorkloadSummary> = decode(sample.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(encode(&list)).unwrap(), sample);
        assert_eq!(decode::<Vec<WorkloadSummary>>(b"null").unwrap(), vec![]);
    }
}
