//! Limits of one function: typed text becomes checked values (spec: functions, section 4).
//!
//! Owns: defaults and maxima. Never: enforces one.

use std::time::Duration;

use nex_api::start::FunctionLimits;
use nex_types::{ByteSize, format_go, parse_go};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const DEFAULT_MEMORY: ByteSize = ByteSize(64 << 20);
/// One page: less than that is no memory at all.
const MIN_MEMORY: ByteSize = ByteSize(64 << 10);
/// What a 32-bit guest can address.
const MAX_MEMORY: ByteSize = ByteSize(4 << 30);
const DEFAULT_CONCURRENCY: u32 = 64;
const MAX_CONCURRENCY: u32 = 4096;
const DEFAULT_QUEUE: u32 = 1024;
const MAX_QUEUE: u32 = 65_536;
const DEFAULT_LOG_RATE: u32 = 1000;

/// Checked limits. `concurrency` and `log_rate` are at least 1, `timeout` is longer than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// From receipt to reply.
    pub(crate) timeout: Duration,
    /// Bytes of one instance.
    pub(crate) memory: u64,
    pub(crate) bounds: Bounds,
    /// Lines a second.
    pub(crate) log_rate: u32,
}

/// How many calls are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Calls that run at once.
    pub(crate) concurrency: u32,
    /// Calls that wait.
    pub(crate) queue: u32,
}

/// A limit that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("limits.{key}: {reason}")]
    Unreadable { key: &'static str, reason: String },
    #[error("limits.{key} is {given}, but must be from {least} to {most}")]
    OutOfRange { key: &'static str, given: String, least: String, most: String },
}

impl Limits {
    pub(crate) fn parse(request: &FunctionLimits) -> Result<Self, Error> {
        let timeout = parse_timeout(request.timeout.as_deref())?;
        let memory = parse_memory(request.memory.as_deref())?;
        let concurrency = request.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
        let queue = request.queue.unwrap_or(DEFAULT_QUEUE);
        let log_rate = request.log_rate.unwrap_or(DEFAULT_LOG_RATE);
        check("concurrency", concurrency, 1, MAX_CONCURRENCY)?;
        check("queue", queue, 0, MAX_QUEUE)?;
        check("log_rate", log_rate, 1, u32::MAX)?;
        Ok(Self { timeout, memory, bounds: Bounds { concurrency, queue }, log_rate })
    }
}

fn parse_timeout(text: Option<&str>) -> Result<Duration, Error> {
    let Some(text) = text else { return Ok(DEFAULT_TIMEOUT) };
    let unreadable = |_| Error::Unreadable {
        key: "timeout",
        reason: format!("\"{text}\" is not a duration; write for example 4s or 250ms"),
    };
    let timeout = parse_go(text).map_err(unreadable)?;
    if timeout < Duration::from_millis(1) || timeout > MAX_TIMEOUT {
        let most = format_go(MAX_TIMEOUT);
        return Err(out_of_range("timeout", text, "1ms", &most));
    }
    Ok(timeout)
}

fn parse_memory(text: Option<&str>) -> Result<u64, Error> {
    let Some(text) = text else { return Ok(DEFAULT_MEMORY.0) };
    let memory: ByteSize = text.parse().map_err(|error: nex_types::SizeError| {
        Error::Unreadable { key: "memory", reason: error.to_string() }
    })?;
    if memory < MIN_MEMORY || memory > MAX_MEMORY {
        return Err(out_of_range("memory", text, &MIN_MEMORY.to_string(), &MAX_MEMORY.to_string()));
    }
    Ok(memory.0)
}

fn check(key: &'static str, given: u32, least: u32, most: u32) -> Result<(), Error> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(out_of_range(key, &given.to_string(), &least.to_string(), &most.to_string()))
}

fn out_of_range(key: &'static str, given: &str, least: &str, most: &str) -> Error {
    Error::OutOfRange {
        key,
        given: given.to_owned(),
        least: least.to_owned(),
        most: most.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(request: &FunctionLimits) -> String {
        Limits::parse(request).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_said_is_the_specification_s_default() {
        let limits = Limits::parse(&FunctionLimits::default()).unwrap();
        let bounds = Bounds { concurrency: 64, queue: 1024 };
        let timeout = Duration::from_secs(4);
        assert_eq!(limits, Limits { timeout, memory: 64 << 20, bounds, log_rate: 1000 });
    }

    #[test]
    fn a_refusal_names_the_key_and_the_range() {
        let timeout = |text: &str| FunctionLimits {
            timeout: Some(text.to_owned()),
            ..FunctionLimits::default()
        };
        assert_eq!(
            refusal(&timeout("16m")),
            "limits.timeout is 16m, but must be from 1ms to 15m0s"
        );
        assert!(
            refusal(&timeout("soon")).starts_with("limits.timeout: \"soon\" is not a duration")
        );
        assert!(Limits::parse(&timeout("15m")).is_ok());
        let memory = FunctionLimits { memory: Some("1".to_owned()), ..FunctionLimits::default() };
        assert_eq!(refusal(&memory), "limits.memory is 1, but must be from 64 KiB to 4 GiB");
        let queue = FunctionLimits { queue: Some(0), ..FunctionLimits::default() };
        assert!(Limits::parse(&queue).is_ok(), "a function may have no queue");
    }

    proptest! {
        #[test]
        fn whatever_passes_is_within_the_maxima(
            timeout in 0u64..2_000_000,
            memory in 0u64..(8 << 30),
            concurrency in any::<u32>(),
            queue in any::<u32>(),
        ) {
            let request = FunctionLimits {
                timeout: Some(format!("{timeout}ms")),
                memory: Some(memory.to_string()),
                concurrency: Some(concurrency),
                queue: Some(queue),
                log_rate: None,
            };
            if let Ok(limits) = Limits::parse(&request) {
                prop_assert!(!limits.timeout.is_zero() && limits.timeout <= MAX_TIMEOUT);
                prop_assert!(limits.memory <= MAX_MEMORY.0);
                prop_assert!((1..=MAX_CONCURRENCY).contains(&limits.bounds.concurrency));
                prop_assert!(limits.bounds.queue <= MAX_QUEUE);
            }
        }
    }
}
