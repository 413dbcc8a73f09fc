//! The managed server's two accounts, and who gets into them.
//!
//! Owns: their keys, kept 0600 beside the server's store, and their part of its configuration. Never:
//! puts a seed into that configuration, which has public keys alone.
//!
//! ```text
//! NEX   node, nexlets, this user's CLI, by nex.seed      control API, artifacts, state
//! APP   everybody else, without credentials              functions, services, plain clients
//!       this user's CLI, by app.seed                     whose replies nobody else hears
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nex_api::NatsConnectionData;

use super::Error;
use crate::jwt::Key;

/// The keys of the two accounts.
#[derive(Debug)]
pub struct Accounts {
    nex: Key,
    app: Key,
}

impl Accounts {
    /// The keys kept in `directory`, if a managed server was ever started there.
    #[must_use]
    pub fn read(directory: &Path) -> Option<Self> {
        let key = |path: PathBuf| Key::from_seed(&fs::read_to_string(path).ok()?).ok();
        Some(Self { nex: key(nex_seed(directory))?, app: key(app_seed(directory))? })
    }

    /// The keys kept in `directory`, made when there are none.
    pub(super) fn keep(directory: &Path) -> Result<Self, Error> {
        if let Some(kept) = Self::read(directory) {
            return Ok(kept);
        }
        let made = Self { nex: Key::user(), app: Key::user() };
        write_seed(&nex_seed(directory), &made.nex)?;
        write_seed(&app_seed(directory), &made.app)?;
        Ok(made)
    }

    /// What the control plane connects with.
    #[must_use]
    pub fn control(&self, url: &str) -> NatsConnectionData {
        connection(&self.nex, url)
    }

    /// What this user's CLI calls functions with.
    #[must_use]
    pub fn workloads(&self, url: &str) -> NatsConnectionData {
        connection(&self.app, url)
    }

    /// Whether these are the credentials of the control plane.
    #[must_use]
    pub fn is_control(&self, data: &NatsConnectionData) -> bool {
        self.nex.seed().is_ok_and(|seed| seed == data.nats_user_seed.trim())
    }

    /// Writes the context `nex` for the `nats` CLI, which gets into the control plane with it. It stands
    /// in the server's own folder: the user's contexts are not touched.
    pub(super) fn write_context(directory: &Path, url: &str) -> Result<(), Error> {
        let path = context(directory);
        let wrap = |source| Error::Write { path: path.clone(), source };
        let context = nex_api::encode(&serde_json::json!({
            "description": "control plane of Nex, written by nex up",
            "url": url,
            "nkey": nex_seed(directory),
        }));
        fs::create_dir_all(directory.join("context")).map_err(wrap)?;
        fs::write(&path, context).map_err(wrap)
    }

    /// Whether it is there.
    pub(super) fn has_context(directory: &Path) -> bool {
        context(directory).is_file()
    }

    /// Removes it, and its folder unless somebody keeps contexts of their own there.
    pub(super) fn remove_context(directory: &Path) -> io::Result<()> {
        fs::remove_file(context(directory))?;
        match fs::remove_dir(directory.join("context")) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            done => done,
        }
    }

    /// Their part of the server's configuration. Who has no credentials is in APP, under a key that
    /// nobody has, and hears nothing of the inboxes of Nex.
    pub(super) fn configuration(&self) -> String {
        let (nex, app, anybody) = (self.nex.public(), self.app.public(), Key::user().public());
        format!(
            "accounts {{\n\
             \x20 NEX {{ jetstream: enabled, users: [ {{ nkey: {nex} }} ] }}\n\
             \x20 APP {{ jetstream: enabled, users: [\n\
             \x20   {{ nkey: {app} }}\n\
             \x20   {{ nkey: {anybody}, permissions: {{ subscribe: {{ deny: \"_INBOX.NEX.>\" }} }} }}\n\
             \x20 ] }}\n\
             }}\n\
             no_auth_user: {anybody}\n"
        )
    }
}

fn connection(key: &Key, url: &str) -> NatsConnectionData {
    NatsConnectionData {
        nats_user_nkey: key.public(),
        nats_user_seed: key.seed().unwrap_or_default(),
        ..NatsConnectionData::open(vec![url.to_owned()])
    }
}

/// With the folder above as `XDG_CONFIG_HOME`, this is where the `nats` CLI looks.
fn context(directory: &Path) -> PathBuf {
    directory.join("context/nex.json")
}

fn nex_seed(directory: &Path) -> PathBuf {
    directory.join("nex.seed")
}

fn app_seed(directory: &Path) -> PathBuf {
    directory.join("app.seed")
}

fn write_seed(path: &Path, key: &Key) -> Result<(), Error> {
    let wrap = |source| Error::Write { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(wrap)?;
    file.write_all(key.seed().unwrap_or_default().as_bytes()).map_err(wrap)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_kept_for_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Accounts::read(directory.path()).is_none());
        let made = Accounts::keep(directory.path()).unwrap();
        let again = Accounts::keep(directory.path()).unwrap();
        assert_eq!(made.nex.public(), again.nex.public());
        let mode = fs::metadata(nex_seed(directory.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(again.is_control(&made.control("nats://h")));
        assert!(!again.is_control(&made.workloads("nats://h")));
        assert!(!again.is_control(&NatsConnectionData::default()));
    }

    #[test]
    fn neither_configuration_nor_context_has_a_seed() {
        let directory = tempfile::tempdir().unwrap();
        let accounts = Accounts::keep(directory.path()).unwrap();
        Accounts::write_context(directory.path(), "nats://h").unwrap();
        let context = fs::read_to_string(context(directory.path())).unwrap();
        let written = accounts.configuration() + &context;
        for key in [&accounts.nex, &accounts.app] {
            assert!(!written.contains(&key.seed().unwrap()));
        }
        assert!(written.contains(&accounts.nex.public()));
    }
}
