//! What a function's triggers need: from the policy, and of JetStream with credentials of its own.
//!
//! Owns: both lists. Never: refuses or signs.
//!
//! A stream may hold any subject. What a trigger would read is therefore asked of the policy as if it were
//! subscribed: all of a stream is `>`, a bucket's keys are `$KV.<bucket>.<keys>`. What Nex made for the
//! namespace itself is free.

use nex_api::start::{FullTrigger, Trigger};
use nex_api::trigger::{Durable, Of, runs_bucket};
use nex_api::workload::StartWorkloadRequest;
use nex_types::{Namespace, SubjectPattern, WorkloadName};

use super::{function, is_own_bucket};

/// The triggers of a function, in full.
fn triggers(request: &StartWorkloadRequest) -> Vec<FullTrigger> {
    let triggers = function(request).map(|function| function.triggers).unwrap_or_default();
    triggers.into_iter().map(Trigger::into_full).collect()
}

/// The subjects that it subscribes.
pub(super) fn subscribed(request: &StartWorkloadRequest) -> Vec<SubjectPattern> {
    let subject = |trigger: FullTrigger| match trigger {
        FullTrigger::Subject(subject) => SubjectPattern::parse(&subject.subject).ok(),
        _ => None,
    };
    triggers(request).into_iter().filter_map(subject).collect()
}

/// What the namespace must be allowed to subscribe.
pub(super) fn read(request: &StartWorkloadRequest) -> Vec<SubjectPattern> {
    let is_own = |bucket: &str| is_own_bucket(bucket, request);
    let subject = |trigger: FullTrigger| match trigger {
        FullTrigger::Subject(subject) => Some(subject.subject),
        FullTrigger::Stream(stream) => Some(stream.filter.unwrap_or_else(|| ">".to_owned())),
        FullTrigger::Kv(kv) if is_own(&kv.bucket) => None,
        FullTrigger::Kv(kv) => {
            Some(format!("$KV.{}.{}", kv.bucket, kv.keys.unwrap_or_else(|| ">".to_owned())))
        }
        FullTrigger::Object(object) if is_own(&object.bucket) => None,
        FullTrigger::Object(object) => Some(format!("$O.{}.M.>", object.bucket)),
        FullTrigger::Schedule(_) => None,
    };
    let subjects = triggers(request).into_iter().filter_map(subject);
    subjects.filter_map(|subject| SubjectPattern::parse(&subject).ok()).collect()
}

/// And what to publish.
pub(super) fn published(request: &StartWorkloadRequest) -> Vec<SubjectPattern> {
    let dead_letter = |trigger: FullTrigger| match trigger {
        FullTrigger::Stream(stream) => SubjectPattern::parse(&stream.dead_letter?).ok(),
        _ => None,
    };
    triggers(request).into_iter().filter_map(dead_letter).collect()
}

/// What its connection may publish to JetStream: about its own durables, the ticks of its own schedules
/// and the records of its own messages, and about nothing else.
pub(super) fn jetstream(request: &StartWorkloadRequest) -> Vec<String> {
    let names = (Namespace::parse(&request.namespace), WorkloadName::parse(&request.name));
    let (Ok(namespace), Ok(name)) = names else { return Vec::new() };
    let of = Of { namespace: &namespace, name: &name };
    let mut granted = Vec::new();
    for trigger in triggers(request) {
        let Some(durable) = trigger.durable(of).filter(has_safe_names) else { continue };
        if let FullTrigger::Schedule(schedule) = &trigger {
            granted.extend(ticks(&durable, schedule.subject(of)));
        }
        granted.extend(reading(&durable));
        granted.extend(records(&runs_bucket(&namespace), &durable));
    }
    granted.sort();
    granted.dedup();
    granted
}

/// The nexlet refuses what has others; a wildcard here would be a right to all.
fn has_safe_names(durable: &Durable) -> bool {
    let is_token = |text: &str| SubjectPattern::parse(text).is_ok_and(|p| p.is_literal());
    let is_filter = |text: &String| SubjectPattern::parse(text).is_ok();
    let no_dots = !durable.stream.contains('.') && !durable.name.contains('.');
    is_token(&durable.stream)
        && is_token(&durable.name)
        && no_dots
        && durable.filter.as_ref().is_none_or(is_filter)
}

fn reading(durable: &Durable) -> Vec<String> {
    let Durable { stream, name, filter } = durable;
    let create = match filter {
        Some(filter) => format!("$JS.API.CONSUMER.CREATE.{stream}.{name}.{filter}"),
        None => format!("$JS.API.CONSUMER.CREATE.{stream}.{name}"),
    };
    vec![
        create,
        format!("$JS.API.CONSUMER.INFO.{stream}.{name}"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
        format!("$JS.ACK.{stream}.{name}.>"),
    ]
}

fn ticks(durable: &Durable, subject: String) -> Vec<String> {
    let stream = &durable.stream;
    vec![
        format!("$JS.API.STREAM.INFO.{stream}"),
        format!("$JS.API.STREAM.CREATE.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}.{subject}"),
        subject,
    ]
}

fn records(bucket: &str, durable: &Durable) -> Vec<String> {
    let keys = format!("$KV.{bucket}.{}.*", durable.runs_prefix());
    vec![
        format!("$JS.API.STREAM.INFO.KV_{bucket}"),
        format!("$JS.API.STREAM.CREATE.KV_{bucket}"),
        format!("$JS.API.DIRECT.GET.KV_{bucket}.{keys}"),
        keys,
    ]
}
