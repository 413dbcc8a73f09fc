//! Subjects that functions may not use, and reply subjects that may be answered (spec: functions, section 2).
//!
//! Owns: the list and both questions. Never: publishes.

use crate::SubjectPattern;

/// Inboxes of request-reply; an answer may go there, a trigger or a guest's publish may not.
const INBOXES: [&str; 2] = ["_INBOX.>", "_R_.>"];

/// The pattern that forbids `subject` for triggers and guests' publishes, if one does.
///
/// Denied is whatever overlaps `$*.>` (every first token that begins with `$`), `_INBOX.>`, `_R_.>`
/// or one of `more`, the node's own list. A bare `>` and a leading `*` overlap all of them.
#[must_use]
pub fn denied_by(subject: &SubjectPattern, more: &[SubjectPattern]) -> Option<String> {
    let first = subject.as_str().split('.').next().unwrap_or_default();
    if first.starts_with('$') || first == ">" || first == "*" {
        return Some("$*.>".to_owned());
    }
    let is_inbox = |pattern: &&&str| first == pattern.split('.').next().unwrap_or_default();
    if let Some(inbox) = INBOXES.iter().find(|pattern| is_inbox(pattern)) {
        return Some((*inbox).to_owned());
    }
    more.iter().find(|denied| denied.overlaps(subject)).map(ToString::to_string)
}

/// Whether an answer may be published to `reply`, a stranger's text: an inbox, or a literal subject
/// that is not denied. Otherwise a responder with wide rights could be made to publish anywhere.
#[must_use]
pub fn may_answer(reply: &str, more: &[SubjectPattern]) -> bool {
    if is_plain_inbox(reply) {
        return true;
    }
    let Ok(subject) = SubjectPattern::parse(reply) else { return false };
    if !subject.is_literal() {
        return false;
    }
    let is_inbox = INBOXES.iter().any(|inbox| {
        reply.strip_prefix(inbox.trim_end_matches('>')).is_some_and(|rest| !rest.is_empty())
    });
    is_inbox || denied_by(&subject, more).is_none()
}

/// Nearly every reply subject is an inbox of letters and digits; that is seen without parsing.
fn is_plain_inbox(reply: &str) -> bool {
    let Some(rest) = reply.strip_prefix("_INBOX.") else { return false };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric();
    let mut before = b'.';
    let is_plain = rest.bytes().all(|byte| {
        let fits = is_token(byte) || (byte == b'.' && before != b'.');
        before = byte;
        fits
    });
    is_plain && before != b'.'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(text: &str) -> Option<String> {
        denied_by(&SubjectPattern::parse(text).unwrap(), &[])
    }

    #[test]
    fn the_deny_list_names_its_pattern() {
        for subject in ["$SYS.x", "$JS.API.>", "$NEX.x", ">", "*", "*.x"] {
            assert_eq!(denied(subject).as_deref(), Some("$*.>"), "{subject}");
        }
        assert_eq!(denied("_INBOX.x").as_deref(), Some("_INBOX.>"));
        assert_eq!(denied("_R_.>").as_deref(), Some("_R_.>"));
        for subject in ["js.echo", "calc.*", "a.>", "inbox.$x"] {
            assert_eq!(denied(subject), None, "{subject}");
        }
        let more = [SubjectPattern::parse("secret.>").unwrap()];
        let wide = SubjectPattern::parse("secret.*").unwrap();
        assert_eq!(denied_by(&wide, &more).as_deref(), Some("secret.>"));
    }

    #[test]
    fn answers_go_to_inboxes_and_plain_subjects_only() {
        for good in ["_INBOX.a.b", "_R_.x", "replies.mine"] {
            assert!(may_answer(good, &[]), "{good}");
        }
        for bad in
            ["$JS.API.STREAM.DELETE.X", "$NEX.x", "$KV.b.k", "a.>", "", "_INBOX", "_INBOX.", "a b"]
        {
            assert!(!may_answer(bad, &[]), "{bad}");
        }
    }
}
