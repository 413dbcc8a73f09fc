//! Triggers on objects: what a request may say of one, and what a message about an object means.
//!
//! Owns: both. Never: reads the object; the payload is its metadata.

use nex_api::start::FullTrigger;
use nex_api::trigger::{Durable, ObjectTrigger};
use nex_bus::Message;
use nex_nexlet::StartFailure;
use serde::Deserialize;

use super::{DurableTrigger, Read, Source, check_bucket, invalid, operations};
use crate::request::Owner;
use crate::runtime::{Operation, Stimulus};

/// Nobody types a longer one.
const LONGEST_PATTERN: usize = 1024;

/// The objects of one store.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    bucket: String,
    on: Vec<Operation>,
    names: String,
}

/// What of the metadata counts here.
#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    deleted: bool,
}

pub(super) fn parse(
    wire: ObjectTrigger,
    durable: Durable,
    owner: &Owner<'_>,
) -> Result<DurableTrigger, StartFailure> {
    check_bucket(&wire.bucket, owner)?;
    let names = wire.names.clone().unwrap_or_else(|| "*".to_owned());
    if names.is_empty() || names.len() > LONGEST_PATTERN {
        return Err(invalid("names: write from 1 to 1024 bytes, for example reports/*"));
    }
    let on = operations(wire.on.as_deref())?;
    let objects = Objects { bucket: wire.bucket.clone(), on, names };
    Ok(DurableTrigger::new(FullTrigger::Object(wire), durable, Source::Object(objects)))
}

impl Objects {
    pub(super) fn read(&self, message: &Message) -> Read {
        // Somebody else's bytes; what is no metadata is about no object.
        let Ok(metadata) = serde_json::from_slice::<Metadata>(&message.payload) else {
            return Read::Skip;
        };
        let operation = if metadata.deleted { Operation::Delete } else { Operation::Put };
        if !self.on.contains(&operation) || !matches(&self.names, &metadata.name) {
            return Read::Skip;
        }
        let (bucket, name) = (self.bucket.clone(), metadata.name);
        Read::Run(Stimulus::Object { bucket, name, operation })
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any text. Each `*` but the last takes as little
/// as it can, so that the time is bounded by the product of the lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (between, last) = match rest.rsplit_once('*') {
        Some((between, last)) => (Some(between), last),
        None => (None, rest),
    };
    for part in between.into_iter().flat_map(|between| between.split('*')) {
        let Some(at) = name.find(part) else { return false };
        name = name.get(at + part.len()..).unwrap_or_default();
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in
            [("*", ""), ("*", "a/b.c"), ("a*c", "ac"), ("a*b*c", "a1b2b3c"), ("é*", "éa")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a*a", "a"), ("*b", "ba"), ("a*b*b", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    /// By the definition, in exponential time.
    fn by_definition(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|n| by_definition(rest, &name[n..])),
            Some((c, rest)) => name.first() == Some(c) && by_definition(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_is_as_the_definition_says(pattern in "[ab*]{0,6}", name in "[ab]{0,6}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = by_definition(&letters(&pattern), &letters(&name));
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }
}
