//! What makes two requests the same to `nex run`, without telling what their secrets are.
//!
//! Owns: the digest that travels with a request, and this user's key for it. Never: leaves the key.
//!
//! Whoever may list workloads sees the digest. Over a short secret a plain or salted one could be
//! guessed; so when there is an environment, the digest is keyed with a secret of this user. Another
//! user or machine gets another digest, and deploys anew what it could have left alone.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nex_api::start::{Environment, environment_of};
use nex_api::workload::{StartWorkloadRequest, fact};
use nex_types::{Digest, Id};
use serde_json::Value;

/// Adds the digest to the request's metadata, from where the nexlet takes it into its lists.
pub(super) fn attach(request: &mut StartWorkloadRequest, state_dir: &Path) {
    let content = request.content_digest().to_string();
    let has_secrets = match environment_of(&request.run_request) {
        None => false,
        Some(Environment::Clear(variables)) => !variables.is_empty(),
        Some(Environment::Sealed(_)) => true,
    };
    let digest = if has_secrets { keyed(&content, state_dir) } else { content };
    request.metadata.insert(fact::REQUEST_DIGEST.to_owned(), Value::String(digest));
}

/// The digest that [`attach`] has added.
pub(super) fn of(request: &StartWorkloadRequest) -> Option<&str> {
    request.metadata.get(fact::REQUEST_DIGEST).and_then(Value::as_str)
}

/// Without a place for a key nothing is ever the same, which costs a deploy.
fn keyed(content: &str, state_dir: &Path) -> String {
    let key = key(state_dir).unwrap_or_else(|error| {
        tracing::debug!(%error, "no key for digests of requests, taking one for this time");
        Id::random().to_string()
    });
    let inner = Digest::of(format!("{key}\n{content}").as_bytes());
    Digest::of(format!("{key}\n{inner}").as_bytes()).to_string()
}

fn key(state_dir: &Path) -> io::Result<String> {
    let path = state_dir.join("digest.key");
    match fs::read_to_string(&path) {
        Ok(key) if key.len() >= 22 => return Ok(key),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let key = Id::random().to_string();
    let temporary = state_dir.join(format!(".digest.{}", Id::random()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(key.as_bytes())?;
    fs::rename(&temporary, &path)?;
    // Two at once may both have made one: the last one counts, and the other deploys once more.
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn digest(run_request: &str, state_dir: &Path) -> String {
        let run_request = run_request.to_owned();
        let mut request = StartWorkloadRequest { run_request, ..StartWorkloadRequest::default() };
        attach(&mut request, state_dir);
        of(&request).unwrap().to_owned()
    }

    #[test]
    fn secrets_are_compared_with_this_user_s_key_alone() {
        let (mine, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mine, other) = (mine.path().join("state"), other.path());
        let (plain, secret) = (r#"{"uri":"u"}"#, r#"{"uri":"u","environment":{"PIN":"1234"}}"#);
        assert_eq!(digest(plain, &mine), digest(plain, other));
        assert!(!mine.exists(), "without secrets no key is needed");
        assert_eq!(digest(secret, &mine), digest(secret, &mine));
        assert_ne!(digest(secret, &mine), digest(secret, other));
        let changed = r#"{"uri":"u","environment":{"PIN":"1235"}}"#;
        assert_ne!(digest(secret, &mine), digest(changed, &mine));
        let mode = fs::metadata(mine.join("digest.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A place that cannot be written to: never the same, never a guessable digest.
        let nowhere = Path::new("/proc/nowhere");
        assert_ne!(digest(secret, nowhere), digest(secret, nowhere));
    }
}
