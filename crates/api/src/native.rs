//! The start request of the type `native` (spec: services, section 1).
//!
//! Owns: the keys and the JSON schema. Never: knows a default that is more than a word; the nexlet does.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::environment::Environment;

/// `run_request` of the type `native`: the Go nexlet's keys, and ours.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NativeRequest {
    /// Where the program is: `nats://BUCKET/name[:tag]`, `https://`, `oci://`, `data:` or `file://`.
    pub uri: String,
    /// `sha256:<hex>`, verified before the program is made executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Arguments after the program's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// The program's whole environment, besides what Nex adds.
    #[serde(default, skip_serializing_if = "Environment::is_empty")]
    pub environment: Environment,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Ports that the program listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_ports: Vec<u16>,
    /// How it is told to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopRequest>,
    /// How strong the box around it is; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// What it may use; absent: 512 processes, 1024 open files, 64 MiB of `tmp`, and no other bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<NativeLimits>,
    /// When a service is started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartRequest>,
    /// How it is seen that a service works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthRequest>,
    /// Host paths that it sees read-only, as `/path` or `/source:/target`, within what the node allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub mounts: Vec<String>,
    /// Of a job: Go duration that one attempt may take, from `100ms` to `720h`; default: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Of a job: how often it is tried again when it failed; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub retries: Option<u32>,
}

impl fmt::Debug for NativeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeRequest")
            .field("uri", &self.uri)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// How a native program is told to stop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// `SIGTERM` (default), `SIGINT`, `SIGHUP` or `SIGQUIT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<StopSignal>,
    /// Go duration until the whole tree is killed; default `10s`, at most `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<String>,
}

/// Signals that ask a program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the kernel's own names")]
pub enum StopSignal {
    Sigterm,
    Sigint,
    Sighup,
    Sigquit,
}

/// The values of `sandbox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// A root, processes and rights of its own; the host's network.
    Default,
    /// Likewise, and no network but its NATS.
    Strict,
    /// No box; only where the node allows it.
    None,
}

/// What a native program may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NativeLimits {
    /// Processors, also parts of one: `0.5` or `"0.5"`; from 0.01 to 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cores>,
    /// Size of its memory, as `256MiB`; from `1 MiB` to `1024 GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_194_304))]
    pub pids: Option<u32>,
    /// Open files of each process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 1_048_576))]
    pub files: Option<u32>,
    /// Size of what it may write to `/tmp`, `/home` and `/dev/shm`, as `64MiB`; from `64 KiB` to `1024 GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmp: Option<String>,
    /// Lines of output a second; default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub log_rate: Option<u32>,
}

/// A number of processors, as a number or as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "limits.cpu is a number of processors, for example 0.5")]
pub enum Cores {
    /// `0.5`
    Number(Number),
    /// `"0.5"`
    Text(String),
}

/// When a service that ended is started again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartRequest {
    /// Whatever its end (`always`, the default), when it failed, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RestartPolicy>,
    /// More restarts than this within `window`, and it is failed; default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub max: Option<u32>,
    /// Go duration; default `10m`, from `1s` to `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Go duration: the first pause; it doubles to `1m`. Default `1s`, from `100ms` to `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<String>,
}

/// The values of `restart.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Whatever its end.
    Always,
    /// When it ended without success.
    OnFailure,
    /// Not at all.
    Never,
}

/// How it is seen that a service works: exactly one of `nats`, `tcp`, `http` and `exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthRequest {
    /// A micro service's name, or a subject (with a dot in it) that answers a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<String>,
    /// A port of this machine, or `ADDRESS:PORT`, that takes connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    /// `:PORT/PATH` on this machine, or `http://ADDRESS:PORT/PATH`, that answers GET with 2xx or 3xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// A command that succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Vec<String>>,
    /// Go duration between probes; default `10s`, from `100ms` to `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Go duration that one probe may take; default `2s`, from `10ms` to `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// So many failed probes in a row are too many; default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub failures: Option<u32>,
}

/// What takes connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "health.tcp is a port from 1 to 65535, or ADDRESS:PORT")]
pub enum TcpProbe {
    /// A port of 127.0.0.1.
    Port(u16),
    /// `ADDRESS:PORT`, or a port as text.
    Address(String),
}
