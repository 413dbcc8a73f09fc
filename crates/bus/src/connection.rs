//! Opens connections, from settings that people type or that a node minted.
//!
//! Owns: which credentials win and how long a connection is tried. Never: prints a secret.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use nex_api::NatsConnectionData;
use nkeys::KeyPair;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between attempts to reach a server that went away; short, since a local one restarts fast.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);
/// What the library asks when the settings name no server.
pub const DEFAULT_URL: &str = "nats://127.0.0.1:4222";
/// Inboxes of Nex's own connections, so that workloads can be denied them (section 13, "Credentials").
pub const NEX_INBOX: &str = "_INBOX.NEX";

/// How to connect. `Debug` hides secrets.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Servers and credentials.
    pub data: NatsConnectionData,
    /// A `.creds` file, which wins over the credentials in `data`.
    pub creds_file: Option<PathBuf>,
    /// Name that the server shows for the connection.
    pub name: String,
    /// Prefix of inboxes; the library's `_INBOX` when absent.
    pub inbox_prefix: Option<String>,
    /// How long the first attempt to connect may take; five seconds when absent.
    pub timeout: Option<Duration>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("data", &self.data)
            .field("creds_file", &self.creds_file)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A connection that could not be opened.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConnectError {
    #[error("\"{url}\" is not the address of a NATS server")]
    Address { url: String },
    #[error("cannot read credentials file {path}")]
    CredsFile { path: PathBuf, source: std::io::Error },
    #[error("the NATS credentials are not a seed")]
    Seed,
    #[error("NATS at {servers} refused the credentials")]
    Refused { servers: String },
    #[error("no TLS connection with NATS at {servers}: {reason}")]
    Tls { servers: String, reason: String },
    #[error("NATS at {servers} cannot be reached: {reason}")]
    Unreachable { servers: String, reason: String },
}

impl Settings {
    /// Minted connection data under a name.
    #[must_use]
    pub fn minted(data: NatsConnectionData, name: impl Into<String>) -> Self {
        Self { data, name: name.into(), ..Self::default() }
    }

    /// The servers as one text, without user names and passwords.
    #[must_use]
    pub fn servers_text(&self) -> String {
        if self.data.nats_servers.is_empty() {
            return DEFAULT_URL.to_owned();
        }
        let shown: Vec<String> =
            self.data.nats_servers.iter().map(|url| without_user(url)).collect();
        shown.join(",")
    }
}

/// Connects once; afterwards the library reconnects for ever.
///
/// # Errors
/// When an address or credential is malformed, nobody answers within five seconds, or the server refuses.
pub async fn connect(settings: &Settings) -> Result<Client, ConnectError> {
    let servers = addresses(&settings.data.nats_servers)?;
    let options = authenticate(ConnectOptions::new(), settings).await?;
    let options = secure(options, &settings.data);
    let options = match &settings.inbox_prefix {
        Some(prefix) => options.custom_inbox_prefix(prefix),
        None => options,
    };
    let name = settings.name.clone();
    options
        .name(&settings.name)
        .connection_timeout(settings.timeout.unwrap_or(CONNECT_TIMEOUT))
        // Also asked before the very first attempt, which need not wait.
        .reconnect_delay_callback(
            |attempt| if attempt <= 1 { Duration::ZERO } else { RECONNECT_PAUSE },
        )
        .event_callback(move |event| report(name.clone(), event))
        .connect(servers)
        .await
        .map_err(|error| connect_error(&error, settings))
}

/// The address with a token in it, as NATS addresses carry one where the minted data have no place.
#[must_use]
pub fn with_token(url: &str, token: &str) -> String {
    let token = utf8_percent_encode(token, NON_ALPHANUMERIC);
    match url.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{token}@{host}"),
        None => format!("nats://{token}@{url}"),
    }
}

/// An address without its user name and password.
#[must_use]
pub fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or(rest)),
        None => url.rsplit('@').next().unwrap_or(url).to_owned(),
    }
}

/// Standard base64, as JWTs stand in a child's environment.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

/// The bytes of standard base64, if it is that.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    data_encoding::BASE64.decode(text.as_bytes()).ok()
}

/// The public half of a curve key made for this process; nexlets announce one, nobody seals to it yet.
#[must_use]
pub fn fresh_xkey() -> String {
    nkeys::XKey::new().public_key()
}

/// The public half of a server key that nobody keeps: an id for a node that is only played.
#[must_use]
pub fn fresh_node_id() -> String {
    KeyPair::new_server().public_key()
}

async fn report(name: String, event: Event) {
    match &event {
        Event::Connected => tracing::info!(connection = name, "connected to NATS"),
        Event::Disconnected => tracing::warn!(connection = name, "lost NATS, reconnecting"),
        Event::SlowConsumer(_) | Event::ServerError(_) => {
            tracing::warn!(connection = name, %event, "NATS says");
        }
        other => tracing::debug!(connection = name, event = %other, "NATS says"),
    }
}

fn addresses(urls: &[String]) -> Result<Vec<ServerAddr>, ConnectError> {
    let urls = if urls.is_empty() { vec![DEFAULT_URL.to_owned()] } else { urls.to_vec() };
    urls.iter()
        .map(|url| url.trim().parse().map_err(|_| ConnectError::Address { url: without_user(url) }))
        .collect()
}

/// The first complete pair wins, in the order of the specification's section 2.1.
async fn authenticate(
    options: ConnectOptions,
    settings: &Settings,
) -> Result<ConnectOptions, ConnectError> {
    let data = &settings.data;
    if let Some(path) = &settings.creds_file {
        let wrap = |source| ConnectError::CredsFile { path: path.clone(), source };
        return options.credentials_file(path).await.map_err(wrap);
    }
    if !data.nats_user_seed.is_empty() && !data.nats_user_jwt.is_empty() {
        let pair = KeyPair::from_seed(&data.nats_user_seed).map_err(|_| ConnectError::Seed)?;
        let pair = Arc::new(pair);
        let sign = move |nonce: Vec<u8>| {
            let pair = Arc::clone(&pair);
            async move { pair.sign(&nonce).map_err(async_nats::AuthError::new) }
        };
        return Ok(options.jwt(data.nats_user_jwt.clone(), sign));
    }
    if !data.nats_user_seed.is_empty() && !data.nats_user_nkey.is_empty() {
        return Ok(options.nkey(data.nats_user_seed.clone()));
    }
    if !data.nats_user_name.is_empty() {
        return Ok(
            options.user_and_password(data.nats_user_name.clone(), data.nats_user_password.clone())
        );
    }
    Ok(authenticate_by_address(options, &data.nats_servers))
}

/// Addresses may carry `user:password@` or `token@`, which the library leaves to its caller.
fn authenticate_by_address(options: ConnectOptions, urls: &[String]) -> ConnectOptions {
    let mut addresses = urls.iter().filter_map(|url| url.trim().parse::<ServerAddr>().ok());
    let Some(address) = addresses.find(ServerAddr::has_user_pass) else { return options };
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = plain(address.username().unwrap_or_default());
    match address.password() {
        Some(password) => options.user_and_password(user, plain(password)),
        None => options.token(user),
    }
}

fn secure(options: ConnectOptions, data: &NatsConnectionData) -> ConnectOptions {
    let mut options = options;
    if !data.tls_ca.is_empty() {
        options = options.add_root_certificates(PathBuf::from(&data.tls_ca));
    }
    if !data.tls_cert.is_empty() && !data.tls_key.is_empty() {
        let (cert, key) = (PathBuf::from(&data.tls_cert), PathBuf::from(&data.tls_key));
        options = options.add_client_certificate(cert, key);
    }
    if data.tls_first { options.tls_first() } else { options }
}

fn connect_error(error: &async_nats::ConnectError, settings: &Settings) -> ConnectError {
    use async_nats::ConnectErrorKind as Kind;
    let servers = settings.servers_text();
    match error.kind() {
        Kind::Authentication | Kind::AuthorizationViolation => ConnectError::Refused { servers },
        Kind::Tls => ConnectError::Tls { servers, reason: without_os_code(error) },
        Kind::TimedOut => {
            ConnectError::Unreachable { servers, reason: "no answer in 5s".to_owned() }
        }
        _ => ConnectError::Unreachable { servers, reason: without_os_code(error) },
    }
}

fn without_os_code(error: &async_nats::ConnectError) -> String {
    let text =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_of_an_address_are_not_shown() {
        assert_eq!(without_user("nats://me:secret@host:4222"), "nats://host:4222");
        assert_eq!(without_user("me:secret@host"), "host");
        let data = NatsConnectionData::open(vec!["nats://me:secret@h".to_owned()]);
        assert_eq!(Settings::minted(data, "x").servers_text(), "nats://h");
    }

    #[test]
    fn a_token_travels_in_the_address() {
        assert_eq!(with_token("nats://h:4222", "a/b@c"), "nats://a%2Fb%40c@h:4222");
        assert_eq!(without_user(&with_token("h", "secret")), "nats://h");
    }

    #[tokio::test]
    async fn nobody_there_is_said_with_the_address() {
        let data = NatsConnectionData::open(vec!["nats://127.0.0.1:1".to_owned()]);
        let error = connect(&Settings::minted(data, "x")).await.unwrap_err().to_string();
        assert_eq!(error, "NATS at nats://127.0.0.1:1 cannot be reached: connection refused");
    }
}
