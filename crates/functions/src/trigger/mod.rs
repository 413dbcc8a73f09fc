//! Triggers: what makes a function run. One file per kind of source.
//!
//! Owns: reading them from a request and checking them against the deny lists. Never: runs a call.
//!
//! ```text
//! subject                          a subscription                  subject.rs
//! stream · kv · object · schedule  a durable on a stream each      durable.rs reads it, verdict.rs decides,
//!                                                                  runs.rs remembers failures and deaths
//! schedule                         besides, publishes its ticks    schedule.rs, clock.rs
//! ```

pub(crate) mod clock;
pub(crate) mod durable;
mod kv;
mod object;
pub(crate) mod runs;
pub(crate) mod schedule;
mod stream;
pub(crate) mod subject;
mod verdict;

use std::time::Duration;

use nex_api::Code;
use nex_api::start::{FullTrigger, Trigger as WireTrigger};
use nex_api::trigger::{Change, Durable, Of};
use nex_bus::durable::{Begin, Delivery, Settings};
use nex_nexlet::StartFailure;
use nex_types::{SubjectPattern, denied_bucket, denied_by};

use crate::request::Owner;
use crate::runtime::{Operation, Stimulus};

/// The server removes a durable that nobody reads for this long.
const DEFAULT_EXPIRES: Duration = Duration::from_secs(72 * 60 * 60);
const DEFAULT_MAX_DELIVER: u32 = 5;
const MOST_IN_FLIGHT: u32 = 4096;

/// One checked trigger.
#[derive(Debug, Clone)]
pub(crate) enum Trigger {
    Subject(SubjectTrigger),
    Durable(Box<DurableTrigger>),
}

/// A core NATS subject that this function may listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubjectTrigger {
    pub(crate) pattern: SubjectPattern,
    /// `None`: every copy gets every message.
    pub(crate) queue: Option<String>,
}

/// A source that keeps its messages until they are dealt with.
#[derive(Debug, Clone)]
pub(crate) struct DurableTrigger {
    /// As it was asked for.
    pub(crate) wire: FullTrigger,
    pub(crate) settings: Settings,
    /// How its messages are called in the bucket of runs.
    pub(crate) runs_prefix: String,
    pub(crate) rules: Rules,
    pub(crate) source: Source,
}

/// What is done about messages that are not processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) max_deliver: u64,
    pub(crate) dead_letter: Option<String>,
    pub(crate) failed: Failed,
}

/// What becomes of a message whose run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    RunsAgain,
    /// A tick is over when it ran.
    IsOver,
}

/// What its messages mean.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Stream(String),
    Kv(kv::Keys),
    Object(object::Objects),
    Schedule(schedule::Schedule),
}

/// Whether a message is one for the function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Run(Stimulus),
    /// It is acknowledged unrun.
    Skip,
}

impl Trigger {
    pub(crate) fn parse(trigger: WireTrigger, owner: &Owner<'_>) -> Result<Self, StartFailure> {
        let full = trigger.into_full();
        let of = Of { namespace: owner.namespace, name: owner.name };
        let Some(durable) = full.durable(of) else {
            let FullTrigger::Subject(subject) = full else {
                return Err(invalid("it is read from a stream, but from none"));
            };
            return SubjectTrigger::parse(subject, owner).map(Self::Subject);
        };
        match full {
            FullTrigger::Stream(stream) => stream::parse(stream, durable, owner),
            FullTrigger::Kv(kv) => kv::parse(kv, durable, owner),
            FullTrigger::Object(object) => object::parse(object, durable, owner),
            FullTrigger::Schedule(schedule) => schedule::parse(schedule, durable, owner),
            FullTrigger::Subject(_) => Err(invalid("a subject has no durable")),
        }
        .map(|durable| Self::Durable(Box::new(durable)))
    }

    pub(crate) fn subject(&self) -> Option<&SubjectTrigger> {
        match self {
            Self::Subject(subject) => Some(subject),
            Self::Durable(_) => None,
        }
    }

    pub(crate) fn durable(&self) -> Option<&DurableTrigger> {
        match self {
            Self::Subject(_) => None,
            Self::Durable(durable) => Some(durable),
        }
    }

    /// As it stands in the facts of a list.
    pub(crate) fn to_wire(&self) -> FullTrigger {
        match self {
            Self::Subject(subject) => FullTrigger::Subject(nex_api::trigger::SubjectTrigger {
                subject: subject.pattern.to_string(),
                queue: Some(subject.queue.clone().unwrap_or_default()),
            }),
            Self::Durable(durable) => durable.wire.clone(),
        }
    }
}

impl SubjectTrigger {
    fn parse(
        wire: nex_api::trigger::SubjectTrigger,
        owner: &Owner<'_>,
    ) -> Result<Self, StartFailure> {
        let pattern = pattern(&wire.subject)?;
        if let Some(denied) = denied_by(&pattern, owner.deny) {
            let message = format!("a function may not listen on {pattern}: {denied} is denied");
            return Err(StartFailure::new(Code::SubjectDenied, message));
        }
        let queue = match wire.queue {
            None => Some(format!("nex.{}.{}", owner.namespace.as_str(), owner.name.as_str())),
            Some(queue) if queue.is_empty() => None,
            Some(queue) => Some(check_queue(queue)?),
        };
        Ok(Self { pattern, queue })
    }
}

impl DurableTrigger {
    /// A trigger on `durable`, with what most of them have in common.
    fn new(wire: FullTrigger, durable: Durable, source: Source) -> Self {
        let runs_prefix = durable.runs_prefix();
        let Durable { stream, name, filter } = durable;
        let settings = Settings {
            stream,
            name,
            filter,
            begin: Begin::New,
            max_in_flight: 1,
            expires: DEFAULT_EXPIRES,
        };
        let rules = Rules {
            max_deliver: u64::from(DEFAULT_MAX_DELIVER),
            dead_letter: None,
            failed: Failed::RunsAgain,
        };
        Self { wire, settings, runs_prefix, rules, source }
    }
}

impl Source {
    /// What a delivery means; `now` is the time by which ticks are late.
    pub(crate) fn read(&self, delivery: &Delivery, now: jiff::Timestamp) -> Read {
        let message = &delivery.message;
        match self {
            Self::Stream(stream) => Read::Run(Stimulus::Stream {
                stream: stream.clone(),
                sequence: delivery.sequence,
                delivery: delivery.count,
            }),
            Self::Kv(keys) => keys.read(message, delivery.sequence),
            Self::Object(objects) => objects.read(message),
            Self::Schedule(schedule) => schedule.read(message, now),
        }
    }
}

/// Two triggers of one function that some message matches both; it would run twice.
pub(crate) fn overlapping(triggers: &[Trigger]) -> Option<(&SubjectPattern, &SubjectPattern)> {
    let subjects: Vec<_> = triggers.iter().filter_map(Trigger::subject).collect();
    subjects.iter().enumerate().find_map(|(idx, one)| {
        let other =
            subjects.iter().skip(idx + 1).find(|other| other.pattern.overlaps(&one.pattern))?;
        Some((&one.pattern, &other.pattern))
    })
}

/// Refuses triggers that would read from one durable: each message would go to one of them.
pub(crate) fn refuse_shared_durables(triggers: &[Trigger]) -> Result<(), StartFailure> {
    let durables: Vec<_> = triggers.iter().filter_map(Trigger::durable).collect();
    let shared = durables.iter().enumerate().find(|(idx, one)| {
        let mut others = durables.iter().skip(idx + 1);
        others.any(|other| {
            (&other.settings.stream, &other.settings.name)
                == (&one.settings.stream, &one.settings.name)
        })
    });
    let Some((_, shared)) = shared else { return Ok(()) };
    let Settings { stream, name, .. } = &shared.settings;
    let hint = match &shared.source {
        Source::Stream(_) => "; give each a \"durable\"",
        _ => "",
    };
    Err(invalid(&format!("two triggers share the durable {name} of stream {stream}{hint}")))
}

fn pattern(text: &str) -> Result<SubjectPattern, StartFailure> {
    SubjectPattern::parse(text)
        .map_err(|error| StartFailure::new(Code::TriggerInvalid, error.to_string()))
}

/// The name of a bucket that the owner's functions may read.
fn check_bucket(bucket: &str, owner: &Owner<'_>) -> Result<(), StartFailure> {
    check_name("bucket", bucket, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))?;
    match denied_bucket(bucket, owner.namespace) {
        None => Ok(()),
        Some(denied) => {
            let message = format!("a function may not read bucket {bucket}: {denied} is denied");
            Err(StartFailure::new(Code::SubjectDenied, message))
        }
    }
}

fn check_name(what: &str, name: &str, is_legal: impl Fn(char) -> bool) -> Result<(), StartFailure> {
    if !name.is_empty() && name.len() <= 255 && name.chars().all(is_legal) {
        return Ok(());
    }
    let shown: String = name.escape_debug().take(80).collect();
    Err(invalid(&format!("\"{shown}\" is not the name of a {what}")))
}

fn check_in_flight(given: Option<u32>, default: u32) -> Result<u32, StartFailure> {
    match given.unwrap_or(default) {
        n @ 1..=MOST_IN_FLIGHT => Ok(n),
        n => Err(invalid(&format!("max_in_flight is {n}, but must be from 1 to {MOST_IN_FLIGHT}"))),
    }
}

/// What counts: both unless told.
fn operations(on: Option<&[Change]>) -> Result<Vec<Operation>, StartFailure> {
    let operation = |change: &Change| match change {
        Change::Put => Operation::Put,
        Change::Delete => Operation::Delete,
    };
    match on {
        None => Ok(vec![Operation::Put, Operation::Delete]),
        Some([]) => Err(invalid("\"on\" is empty; name put, delete or both")),
        Some(on) => Ok(on.iter().map(operation).collect()),
    }
}

fn invalid(message: &str) -> StartFailure {
    StartFailure::new(Code::TriggerInvalid, message)
}

/// A queue group is subject-like text; white space would break the protocol.
fn check_queue(queue: String) -> Result<String, StartFailure> {
    if queue.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message =
            format!("\"{}\" is not a queue group: it has white space", queue.escape_debug());
        return Err(StartFailure::new(Code::TriggerInvalid, message));
    }
    Ok(queue)
}

#[cfg(test)]
mod tests {
    use nex_types::{Namespace, WorkloadName};
    use proptest::prelude::*;

    use super::*;

    fn parse(subject: &str, queue: Option<&str>) -> Result<SubjectTrigger, StartFailure> {
        let namespace = Namespace::parse("team").unwrap();
        let name = WorkloadName::parse("echo").unwrap();
        let wire = nex_api::trigger::SubjectTrigger {
            subject: subject.to_owned(),
            queue: queue.map(str::to_owned),
        };
        let deny_services = &[];
        let owner = Owner { namespace: &namespace, name: &name, deny: &[], deny_services };
        SubjectTrigger::parse(wire, &owner)
    }

    #[test]
    fn copies_share_a_queue_unless_told_otherwise() {
        assert_eq!(parse("a", None).unwrap().queue.as_deref(), Some("nex.team.echo"));
        assert_eq!(parse("a", Some("")).unwrap().queue, None);
        assert_eq!(parse("a", Some("mine")).unwrap().queue.as_deref(), Some("mine"));
        assert_eq!(parse("a", Some("a b")).unwrap_err().code, Code::TriggerInvalid);
    }

    #[test]
    fn the_refusal_names_the_pattern() {
        let failure = parse("$JS.API.>", None).unwrap_err();
        assert_eq!(failure.code, Code::SubjectDenied);
        assert_eq!(failure.message, "a function may not listen on $JS.API.>: $*.> is denied");
        assert!(parse("_INBOX.x", None).unwrap_err().message.contains("_INBOX.>"));
    }

    #[test]
    fn triggers_that_meet_are_found() {
        let triggers = ["a.b", "c", "a.*"].map(|text| Trigger::Subject(parse(text, None).unwrap()));
        let (one, other) = overlapping(&triggers).unwrap();
        assert_eq!((one.as_str(), other.as_str()), ("a.b", "a.*"));
        assert_eq!(overlapping(&triggers[..2]), None);
    }

    proptest! {
        #[test]
        fn no_text_passes_that_a_denied_subject_matches(text in "[a$_>*.]{1,6}") {
            if let Ok(trigger) = parse(&text, None) {
                prop_assert!(!trigger.pattern.matches("$a.a"), "{}", text);
                prop_assert!(!trigger.pattern.matches("_INBOX.a"), "{}", text);
            }
        }
    }
}
