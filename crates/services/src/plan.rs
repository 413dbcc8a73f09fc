//! Start requests of native workloads, read once.
//!
//! Owns: defaults and the words of refusals. Never: fetches or starts anything.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use nex_api::Code;
use nex_api::start::{Environment, NativeRequest, StopRequest, StopSignal};
use nex_api::workload::{Lifecycle, StartWorkloadRequest};
use nex_artifact::{ElfRefusal, FetchError};
use nex_nexlet::StartFailure;
use nex_sandbox::Signal;
use nex_types::{Digest, parse_go};

const DEFAULT_GRACE: Duration = Duration::from_secs(10);
const LONGEST_GRACE: Duration = Duration::from_secs(600);

/// A request whose every part was understood. `Debug` hides what may be secret.
pub(crate) struct Plan {
    pub(crate) uri: String,
    pub(crate) digest: Option<Digest>,
    pub(crate) argv: Vec<String>,
    pub(crate) environment: Environment,
    pub(crate) ports: Vec<u16>,
    pub(crate) stop: StopPlan,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("stop", &self.stop).finish_non_exhaustive()
    }
}

/// How a program is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StopPlan {
    pub(crate) signal: Signal,
    /// After it the whole tree is killed.
    pub(crate) grace: Duration,
}

impl Plan {
    pub(crate) fn read(request: &StartWorkloadRequest) -> Result<Self, StartFailure> {
        if request.workload_lifecycle == Lifecycle::Function {
            return Err(invalid("native programs run as a service or a job, not as a function"));
        }
        let request: NativeRequest =
            serde_json::from_str(&request.run_request).map_err(|error| {
                invalid(format!("the start request is not one for native: {error}"))
            })?;
        let digest = match request.digest.as_deref().map(str::parse).transpose() {
            Ok(digest) => digest,
            Err(error) => return Err(invalid(format!("digest: {error}"))),
        };
        if request.argv.iter().any(|argument| argument.contains('\0')) {
            return Err(invalid("argv: an argument has a NUL byte"));
        }
        Ok(Self {
            uri: request.uri,
            digest,
            argv: request.argv,
            environment: request.environment,
            ports: request.expose_ports,
            stop: StopPlan::read(request.stop.unwrap_or_default())?,
        })
    }
}

impl StopPlan {
    fn read(request: StopRequest) -> Result<Self, StartFailure> {
        let signal = match request.signal.unwrap_or(StopSignal::Sigterm) {
            StopSignal::Sigterm => Signal::SIGTERM,
            StopSignal::Sigint => Signal::SIGINT,
            StopSignal::Sighup => Signal::SIGHUP,
            StopSignal::Sigquit => Signal::SIGQUIT,
        };
        let grace = match request.grace {
            None => DEFAULT_GRACE,
            Some(text) => {
                parse_go(&text).map_err(|error| invalid(format!("stop.grace: {error}")))?
            }
        };
        if grace > LONGEST_GRACE {
            return Err(invalid("stop.grace: 10m is the longest"));
        }
        Ok(Self { signal, grace })
    }
}

/// The start request has a part that cannot be.
pub(crate) fn invalid(message: impl Into<String>) -> StartFailure {
    StartFailure::new(Code::StartRequestInvalid, message)
}

/// The artifact did not come.
pub(crate) fn not_fetched(error: &FetchError) -> StartFailure {
    let code = match error {
        FetchError::Missing { .. } | FetchError::Unavailable { .. } => Code::ArtifactMissing,
        FetchError::DigestMismatch { .. } => Code::DigestMismatch,
        FetchError::TooLarge { .. } => Code::ArtifactTooLarge,
        FetchError::Unsupported { .. } => Code::ArtifactUnsupported,
        FetchError::Io { .. } => Code::NodeFailed,
    };
    StartFailure::new(code, with_sources(error))
}

/// The artifact is no program of ours.
pub(crate) fn refused(refusal: &ElfRefusal) -> StartFailure {
    StartFailure::new(Code::ProgramRefused, format!("the program cannot be run: {refusal}"))
}

/// The system would not start it.
pub(crate) fn not_spawned(error: &dyn Error) -> StartFailure {
    let message = format!("the program could not be started: {}", with_sources(error));
    StartFailure::new(Code::SpawnFailed, message)
}

fn with_sources(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(run_request: &str) -> Result<Plan, StartFailure> {
        let run_request = run_request.to_owned();
        Plan::read(&StartWorkloadRequest { run_request, ..Default::default() })
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let plan = read(r#"{"uri":"nats://B/x"}"#).unwrap();
        let default = StopPlan { signal: Signal::SIGTERM, grace: Duration::from_secs(10) };
        assert_eq!(plan.stop, default);
        let stop = r#"{"uri":"nats://B/x","stop":{"signal":"SIGINT","grace":"250ms"}}"#;
        let expected = StopPlan { signal: Signal::SIGINT, grace: Duration::from_millis(250) };
        assert_eq!(read(stop).unwrap().stop, expected);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        for (run_request, says) in [
            ("", "not one for native"),
            (r#"{"uri":"x","enviroment":{}}"#, "enviroment"),
            (r#"{"uri":"x","digest":"md5:0"}"#, "digest"),
            (r#"{"uri":"x","stop":{"grace":"soon"}}"#, "stop.grace"),
            (r#"{"uri":"x","stop":{"grace":"601s"}}"#, "10m is the longest"),
            (r#"{"uri":"x","stop":{"signal":"SIGKILL"}}"#, "SIGKILL"),
            (r#"{"uri":"x","argv":["a\u0000b"]}"#, "argv"),
        ] {
            let failure = read(run_request).unwrap_err();
            assert_eq!(failure.code, Code::StartRequestInvalid);
            assert!(failure.message.contains(says), "{}", failure.message);
        }
        let workload_lifecycle = Lifecycle::Function;
        let function = StartWorkloadRequest { workload_lifecycle, ..Default::default() };
        assert!(Plan::read(&function).unwrap_err().message.contains("function"));
    }
}
