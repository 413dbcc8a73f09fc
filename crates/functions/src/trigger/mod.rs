//! Triggers: what makes a function run. One file per kind of source.
//!
//! Owns: reading them from a request and checking them against the deny list. Never: runs a call.

pub(crate) mod subject;

use nex_api::Code;
use nex_api::start::{SubjectTrigger as WireTrigger, Trigger, TriggerKind};
use nex_nexlet::StartFailure;
use nex_types::{SubjectPattern, denied_by};

use crate::request::Owner;

/// A core NATS subject that this function may listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubjectTrigger {
    pub(crate) pattern: SubjectPattern,
    /// `None`: every copy gets every message.
    pub(crate) queue: Option<String>,
}

impl SubjectTrigger {
    pub(crate) fn parse(trigger: Trigger, owner: &Owner<'_>) -> Result<Self, StartFailure> {
        let (subject, queue) = match trigger {
            Trigger::Subject(subject) => (subject, None),
            Trigger::Full(full) => match full.kind {
                TriggerKind::Subject => (full.subject, full.queue),
            },
        };
        let pattern = SubjectPattern::parse(&subject)
            .map_err(|error| StartFailure::new(Code::TriggerInvalid, error.to_string()))?;
        if let Some(denied) = denied_by(&pattern, owner.deny) {
            let message = format!("a function may not listen on {pattern}: {denied} is denied");
            return Err(StartFailure::new(Code::SubjectDenied, message));
        }
        let queue = match queue {
            None => Some(format!("nex.{}.{}", owner.namespace.as_str(), owner.name.as_str())),
            Some(queue) if queue.is_empty() => None,
            Some(queue) => Some(check_queue(queue)?),
        };
        Ok(Self { pattern, queue })
    }

    /// As it stands in the facts of a list.
    pub(crate) fn to_wire(&self) -> WireTrigger {
        WireTrigger {
            kind: TriggerKind::Subject,
            subject: self.pattern.to_string(),
            queue: Some(self.queue.clone().unwrap_or_default()),
        }
    }
}

/// Two triggers of one function that some message matches both; it would run twice.
pub(crate) fn overlapping(
    triggers: &[SubjectTrigger],
) -> Option<(&SubjectPattern, &SubjectPattern)> {
    triggers.iter().enumerate().find_map(|(idx, one)| {
        let other =
            triggers.iter().skip(idx + 1).find(|other| other.pattern.overlaps(&one.pattern))?;
        Some((&one.pattern, &other.pattern))
    })
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
        let trigger = Trigger::Full(WireTrigger {
            kind: TriggerKind::Subject,
            subject: subject.to_owned(),
            queue: queue.map(str::to_owned),
        });
        SubjectTrigger::parse(trigger, &Owner { namespace: &namespace, name: &name, deny: &[] })
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
        let triggers =
            [parse("a.b", None).unwrap(), parse("c", None).unwrap(), parse("a.*", None).unwrap()];
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
