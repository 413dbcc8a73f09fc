//! Answers to callers: replies, error replies, and to whom they may go (spec: functions, section 3).
//!
//! Owns: the words, headers and sizes of answers. Never: decides whether a call runs.
//!
//! A reply subject is a stranger's text: what `may_answer` refuses is treated as if nobody waited.

use std::sync::Arc;

use bytes::Bytes;
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::{CallErrorBody, Code, encode};
use nex_bus::service::{header_map, one_line};
use nex_bus::{Client, HeaderMap, Subject};
use nex_types::{Id, SubjectPattern, is_order_to_server, may_answer};

use crate::runtime::{CallError, Reply};

const RETRY_AFTER_HEADER: &str = "Retry-After";
/// Longer messages are cut, so that an error reply always fits.
const LONGEST_MESSAGE: usize = 512;

/// Why a call is answered with an error reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Guest(#[from] CallError),
    #[error("the function has {n_waiting} calls waiting, as many as limits.queue allows")]
    QueueFull { n_waiting: usize, retry_after_secs: u64 },
    #[error("the call's deadline passed while it waited for its turn")]
    Expired,
    #[error("the function is being stopped, and its drain deadline passed")]
    Draining,
    #[error("a reply of {size} bytes is larger than the server's max payload of {max}")]
    ReplyTooLarge { size: usize, max: usize },
    #[error("the engine failed in this call")]
    EnginePanicked,
}

impl Failure {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Guest(CallError::BadInput(_)) => 400,
            Self::QueueFull { .. } | Self::Guest(CallError::Busy(_)) => 429,
            Self::Guest(CallError::Failed { .. })
            | Self::ReplyTooLarge { .. }
            | Self::EnginePanicked => 500,
            Self::Draining => 503,
            Self::Expired | Self::Guest(CallError::DeadlinePassed) => 504,
            Self::Guest(CallError::OutOfMemory { .. }) => 507,
        }
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Guest(CallError::BadInput(_)) => Code::CallBadInput,
            Self::QueueFull { .. } | Self::Guest(CallError::Busy(_)) => Code::CallQueueFull,
            Self::Guest(CallError::Failed { .. }) | Self::EnginePanicked => Code::CallFailed,
            Self::Draining => Code::CallDraining,
            Self::Expired | Self::Guest(CallError::DeadlinePassed) => Code::CallDeadline,
            Self::Guest(CallError::OutOfMemory { .. }) => Code::CallMemory,
            Self::ReplyTooLarge { .. } => Code::CallReplyTooLarge,
        }
    }

    /// Whether the function's author should find it in the log. Load and stops are no fault of the function.
    pub(crate) fn is_logged(&self) -> bool {
        !matches!(self, Self::QueueFull { .. } | Self::Draining | Self::Guest(CallError::Busy(_)))
    }

    /// Seconds after which another attempt makes sense.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::QueueFull { retry_after_secs, .. } => Some(*retry_after_secs),
            // It waited for room already, and others are given some with every call that ends.
            Self::Guest(CallError::Busy(_)) => Some(1),
            _ => None,
        }
    }
}

/// Who waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    Nobody,
    /// A reply subject that may not be answered.
    Refused,
    Waits(Subject),
}

/// Answers the callers of one function.
#[derive(Debug)]
pub(crate) struct Responder {
    pub(crate) client: Arc<Client>,
    /// The workload's name, for error bodies.
    pub(crate) workload: String,
    /// The node's own deny list.
    pub(crate) deny: Arc<[SubjectPattern]>,
}

/// An answer that is ready to be published.
#[derive(Debug)]
pub(crate) struct Answer {
    to: Subject,
    headers: HeaderMap,
    payload: Bytes,
}

impl Responder {
    pub(crate) fn caller(&self, reply: Option<Subject>) -> Caller {
        match reply {
            None => Caller::Nobody,
            Some(subject) if may_answer(&subject, &self.deny) => Caller::Waits(subject),
            Some(_) => Caller::Refused,
        }
    }

    /// A function's reply. Fails when it is too large.
    pub(crate) fn reply(&self, to: &Subject, reply: Reply) -> Result<Answer, Failure> {
        let (headers, payload) = (reply_headers(&reply), reply.payload);
        let answer = Answer { to: to.clone(), headers, payload };
        let (size, max) = (answer.size(), self.client.max_payload());
        if size > max {
            return Err(Failure::ReplyTooLarge { size, max });
        }
        Ok(answer)
    }

    /// An error reply. By its request id, log and reply can be matched.
    pub(crate) fn failure(&self, to: &Subject, failure: &Failure, request_id: &Id) -> Answer {
        error_answer(to, &self.workload, failure, request_id)
    }

    pub(crate) async fn send(&self, answer: Answer) {
        let Answer { to, headers, payload } = answer;
        let published = if headers.is_empty() {
            self.client.publish(to, payload).await
        } else {
            self.client.publish_with_headers(to, headers, payload).await
        };
        if let Err(error) = published {
            tracing::warn!(workload.name = self.workload, %error, "reply not sent");
        }
    }
}

impl Answer {
    /// Of its payload.
    pub(crate) fn n_bytes(&self) -> usize {
        self.payload.len()
    }

    /// As the server counts it against its max payload: nothing is added while there are no headers.
    fn size(&self) -> usize {
        if self.headers.is_empty() {
            return self.payload.len();
        }
        let mut size = "NATS/1.0\r\n\r\n".len() + self.payload.len();
        for (name, values) in self.headers.iter() {
            let name: &str = name.as_ref();
            for value in values {
                size += name.len() + ": \r\n".len() + value.as_str().len();
            }
        }
        size
    }
}

/// Exactly the function's headers, unless it answered with an error status.
fn reply_headers(reply: &Reply) -> HeaderMap {
    if reply.headers.is_empty() && reply.error_status.is_none() {
        return HeaderMap::new();
    }
    let is_for_the_caller = |(name, _): &&(String, String)| !is_order_to_server(name);
    let mut headers = header_map(reply.headers.iter().filter(is_for_the_caller));
    if let Some(status) = reply.error_status {
        headers.insert(ERROR_CODE_HEADER, status.to_string());
        headers.insert(ERROR_HEADER, format!("the function answered with status {status}"));
    }
    headers
}

fn error_answer(to: &Subject, workload: &str, failure: &Failure, request_id: &Id) -> Answer {
    let message = cut(&failure.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(ERROR_CODE_HEADER, failure.status().to_string());
    headers.insert(ERROR_HEADER, one_line(&message));
    if let Some(seconds) = failure.retry_after() {
        headers.insert(RETRY_AFTER_HEADER, seconds.to_string());
    }
    let body = CallErrorBody {
        error: message,
        code: failure.code().to_string(),
        workload: workload.to_owned(),
        request_id: request_id.to_string(),
    };
    Answer { to: to.clone(), headers, payload: encode(&body).into() }
}

fn cut(message: &str) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Failure> {
        vec![
            Failure::Guest(CallError::BadInput("no".to_owned())),
            Failure::QueueFull { n_waiting: 1, retry_after_secs: 2 },
            Failure::Guest(CallError::Failed {
                message: "Error: no\n  at x".to_owned(),
                detail: None,
            }),
            Failure::Draining,
            Failure::Guest(CallError::DeadlinePassed),
            Failure::Guest(CallError::OutOfMemory { limit: 1 }),
            Failure::ReplyTooLarge { size: 2, max: 1 },
            Failure::Expired,
            Failure::EnginePanicked,
            Failure::Guest(CallError::Busy("the memory of all functions is in use".to_owned())),
        ]
    }

    #[test]
    fn every_failure_has_its_status_and_code() {
        let seen: Vec<(u16, String)> =
            all().iter().map(|failure| (failure.status(), failure.code().to_string())).collect();
        let wanted = [
            (400, 300),
            (429, 301),
            (500, 302),
            (503, 303),
            (504, 304),
            (507, 305),
            (500, 306),
            (504, 304),
            (500, 302),
            (429, 301),
        ];
        assert_eq!(seen, wanted.map(|(status, code)| (status, format!("NEX-{code}"))));
    }

    #[test]
    fn an_error_reply_has_one_line_in_its_header_and_all_in_its_body() {
        for failure in all() {
            let id = Id::random();
            let answer = error_answer(&Subject::from("to"), "echo", &failure, &id);
            let header =
                |name: &str| answer.headers.get(name).map(|value| value.as_str().to_owned());
            assert_eq!(header(ERROR_CODE_HEADER), Some(failure.status().to_string()));
            assert!(!header(ERROR_HEADER).unwrap().contains('\n'));
            let retry = failure.retry_after().map(|seconds| seconds.to_string());
            assert_eq!(retry.is_some(), failure.status() == 429);
            assert_eq!(header(RETRY_AFTER_HEADER), retry);
            let body: CallErrorBody = serde_json::from_slice(&answer.payload).unwrap();
            assert_eq!(body.error, failure.to_string());
            assert_eq!((body.workload.as_str(), body.request_id.as_str()), ("echo", id.as_str()));
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let failure = Failure::Guest(CallError::BadInput("é".repeat(10_000)));
        let answer = error_answer(&Subject::from("to"), "echo", &failure, &Id::random());
        assert!(answer.size() < 4096, "{}", answer.size());
    }

    #[test]
    fn a_reply_has_exactly_the_function_s_headers() {
        let plain = Reply { payload: "x".into(), ..Reply::default() };
        assert!(reply_headers(&plain).is_empty());
        let headers = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
        let with_headers = reply_headers(&Reply { headers, ..Reply::default() });
        assert_eq!(with_headers.len(), 1);
        assert_eq!(with_headers.get_all("A").count(), 2);
        let not_found = Reply { error_status: Some(404), ..Reply::default() };
        let headers = reply_headers(&not_found);
        assert_eq!(headers.get(ERROR_CODE_HEADER).unwrap().as_str(), "404");
    }

    #[test]
    fn size_is_the_server_s() {
        let headers = header_map(&[("A".to_owned(), "b".to_owned())]);
        let answer = Answer { to: Subject::from("to"), headers, payload: "xyz".into() };
        assert_eq!(answer.size(), "NATS/1.0\r\nA: b\r\n\r\nxyz".len());
        assert_eq!(
            Answer { to: Subject::from("to"), headers: HeaderMap::new(), payload: "xyz".into() }
                .size(),
            3
        );
    }
}
