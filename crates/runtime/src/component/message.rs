//! Between a call of the seam and the records of `nex:function`.
//!
//! Owns: both directions. Never: trusts a status that the guest chose.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nex_functions::runtime::{Call, CallError, Operation, Reply, Stimulus};

use super::bindings::exports::nex::function::handler;
use super::bindings::nex::function::types;
use super::bindings::nex::host::types::Header;
use crate::failure;

/// Statuses that make an error reply.
const ERROR_STATUSES: std::ops::RangeInclusive<u16> = 400..=599;

/// What the guest is given.
pub(super) fn message(call: &Call) -> handler::Message {
    handler::Message {
        subject: call.subject.clone(),
        payload: call.payload.to_vec(),
        headers: headers_in(&call.headers),
        reply: call.reply.clone(),
        trigger: trigger(&call.stimulus),
        deadline: unix_millis(call.deadline),
    }
}

fn trigger(stimulus: &Stimulus) -> types::Trigger {
    match stimulus {
        Stimulus::Subject => types::Trigger::Subject,
        Stimulus::Stream { stream, sequence, delivery } => {
            types::Trigger::Stream(types::StreamTrigger {
                name: stream.clone(),
                sequence: *sequence,
                delivery: *delivery,
            })
        }
        Stimulus::KeyValue { bucket, key, revision, operation } => {
            types::Trigger::KeyValue(types::KeyValueTrigger {
                bucket: bucket.clone(),
                key: key.clone(),
                revision: *revision,
                operation: operation_of(*operation),
            })
        }
        Stimulus::Object { bucket, name, operation } => {
            types::Trigger::Object(types::ObjectTrigger {
                bucket: bucket.clone(),
                name: name.clone(),
                operation: operation_of(*operation),
            })
        }
        Stimulus::Schedule { at } => types::Trigger::Schedule(types::ScheduleTrigger {
            scheduled: u64::try_from(at.as_millisecond()).unwrap_or_default(),
        }),
    }
}

fn operation_of(operation: Operation) -> types::Operation {
    match operation {
        Operation::Put => types::Operation::Put,
        Operation::Delete => types::Operation::Delete,
    }
}

/// What the caller is given.
pub(super) fn outcome(result: Result<handler::Reply, handler::Error>) -> Result<Reply, CallError> {
    match result {
        Ok(reply) => Ok(Reply {
            payload: reply.payload.into(),
            headers: headers_out(reply.headers),
            error_status: None,
        }),
        Err(handler::Error::BadInput(why)) => Err(CallError::BadInput(why)),
        Err(handler::Error::Failed(why)) => Err(failure::failed(why, None)),
        Err(handler::Error::Status(status)) if ERROR_STATUSES.contains(&status.code) => Ok(Reply {
            payload: status.payload.into(),
            headers: headers_out(status.headers),
            error_status: Some(status.code),
        }),
        Err(handler::Error::Status(status)) => {
            let why = format!("returned the error status {}, which is not 400 to 599", status.code);
            Err(failure::failed(why, None))
        }
    }
}

pub(super) fn headers_in(headers: &[(String, String)]) -> Vec<Header> {
    let header =
        |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone() };
    headers.iter().map(header).collect()
}

pub(super) fn headers_out(headers: Vec<Header>) -> Vec<(String, String)> {
    headers.into_iter().map(|header| (header.name, header.value)).collect()
}

fn unix_millis(instant: Instant) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = now + instant.saturating_duration_since(Instant::now());
    u64::try_from(then.as_millis()).unwrap_or(u64::MAX)
}
