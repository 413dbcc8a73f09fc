//! The seam between functions and the engine that runs them.
//!
//! Owns: what an engine is given (verified bytes, limits), what a call carries, and how a call can fail.
//! Never: names an engine, fetches anything, or talks to NATS. `nex-runtime` implements [`Engine`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use nex_telemetry::traces::Scope;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::host::Host;

/// Prepares guests. One engine serves every function of a nexlet.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug + 'static {
    /// Compiles and evaluates `spec`; whatever cannot work is refused here, not at the first call.
    /// Must be awaited on the guest threads, since a script's top level runs here.
    async fn deploy(&self, spec: GuestSpec) -> Result<Arc<dyn Guest>, Refusal>;
}

/// One deployed function. Cheap while idle: it need not hold an instance.
#[async_trait]
pub trait Guest: Send + Sync + fmt::Debug + 'static {
    /// Runs one call to its end; returns by `call.deadline` (plus a few milliseconds) whatever the
    /// guest does. The caller limits how many run at once. Dropping the future stops the guest.
    async fn call(&self, call: Call) -> Result<Reply, CallError>;

    /// Lets go of instances that are kept warm but idle.
    fn release_idle(&self);

    /// What was found out from the bytes, for people: `classic script`, `ES module`, `WASI p1 command`, `reactor`.
    fn shape(&self) -> &'static str;
}

/// The two languages of functions, as the workload types name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    JavaScript,
    Wasm,
}

/// What a function of [`Language::JavaScript`] is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceLanguage {
    #[default]
    JavaScript,
    /// The engine takes the types away.
    TypeScript,
}

/// Whether an instance serves more than one call (spec: functions, section 1, `instances`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    Reuse,
    Fresh,
}

/// Everything an engine needs to prepare one function.
#[derive(Debug, Clone)]
pub struct GuestSpec {
    /// The workload's name; becomes `argv[0]` of commands and the file name in messages.
    pub name: String,
    pub language: Language,
    /// Without meaning for WebAssembly.
    pub source_language: SourceLanguage,
    /// Whether a refusal may quote the source: not where whoever deploys might not be able to read it,
    /// such as a file of the node's machine.
    pub quotes_source: bool,
    /// The artifact, local and verified.
    pub source: Bytes,
    /// Environment that the guest may see. Given after the image is made, never part of it.
    pub environment: BTreeMap<String, String>,
    /// Extra arguments of a WASI command, after the subject.
    pub argv: Vec<String>,
    /// Bytes of linear memory that one instance may hold.
    pub memory: u64,
    /// Time that the script's top level may take; calls carry their own deadline.
    pub timeout: Duration,
    /// `None`: the engine's default for the shape (JavaScript and reactors reuse, commands are fresh).
    pub instances: Option<Instances>,
    /// What the guest may ask of the world.
    pub host: Arc<Host>,
    /// Where `console.*`, stdout and stderr go, line by line, while the guest runs.
    pub logs: Arc<dyn GuestLog>,
    /// Told of each instance that is made for a call.
    pub cold_starts: ColdStarts,
}

/// Counts instances that were made because no idle one was there. Clones share the count, which outlives
/// the guest.
#[derive(Debug, Clone, Default)]
pub struct ColdStarts(Arc<AtomicU64>);

impl ColdStarts {
    /// One more was made, and is about to serve its first call.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Receives a guest's log lines. Must not block; it may drop and count.
pub trait GuestLog: Send + Sync + fmt::Debug + 'static {
    fn line(&self, level: Level, line: &str);
}

/// Severity of a guest's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// As the `Nex-Level` header spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One call of a function (spec: functions, section 3).
#[derive(Debug)]
pub struct Call {
    /// The concrete subject.
    pub subject: String,
    pub payload: Bytes,
    /// Header names and values, in the order of the message.
    pub headers: Vec<(String, String)>,
    /// The reply subject, if somebody waits.
    pub reply: Option<String>,
    /// When the call must have ended.
    pub deadline: Instant,
    /// Takes the reply of a guest that goes on with something after it; the outcome of the call then
    /// counts no more. `None`: nobody listens.
    pub early: Option<oneshot::Sender<Reply>>,
    /// What made the function run.
    pub stimulus: Stimulus,
    /// The call's span, under which what the guest asks of the world is told.
    pub scope: Scope,
}

/// What made a function run, with what its guest may know of it (spec: functions, section 3). As JSON it is
/// `{"type":"stream","stream":…}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Stimulus {
    /// A core NATS message.
    #[default]
    Subject,
    /// A message of a stream; `delivery` counts from 1.
    Stream { stream: String, sequence: u64, delivery: u64 },
    /// A change of a key; the revision is the bucket's.
    #[serde(rename = "kv")]
    KeyValue { bucket: String, key: String, revision: u64, operation: Operation },
    /// A change of an object; the payload is its metadata as JSON.
    Object { bucket: String, name: String, operation: Operation },
    /// A tick, by its nominal time.
    Schedule { at: Timestamp },
}

/// What was done to a key or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    Put,
    /// Also purged.
    Delete,
}

/// What a function answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub payload: Bytes,
    pub headers: Vec<(String, String)>,
    /// Set when the function itself answered with an error status (a Web `Response` of 400 and above).
    pub error_status: Option<u16>,
}

/// Why a call did not end with a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The input cannot be given to this function (400).
    #[error("{0}")]
    BadInput(String),
    /// The nexlet has no room for another instance (429); the sentence names the setting.
    #[error("{0}")]
    Busy(String),
    /// The function threw, trapped or exited non-zero (500). `detail` is the stack or backtrace, already logged.
    #[error("{message}")]
    Failed { message: String, detail: Option<String> },
    /// The deadline passed (504).
    #[error("the function did not end before its deadline")]
    DeadlinePassed,
    /// The memory limit was reached (507).
    #[error("the function needs more memory than its limit of {limit} bytes")]
    OutOfMemory { limit: u64 },
}

/// Why a function cannot be deployed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// One sentence: what and which.
    pub message: String,
    /// Several lines: the source line with a caret, the imports that are unknown, a stack.
    pub detail: Option<String>,
}

impl Refusal {
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None }
    }

    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
