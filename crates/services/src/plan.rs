//! Start requests of native workloads, read once.
//!
//! Owns: defaults and the words of refusals. Never: fetches or starts anything.

mod bounds;
mod health;
mod life;
mod limits;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use nex_api::Code;
use nex_api::start::{Environment, NativeRequest, Sandbox, StopRequest, StopSignal};
use nex_api::workload::{Lifecycle, StartWorkloadRequest};
use nex_artifact::{ElfRefusal, FetchError};
use nex_nexlet::StartFailure;
use nex_policy::life::{Kind, Policy};
use nex_sandbox::Signal;
use nex_sandbox::jail::{Isolation, Limits, Mount};
use nex_types::{Digest, parse_go};

use crate::health::Health;

const DEFAULT_GRACE: Duration = Duration::from_secs(10);
const LONGEST_GRACE: Duration = Duration::from_secs(600);
const DEFAULT_LOG_RATE: u32 = 1000;
const MOST_LOG_RATE: u32 = 1_000_000;
const MOST_PORTS: usize = 64;

/// A request whose every part was understood. `Debug` hides what may be secret.
pub(crate) struct Plan {
    pub(crate) uri: String,
    pub(crate) digest: Option<Digest>,
    pub(crate) argv: Vec<String>,
    pub(crate) environment: Environment,
    pub(crate) ports: Vec<u16>,
    pub(crate) stop: StopPlan,
    pub(crate) isolation: Isolation,
    pub(crate) limits: Limits,
    /// Lines of output a second; at least 1.
    pub(crate) log_rate: u32,
    pub(crate) life: Policy,
    /// Of a service alone.
    pub(crate) health: Option<Health>,
    /// What it asks for; the node may not allow it.
    pub(crate) mounts: Vec<Mount>,
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
        let kind = match request.workload_lifecycle {
            Lifecycle::Service => Kind::Service,
            Lifecycle::Job => Kind::Job,
            Lifecycle::Function => {
                return Err(invalid(
                    "native programs run as a service or a job, not as a function",
                ));
            }
        };
        let request: NativeRequest =
            serde_json::from_str(&request.run_request).map_err(|error| {
                invalid(format!("the start request is not one for native: {error}"))
            })?;
        Self::check(kind, request)
    }

    fn check(kind: Kind, request: NativeRequest) -> Result<Self, StartFailure> {
        let digest = request.digest.as_deref().map(str::parse).transpose();
        let digest = digest.map_err(|error| invalid(format!("digest: {error}")))?;
        if request.argv.iter().any(|argument| argument.contains('\0')) {
            return Err(invalid("argv: an argument has a NUL byte"));
        }
        check_ports(&request.expose_ports)?;
        let isolation = match request.sandbox.unwrap_or(Sandbox::Default) {
            Sandbox::Default => Isolation::Default,
            Sandbox::Strict => Isolation::Strict,
            Sandbox::None => Isolation::None,
        };
        let stop = StopPlan::read(request.stop.as_ref())?;
        let limits = request.limits.clone().unwrap_or_default();
        let log_rate = bounds::number("limits.log_rate", limits.log_rate, 1..=MOST_LOG_RATE)?;
        let health = request.health.as_ref();
        Ok(Self {
            life: life::read(kind, &request, stop.grace)?,
            health: health.map(|health| health::read(health, isolation)).transpose()?,
            limits: limits::read(&limits)?,
            log_rate: log_rate.unwrap_or(DEFAULT_LOG_RATE),
            mounts: limits::mounts(&request.mounts, isolation)?,
            uri: request.uri,
            digest,
            argv: request.argv,
            environment: request.environment,
            ports: request.expose_ports,
            stop,
            isolation,
        })
    }
}

fn check_ports(ports: &[u16]) -> Result<(), StartFailure> {
    if ports.len() > MOST_PORTS {
        return Err(invalid(format!("expose_ports: there are more than {MOST_PORTS}")));
    }
    if ports.contains(&0) {
        return Err(invalid("expose_ports: 0 is no port; write numbers from 1 to 65535"));
    }
    Ok(())
}

impl StopPlan {
    fn read(request: Option<&StopRequest>) -> Result<Self, StartFailure> {
        let signal = request.and_then(|stop| stop.signal).unwrap_or(StopSignal::Sigterm);
        let signal = match signal {
            StopSignal::Sigterm => Signal::SIGTERM,
            StopSignal::Sigint => Signal::SIGINT,
            StopSignal::Sighup => Signal::SIGHUP,
            StopSignal::Sigquit => Signal::SIGQUIT,
        };
        let grace = match request.and_then(|stop| stop.grace.as_deref()) {
            None => DEFAULT_GRACE,
            Some(text) => {
                parse_go(text).map_err(|error| invalid(format!("stop.grace: {error}")))?
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

/// An error with all its causes.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests;
