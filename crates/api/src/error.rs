//! Error replies and stable error codes (spec: control API, sections 2.4 and 13).
//!
//! Owns: header spellings, bodies and the list of `NEX-NNN`. Never: words a particular failure.
//! Each code has a page in `docs/errors/`, and a test in `xtask tidy` sees that it does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Header with the description; Go looks it up case-sensitively.
pub const ERROR_HEADER: &str = "Nats-Service-Error";
/// Header with the code; its presence makes a reply an error.
pub const ERROR_CODE_HEADER: &str = "Nats-Service-Error-Code";
/// What the body of every 5xx of a node says; the real text stays in its log.
pub const INTERNAL: &str = "internal server error";

/// Body of a node's error reply; `code` is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct ErrorBody {
    pub error_id: String,
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Body of the error reply that a function's caller gets (spec: functions, section 3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct CallErrorBody {
    pub error: String,
    pub code: String,
    pub workload: String,
    pub request_id: String,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)+) => {
        /// A stable error code, printed `NEX-NNN`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

codes! {
    /// The request is not the message that it should be.
    MalformedRequest = 100,
    /// The namespace of the subject and of the body differ.
    NamespaceMismatch = 101,
    /// No healthy nexlet of that workload type on this node.
    TypeNotFound = 102,
    /// The start request does not fit the nexlet's schema.
    StartRequestInvalid = 103,
    /// The node failed; its log tells more under the error id.
    NodeFailed = 104,
    /// The nexlet did not answer in time.
    NexletSilent = 105,
    /// The registration was refused.
    RegistrationRefused = 106,
    /// The node is stopping.
    NodeStopping = 107,

    /// The environment was sealed to another nexlet's key.
    SealedElsewhere = 120,
    /// The start request is larger than state or a message takes (413).
    RequestTooLarge = 121,
    /// The node's policy does not let the namespace use the subject.
    SubjectNotGranted = 122,

    /// The artifact, its bucket or its file is not there.
    ArtifactMissing = 200,
    /// The artifact's bytes do not have the digest that was asked for.
    DigestMismatch = 201,
    /// The artifact is larger than allowed.
    ArtifactTooLarge = 202,
    /// The reference has a scheme that this node does not take.
    ArtifactUnsupported = 203,

    /// The function's source cannot run: syntax, shape or top level.
    SourceRefused = 210,
    /// The WebAssembly module fits no shape that Nex runs.
    ModuleRefused = 211,
    /// The trigger's subject is on the deny list.
    SubjectDenied = 212,
    /// The trigger is not one that this nexlet knows.
    TriggerInvalid = 213,

    /// The program is not a static 64-bit executable of this machine.
    ProgramRefused = 220,
    /// The program could not be started.
    SpawnFailed = 221,
    /// The sandbox that it asks for, or asks to do without, is not to be had on this node.
    SandboxUnavailable = 222,

    /// The input cannot be given to this function (400).
    CallBadInput = 300,
    /// The function's queue is full (429).
    CallQueueFull = 301,
    /// The function threw, trapped or exited non-zero (500).
    CallFailed = 302,
    /// The function is being stopped and did not run the call (503).
    CallDraining = 303,
    /// The deadline passed (504).
    CallDeadline = 304,
    /// The memory limit was reached (507).
    CallMemory = 305,
    /// The reply is larger than the server's max payload (500).
    CallReplyTooLarge = 306,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NEX-{}", *self as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;

    #[test]
    fn bodies_print_keys_in_go_s_order() {
        let body = ErrorBody {
            error_id: "E".to_owned(),
            error: "namespace mismatch".to_owned(),
            code: None,
        };
        let text = String::from_utf8(encode(&body)).unwrap();
        assert_eq!(text, r#"{"error_id":"E","error":"namespace mismatch"}"#);
    }

    #[test]
    fn codes_are_printed_with_their_number() {
        assert_eq!(Code::CallDeadline.to_string(), "NEX-304");
        let mut numbers: Vec<u16> = Code::ALL.iter().map(|code| *code as u16).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), Code::ALL.len());
    }
}
