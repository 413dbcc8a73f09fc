//! Entry points for fuzzers: whatever the bytes are, they return.
//!
//! Owns: one function per parser of this crate. Never: part of the interface.

use nex_types::{Namespace, WorkloadName};

use crate::request::{Owner, parse};

/// A function's `run_request`: keys, triggers and limits.
pub fn fuzz_run_request(data: &[u8]) {
    let names = (Namespace::parse("fuzz"), WorkloadName::parse("fuzz"));
    let (Ok(namespace), Ok(name)) = names else { return };
    let text = String::from_utf8_lossy(data);
    if let Ok(checked) =
        parse(&text, &Owner { namespace: &namespace, name: &name, deny: &[], deny_services: &[] })
    {
        assert!(!checked.triggers.is_empty() && checked.limits.bounds.concurrency > 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            fuzz_run_request(&data);
        }

        #[test]
        fn so_have_requests_that_are_nearly_good(
            uri in "\\PC{0,10}", subject in "[a-z$_.*>]{0,8}", timeout in "[-0-9.smh]{0,6}",
            memory in "[0-9MiBG .-]{0,8}", number in any::<i64>(), key in "(digest|limits|instances|x)?",
        ) {
            let request = serde_json::json!({
                "uri": uri, "triggers": [subject, {"type": "subject", "subject": subject, "queue": uri}],
                "limits": {"timeout": timeout, "memory": memory, "concurrency": number, "queue": number},
                key: timeout,
            });
            fuzz_run_request(request.to_string().as_bytes());
        }
    }
}
