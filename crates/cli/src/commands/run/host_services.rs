//! Flags of `nex run` that say what a function may ask of the world.
//!
//! Owns: how they become `host_services` of the request. Never: checks names; the nexlet does.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::error::CliError;

/// What a function may reach besides its own buckets.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct HostServicesArgs {
    /// Host that the function may send HTTP requests to: HOST, HOST:PORT, *.DOMAIN or * (all public ones); repeatable
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    allow_http: Vec<String>,
    /// Subject that the function may publish to [default: all that are not denied]; repeatable
    #[arg(long, value_name = "SUBJECT", value_delimiter = ',')]
    allow_publish: Vec<String>,
    /// Another key-value bucket that the function may use; repeatable
    #[arg(long, value_name = "BUCKET", value_delimiter = ',')]
    kv_bucket: Vec<String>,
    /// Another object bucket that the function may use; repeatable
    #[arg(long, value_name = "BUCKET", value_delimiter = ',')]
    object_bucket: Vec<String>,
}

impl HostServicesArgs {
    /// Adds to what a Nexfile says.
    pub(super) fn add_to(
        &self,
        request: &mut Map<String, Value>,
        is_function: bool,
    ) -> Result<(), CliError> {
        for (service, list, flag, values) in [
            ("http", "allow", "--allow-http", &self.allow_http),
            ("messaging", "allow", "--allow-publish", &self.allow_publish),
            ("kv", "buckets", "--kv-bucket", &self.kv_bucket),
            ("objects", "buckets", "--object-bucket", &self.object_bucket),
        ] {
            if values.is_empty() {
                continue;
            }
            if !is_function {
                return Err(CliError::usage(format!(
                    "{flag} is for functions; a program has its own connections"
                ))
                .hint(format!("leave out {flag}")));
            }
            let services = request.entry("host_services").or_insert_with(|| json!({}));
            let Value::Object(services) = services else { continue };
            let settings = services.entry(service).or_insert_with(|| json!({}));
            if !settings.is_object() {
                *settings = json!({});
            }
            let listed =
                settings.as_object_mut().map(|s| s.entry(list).or_insert_with(|| json!([])));
            if let Some(Value::Array(listed)) = listed {
                listed.extend(values.iter().map(|value| json!(value)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_add_to_what_a_nexfile_lists() {
        let args = HostServicesArgs {
            allow_http: vec!["b.test".to_owned()],
            kv_bucket: vec!["shared".to_owned()],
            ..HostServicesArgs::default()
        };
        let mut request = Map::new();
        request.insert(
            "host_services".to_owned(),
            json!({ "http": { "allow": ["a.test"] }, "kv": true }),
        );
        args.add_to(&mut request, true).unwrap();
        let expected =
            json!({ "http": { "allow": ["a.test", "b.test"] }, "kv": { "buckets": ["shared"] } });
        assert_eq!(request["host_services"], expected);
        assert!(args.add_to(&mut Map::new(), false).is_err());
    }
}
