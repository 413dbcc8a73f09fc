//! Triggers on keys: what a request may say of one, and what a message of the bucket means.
//!
//! Owns: both. Never: reads the bucket itself.

use nex_api::start::FullTrigger;
use nex_api::trigger::{Durable, From, KvTrigger};
use nex_bus::durable::Begin;
use nex_bus::{HeaderMap, Message};
use nex_nexlet::StartFailure;

use super::{
    DurableTrigger, Read, Source, check_bucket, check_in_flight, invalid, operations, pattern,
};
use crate::request::Owner;
use crate::runtime::{Operation, Stimulus};

/// Set by clients that delete or purge a key.
const OPERATION: &str = "KV-Operation";
/// Set by the server when a key's time is over.
const MARKER: &str = "Nats-Marker-Reason";

/// The keys of one bucket.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    bucket: String,
    on: Vec<Operation>,
}

pub(super) fn parse(
    wire: KvTrigger,
    durable: Durable,
    owner: &Owner<'_>,
) -> Result<DurableTrigger, StartFailure> {
    check_bucket(&wire.bucket, owner)?;
    if let Some(keys) = &wire.keys {
        pattern(keys).map_err(|refusal| invalid(&format!("keys: {}", refusal.message)))?;
    }
    let max_in_flight = check_in_flight(wire.max_in_flight, 1)?;
    let begin = match wire.from.unwrap_or_default() {
        From::New => Begin::New,
        From::All => Begin::LastOfEachSubject,
    };
    let keys = Keys { bucket: wire.bucket.clone(), on: operations(wire.on.as_deref())? };
    let mut trigger = DurableTrigger::new(FullTrigger::Kv(wire), durable, Source::Kv(keys));
    trigger.settings.begin = begin;
    trigger.settings.max_in_flight = max_in_flight;
    Ok(trigger)
}

impl Keys {
    pub(super) fn read(&self, message: &Message, revision: u64) -> Read {
        let bucket = &self.bucket;
        let Some(key) = message.subject.strip_prefix(&format!("$KV.{bucket}.")) else {
            return Read::Skip;
        };
        let operation = operation(message.headers.as_ref());
        if !self.on.contains(&operation) {
            return Read::Skip;
        }
        let (bucket, key) = (bucket.clone(), key.to_owned());
        Read::Run(Stimulus::KeyValue { bucket, key, revision, operation })
    }
}

fn operation(headers: Option<&HeaderMap>) -> Operation {
    let Some(headers) = headers else { return Operation::Put };
    let is_deleted =
        headers.get(OPERATION).is_some_and(|value| matches!(value.as_str(), "DEL" | "PURGE"));
    match is_deleted || headers.get(MARKER).is_some() {
        true => Operation::Delete,
        false => Operation::Put,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_stands_in_the_headers() {
        assert_eq!(operation(None), Operation::Put);
        for (name, value, expected) in [
            (OPERATION, "DEL", Operation::Delete),
            (OPERATION, "PURGE", Operation::Delete),
            (OPERATION, "PUT", Operation::Put),
            (MARKER, "MaxAge", Operation::Delete),
            ("Other", "DEL", Operation::Put),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value);
            assert_eq!(operation(Some(&headers)), expected, "{name}: {value}");
        }
    }
}
