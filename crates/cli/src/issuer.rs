//! Flags with which a node is told how to issue credentials.
//!
//! Owns: names, which go together, and where a seed may stand: in a variable or a file rather than on
//! the command line. Never: prints a seed.

use std::path::PathBuf;

use clap::Args;
use nex_node::{Issuer, Policy};

use crate::args::Secret;
use crate::error::CliError;
use crate::ui;

/// How a node makes credentials for nexlets and workloads, named as in the Go implementation.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Credentials")]
pub(crate) struct IssuerArgs {
    /// Seed of an account's signing key; @FILE reads it from a file
    #[arg(long, env = "NEX_ISSUER_SIGNING_KEY", hide_env_values = true, value_name = "SEED|@FILE")]
    issuer_signing_key: Option<Secret>,
    /// Public key of the account that the signing key belongs to
    #[arg(long, env = "NEX_ISSUER_SIGNING_KEY_ROOT_ACCOUNT", value_name = "KEY")]
    issuer_signing_key_root_account: Option<String>,
    /// How long the credentials of this node's own nexlets live, which are renewed [default: 24h]
    #[arg(long, env = "NEX_ISSUER_LIFETIME", value_name = "DURATION")]
    issuer_lifetime: Option<String>,
    /// Public nkey that all nexlets and workloads share
    #[arg(long, env = "NEX_ISSUER_NKEY", value_name = "KEY")]
    issuer_nkey: Option<String>,
    /// Its seed; @FILE reads it from a file
    #[arg(long, env = "NEX_ISSUER_NKEY_SEED", hide_env_values = true, value_name = "SEED|@FILE")]
    issuer_nkey_seed: Option<Secret>,
    /// JSON file with the subjects that each namespace may use
    #[arg(long, env = "NEX_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// What the flags mean.
#[derive(Debug)]
pub(crate) struct Issuing {
    /// Absent when none was asked for.
    pub(crate) issuer: Option<Issuer>,
    pub(crate) policy: Option<Policy>,
}

impl IssuerArgs {
    /// Reads the files that are named, and checks the keys.
    pub(crate) fn resolve(&self) -> Result<Issuing, CliError> {
        Ok(Issuing { issuer: self.issuer()?, policy: self.policy()? })
    }

    /// The signing key wins.
    fn issuer(&self) -> Result<Option<Issuer>, CliError> {
        let together = |one: &str, other: &str| {
            Err(CliError::usage(format!("--{one} and --{other} are given together")))
        };
        let signing = match (&self.issuer_signing_key, &self.issuer_signing_key_root_account) {
            (Some(seed), Some(account)) => Some((seed, account)),
            (None, None) => None,
            _ => return together("issuer-signing-key", "issuer-signing-key-root-account"),
        };
        let nkey = match (&self.issuer_nkey, &self.issuer_nkey_seed) {
            (Some(public), Some(seed)) => Some((public, seed)),
            (None, None) => None,
            _ => return together("issuer-nkey", "issuer-nkey-seed"),
        };
        let issuer = match (signing, nkey) {
            (Some((key, account)), _) => {
                Issuer::signing_key(seed(key, "issuer-signing-key"), account, self.lifetime()?)
            }
            (None, Some((public, key))) => Issuer::nkey(public, seed(key, "issuer-nkey-seed")),
            (None, None) => return Ok(None),
        };
        issuer.map(Some).map_err(|error| CliError::usage(error.to_string()))
    }

    fn policy(&self) -> Result<Option<Policy>, CliError> {
        let Some(path) = &self.policy else { return Ok(None) };
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| CliError::usage(format!("cannot read policy {shown}: {error}")))?;
        let policy = Policy::parse(&text).map_err(|error| {
            let reason = CliError::chain(&error).message;
            CliError::usage(format!("policy {shown}: {reason}"))
                .hint(r#"it looks like: {"NAMESPACE": {"publish": ["a.>"], "subscribe": ["a.>"]}}"#)
        })?;
        Ok(Some(policy))
    }

    fn lifetime(&self) -> Result<Option<std::time::Duration>, CliError> {
        let parsed = self.issuer_lifetime.as_deref().map(nex_types::parse_go).transpose();
        parsed.map_err(|error| CliError::usage(format!("--issuer-lifetime: {error}")))
    }
}

/// A seed that was typed is told, since others can read it there; one from a file or a variable is not.
fn seed<'a>(secret: &'a Secret, flag: &str) -> &'a str {
    let seed = secret.reveal();
    if std::env::args().any(|argument| argument.contains(seed)) {
        ui::note(format_args!(
            "note: every user of this machine can read a seed on the command line; use --{flag} @FILE"
        ));
    }
    seed.trim()
}
