//! A NATS operator for one test: a system account and two accounts with JetStream, each with a signing key.
//!
//! Owns: the keys, the server's part of the configuration, and the `.creds` files that users have. Never:
//! outlives the test; the files stand in a folder of their own.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use nex_bus::jwt::{self, Claims, Key, Permissions};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An operator, and what it runs.
#[derive(Debug)]
pub struct Operator {
    operator: Key,
    system: Account,
    /// Where the node is.
    pub a: Account,
    /// Somebody else's.
    pub b: Account,
    folder: TempDir,
}

/// An account, and a key that signs users for it.
#[derive(Debug)]
pub struct Account {
    key: Key,
    signing: Key,
}

impl Operator {
    /// Makes all keys.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("nex-operator-").tempdir();
        let folder = folder.unwrap_or_else(|error| panic!("cannot make a folder: {error}"));
        let account = || Account { key: Key::account(), signing: Key::account() };
        Self { operator: Key::operator(), system: account(), a: account(), b: account(), folder }
    }

    /// For [`crate::ServerOptions::configuration`].
    #[must_use]
    pub fn configuration(&self) -> String {
        let system = self.system.public();
        let nats = json!({"type": "operator", "version": 2, "system_account": system});
        let operator = self.sign("operator", &self.operator.public(), &nats);
        let preload: String = [("SYS", &self.system), ("A", &self.a), ("B", &self.b)]
            .map(|(name, account)| {
                let public = account.public();
                let jwt = self.sign(name, &public, &account.claims(name != "SYS"));
                format!("  {public}: {jwt}\n")
            })
            .concat();
        format!(
            "operator: {operator}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{\n{preload}}}\n"
        )
    }

    /// Writes a file and returns its path.
    #[must_use]
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write: {error}"));
        path
    }

    fn sign(&self, name: &str, subject: &str, nats: &Value) -> String {
        encode(&self.operator, &claims(name, subject), nats)
    }
}

impl Default for Operator {
    fn default() -> Self {
        Self::new()
    }
}

impl Account {
    /// Its identity, `A…`.
    #[must_use]
    pub fn public(&self) -> String {
        self.key.public()
    }

    /// The seed of its signing key.
    #[must_use]
    pub fn signing_seed(&self) -> String {
        seed(&self.signing)
    }

    /// The text of a `.creds` file of a user who may do all in this account.
    #[must_use]
    pub fn creds(&self) -> String {
        let (user, jwt) = self.user(None);
        jwt::creds_file(&jwt, &seed(&user))
    }

    /// JWT and seed of such a user, for a limited time.
    #[must_use]
    pub fn short_lived(&self, life: Duration) -> (String, String) {
        let (user, jwt) = self.user(Some(life));
        (jwt, seed(&user))
    }

    fn user(&self, lifetime: Option<Duration>) -> (Key, String) {
        let user = Key::user();
        let claims = Claims { lifetime, ..claims("tester", &user.public()) };
        let jwt = jwt::user(&self.signing, Some(&self.public()), &claims, &Permissions::default());
        (user, jwt.unwrap_or_else(|error| panic!("cannot sign: {error}")))
    }

    fn claims(&self, has_jetstream: bool) -> Value {
        let storage = if has_jetstream { -1 } else { 0 };
        json!({
            "type": "account", "version": 2, "signing_keys": [self.signing.public()],
            "default_permissions": {"pub": {}, "sub": {}},
            "limits": {
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                "wildcards": true, "conn": -1, "leaf": -1,
                "mem_storage": storage, "disk_storage": storage, "streams": -1, "consumer": -1,
            },
        })
    }
}

fn claims(name: &str, subject: &str) -> Claims {
    Claims {
        name: name.to_owned(),
        subject: subject.to_owned(),
        issued_at: SystemTime::now(),
        lifetime: None,
    }
}

fn encode(signer: &Key, claims: &Claims, nats: &Value) -> String {
    jwt::encode(signer, claims, nats).unwrap_or_else(|error| panic!("cannot sign: {error}"))
}

fn seed(key: &Key) -> String {
    key.seed().unwrap_or_else(|error| panic!("{error}"))
}
