//! With what a node issues credentials: typed text becomes checked keys.
//!
//! Owns: which texts are keys, and that a pair belongs together. Never: prints a seed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nex_bus::jwt::Key;

/// What our own nexlets hold lives this long, and is renewed at two thirds of it.
pub(crate) const DEFAULT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Who makes the credentials of nexlets and workloads.
#[derive(Debug, Clone, Default)]
pub enum Issuer {
    /// Nobody: the node's own settings are shared with its nexlets.
    #[default]
    FullAccess,
    /// The managed server keeps an account for workloads that needs no credentials.
    Managed,
    /// One identity for all.
    Nkey(NkeyPair),
    /// A JWT for each.
    SigningKey(SigningAccount),
}

/// A user's nkey and its seed.
#[derive(Clone)]
pub struct NkeyPair {
    pub(super) public: String,
    pub(super) seed: String,
}

/// A signing key and the account whose it is.
#[derive(Debug, Clone)]
pub struct SigningAccount {
    pub(super) key: Arc<Key>,
    pub(super) account: String,
    pub(super) life: Duration,
}

/// Keys that cannot issue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum IssuerError {
    #[error("the issuer's nkey seed is not the seed of a user, SU…")]
    NkeySeed,
    #[error("the issuer's nkey {public} does not belong to its seed")]
    NkeyPair { public: String },
    #[error("the issuer's signing key is not the seed of an account's signing key, SA…")]
    SigningKey,
    #[error("\"{account}\" is not the public key of an account, A…")]
    RootAccount { account: String },
    #[error(
        "the issuer's signing key is the account's own key, which servers refuse: make a signing key for it"
    )]
    OwnKey,
}

impl Issuer {
    /// One identity for all.
    ///
    /// # Errors
    /// When the seed is no user's, or the public key is another's.
    pub fn nkey(public: &str, seed: &str) -> Result<Self, IssuerError> {
        let key = Key::from_seed(seed).ok().filter(Key::is_user).ok_or(IssuerError::NkeySeed)?;
        if key.public() != public {
            return Err(IssuerError::NkeyPair { public: public.to_owned() });
        }
        Ok(Self::Nkey(NkeyPair { public: public.to_owned(), seed: seed.trim().to_owned() }))
    }

    /// A JWT for each, signed by a signing key of `account`. `life` is that of what our nexlets renew.
    ///
    /// # Errors
    /// When the seed is no account's, or `account` is no account.
    pub fn signing_key(
        seed: &str,
        account: &str,
        life: Option<Duration>,
    ) -> Result<Self, IssuerError> {
        let key = Key::from_seed(seed).ok().filter(Key::is_account);
        let key = key.ok_or(IssuerError::SigningKey)?;
        if key.public() == account {
            return Err(IssuerError::OwnKey);
        }
        if !Key::is_public_account(account) {
            return Err(IssuerError::RootAccount { account: account.to_owned() });
        }
        let life = life.unwrap_or(DEFAULT_LIFE);
        Ok(Self::SigningKey(SigningAccount {
            key: Arc::new(key),
            account: account.to_owned(),
            life,
        }))
    }
}

impl fmt::Debug for NkeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NkeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_and_not_shown() {
        let (user, account, signer) = (Key::user(), Key::account(), Key::account());
        let (user_seed, signer_seed) = (user.seed().unwrap(), signer.seed().unwrap());
        let nkey = Issuer::nkey(&user.public(), &user_seed).unwrap();
        assert!(!format!("{nkey:?}").contains(&user_seed));
        let other = Issuer::nkey(&account.public(), &user_seed).unwrap_err();
        assert!(matches!(other, IssuerError::NkeyPair { .. }));
        assert_eq!(Issuer::nkey("U", &signer_seed).unwrap_err(), IssuerError::NkeySeed);

        let public = account.public();
        let signing = Issuer::signing_key(&signer_seed, &public, None).unwrap();
        assert!(!format!("{signing:?}").contains(&signer_seed));
        let refused =
            |seed: &str, account: &str| Issuer::signing_key(seed, account, None).unwrap_err();
        assert_eq!(refused(&user_seed, &public), IssuerError::SigningKey);
        assert_eq!(refused(&signer_seed, &signer.public()), IssuerError::OwnKey);
        for no_account in ["", "A", &user.public()] {
            assert!(matches!(refused(&signer_seed, no_account), IssuerError::RootAccount { .. }));
        }
    }
}
