//! Names and passwords for registries, from a docker configuration file.
//!
//! Owns: reading that file, when a registry asks. Never: starts a credential helper, or keeps a password.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::FetchError;

const LARGEST_FILE: u64 = 1 << 20;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The header for `registry`; none where the file has nothing for it, or there is no file.
pub(crate) async fn find(
    file: Option<Arc<PathBuf>>,
    registry: &str,
) -> Result<Option<HeaderValue>, FetchError> {
    let Some(file) = file else { return Ok(None) };
    let wanted = registry.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let unusable = |what: String| format!("{} {what}", file.display());
        let text = match read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| unusable(format!("cannot be read: {error}")))?,
        };
        choose(&text, &wanted).map_err(unusable)
    });
    let found = found.await.unwrap_or_else(|error| Err(error.to_string()));
    found.map_err(|why| FetchError::Unavailable {
        reason: format!("the credentials for registry {registry} cannot be had: {why}"),
    })
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?.take(LARGEST_FILE).read_to_end(&mut text)?;
    Ok(text)
}

/// The error follows the name of the file.
fn choose(text: &[u8], registry: &str) -> Result<Option<HeaderValue>, String> {
    let config: DockerConfig =
        serde_json::from_slice(text).map_err(|_| "is not a docker configuration".to_owned())?;
    let entry = config.auths.iter().find(|(key, _)| is_of(key, registry)).map(|(_, entry)| entry);
    let helper = config.cred_helpers.iter().find(|(key, _)| is_of(key, registry));
    if let Some(header) = entry.and_then(header_of) {
        return Ok(Some(header));
    }
    // Docker leaves an empty entry for what it gave to its store.
    let helper = helper.map(|(_, helper)| helper).or(entry.and(config.creds_store.as_ref()));
    if let Some(helper) = helper {
        return Err(format!(
            "leaves them to credential helper {helper}, which Nex does not start: log in without it \
             (docker --config DIR login {registry}) and give the node that file"
        ));
    }
    match entry {
        Some(Entry { identitytoken: Some(_), .. }) => Err(format!(
            "has an identity token, which Nex cannot use: log in to {registry} with a password or an \
             access token"
        )),
        Some(_) => Err(format!("has an entry for {registry} that Nex cannot read")),
        None => Ok(None),
    }
}

/// Keys are hosts, or the addresses that older versions wrote.
fn is_of(key: &str, registry: &str) -> bool {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    key.split('/').next().is_some_and(|host| host.eq_ignore_ascii_case(registry))
}

fn header_of(entry: &Entry) -> Option<HeaderValue> {
    if entry.identitytoken.as_ref().is_some_and(|token| !token.is_empty()) {
        return None;
    }
    let encoded = match (&entry.auth, &entry.username, &entry.password) {
        (Some(auth), ..) if !auth.is_empty() => auth.clone(),
        (_, Some(name), Some(password)) => STANDARD.encode(format!("{name}:{password}")),
        _ => return None,
    };
    let decoded = STANDARD.decode(&encoded).ok()?;
    if !decoded.contains(&b':') {
        return None;
    }
    let mut header = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn choose(config: &Value, registry: &str) -> Result<Option<HeaderValue>, String> {
        super::choose(config.to_string().as_bytes(), registry)
    }

    #[test]
    fn a_registry_is_found_by_its_host() {
        let config = json!({
            "auths": {
                "r.test:5000": { "auth": "dTpw" },
                "https://old.test/v1/": { "username": "u", "password": "p" },
            },
            "HttpHeaders": {},
        });
        for registry in ["r.test:5000", "old.test"] {
            assert_eq!(choose(&config, registry).unwrap().unwrap(), "Basic dTpw", "{registry}");
        }
        for registry in ["r.test", "evil-r.test:5000", "test"] {
            assert_eq!(choose(&config, registry), Ok(None), "{registry}");
        }
        assert_eq!(choose(&json!({}), "r.test"), Ok(None));
    }

    #[test]
    fn helpers_and_identity_tokens_are_refused_by_name() {
        let store = json!({ "auths": { "r.test": {} }, "credsStore": "desktop" });
        assert!(choose(&store, "r.test").unwrap_err().contains("credential helper desktop"));
        assert_eq!(choose(&store, "public.test"), Ok(None), "the store knows nothing of it");
        let helper = json!({ "credHelpers": { "r.test": "ecr-login" } });
        assert!(choose(&helper, "r.test").unwrap_err().contains("credential helper ecr-login"));
        let token = json!({ "auths": { "r.test": { "auth": "dTpw", "identitytoken": "x" } } });
        assert!(choose(&token, "r.test").unwrap_err().contains("identity token"));
        for bad in [json!({ "auth": "***" }), json!({ "auth": "aGV5YQ==" }), json!({})] {
            let config = json!({ "auths": { "r.test": bad } });
            let error = choose(&config, "r.test").unwrap_err();
            assert!(error.contains("cannot read") && !error.contains("aGV5"), "{error}");
        }
        assert!(super::choose(b"{", "r.test").is_err());
    }
}
