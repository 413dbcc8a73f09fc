//! Subjects, streams and buckets that functions may not use, and reply subjects that may be answered (spec:
//! functions, section 2).
//!
//! Owns: the lists and the questions. Never: publishes.

use crate::buckets::{HOST_SERVICES, host_bucket_prefix};
use crate::{Namespace, SubjectPattern};

/// Inboxes of request-reply; an answer may go there, a trigger or a guest's publish may not.
const INBOXES: [&str; 2] = ["_INBOX.>", "_R_.>"];

/// How the names of streams and buckets of Nex itself begin.
const OWN_NAMES: [&str; 3] = ["nex-", "NEX_", "NEXCLIFILES"];

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

/// Whether a header is an order to the server rather than to a receiver: with such a one it publishes to a
/// subject of the header's choice, past every list (`Nats-Trace-Dest`, `Nats-Schedule-Target`).
#[must_use]
pub fn is_order_to_server(header: &str) -> bool {
    let begins = |order: &str| {
        header.get(..order.len()).is_some_and(|start| start.eq_ignore_ascii_case(order))
    };
    begins("Nats-Trace-") || begins("Nats-Schedule")
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

/// The pattern that forbids `bucket`, of keys and values or of objects, to workloads of `namespace`, if
/// one does: what is Nex's own, and what Nex made for another namespace.
#[must_use]
pub fn denied_bucket(bucket: &str, namespace: &Namespace) -> Option<String> {
    if bucket.starts_with(HOST_SERVICES) {
        let is_own = bucket.starts_with(&host_bucket_prefix(namespace));
        return (!is_own).then(|| format!("{HOST_SERVICES}*"));
    }
    OWN_NAMES.iter().find(|own| bucket.starts_with(*own)).map(|own| format!("{own}*"))
}

/// The same of a stream; those behind buckets are denied with the bucket.
#[must_use]
pub fn denied_stream(stream: &str, namespace: &Namespace) -> Option<String> {
    let bucket = ["KV_", "OBJ_"].iter().find_map(|kind| Some((kind, stream.strip_prefix(kind)?)));
    match bucket {
        Some((kind, bucket)) => {
            denied_bucket(bucket, namespace).map(|pattern| format!("{kind}{pattern}"))
        }
        None => denied_bucket(stream, namespace),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn namespace(name: &str) -> Namespace {
        Namespace::parse(name).unwrap()
    }

    #[test]
    fn what_is_nex_s_own_is_denied_by_its_pattern() {
        let a = namespace("a");
        for (bucket, pattern) in [
            ("nex-NABC", "nex-*"),
            ("NEX_TICKS_a", "NEX_*"),
            ("NEXCLIFILES", "NEXCLIFILES*"),
            ("NEXCLIFILES-a", "NEXCLIFILES*"),
            ("nex-node", "nex-*"),
            ("hs_a-b_app_kv", "hs_*"),
            ("hs_b_x_kv", "hs_*"),
            ("hs_a", "hs_*"),
            ("hs_", "hs_*"),
        ] {
            assert_eq!(denied_bucket(bucket, &a).as_deref(), Some(pattern), "{bucket}");
            assert_eq!(denied_stream(bucket, &a).as_deref(), Some(pattern), "{bucket}");
            let stream = denied_stream(&format!("KV_{bucket}"), &a);
            assert_eq!(stream, Some(format!("KV_{pattern}")));
            assert!(denied_stream(&format!("OBJ_{bucket}"), &a).is_some());
        }
        for own in [
            "hs_a_app_kv",
            "hs_a_b_c_obj",
            "hs_a_other_kv",
            "orders",
            "next",
            "nexus",
            "HS_b_x",
            "KV",
        ] {
            assert_eq!(denied_bucket(own, &a), None, "{own}");
            assert_eq!(denied_stream(&format!("OBJ_{own}"), &a), None, "{own}");
        }
    }

    proptest! {
        #[test]
        fn no_namespace_reaches_the_buckets_of_another(
            one in "[a-c][a-c-]{0,3}", other in "[a-c][a-c-]{0,3}", name in "[a-c][a-c_-]{0,3}",
        ) {
            let bucket = format!("hs_{one}_{name}_kv");
            prop_assert_eq!(denied_bucket(&bucket, &namespace(&other)).is_none(), one == other);
        }
    }

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
    fn orders_to_the_server_are_told_from_other_headers() {
        for order in ["Nats-Trace-Dest", "nats-trace-only", "NATS-SCHEDULE", "Nats-Schedule-Target"]
        {
            assert!(is_order_to_server(order), "{order}");
        }
        for other in ["traceparent", "Nats-Msg-Id", "Nats-TTL", "x", ""] {
            assert!(!is_order_to_server(other), "{other}");
        }
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
