//! Start requests of our own workload types: what stands in `run_request` (spec: functions, section 1;
//! services, section 1).
//!
//! Owns: the keys, their defaults and the JSON schemas that our nexlets announce. Never: fetches or
//! starts anything. Unknown keys are refused, with the nearest valid key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::environment::{Environment, environment_of, takes_sealed, with_environment};
pub use crate::host_services::{
    BucketService, BucketSettings, HostServices, HttpService, HttpSettings, MessagingService,
    MessagingSettings,
};
pub use crate::native::{
    Cores, HealthRequest, NativeLimits, NativeRequest, RestartPolicy, RestartRequest, Sandbox,
    StopRequest, StopSignal, TcpProbe,
};
pub use crate::trigger::{FullTrigger, Trigger};

/// `run_request` of the types `javascript` and `wasm`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionRequest {
    /// Where the artifact is: `nats://BUCKET/name[:tag]`, `data:` or `file://`.
    pub uri: String,
    /// `sha256:<hex>` of the artifact; anything else is refused before it is compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What the source is written in, since its file name is not kept; only for `javascript`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<SourceLanguage>,
    /// What makes the function run; at least one.
    #[schemars(length(min = 1))]
    pub triggers: Vec<Trigger>,
    /// Visible to the function; never logged or listed.
    #[serde(default, skip_serializing_if = "Environment::is_empty")]
    pub environment: Environment,
    /// Extra arguments of a WASI command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// Bounds of one function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<FunctionLimits>,
    /// What the function may ask of the world, and in which bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_services: Option<HostServices>,
    /// Whether an instance serves more than one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<InstanceReuse>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl std::fmt::Debug for FunctionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FunctionRequest")
            .field("uri", &self.uri)
            .field("digest", &self.digest)
            .field("triggers", &self.triggers)
            .finish_non_exhaustive()
    }
}

/// The values of `language`. Whether a file is a module or a script is found by parsing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceLanguage {
    /// The default.
    JavaScript,
    /// Its types are taken away before it is evaluated.
    TypeScript,
}

/// Limits of one function (spec: functions, section 4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionLimits {
    /// Go duration; default `4s`, at most `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Size of one instance's memory; default `64MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Calls at the same time; default 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub concurrency: Option<u32>,
    /// Calls that wait; default 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 65536))]
    pub queue: Option<u32>,
    /// Log lines a second; default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub log_rate: Option<u32>,
}

/// The values of `instances`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstanceReuse {
    /// An instance serves many calls, one at a time.
    Reuse,
    /// Every call starts from the image.
    Fresh,
}

/// The JSON schema of `T` as text, as nexlets announce it.
#[must_use]
pub fn schema_text<T: JsonSchema>() -> String {
    serde_json::to_string(&schemars::schema_for!(T)).expect("a schema is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_subject_is_a_trigger() {
        let request: FunctionRequest =
            serde_json::from_str(r#"{"uri":"nats://B/o","triggers":["js.echo"]}"#).unwrap();
        assert_eq!(request.triggers, [Trigger::Subject("js.echo".to_owned())]);
        let full =
            r#"{"uri":"nats://B/o","triggers":[{"type":"subject","subject":"a","queue":""}]}"#;
        assert!(serde_json::from_str::<FunctionRequest>(full).is_ok());
    }

    #[test]
    fn unknown_keys_are_refused_in_text_and_schema() {
        let unknown = r#"{"uri":"nats://B/o","triggers":["a"],"enviroment":{}}"#;
        let error = serde_json::from_str::<FunctionRequest>(unknown).unwrap_err().to_string();
        assert!(error.contains("enviroment") && error.contains("environment"), "{error}");
        assert!(schema_text::<FunctionRequest>().contains(r#""additionalProperties":false"#));
        assert!(schema_text::<NativeRequest>().contains(r#""uri""#));
    }
}
