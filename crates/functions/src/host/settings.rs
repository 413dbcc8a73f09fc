//! From `host_services` of a start request to the services of one workload.
//!
//! Owns: the defaults, what the node takes away, and refusing at deploy what could never be used. Never:
//! connects.
//!
//! The narrower wins: a request switches off and lists; a node that denies a service (`--deny-services`)
//! has the last word, and a request that asks for it by name is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use nex_api::Code;
use nex_api::start::{BucketService, BucketSettings, HostServices, HttpService, MessagingService};
use nex_bus::Client;
use nex_bus::guest::BucketKind;
use nex_nexlet::StartFailure;
use nex_types::{ByteSize, Namespace, SubjectPattern, denied_bucket, denied_by, is_bucket_name};

use super::hosts::HostList;
use super::scope::{DEFAULT_MAX_BYTES, Scope};
use super::{Host, Http, KeyValue, Messaging, Objects};
use crate::request::Owner;

/// Buckets smaller than this take no entry of the usual sizes.
const SMALLEST_BUCKET: u64 = 4096;

/// The services by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    KeyValue,
    Objects,
    Messaging,
    Http,
    Config,
}

/// A service that a node does not offer: to nobody, or not to one namespace. Written `SERVICE` or
/// `NAMESPACE:SERVICE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeniedService {
    namespace: Option<Namespace>,
    service: Service,
}

/// What a request says about host services, checked. The default offers nothing.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    key_value: Option<Scope>,
    objects: Option<Scope>,
    messaging: Option<Option<Vec<SubjectPattern>>>,
    http: Option<HostList>,
    config: bool,
    denied: Vec<Service>,
}

impl Settings {
    pub(crate) fn check(
        request: Option<&HostServices>,
        owner: &Owner<'_>,
    ) -> Result<Self, StartFailure> {
        let default = HostServices::default();
        let request = request.unwrap_or(&default);
        let denied: Vec<Service> = owner
            .deny_services
            .iter()
            .filter(|denied| denied.namespace.as_ref().is_none_or(|of| of == owner.namespace))
            .map(|denied| denied.service)
            .collect();
        let asks = |service: Service, is_asked: bool| match denied.contains(&service) {
            true if is_asked => Err(refused_by_node(service)),
            is_denied => Ok(!is_denied),
        };
        let wants_buckets = |service: &Option<BucketService>| {
            !matches!(service, None | Some(BucketService::Switch(false)))
        };
        let key_value = asks(Service::KeyValue, wants_buckets(&request.kv))?;
        let objects = asks(Service::Objects, wants_buckets(&request.objects))?;
        let wants_messaging =
            !matches!(request.messaging, None | Some(MessagingService::Switch(false)));
        let messaging = asks(Service::Messaging, wants_messaging)?;
        let http =
            asks(Service::Http, !matches!(request.http, None | Some(HttpService::Switch(false))))?;
        let config = asks(Service::Config, request.config == Some(true))?;
        let scope = |kind, service| bucket_scope(owner, kind, service);
        Ok(Self {
            key_value: scope(BucketKind::KeyValue, request.kv.as_ref())?.filter(|_| key_value),
            objects: scope(BucketKind::Objects, request.objects.as_ref())?.filter(|_| objects),
            messaging: subjects(owner, request.messaging.as_ref())?.filter(|_| messaging),
            http: hosts(request.http.as_ref())?.filter(|_| http),
            config: config && request.config != Some(false),
            denied,
        })
    }

    /// The services over the workload's own connection.
    pub(crate) fn into_host(
        self,
        client: &Arc<Client>,
        deny: &Arc<[SubjectPattern]>,
        environment: &BTreeMap<String, String>,
    ) -> Host {
        let connection = || Arc::clone(client);
        Host {
            key_value: self.key_value.map(|scope| KeyValue::new(connection(), scope)),
            objects: self.objects.map(|scope| Objects::new(connection(), scope)),
            messaging: self
                .messaging
                .map(|allow| Messaging::new(connection(), Arc::clone(deny), allow)),
            http: self.http.map(Http::new),
            config: if self.config { environment.clone() } else { BTreeMap::new() },
            denied: self.denied,
        }
    }
}

fn bucket_scope(
    owner: &Owner<'_>,
    kind: BucketKind,
    service: Option<&BucketService>,
) -> Result<Option<Scope>, StartFailure> {
    let default = BucketSettings::default();
    let settings = match service {
        Some(BucketService::Switch(false)) => return Ok(None),
        None | Some(BucketService::Switch(true)) => &default,
        Some(BucketService::Settings(settings)) => settings,
    };
    let key = match kind {
        BucketKind::KeyValue => "host_services.kv",
        BucketKind::Objects => "host_services.objects",
    };
    for bucket in &settings.buckets {
        if !is_bucket_name(bucket) {
            return Err(invalid(format!(
                "{key}.buckets: \"{bucket}\" is not the name of a bucket: use letters, digits, - and _"
            )));
        }
        if let Some(pattern) = denied_bucket(bucket, owner.namespace) {
            let message = format!(
                "{key}.buckets: functions may not use bucket {bucket}: {pattern} is denied"
            );
            return Err(StartFailure::new(Code::SubjectDenied, message));
        }
    }
    let max_bytes = match &settings.max_bytes {
        None => DEFAULT_MAX_BYTES,
        Some(text) => {
            let ByteSize(bytes) =
                text.parse().map_err(|error| invalid(format!("{key}.max_bytes: {error}")))?;
            bytes
        }
    };
    if max_bytes < SMALLEST_BUCKET || i64::try_from(max_bytes).is_err() {
        return Err(invalid(format!("{key}.max_bytes: a bucket has 4KiB at least")));
    }
    let listed = settings.buckets.clone();
    Ok(Some(Scope::new(owner.namespace, owner.name, kind, listed, max_bytes)))
}

fn subjects(
    owner: &Owner<'_>,
    service: Option<&MessagingService>,
) -> Result<Option<Option<Vec<SubjectPattern>>>, StartFailure> {
    let settings = match service {
        Some(MessagingService::Switch(false)) => return Ok(None),
        None | Some(MessagingService::Switch(true)) => return Ok(Some(None)),
        Some(MessagingService::Settings(settings)) => settings,
    };
    let mut allow = Vec::with_capacity(settings.allow.len());
    for text in &settings.allow {
        let pattern = SubjectPattern::parse(text)
            .map_err(|error| invalid(format!("host_services.messaging.allow: {error}")))?;
        if let Some(denied) = denied_by(&pattern, owner.deny) {
            let message = format!(
                "host_services.messaging.allow: functions may not publish to {pattern}: {denied} is denied"
            );
            return Err(StartFailure::new(Code::SubjectDenied, message));
        }
        allow.push(pattern);
    }
    Ok(Some(Some(allow)))
}

fn hosts(service: Option<&HttpService>) -> Result<Option<HostList>, StartFailure> {
    let settings = match service {
        None | Some(HttpService::Switch(false)) => return Ok(None),
        Some(HttpService::Switch(true)) => {
            return Err(invalid(
                "host_services.http: list the hosts, for example {\"allow\": [\"api.example.com\"]}, \
                 or {\"allow\": [\"*\"]} for every public host",
            ));
        }
        Some(HttpService::Settings(settings)) => settings,
    };
    let hosts = HostList::parse(&settings.allow)
        .map_err(|error| invalid(format!("host_services.http.allow: {error}")))?;
    Ok(Some(hosts))
}

fn refused_by_node(service: Service) -> StartFailure {
    invalid(format!(
        "host_services.{service}: this node does not offer it to this namespace (its flag --deny-services); \
         leave it out, or run it on another node"
    ))
}

fn invalid(message: impl Into<String>) -> StartFailure {
    StartFailure::new(Code::StartRequestInvalid, message)
}

impl Service {
    const ALL: [Self; 5] =
        [Self::KeyValue, Self::Objects, Self::Messaging, Self::Http, Self::Config];

    /// As the request names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyValue => "kv",
            Self::Objects => "objects",
            Self::Messaging => "messaging",
            Self::Http => "http",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeniedService {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, service) = match text.split_once(':') {
            Some((namespace, service)) => {
                let namespace = Namespace::parse(namespace).map_err(|error| error.to_string())?;
                (Some(namespace), service)
            }
            None => (None, text),
        };
        let service = Service::ALL.into_iter().find(|known| known.as_str() == service);
        let service = service.ok_or_else(|| {
            format!("\"{text}\" is no service: kv, objects, messaging, http, config, or NAMESPACE:SERVICE")
        })?;
        Ok(Self { namespace, service })
    }
}

impl fmt::Display for DeniedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}:{}", self.service),
            None => write!(f, "{}", self.service),
        }
    }
}
