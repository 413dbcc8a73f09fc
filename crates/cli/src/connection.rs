//! Which NATS a command talks to, and as whom.
//!
//! Owns: the order (flags, files, variables, a managed server of this user, the selected context, the
//! default address), and the places of files. Never: starts a server.

mod identity;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use nex_api::NatsConnectionData;
use nex_bus::{Settings, connect};
use nex_client::Client;
use nex_types::Namespace;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::args::Globals;
use crate::config::Origin;
use crate::context::Context;
use crate::error::CliError;
use crate::managed;

/// Where plain NATS servers listen.
pub(crate) const DEFAULT_PORT: u16 = 4222;
const PROBE_BOUND: Duration = Duration::from_millis(500);

/// A server to talk to, and who said so.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) settings: Settings,
    pub(crate) from: From,
    /// The JetStream domain; empty is the server's own.
    pub(crate) domain: String,
}

/// Who named the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Address(Origin),
    Context { name: String, origin: Origin },
    Managed,
    Selected { name: String },
    Default,
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(Origin::Flag) => f.write_str("flag --nats-url"),
            Self::Address(Origin::Variable) => f.write_str("variable NATS_URL"),
            Self::Address(origin) => write!(f, "{origin}"),
            Self::Context { name, origin } => write!(f, "context {name} ({origin})"),
            Self::Managed => f.write_str("managed server"),
            Self::Selected { name } => write!(f, "context {name} (selected)"),
            Self::Default => f.write_str("default"),
        }
    }
}

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

    /// The server that a flag, a file or a variable names, if one does.
    pub(crate) fn named(&self) -> Result<Option<Chosen>, CliError> {
        let address = self.nats.nats_url.as_ref().filter(|url| !url.is_empty());
        let context = self.nats.nats_context.as_ref().filter(|name| !name.is_empty());
        let (said_address, said_context) =
            (self.origins.of("nats_url"), self.origins.of("nats_context"));
        if address.is_some()
            && context.is_some()
            && (&said_address, &said_context) == (&Origin::Flag, &Origin::Flag)
        {
            return Err(CliError::usage("--context and --nats-url name two servers")
                .hint("leave one of them out"));
        }
        match (context, address) {
            (Some(name), address)
                if address.is_none() || said_context.rank() <= said_address.rank() =>
            {
                let from = From::Context { name: name.clone(), origin: said_context };
                self.by_context(&Context::named(name)?, from).map(Some)
            }
            (_, Some(url)) => self.by_address(url, From::Address(said_address)).map(Some),
            _ => Ok(None),
        }
    }

    /// The server of a command that needs one which is there.
    pub(crate) fn chosen(&self) -> Result<Chosen, CliError> {
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        if let Some(settings) = managed::of_running(&self.managed_dir()) {
            self.no_identity_is_typed()?;
            return Ok(Chosen { settings, from: From::Managed, domain: String::new() });
        }
        // Credentials alone belong to no context: with them, the default address is meant.
        if !self.has_identity()
            && let Some(context) = Context::selected()?
        {
            let from = From::Selected { name: context.name.clone() };
            return self.by_context(&context, from);
        }
        self.at_default()
    }

    /// The default address, with the credentials that are given.
    pub(crate) fn at_default(&self) -> Result<Chosen, CliError> {
        self.by_address(nex_bus::connection::DEFAULT_URL, From::Default)
    }

    /// The settings of a command that needs a server which is there; the process's JetStream domain
    /// becomes that server's.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        let chosen = self.chosen()?;
        chosen.use_domain();
        Ok(chosen.settings)
    }

    /// A connection to where workloads are: on the managed server not where the control plane is.
    pub(crate) async fn to_workloads(&self, control: &Client) -> Result<nex_bus::Client, CliError> {
        let (directory, settings) = (self.managed_dir(), self.settings()?);
        if !managed::is_control(&directory, &settings) {
            return Ok(control.nats().clone());
        }
        Ok(connect(&managed::workloads(&directory, settings)).await?)
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> Result<nex_bus::Client, CliError> {
        Ok(connect(&self.settings()?).await?)
    }

    /// A client of the control API, acting in the namespace.
    pub(crate) async fn client(&self) -> Result<Client, CliError> {
        let namespace = self.namespace()?;
        Ok(Client::new(self.connect().await?, namespace))
    }
}

impl Chosen {
    /// From now on, JetStream of this server's domain is meant.
    pub(crate) fn use_domain(&self) {
        nex_bus::streams::use_domain(&self.domain);
    }
}

/// Settings for one address.
pub(crate) fn settings_for(url: String) -> Settings {
    Settings::minted(NatsConnectionData::open(vec![url]), default_name())
}

/// What the server shows for our connections.
pub(crate) fn default_name() -> String {
    format!("nex-{}", env!("CARGO_PKG_VERSION"))
}

/// `$XDG_CONFIG_HOME`, or `~/.config`.
pub(crate) fn user_config_dir() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty());
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config"));
    named.map(PathBuf::from).or_else(home)
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
