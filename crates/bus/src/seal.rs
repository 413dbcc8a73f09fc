//! Environments that only their nexlet can read (spec: control API, section 6).
//!
//! Owns: curve keys, kept 0600, and the sealed box: `xkv1`, nonce, X25519 with XSalsa20-Poly1305.
//! Never: prints a seed or a value.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nex_api::agent::EncEnv;
use nex_api::start::{Environment, environment_of, takes_sealed, with_environment};
use nkeys::XKey;

use crate::connection::{base64, from_base64};

/// Names and values.
pub type Variables = BTreeMap<String, String>;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KeyError {
    #[error("key file {path} cannot be read or written")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} does not hold a curve key")]
    NotAKey { path: PathBuf },
}

/// An environment that was not sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SealError {
    #[error("\"{0}\" is not a public curve key")]
    Recipient(String),
    #[error("sealed for another node: clone with nex")]
    Elsewhere,
    #[error("the sealed environment is not a JSON object of texts")]
    Content,
    #[error("the start request is not JSON")]
    Request,
}

/// A private curve key.
#[derive(Clone)]
pub struct SealKey(XKey);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealKey").field(&self.0.public_key()).finish()
    }
}

impl Default for SealKey {
    fn default() -> Self {
        Self::fresh()
    }
}

impl SealKey {
    /// A key that is gone with the process.
    #[must_use]
    pub fn fresh() -> Self {
        Self(XKey::new())
    }

    /// The key kept at `path`, made at the first time. Several may ask at once: they get the same.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let wrap = |source| KeyError::File { path: path.to_owned(), source };
        match read(path) {
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let seed = XKey::new().seed().map_err(|_| KeyError::NotAKey { path: path.to_owned() })?;
        // Written whole under another name first; a link is never made over a file that is there.
        let temporary = path.with_extension(format!("{}.new", nex_types::Id::random()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(wrap)?;
        let linked = file
            .write_all(seed.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::hard_link(&temporary, path));
        fs::remove_file(&temporary).map_err(wrap)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(wrap(error)),
            _ => read(path),
        }
    }

    /// The public half, `X…`.
    #[must_use]
    pub fn public(&self) -> String {
        self.0.public_key()
    }

    /// What was sealed to this key.
    ///
    /// # Errors
    /// [`SealError::Elsewhere`] when it was sealed to another, or is damaged.
    pub fn open(&self, sealed: &EncEnv) -> Result<Variables, SealError> {
        let sender =
            XKey::from_public_key(&sealed.encrypted_by).map_err(|_| SealError::Elsewhere)?;
        let boxed = from_base64(&sealed.base64_encrypted_env).ok_or(SealError::Elsewhere)?;
        let plain = self.0.open(&boxed, &sender).map_err(|_| SealError::Elsewhere)?;
        if plain.is_empty() {
            return Ok(Variables::new());
        }
        serde_json::from_slice(&plain).map_err(|_| SealError::Content)
    }
}

/// Seals to a public curve key, with a sender's key made for this once.
///
/// # Errors
/// When `recipient` is no such key.
pub fn seal(variables: &Variables, recipient: &str) -> Result<EncEnv, SealError> {
    let not_a_key = || SealError::Recipient(recipient.chars().take(60).collect());
    let to = XKey::from_public_key(recipient).map_err(|_| not_a_key())?;
    let from = XKey::new();
    let boxed = from.seal(&nex_api::encode(variables), &to).map_err(|_| not_a_key())?;
    Ok(EncEnv { base64_encrypted_env: base64(&boxed), encrypted_by: from.public_key() })
}

/// The `run_request` with its clear environment sealed to `recipient`; none when there is nothing to
/// seal, or `schema` does not take the sealed form.
///
/// # Errors
/// When `recipient` is no public curve key.
pub fn seal_request(
    run_request: &str,
    schema: &str,
    recipient: &str,
) -> Result<Option<String>, SealError> {
    match environment_of(run_request) {
        Some(Environment::Clear(variables)) if !variables.is_empty() && takes_sealed(schema) => {
            let sealed = Environment::Sealed(seal(&variables, recipient)?);
            with_environment(run_request, &sealed).ok_or(SealError::Request).map(Some)
        }
        _ => Ok(None),
    }
}

/// The `run_request` with its environment, sealed to `key` or clear, sealed to `recipient`.
///
/// # Errors
/// When it was sealed to another key, or `recipient` is no public curve key.
pub fn reseal_request(
    run_request: &str,
    key: &SealKey,
    recipient: &str,
) -> Result<String, SealError> {
    let Some(environment) = environment_of(run_request) else { return Ok(run_request.to_owned()) };
    let variables = match environment {
        Environment::Sealed(sealed) => key.open(&sealed)?,
        Environment::Clear(variables) => variables,
    };
    if variables.is_empty() {
        return Ok(run_request.to_owned());
    }
    let sealed = Environment::Sealed(seal(&variables, recipient)?);
    with_environment(run_request, &sealed).ok_or(SealError::Request)
}

/// The `run_request` with its environment in the clear, as whoever holds the key may have it.
///
/// # Errors
/// When it was sealed to another key.
pub fn open_request(run_request: &str, key: &SealKey) -> Result<String, SealError> {
    match environment_of(run_request) {
        Some(Environment::Sealed(sealed)) => {
            let clear = Environment::Clear(key.open(&sealed)?);
            with_environment(run_request, &clear).ok_or(SealError::Request)
        }
        _ => Ok(run_request.to_owned()),
    }
}

fn read(path: &Path) -> Result<SealKey, KeyError> {
    let seed = fs::read_to_string(path)
        .map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    XKey::from_seed(seed.trim())
        .map(SealKey)
        .map_err(|_| KeyError::NotAKey { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use nex_api::start::{FunctionRequest, schema_text};

    use super::*;

    fn secrets() -> Variables {
        [("PASSWORD".to_owned(), "canary".to_owned())].into()
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_alone() {
        let key = SealKey::fresh();
        let sealed = seal(&secrets(), &key.public()).unwrap();
        assert!(from_base64(&sealed.base64_encrypted_env).unwrap().starts_with(b"xkv1"));
        assert_eq!(key.open(&sealed), Ok(secrets()));
        assert_eq!(SealKey::fresh().open(&sealed), Err(SealError::Elsewhere));
        let cut = EncEnv { base64_encrypted_env: "eGt2MQ==".to_owned(), ..sealed.clone() };
        assert_eq!(key.open(&cut), Err(SealError::Elsewhere));
        assert_eq!(
            seal(&secrets(), "Xnonsense"),
            Err(SealError::Recipient("Xnonsense".to_owned()))
        );
    }

    #[test]
    fn a_box_of_another_implementation_is_opened() {
        // An empty plaintext means no variables (section 6).
        let (key, sender) = (SealKey::fresh(), XKey::new());
        let to = XKey::from_public_key(&key.public()).unwrap();
        for (plain, opened) in [
            (&b""[..], Ok(Variables::new())),
            (b"{}", Ok(Variables::new())),
            (b"[1]", Err(SealError::Content)),
        ] {
            let boxed = sender.seal(plain, &to).unwrap();
            let sealed =
                EncEnv { base64_encrypted_env: base64(&boxed), encrypted_by: sender.public_key() };
            assert_eq!(key.open(&sealed), opened);
        }
    }

    #[test]
    fn requests_are_sealed_resealed_and_opened() {
        let (one, two) = (SealKey::fresh(), SealKey::fresh());
        let clear = r#"{"environment":{"PASSWORD":"canary"},"triggers":["a"],"uri":"u"}"#;
        let schema = schema_text::<FunctionRequest>();
        let sealed = seal_request(clear, &schema, &one.public()).unwrap().unwrap();
        assert!(!sealed.contains("canary") && !sealed.contains("PASSWORD"), "{sealed}");
        assert_eq!(seal_request(&sealed, &schema, &one.public()), Ok(None));
        assert_eq!(seal_request(clear, "{}", &one.public()), Ok(None));
        let moved = reseal_request(&sealed, &one, &two.public()).unwrap();
        assert_eq!(open_request(&moved, &two).unwrap(), clear);
        assert_eq!(reseal_request(&sealed, &two, &one.public()), Err(SealError::Elsewhere));
        let plain = r#"{"uri":"u"}"#;
        assert_eq!(reseal_request(plain, &one, &two.public()).unwrap(), plain);
    }

    #[test]
    fn a_key_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("xkey.seed");
        let keys: Vec<String> = std::thread::scope(|scope| {
            let make = || scope.spawn(|| SealKey::load_or_create(&path).unwrap().public());
            let makers: Vec<_> = (0..8).map(|_| make()).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(SealKey::load_or_create(&path), Err(KeyError::NotAKey { .. })));
    }
}
