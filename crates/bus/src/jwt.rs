//! NATS JWTs: the keys that sign them, their encoding, and the claims of a user.
//!
//! Owns: claims as the server reads them, and when a credential is due for renewal. Never: prints a
//! seed; `Debug` of a key shows its public half.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512_256};

const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// A key that cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("it is not the seed of an nkey")]
    Seed,
    #[error("the key cannot sign")]
    Sign,
}

/// A key pair of NATS: an operator's, account's or user's.
pub struct Key(KeyPair);

impl Key {
    /// A new operator.
    #[must_use]
    pub fn operator() -> Self {
        Self(KeyPair::new_operator())
    }

    /// A new account, or a signing key of one.
    #[must_use]
    pub fn account() -> Self {
        Self(KeyPair::new_account())
    }

    /// A new user.
    #[must_use]
    pub fn user() -> Self {
        Self(KeyPair::new_user())
    }

    /// The key of a seed, `S…`.
    ///
    /// # Errors
    /// When the text is no seed.
    pub fn from_seed(seed: &str) -> Result<Self, Error> {
        KeyPair::from_seed(seed.trim()).map(Self).map_err(|_| Error::Seed)
    }

    /// The public half: `O…`, `A…` or `U…`.
    #[must_use]
    pub fn public(&self) -> String {
        self.0.public_key()
    }

    /// The secret half, for whom the credential is made.
    ///
    /// # Errors
    /// Never for a key made by this type.
    pub fn seed(&self) -> Result<String, Error> {
        self.0.seed().map_err(|_| Error::Seed)
    }

    /// Whether it is an account's key.
    #[must_use]
    pub fn is_account(&self) -> bool {
        self.0.key_pair_type() == KeyPairType::Account
    }

    /// Whether the text is the public half of an account's key.
    #[must_use]
    pub fn is_public_account(text: &str) -> bool {
        KeyPair::from_public_key(text).is_ok_and(|key| key.key_pair_type() == KeyPairType::Account)
    }

    /// Whether it is a user's key.
    #[must_use]
    pub fn is_user(&self) -> bool {
        self.0.key_pair_type() == KeyPairType::User
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.public()).finish()
    }
}

/// What every claim says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// For people.
    pub name: String,
    /// The public key that it is about.
    pub subject: String,
    /// From when.
    pub issued_at: SystemTime,
    /// For how long; for ever when absent.
    pub lifetime: Option<Duration>,
}

/// What a user may do. Its `Serialize` is the form of the JWT.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Where it may publish.
    #[serde(rename = "pub", default)]
    pub publish: Rules,
    /// What it may subscribe.
    #[serde(rename = "sub", default)]
    pub subscribe: Rules,
    /// Whether it may answer what it received, wherever the asker wants the answer.
    #[serde(rename = "resp", default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<Respond>,
}

/// Patterns of one direction. An empty `allow` allows all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rules {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// How often and how long an answer may be sent; zero means the server's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the wire's own names")]
pub struct Respond {
    pub max: i64,
    /// In nanoseconds.
    pub ttl: u64,
}

/// The `nats` part of a user's claims; nothing but the permissions limits it.
#[derive(Debug, Serialize)]
struct User<'a> {
    #[serde(flatten)]
    permissions: &'a Permissions,
    subs: i64,
    data: i64,
    payload: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_account: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    version: u8,
}

/// The claims in the order of the Go library, which hashes them without the `nats` part.
#[derive(Serialize)]
struct Payload<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    iat: u64,
    iss: String,
    name: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nats: Option<&'a T>,
}

/// A user's JWT. `account` is the account's identity when `signer` is one of its signing keys.
///
/// # Errors
/// When the key cannot sign.
pub fn user(
    signer: &Key,
    account: Option<&str>,
    claims: &Claims,
    permissions: &Permissions,
) -> Result<String, Error> {
    let nats = User {
        permissions,
        subs: -1,
        data: -1,
        payload: -1,
        issuer_account: account,
        kind: "user",
        version: 2,
    };
    encode(signer, claims, &nats)
}

/// Any JWT of NATS, with `nats` as the part that its kind has.
///
/// # Errors
/// When the key cannot sign.
pub fn encode(signer: &Key, claims: &Claims, nats: &impl Serialize) -> Result<String, Error> {
    let iat = seconds(claims.issued_at);
    let mut payload = Payload {
        exp: claims.lifetime.map(|lifetime| iat + lifetime.as_secs()),
        jti: None,
        iat,
        iss: signer.public(),
        name: &claims.name,
        sub: &claims.subject,
        nats: None,
    };
    payload.jti = Some(BASE32_NOPAD.encode(&Sha512_256::digest(nex_api::encode(&payload))));
    payload.nats = Some(nats);
    let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let signed = format!("{}.{}", part(HEADER.as_bytes()), part(&nex_api::encode(&payload)));
    let signature = signer.0.sign(signed.as_bytes()).map_err(|_| Error::Sign)?;
    Ok(format!("{signed}.{}", part(&signature)))
}

/// How long from `now` until two thirds of a credential's life have passed; `None` when it has no end
/// or is no JWT. It is not verified, since the server does that.
#[must_use]
pub fn renew_after(jwt: &str, now: SystemTime) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Times {
        iat: u64,
        exp: u64,
    }
    let payload = BASE64URL_NOPAD.decode(jwt.split('.').nth(1)?.as_bytes()).ok()?;
    let Times { iat, exp } = serde_json::from_slice(&payload).ok()?;
    let due = Duration::from_secs(iat + exp.saturating_sub(iat) / 3 * 2);
    Some(due.saturating_sub(Duration::from_secs(seconds(now))))
}

/// Text of a `.creds` file, as NATS tools read it.
#[must_use]
pub fn creds_file(jwt: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// JWT and seed of a `.creds` file.
#[must_use]
pub fn read_creds_file(text: &str) -> Option<(String, String)> {
    let after = |title: &str| {
        let mut lines = text.lines().skip_while(|line| !line.contains(title));
        lines.nth(1).map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
    };
    Some((after("BEGIN NATS USER JWT")?, after("BEGIN USER NKEY SEED")?))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(jwt: &str) -> serde_json::Value {
        let part = jwt.split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    }

    fn claims(lifetime: Option<Duration>) -> Claims {
        let issued_at = UNIX_EPOCH + Duration::from_secs(1_000_000);
        Claims { name: "w".to_owned(), subject: Key::user().public(), issued_at, lifetime }
    }

    #[test]
    fn a_user_s_jwt_has_the_specification_s_claims() {
        let (signer, account) = (Key::account(), Key::account());
        let permissions = Permissions {
            publish: Rules { allow: vec!["a.>".to_owned()], deny: Vec::new() },
            respond: Some(Respond { max: 1, ttl: 5 }),
            ..Permissions::default()
        };
        let claims = claims(Some(Duration::from_secs(60)));
        let jwt = user(&signer, Some(&account.public()), &claims, &permissions).unwrap();
        let header = BASE64URL_NOPAD.decode(jwt.split('.').next().unwrap().as_bytes()).unwrap();
        assert_eq!(header, br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
        let said = payload(&jwt);
        assert_eq!((&said["iat"], &said["exp"]), (&1_000_000.into(), &1_000_060.into()));
        assert_eq!(said["iss"], signer.public());
        assert_eq!(said["sub"], claims.subject);
        let nats = serde_json::json!({
            "pub": {"allow": ["a.>"]}, "sub": {}, "resp": {"max": 1, "ttl": 5},
            "subs": -1, "data": -1, "payload": -1,
            "issuer_account": account.public(), "type": "user", "version": 2,
        });
        assert_eq!(said["nats"], nats);
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        assert!(signer.0.verify(signed.as_bytes(), &signature).is_ok());
        // base32 of 256 bits, without padding.
        assert_eq!(said["jti"].as_str().unwrap().len(), 52);
    }

    #[test]
    fn renewal_is_due_at_two_thirds() {
        let key = Key::account();
        let jwt = |lifetime| user(&key, None, &claims(lifetime), &Permissions::default()).unwrap();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let day = jwt(Some(Duration::from_secs(90)));
        assert_eq!(renew_after(&day, at(1_000_000)), Some(Duration::from_secs(60)));
        assert_eq!(renew_after(&day, at(1_000_080)), Some(Duration::ZERO));
        assert_eq!(renew_after(&jwt(None), at(0)), None);
        assert_eq!(renew_after("nonsense", at(0)), None);
    }

    #[test]
    fn a_creds_file_is_read_as_it_is_written() {
        let (jwt, seed) = ("e.y.J".to_owned(), Key::user().seed().unwrap());
        assert_eq!(read_creds_file(&creds_file(&jwt, &seed)), Some((jwt, seed)));
        assert_eq!(read_creds_file("nothing"), None);
    }

    #[test]
    fn debug_shows_the_public_half_alone() {
        let key = Key::user();
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public()) && !shown.contains(&key.seed().unwrap()));
        assert!(Key::from_seed("SUnonsense").is_err());
    }
}
