//! How a nexlet or a workload reaches NATS (spec: control API, section 4.2).
//!
//! Owns: the message and the order in which credentials win. Never: prints a secret; `Debug` hides them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::nullable;

/// Servers and credentials as they are minted and delivered. All keys are always present.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names, told in the specification")]
pub struct NatsConnectionData {
    #[serde(deserialize_with = "nullable")]
    pub conn_name: String,
    #[serde(deserialize_with = "nullable")]
    pub nats_servers: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub nats_user_jwt: String,
    #[serde(deserialize_with = "nullable")]
    pub nats_user_name: String,
    #[serde(deserialize_with = "nullable")]
    pub nats_user_nkey: String,
    #[serde(deserialize_with = "nullable")]
    pub nats_user_password: String,
    #[serde(deserialize_with = "nullable")]
    pub nats_user_seed: String,
    #[serde(deserialize_with = "nullable")]
    pub tls_ca: String,
    #[serde(deserialize_with = "nullable")]
    pub tls_cert: String,
    #[serde(deserialize_with = "nullable")]
    pub tls_first: bool,
    #[serde(deserialize_with = "nullable")]
    pub tls_key: String,
}

impl NatsConnectionData {
    /// Without any authentication, as the full-access minter makes it.
    #[must_use]
    pub fn open(nats_servers: Vec<String>) -> Self {
        Self { nats_servers, ..Self::default() }
    }
}

impl fmt::Debug for NatsConnectionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<String> = self.nats_servers.iter().map(|url| without_user(url)).collect();
        f.debug_struct("NatsConnectionData")
            .field("conn_name", &self.conn_name)
            .field("nats_servers", &servers)
            .finish_non_exhaustive()
    }
}

/// An address without its user name and password.
#[must_use]
pub fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or(rest)),
        None => url.rsplit('@').next().unwrap_or(url).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    const SAMPLE: &str = r#"{"conn_name":"","nats_servers":["nats://127.0.0.1:4222"],"nats_user_jwt":"","nats_user_name":"","nats_user_nkey":"","nats_user_password":"","nats_user_seed":"","tls_ca":"","tls_cert":"","tls_first":false,"tls_key":""}"#;

    #[test]
    fn prints_the_specification_s_sample() {
        let data = NatsConnectionData::open(vec!["nats://127.0.0.1:4222".to_owned()]);
        assert_eq!(String::from_utf8(encode(&data)).unwrap(), SAMPLE);
        assert_eq!(decode::<NatsConnectionData>(SAMPLE.as_bytes()).unwrap(), data);
    }

    #[test]
    fn debug_hides_secrets() {
        let data = NatsConnectionData {
            nats_servers: vec!["nats://me:PASSWORD@h".to_owned()],
            nats_user_seed: "SUSECRET".to_owned(),
            ..Default::default()
        };
        let shown = format!("{data:?}");
        assert!(!shown.contains("SUSECRET") && !shown.contains("PASSWORD"), "{shown}");
    }
}
