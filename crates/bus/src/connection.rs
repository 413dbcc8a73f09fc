//! Opens connections, from settings that people type or that a node minted.
//!
//! Owns: which credentials win and how long a connection is tried. Never: prints a secret.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Auth, AuthError, Client, ConnectOptions, Event, ServerAddr};
use nex_api::NatsConnectionData;
pub use nex_api::without_user;
use nkeys::KeyPair;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{jwt, slow};

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

    /// With the credentials of the `.creds` file among the data, so that they can be handed on.
    ///
    /// # Errors
    /// When the file cannot be read or is none.
    pub fn with_creds_read(self) -> Result<Self, ConnectError> {
        let Some(path) = &self.creds_file else { return Ok(self) };
        let wrap = |source| ConnectError::CredsFile { path: path.clone(), source };
        let text = std::fs::read_to_string(path).map_err(wrap)?;
        let no_creds = || wrap(std::io::Error::other("it has no user JWT and seed"));
        let (jwt, seed) = jwt::read_creds_file(&text).ok_or_else(no_creds)?;
        let data = NatsConnectionData { nats_user_jwt: jwt, nats_user_seed: seed, ..self.data };
        Ok(Self { data, creds_file: None, ..self })
    }

    /// Whether there is anything with which to authenticate.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        let NatsConnectionData { nats_servers, nats_user_seed, nats_user_name, .. } = &self.data;
        let in_address = |url: &String| without_user(url) != *url;
        self.creds_file.is_some()
            || !nats_user_seed.is_empty()
            || !nats_user_name.is_empty()
            || nats_servers.iter().any(in_address)
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
    Ok(connect_renewable(settings).await?.0)
}

/// Likewise, with the means to replace the credential while the connection lives.
///
/// # Errors
/// As [`connect`].
pub async fn connect_renewable(settings: &Settings) -> Result<(Client, Renewer), ConnectError> {
    let renewer = Renewer::of(&settings.data)?;
    let client = open(settings, &renewer).await?;
    Ok((client, renewer))
}

/// Replaces the JWT of a connection that lives. The server ends a connection whose JWT expires; the
/// client comes back with the one that stands here by then, so that nothing else has to be done.
#[derive(Clone, Default)]
pub struct Renewer {
    /// Read at every attempt to connect; absent when the connection has no JWT.
    credential: Arc<Mutex<Option<Credential>>>,
}

#[derive(Clone)]
struct Credential {
    jwt: String,
    pair: Arc<KeyPair>,
}

impl Renewer {
    /// Takes the new credential for the next time that the client connects. Data without a JWT
    /// changes nothing, since such credentials do not expire.
    ///
    /// # Errors
    /// When the seed is not one.
    pub fn renew(&self, data: &NatsConnectionData) -> Result<(), ConnectError> {
        if let Some(credential) = Credential::of(data)? {
            *self.credential.lock().unwrap_or_else(PoisonError::into_inner) = Some(credential);
        }
        Ok(())
    }

    fn of(data: &NatsConnectionData) -> Result<Self, ConnectError> {
        Ok(Self { credential: Arc::new(Mutex::new(Credential::of(data)?)) })
    }

    fn current(&self) -> Option<Credential> {
        self.credential.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        if let Some(Credential { jwt, pair }) = self.current() {
            auth.signature = Some(pair.sign(nonce).map_err(AuthError::new)?);
            auth.jwt = Some(jwt);
        }
        Ok(auth)
    }
}

impl Credential {
    fn of(data: &NatsConnectionData) -> Result<Option<Self>, ConnectError> {
        if data.nats_user_seed.is_empty() || data.nats_user_jwt.is_empty() {
            return Ok(None);
        }
        let pair = KeyPair::from_seed(&data.nats_user_seed).map_err(|_| ConnectError::Seed)?;
        Ok(Some(Self { jwt: data.nats_user_jwt.clone(), pair: Arc::new(pair) }))
    }
}

impl fmt::Debug for Renewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewer").finish_non_exhaustive()
    }
}

async fn open(settings: &Settings, renewer: &Renewer) -> Result<Client, ConnectError> {
    let servers = addresses(&settings.data.nats_servers)?;
    let options = authenticate(settings, renewer).await?;
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

/// Inboxes of one nexlet: below those of Nex, and its own, so that it hears nobody else's.
#[must_use]
pub fn nexlet_inbox(agent_id: &str) -> String {
    format!("{NEX_INBOX}.{agent_id}")
}

/// Inboxes of the connection that a nexlet opens for a workload with a JWT of its own, which allows
/// these alone.
#[must_use]
pub fn workload_inbox(workload_id: &str) -> String {
    format!("_INBOX.{workload_id}")
}

/// Inboxes of connections that nexlets share between workloads: not where programs listen for theirs.
pub const SHARED_INBOX: &str = "_INBOX_NEXLET";

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

/// The public half of a server key that nobody keeps: an id for a node that is only played.
#[must_use]
pub fn fresh_node_id() -> String {
    KeyPair::new_server().public_key()
}

async fn report(name: String, event: Event) {
    match &event {
        Event::Connected => tracing::info!(connection = name, "connected to NATS"),
        Event::Disconnected => tracing::warn!(connection = name, "lost NATS, reconnecting"),
        Event::SlowConsumer(subscription) => slow::note(&name, *subscription),
        Event::ServerError(_) => {
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
    settings: &Settings,
    renewer: &Renewer,
) -> Result<ConnectOptions, ConnectError> {
    let data = &settings.data;
    let options = ConnectOptions::new();
    if let Some(path) = &settings.creds_file {
        let wrap = |source| ConnectError::CredsFile { path: path.clone(), source };
        return options.credentials_file(path).await.map_err(wrap);
    }
    if renewer.current().is_some() {
        let renewer = renewer.clone();
        let answer = move |nonce: Vec<u8>| std::future::ready(renewer.answer(&nonce));
        return Ok(ConnectOptions::with_auth_callback(answer));
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
        _ => match without_os_code(error) {
            // What the TLS library says of a certificate comes as a failed read.
            reason if reason.contains("certificate") => ConnectError::Tls { servers, reason },
            reason => ConnectError::Unreachable { servers, reason },
        },
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
