//! Credentials as they lie in files: `.creds` files and seeds.
//!
//! Owns: reading them. Never: keeps or prints one.

use std::fmt;

use nkeys::KeyPair;

/// A user's JWT and the seed that signs for it.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCredentials {
    /// The user's JWT.
    pub jwt: String,
    /// The user's seed, `SU…`.
    pub seed: String,
}

impl fmt::Debug for UserCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserCredentials").finish_non_exhaustive()
    }
}

impl UserCredentials {
    /// The two blocks of a `.creds` file, if it has both.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let jwt = block(text, "BEGIN NATS USER JWT")?;
        let seed = block(text, "BEGIN USER NKEY SEED")?;
        KeyPair::from_seed(&seed).ok()?;
        Some(Self { jwt, seed })
    }
}

/// The first seed in a file, which may stand between the lines of a `.creds` file or alone.
#[must_use]
pub fn seed_in(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    let seed = lines.find(|line| line.starts_with('S') && KeyPair::from_seed(line).is_ok())?;
    Some(seed.to_owned())
}

/// The public key of a seed, if it is one.
#[must_use]
pub fn public_key(seed: &str) -> Option<String> {
    KeyPair::from_seed(seed).ok().map(|pair| pair.public_key())
}

/// What stands between the line with `begin` and the next line of dashes.
fn block(text: &str, begin: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.contains(begin));
    lines.next()?;
    let content: String = lines.take_while(|line| !line.starts_with("---")).collect();
    if content.is_empty() { None } else { Some(content) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_creds_file_has_a_jwt_and_a_seed() {
        let seed = KeyPair::new_user().seed().unwrap();
        let file = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.sig\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             NKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let read = UserCredentials::parse(&file).unwrap();
        assert_eq!((read.jwt.as_str(), &read.seed), ("eyJ0.eyJq.sig", &seed));
        assert_eq!(format!("{read:?}"), "UserCredentials { .. }");
        assert_eq!(seed_in(&file), Some(seed.clone()));
        assert!(public_key(&seed).unwrap().starts_with('U'));
        for broken in ["", "BEGIN NATS USER JWT", &file.replace(&seed, "SUNONSENSE")] {
            assert_eq!(UserCredentials::parse(broken), None);
        }
    }
}
