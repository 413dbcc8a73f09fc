//! `host_services` of a start request: what a function may ask of the world (spec: functions, section 5).
//!
//! Owns: the keys and the JSON schema. Never: grants anything; the nexlet does, within what the node allows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One key for each service; what is left out is as by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostServices {
    /// Key-value buckets; by default the workload's own one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv: Option<BucketService>,
    /// Object buckets; by default the workload's own one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<BucketService>,
    /// Publishing and asking; by default on all subjects that are not denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging: Option<MessagingService>,
    /// HTTP requests; off unless hosts are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpService>,
    /// Whether interfaces for configuration show the environment; on by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<bool>,
}

/// Off, on with the defaults, or on with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BucketService {
    /// `false` or `true`
    Switch(bool),
    /// `{"buckets": […], "max_bytes": "64MiB"}`
    Settings(BucketSettings),
}

/// Settings of key-value and of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BucketSettings {
    /// Other buckets than the workload's own that it may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub buckets: Vec<String>,
    /// Size of the workload's own bucket, when it is made; default `64MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<String>,
}

/// Off, on with the defaults, or on with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MessagingService {
    /// `false` or `true`
    Switch(bool),
    /// `{"allow": ["orders.>"]}`
    Settings(MessagingSettings),
}

/// Settings of messaging.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessagingSettings {
    /// Subjects that the function may publish to and ask on; wildcards are allowed.
    #[schemars(length(max = 256))]
    pub allow: Vec<String>,
}

/// Off, or on with hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HttpService {
    /// `false`; `true` is refused, since hosts have to be listed
    Switch(bool),
    /// `{"allow": ["api.example.com"]}`
    Settings(HttpSettings),
}

/// Settings of HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// `api.example.com`, `api.example.com:8443`, `*.example.com`, or `*` for every public host.
    #[schemars(length(max = 256))]
    pub allow: Vec<String>,
}
