//! What can go wrong between a client and the nodes.
//!
//! Owns: reading error replies. Never: words a hint; the CLI does.

use nex_api::ErrorBody;
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::workload::StartWorkloadFailure;
use nex_bus::Message;

/// A request that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("{0}")]
    Refused(Refusal),
    #[error("nobody answers: no node is there")]
    NoResponders,
    #[error("no answer in time")]
    TimedOut,
    #[error("workload not found")]
    NotFound,
    #[error("no nodes available for placement")]
    NoBid,
    #[error("owning namespace not reported")]
    OwnerUnknown,
    #[error("ambiguous workload id")]
    AmbiguousId,
    #[error("the answer is not understood: {0}")]
    Unreadable(String),
    #[error("the node ended while it started the workload")]
    NodeGone,
    #[error("the lease on the name was lost in the middle: NATS was away, or somebody took it")]
    LeaseLost,
    #[error("NATS: {0}")]
    Nats(String),
}

/// An error reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// `Nats-Service-Error-Code`.
    pub status: String,
    /// `Nats-Service-Error`.
    pub description: String,
    /// The raw text of the body, when it has one.
    pub text: Option<String>,
    /// `NEX-NNN`, when our node or nexlet answered.
    pub code: Option<String>,
    /// Several lines: source line, caret, stack.
    pub detail: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.text {
            Some(text) if *text != self.description && !text.is_empty() => {
                write!(f, "{}: {text}", self.description)
            }
            _ => f.write_str(&self.description),
        }
    }
}

impl Refusal {
    /// The refusal that `reply` is, if it is one.
    #[must_use]
    pub fn of(reply: &Message) -> Option<Self> {
        let header = |name: &str| {
            reply.headers.as_ref().and_then(|h| h.get(name)).map(|value| value.as_str().to_owned())
        };
        let status = header(ERROR_CODE_HEADER)?;
        let description = header(ERROR_HEADER).unwrap_or_default();
        let refusal = Self { status, description, ..Self::default() };
        if let Ok(body) = serde_json::from_slice::<ErrorBody>(&reply.payload) {
            return Some(Self { text: Some(body.error), code: body.code, ..refusal });
        }
        if let Ok(body) = serde_json::from_slice::<StartWorkloadFailure>(&reply.payload) {
            let some = |text: String| (!text.is_empty()).then_some(text);
            let (text, code, detail) = (some(body.error), some(body.code), some(body.detail));
            return Some(Self { text, code, detail, ..refusal });
        }
        Some(refusal)
    }
}

impl From<nex_bus::RequestError> for Error {
    fn from(error: nex_bus::RequestError) -> Self {
        use nex_bus::RequestErrorKind as Kind;
        match error.kind() {
            Kind::NoResponders => Self::NoResponders,
            Kind::TimedOut => Self::TimedOut,
            _ => Self::Nats(error.to_string()),
        }
    }
}
