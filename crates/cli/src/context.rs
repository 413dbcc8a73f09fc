//! Contexts of the `nats` command line: an address and an identity under a name.
//!
//! Owns: finding and reading them. Never: writes one, or says that one is to be used.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::connection::user_config_dir;
use crate::error::CliError;
use crate::suggest::did_you_mean;

/// A context, as its file has it; keys that do not concern a connection are not read.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Context {
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) token: String,
    pub(crate) creds: String,
    pub(crate) nkey: String,
    pub(crate) user_jwt: String,
    pub(crate) user_seed: String,
    pub(crate) cert: String,
    pub(crate) key: String,
    pub(crate) ca: String,
    pub(crate) tls_first: bool,
    pub(crate) jetstream_domain: String,
    pub(crate) inbox_prefix: String,
    jetstream_api_prefix: String,
    socks_proxy: String,
    nsc: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Context {
    /// The context of that name, which must be there.
    pub(crate) fn named(name: &str) -> Result<Self, CliError> {
        let folder = folder().ok_or_else(|| CliError::usage("no folder for NATS contexts"))?;
        let is_name = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
        let path = folder.join("context").join(format!("{name}.json"));
        if !is_name || !path.is_file() {
            let names = names(&folder);
            let nearest = did_you_mean(name, names.iter().map(String::as_str));
            let hint = match names.join(", ") {
                none if none.is_empty() => format!("there is none in {}", folder.display()),
                some => format!("there are: {some}"),
            };
            return Err(CliError::usage(format!("no NATS context \"{name}\"{nearest}")).hint(hint));
        }
        Self::read(name, &path)
    }

    /// The selected one, if there is one.
    pub(crate) fn selected() -> Result<Option<Self>, CliError> {
        let Some(folder) = folder() else { return Ok(None) };
        let name = std::fs::read_to_string(folder.join("context.txt")).unwrap_or_default();
        let name = name.trim();
        let path = folder.join("context").join(format!("{name}.json"));
        if name.is_empty() || name.contains('/') || !path.is_file() {
            return Ok(None);
        }
        Self::read(name, &path).map(Some)
    }

    fn read(name: &str, path: &Path) -> Result<Self, CliError> {
        let unreadable = |why: String| {
            CliError::usage(format!("NATS context \"{name}\" in {}: {why}", path.display()))
                .hint(format!("see it with: nats context edit {name}"))
        };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let context: Self =
            serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        context.refuse_what_is_not_there().map_err(|why| unreadable(why.to_owned()))?;
        Ok(Self { name: name.to_owned(), ..context })
    }

    /// What would silently lead elsewhere than meant is refused.
    fn refuse_what_is_not_there(&self) -> Result<(), &'static str> {
        if !self.socks_proxy.is_empty() {
            return Err("socks_proxy: Nex connects directly only");
        }
        if !self.jetstream_api_prefix.is_empty() {
            return Err("jetstream_api_prefix: Nex knows jetstream_domain only");
        }
        if !self.nsc.is_empty() && self.creds.is_empty() {
            return Err("nsc: Nex does not ask nsc; name the credentials file as creds");
        }
        Ok(())
    }
}

/// A path of a context, which may begin with the home directory.
pub(crate) fn expand(path: &str) -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for prefix in ["~/", "$HOME/", "${HOME}/"] {
        if let Some(rest) = path.strip_prefix(prefix) {
            return home.join(rest);
        }
    }
    PathBuf::from(path)
}

/// The names of all that there are.
pub(crate) fn all_names() -> Vec<String> {
    folder().map(|folder| names(&folder)).unwrap_or_default()
}

fn folder() -> Option<PathBuf> {
    Some(user_config_dir()?.join("nats"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("context")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Context, CliError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Context::read("x", file.path())
    }

    #[test]
    fn a_context_is_read_as_the_nats_command_line_writes_it() {
        let context = read(
            r#"{"description":"","url":"nats://a:1,nats://b:2","token":"t","tls_first":true,"color_scheme":"x"}"#,
        );
        let context = context.unwrap();
        assert_eq!((context.url.as_str(), context.token.as_str()), ("nats://a:1,nats://b:2", "t"));
        assert!(context.tls_first && !format!("{context:?}").contains("nats://"));
    }

    #[test]
    fn what_would_lead_elsewhere_is_refused() {
        for (text, says) in [
            (r#"{"socks_proxy":"socks5://x"}"#, "socks_proxy"),
            (r#"{"jetstream_api_prefix":"x"}"#, "jetstream_api_prefix"),
            (r#"{"nsc":"nsc://a/b/c"}"#, "nsc"),
            ("{", "EOF"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.contains(says), "{error:?}");
        }
        assert!(Context::named("../../etc/passwd").is_err());
    }
}
