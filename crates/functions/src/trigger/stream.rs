//! Stream triggers: what a request may say of one.
//!
//! Owns: keys, defaults and refusals. Never: reads a message.

use nex_api::Code;
use nex_api::start::FullTrigger;
use nex_api::trigger::{Deliver, Durable, StreamTrigger};
use nex_bus::durable::{Begin, Settings};
use nex_nexlet::StartFailure;
use nex_types::{denied_by, denied_stream, parse_go};

use super::{
    DEFAULT_MAX_DELIVER, DurableTrigger, Source, check_in_flight, check_name, invalid, pattern,
};
use crate::request::Owner;

const DEFAULT_IN_FLIGHT: u32 = 64;
const MOST_DELIVERIES: u32 = 1000;

pub(super) fn parse(
    wire: StreamTrigger,
    durable: Durable,
    owner: &Owner<'_>,
) -> Result<DurableTrigger, StartFailure> {
    check_stream(&wire.stream, owner)?;
    if let Some(name) = &wire.durable {
        check_durable(name, owner)?;
    }
    if let Some(filter) = &wire.filter {
        pattern(filter)?;
    }
    if let Some(subject) = &wire.dead_letter {
        check_dead_letter(subject, owner)?;
    }
    let max_deliver = match wire.max_deliver.unwrap_or(DEFAULT_MAX_DELIVER) {
        n @ 1..=MOST_DELIVERIES => u64::from(n),
        n => {
            let range = format!("max_deliver is {n}, but must be from 1 to {MOST_DELIVERIES}");
            return Err(invalid(&range));
        }
    };
    let max_in_flight = check_in_flight(wire.max_in_flight, DEFAULT_IN_FLIGHT)?;
    let begin = match wire.deliver.unwrap_or_default() {
        Deliver::New => Begin::New,
        Deliver::All => Begin::All,
        Deliver::Last => Begin::Last,
    };
    let expires = wire.expires.as_deref().map(parse_expires).transpose()?;
    let (source, dead_letter) = (Source::Stream(wire.stream.clone()), wire.dead_letter.clone());
    let mut trigger = DurableTrigger::new(FullTrigger::Stream(wire), durable, source);
    let Settings { expires: usual, .. } = trigger.settings;
    trigger.settings.begin = begin;
    trigger.settings.max_in_flight = max_in_flight;
    trigger.settings.expires = expires.unwrap_or(usual);
    trigger.rules.max_deliver = max_deliver;
    trigger.rules.dead_letter = dead_letter;
    Ok(trigger)
}

fn check_stream(stream: &str, owner: &Owner<'_>) -> Result<(), StartFailure> {
    check_name("stream", stream, is_name_letter)?;
    match denied_stream(stream, owner.namespace) {
        None => Ok(()),
        Some(denied) => {
            let message = format!("a function may not read stream {stream}: {denied} is denied");
            Err(StartFailure::new(Code::SubjectDenied, message))
        }
    }
}

/// `nex_<namespace>_` is for the durables of that namespace.
fn check_durable(name: &str, owner: &Owner<'_>) -> Result<(), StartFailure> {
    check_name("durable", name, is_name_letter)?;
    let own = format!("nex_{}_", owner.namespace);
    if name.starts_with("nex_") && !name.starts_with(&own) {
        return Err(invalid(&format!("durable {name}: names that begin with nex_ are Nex's own")));
    }
    Ok(())
}

fn check_dead_letter(subject: &str, owner: &Owner<'_>) -> Result<(), StartFailure> {
    let pattern = pattern(subject)?;
    if !pattern.is_literal() {
        return Err(invalid(&format!("dead_letter {pattern} has wildcards; name one subject")));
    }
    match denied_by(&pattern, owner.deny) {
        None => Ok(()),
        Some(denied) => {
            let message = format!("a function may not publish to {pattern}: {denied} is denied");
            Err(StartFailure::new(Code::SubjectDenied, message))
        }
    }
}

fn parse_expires(text: &str) -> Result<std::time::Duration, StartFailure> {
    let expires = parse_go(text)
        .map_err(|_| invalid(&format!("expires \"{text}\" is not a duration; write 72h")))?;
    let (least, most) = (60, 366 * 24 * 60 * 60);
    if !(least..=most).contains(&expires.as_secs()) {
        return Err(invalid(&format!("expires is {text}, but must be from 1m to 8784h")));
    }
    Ok(expires)
}

/// What is a token of a subject, for the server's API: also no separator of paths.
fn is_name_letter(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '.' | '*' | '>' | '/' | '\\')
}
