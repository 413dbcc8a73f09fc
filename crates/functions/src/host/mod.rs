//! Host services: what a guest may ask of the world (spec: functions, section 5).
//!
//! Owns: the operations, the same for every kind of guest, and what bounds them: scope, allow lists and
//! sizes. Never: trusts a name, a subject or an address that a guest gives, or lets a guest say whose it is.
//!
//! One file per service. The engines translate: `runtime/src/javascript` from its operations,
//! `runtime/src/component` from WIT interfaces. An operation ends when its future is dropped, which the
//! engine does at the call's deadline.

mod hosts;
mod http;
mod key_value;
mod listing;
mod messaging;
mod objects;
mod places;
mod scope;
mod settings;
mod traced;

use std::collections::BTreeMap;

pub use http::{Body, Http, Request, Response};
pub use key_value::{Entry, KeyValue, Page};
pub use messaging::{Headers, Message, Messaging, Until};
pub use objects::{ObjectInfo, ObjectPage, Objects};
pub(crate) use settings::Settings;
pub use settings::{DeniedService, Service};
pub use traced::{bucket_span, http_span, message_span, traced};

/// The services of one workload.
#[derive(Debug, Default)]
pub struct Host {
    /// `None`: not allowed here; so with the others.
    pub key_value: Option<KeyValue>,
    pub objects: Option<Objects>,
    pub messaging: Option<Messaging>,
    pub http: Option<Http>,
    /// What `wasi:config` shows: the request's environment.
    pub config: BTreeMap<String, String>,
    /// What the node took away, so that refusals name the right setting.
    pub denied: Vec<Service>,
}

impl Host {
    /// The key-value service, or why it is not there; so with the others.
    pub fn key_value(&self) -> Result<&KeyValue, HostError> {
        self.key_value.as_ref().ok_or_else(|| self.off(Service::KeyValue))
    }

    pub fn objects(&self) -> Result<&Objects, HostError> {
        self.objects.as_ref().ok_or_else(|| self.off(Service::Objects))
    }

    pub fn messaging(&self) -> Result<&Messaging, HostError> {
        self.messaging.as_ref().ok_or_else(|| self.off(Service::Messaging))
    }

    pub fn http(&self) -> Result<&Http, HostError> {
        self.http.as_ref().ok_or_else(|| self.off(Service::Http))
    }

    fn off(&self, service: Service) -> HostError {
        HostError::Denied(if self.denied.contains(&service) {
            format!("the service {service} is switched off by the node (its flag --deny-services)")
        } else if service == Service::Http {
            "the service http is off unless the start request lists hosts in host_services.http.allow"
                .to_owned()
        } else {
            format!("the service {service} is switched off in host_services of the start request")
        })
    }
}

/// Why an operation did not end well. A missing key or object is no error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The service is switched off for this workload, or the name, subject or address is not allowed;
    /// the message names the setting.
    #[error("{0}")]
    Denied(String),
    /// The argument can never work: an invalid key, a value that is too large.
    #[error("{0}")]
    Invalid(String),
    /// The revision is not the one that was expected, or the key is there already.
    #[error("{0}")]
    Conflict(String),
    /// The bucket is full.
    #[error("{0}")]
    Full(String),
    /// Nobody answered, or not in time.
    #[error("{0}")]
    NoAnswer(String),
    /// Everything else.
    #[error("{0}")]
    Failed(String),
}

impl HostError {
    /// The variant's name, for guests and for spans.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "Denied",
            Self::Invalid(_) => "Invalid",
            Self::Conflict(_) => "Conflict",
            Self::Full(_) => "Full",
            Self::NoAnswer(_) => "NoAnswer",
            Self::Failed(_) => "Failed",
        }
    }
}
