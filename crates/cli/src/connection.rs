//! Which NATS a command talks to.
//!
//! Owns: the order (flag or variable or file, a managed server of this user, the default address), and
//! the state directory's place. Never: starts a server.

use std::path::PathBuf;
use std::time::Duration;

use nex_api::NatsConnectionData;
use nex_bus::{Settings, connect};
use nex_client::Client;
use nex_types::Namespace;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::args::Globals;
use crate::error::CliError;
use crate::managed;

/// Where plain NATS servers listen.
pub(crate) const DEFAULT_PORT: u16 = 4222;
const PROBE_BOUND: Duration = Duration::from_millis(500);

impl Globals {
    /// The namespace to act in; `default` when none is named.
    pub(crate) fn namespace(&self) -> Result<Namespace, CliError> {
        Ok(Namespace::parse(self.namespace.as_deref().unwrap_or("default"))?)
    }

    /// Where state is kept.
    pub(crate) fn state_dir(&self) -> PathBuf {
        if let Some(directory) = &self.state_dir {
            return directory.clone();
        }
        if is_root() {
            return PathBuf::from("/var/lib/nex");
        }
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        std::env::var_os("XDG_STATE_HOME")
            .map_or_else(|| home().join(".local/state"), PathBuf::from)
            .join("nex")
    }

    /// Where the managed server keeps its files.
    pub(crate) fn managed_dir(&self) -> PathBuf {
        self.state_dir().join("nats")
    }

    /// The settings that were given by flag, variable or file, if any.
    pub(crate) fn given(&self) -> Option<Settings> {
        let url = self.nats_url.as_ref().filter(|url| !url.is_empty());
        if url.is_none() && self.nats_creds.is_none() {
            return None;
        }
        let servers = url.map(|url| url.split(',').map(|one| one.trim().to_owned()).collect());
        Some(Settings {
            data: NatsConnectionData::open(servers.unwrap_or_default()),
            creds_file: self.nats_creds.clone(),
            name: format!("nex-{}", env!("CARGO_PKG_VERSION")),
            inbox_prefix: None,
        })
    }

    /// The settings of a command that needs a server which is there.
    pub(crate) fn settings(&self) -> Settings {
        self.given()
            .or_else(|| managed::of_running(&self.managed_dir()))
            .unwrap_or_else(|| settings_for(nex_bus::connection::DEFAULT_URL.to_owned()))
    }

    /// A connection to where workloads are, which on the managed server is not where the control plane is.
    pub(crate) async fn connect_to_workloads(&self) -> Result<nex_bus::Client, CliError> {
        Ok(connect(&managed::workloads(&self.managed_dir(), self.settings())).await?)
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> Result<nex_bus::Client, CliError> {
        Ok(connect(&self.settings()).await?)
    }

    /// A client of the control API, acting in the namespace.
    pub(crate) async fn client(&self) -> Result<Client, CliError> {
        let namespace = self.namespace()?;
        Ok(Client::new(self.connect().await?, namespace))
    }
}

/// Settings for one address.
pub(crate) fn settings_for(url: String) -> Settings {
    let name = format!("nex-{}", env!("CARGO_PKG_VERSION"));
    Settings::minted(NatsConnectionData::open(vec![url]), name)
}

/// Who listens on a port of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    Nats,
    Other,
    Nobody,
}

/// Looks; a NATS server introduces itself at once.
pub(crate) async fn probe(port: u16) -> Listener {
    let look = async {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
            return Listener::Nobody;
        };
        let mut greeting = [0; 5];
        match tokio::time::timeout(PROBE_BOUND, stream.read_exact(&mut greeting)).await {
            Ok(Ok(_)) if &greeting == b"INFO " => Listener::Nats,
            _ => Listener::Other,
        }
    };
    tokio::time::timeout(PROBE_BOUND * 2, look).await.unwrap_or(Listener::Other)
}

fn is_root() -> bool {
    let owner = |path: &str| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).map(|metadata| metadata.uid()).ok()
    };
    owner("/proc/self") == Some(0)
}
