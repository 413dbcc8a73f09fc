//! What a workload's life goes by: `restart` of a service, `timeout` and `retries` of a job.
//!
//! Owns: their defaults, and that neither is taken for the other. Never: restarts anything.

use std::ops::RangeInclusive;
use std::time::Duration;

use nex_api::start::{NativeRequest, RestartPolicy, RestartRequest};
use nex_nexlet::StartFailure;
use nex_policy::life::{Kind, Policy, RestartWhen};

use super::bounds::{duration, number};
use super::invalid;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DEFAULT_MAX: u32 = 10;
const MAX: RangeInclusive<u32> = 0..=1000;
const DEFAULT_WINDOW: Duration = Duration::from_secs(600);
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 3600);
const SHORTEST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = MINUTE;
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
const LONGEST_TIMEOUT: Duration = HOUR.saturating_mul(720);

pub(super) fn read(
    kind: Kind,
    request: &NativeRequest,
    grace: Duration,
) -> Result<Policy, StartFailure> {
    refuse_the_other_s(kind, request)?;
    match kind {
        Kind::Service => service(request.restart.as_ref(), grace),
        Kind::Job => job(request, grace),
    }
}

fn service(restart: Option<&RestartRequest>, grace: Duration) -> Result<Policy, StartFailure> {
    let absent = RestartRequest::default();
    let restart = restart.unwrap_or(&absent);
    Ok(Policy {
        kind: Kind::Service,
        restart: match restart.policy.unwrap_or(RestartPolicy::Always) {
            RestartPolicy::Always => RestartWhen::Always,
            RestartPolicy::OnFailure => RestartWhen::OnFailure,
            RestartPolicy::Never => RestartWhen::Never,
        },
        max: number("restart.max", restart.max, MAX)?.unwrap_or(DEFAULT_MAX),
        window: duration(
            "restart.window",
            restart.window.as_deref(),
            DEFAULT_WINDOW,
            SECOND..=LONGEST_WINDOW,
        )?,
        backoff_first: duration(
            "restart.backoff",
            restart.backoff.as_deref(),
            SECOND,
            SHORTEST_BACKOFF..=LONGEST_BACKOFF,
        )?,
        backoff_longest: LONGEST_BACKOFF,
        timeout: None,
        grace,
    })
}

fn job(request: &NativeRequest, grace: Duration) -> Result<Policy, StartFailure> {
    let max = number("retries", request.retries, MAX)?.unwrap_or(0);
    let bounds = SHORTEST_TIMEOUT..=LONGEST_TIMEOUT;
    let timeout = match request.timeout.as_deref() {
        None => None,
        text => Some(duration("timeout", text, LONGEST_TIMEOUT, bounds)?),
    };
    Ok(Policy {
        kind: Kind::Job,
        restart: if max == 0 { RestartWhen::Never } else { RestartWhen::OnFailure },
        max,
        window: Duration::MAX,
        backoff_first: SECOND,
        backoff_longest: LONGEST_BACKOFF,
        timeout,
        grace,
    })
}

fn refuse_the_other_s(kind: Kind, request: &NativeRequest) -> Result<(), StartFailure> {
    let (keys, instead): ([(&str, bool); 2], _) = match kind {
        Kind::Service => (
            [("timeout", request.timeout.is_some()), ("retries", request.retries.is_some())],
            "is for jobs; a service has restart and health",
        ),
        Kind::Job => (
            [("restart", request.restart.is_some()), ("health", request.health.is_some())],
            "is for services; a job has timeout and retries",
        ),
    };
    match keys.iter().find(|(_, is_there)| *is_there) {
        Some((key, _)) => Err(invalid(format!("{key} {instead}"))),
        None => Ok(()),
    }
}
