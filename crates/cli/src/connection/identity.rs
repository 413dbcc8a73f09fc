//! As whom a connection is made: credentials from flags, files and variables, or from a context.
//!
//! Owns: which of several credentials are taken: those said with the most weight, of equals the first
//! of creds file, JWT and seed, nkey and seed, user and password, token. Never: shows one.

use std::path::{Path, PathBuf};

use nex_api::NatsConnectionData;
use nex_bus::Settings;
use nex_bus::connection::with_token;
use nex_bus::credentials::{UserCredentials, public_key, seed_in};

use super::{Chosen, From, default_name};
use crate::args::{Globals, Secret};
use crate::config::Origin;
use crate::context::{Context, expand};
use crate::error::CliError;

/// The settings that say who one is, in the order in which they win.
const KINDS: [&str; 5] = ["nats_creds", "nats_jwt", "nats_nkey", "nats_user", "nats_token"];

impl Chosen {
    /// How one identifies oneself, in words that hide the secret.
    pub(crate) fn identity(&self) -> String {
        let data = &self.settings.data;
        let has_user = |url: &String| *url != nex_bus::connection::without_user(url);
        match () {
            () if !data.nats_user_jwt.is_empty() => "JWT and seed".to_owned(),
            () if !data.nats_user_nkey.is_empty() => format!("nkey {}", data.nats_user_nkey),
            () if !data.nats_user_name.is_empty() => format!("user {}", data.nats_user_name),
            () if data.nats_servers.iter().any(has_user) => {
                "token or user in the address".to_owned()
            }
            () => "none".to_owned(),
        }
    }
}

impl Globals {
    /// Whether a flag, file or variable says who one is.
    pub(crate) fn has_identity(&self) -> bool {
        KINDS.iter().any(|kind| self.is_complete(kind))
    }

    /// The managed server has credentials of its own; others that were typed would have no effect.
    pub(super) fn no_identity_is_typed(&self) -> Result<(), CliError> {
        let typed = KINDS.iter().find(|kind| self.origins.of(kind) == Origin::Flag);
        let Some(kind) = typed else { return Ok(()) };
        let flag = kind.replace('_', "-");
        Err(CliError::usage(format!("--{flag} is for a server that is named, and none is"))
            .hint("name it: --nats-url nats://HOST:4222   or leave the credentials out"))
    }

    pub(super) fn by_address(&self, url: &str, from: From) -> Result<Chosen, CliError> {
        let servers = url.split(',').map(|one| one.trim().to_owned()).collect();
        let mut data = NatsConnectionData::open(servers);
        self.fill_identity(&mut data)?;
        let domain = self.nats.nats_js_domain.clone().unwrap_or_default();
        Ok(Chosen { settings: self.finish(data, None)?, from, domain })
    }

    /// A context is whole: its credentials are taken, and no others.
    pub(super) fn by_context(&self, context: &Context, from: From) -> Result<Chosen, CliError> {
        let url = match context.url.as_str() {
            "" => nex_bus::connection::DEFAULT_URL,
            url => url,
        };
        let servers = url.split(',').map(|one| one.trim().to_owned()).collect();
        let mut data = NatsConnectionData::open(servers);
        data.tls_ca = readable("ca", &context.ca)?;
        data.tls_cert = readable("cert", &context.cert)?;
        data.tls_key = readable("key", &context.key)?;
        data.tls_first = context.tls_first;
        fill_from_context(&mut data, context)?;
        let prefix = Some(context.inbox_prefix.clone()).filter(|prefix| !prefix.is_empty());
        let domain = self.nats.nats_js_domain.clone();
        let domain = domain.unwrap_or_else(|| context.jetstream_domain.clone());
        Ok(Chosen { settings: self.finish(data, prefix)?, from, domain })
    }

    /// What applies to every server: TLS that was typed, name and patience.
    fn finish(
        &self,
        mut data: NatsConnectionData,
        inbox_prefix: Option<String>,
    ) -> Result<Settings, CliError> {
        let tls = &self.nats.tls;
        for (flag, path, field) in [
            ("--nats-tls-ca", &tls.nats_tls_ca, &mut data.tls_ca),
            ("--nats-tls-cert", &tls.nats_tls_cert, &mut data.tls_cert),
            ("--nats-tls-key", &tls.nats_tls_key, &mut data.tls_key),
        ] {
            if let Some(path) = path {
                *field = readable_file(flag, path)?;
            }
        }
        data.tls_first |= tls.nats_tls_first;
        if data.tls_cert.is_empty() != data.tls_key.is_empty() {
            return Err(CliError::usage(
                "a client certificate needs its key, and a key its certificate",
            )
            .hint("--nats-tls-cert FILE --nats-tls-key FILE"));
        }
        let name = self.nats.nats_conn_name.clone().unwrap_or_else(default_name);
        let timeout = self.nats.nats_timeout;
        Ok(Settings { inbox_prefix, timeout, ..Settings::minted(data, name) })
    }

    fn fill_identity(&self, data: &mut NatsConnectionData) -> Result<(), CliError> {
        let complete = KINDS.into_iter().filter(|kind| self.is_complete(kind));
        let Some(kind) = self.origins.best(complete) else { return self.nothing_incomplete() };
        // An address with a user in it says who one is, as weightily as it was said itself.
        let has_user = data.nats_servers.iter().any(|url| url.contains('@'));
        let weight = |id: &str| self.origins.of(id).rank();
        if has_user && weight("nats_url") <= weight(kind) {
            return Ok(());
        }
        let nats = &self.nats;
        let reveal = |secret: &Option<Secret>| {
            secret.as_ref().map(|secret| secret.reveal().to_owned()).unwrap_or_default()
        };
        match kind {
            "nats_creds" => take_creds(data, nats.nats_creds.as_deref().unwrap_or(Path::new("")))?,
            "nats_jwt" => {
                data.nats_user_jwt = reveal(&nats.nats_jwt);
                data.nats_user_seed = reveal(&nats.nats_seed);
            }
            "nats_nkey" => {
                let key = nats.nats_nkey.as_deref().unwrap_or_default();
                take_nkey(data, key, nats.nats_seed.as_ref().map(Secret::reveal))?;
            }
            "nats_user" => {
                data.nats_user_name = nats.nats_user.clone().unwrap_or_default();
                data.nats_user_password = reveal(&nats.nats_password);
            }
            _ => take_token(data, &reveal(&nats.nats_token)),
        }
        Ok(())
    }

    fn is_complete(&self, kind: &str) -> bool {
        let nats = &self.nats;
        match kind {
            "nats_creds" => nats.nats_creds.is_some(),
            "nats_jwt" => nats.nats_jwt.is_some() && nats.nats_seed.is_some(),
            "nats_nkey" => {
                let is_file = |key: &String| !is_public_nkey(key);
                nats.nats_nkey.as_ref().is_some_and(|key| nats.nats_seed.is_some() || is_file(key))
            }
            "nats_user" => nats.nats_user.is_some() && nats.nats_password.is_some(),
            _ => nats.nats_token.is_some(),
        }
    }

    /// Half of a pair is a mistake that would else show as a refusal by the server.
    fn nothing_incomplete(&self) -> Result<(), CliError> {
        let nats = &self.nats;
        let missing = match () {
            () if nats.nats_jwt.is_some() => ("--nats-jwt", "--nats-seed"),
            () if nats.nats_nkey.is_some() => ("--nats-nkey", "--nats-seed"),
            () if nats.nats_user.is_some() => ("--nats-user", "--nats-password"),
            () if nats.nats_password.is_some() => ("--nats-password", "--nats-user"),
            () if nats.nats_seed.is_some() => ("--nats-seed", "--nats-jwt or --nats-nkey"),
            () => return Ok(()),
        };
        let (there, missing) = missing;
        Err(CliError::usage(format!("{there} is given without {missing}"))
            .hint("secrets may be in a file: --nats-password @FILE, --nats-seed @FILE"))
    }
}

fn fill_from_context(data: &mut NatsConnectionData, context: &Context) -> Result<(), CliError> {
    if !context.creds.is_empty() {
        take_creds(data, &expand(&context.creds))
    } else if !context.user_jwt.is_empty() && !context.user_seed.is_empty() {
        data.nats_user_jwt.clone_from(&context.user_jwt);
        data.nats_user_seed.clone_from(&context.user_seed);
        Ok(())
    } else if !context.nkey.is_empty() {
        take_nkey(data, &expand(&context.nkey).to_string_lossy(), None)
    } else if !context.user.is_empty() {
        data.nats_user_name.clone_from(&context.user);
        data.nats_user_password.clone_from(&context.password);
        Ok(())
    } else if !context.token.is_empty() {
        take_token(data, &context.token);
        Ok(())
    } else {
        Ok(())
    }
}

/// The file is read now: nexlets get what is in it, wherever they run.
fn take_creds(data: &mut NatsConnectionData, path: &Path) -> Result<(), CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| cannot_read(path, &error))?;
    let credentials = UserCredentials::parse(&text).ok_or_else(|| {
        CliError::usage(format!("{} is not a NATS credentials file", path.display()))
            .hint("it has a USER JWT and a USER NKEY SEED, as nsc writes it")
    })?;
    data.nats_user_jwt = credentials.jwt;
    data.nats_user_seed = credentials.seed;
    Ok(())
}

/// A public key with its seed, or a file that holds the seed.
fn take_nkey(data: &mut NatsConnectionData, key: &str, seed: Option<&str>) -> Result<(), CliError> {
    let seed = match seed {
        Some(seed) if is_public_nkey(key) => seed.trim().to_owned(),
        _ => {
            let path = Path::new(key);
            let text = std::fs::read_to_string(path).map_err(|error| cannot_read(path, &error))?;
            seed_in(&text).ok_or_else(|| {
                CliError::usage(format!("{key} does not hold an nkey seed"))
                    .hint("a seed begins with SU")
            })?
        }
    };
    let public = public_key(&seed).ok_or_else(|| {
        CliError::usage("the seed is not an nkey seed").hint("a seed begins with SU")
    })?;
    data.nats_user_nkey = public;
    data.nats_user_seed = seed;
    Ok(())
}

/// Connection data have no place for a token; addresses have.
fn take_token(data: &mut NatsConnectionData, token: &str) {
    for url in &mut data.nats_servers {
        *url = with_token(&nex_bus::connection::without_user(url), token);
    }
}

fn is_public_nkey(text: &str) -> bool {
    text.len() == 56 && text.starts_with('U') && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn readable(key: &str, path: &str) -> Result<String, CliError> {
    if path.is_empty() { Ok(String::new()) } else { readable_file(key, &expand(path)) }
}

/// Nexlets read it from another folder.
fn readable_file(what: &str, path: &PathBuf) -> Result<String, CliError> {
    std::fs::File::open(path).map_err(|error| {
        CliError::usage(format!("{what}: cannot read {}: {error}", path.display()))
            .hint("name a file that is there")
    })?;
    let absolute = std::path::absolute(path).map_err(|error| CliError::chain(&error))?;
    Ok(absolute.to_string_lossy().into_owned())
}

fn cannot_read(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("cannot read credentials file {}: {error}", path.display()))
        .hint("name a file that is there: --nats-creds FILE")
}
