//! Where OTLP goes: the collector's address, what is sent along to be let in, and for how long it may take.
//!
//! Owns: reading both from text, hiding the headers, the HTTP client that exporters share, and one sending of
//! one message. Never: reads the environment, sends twice, follows a redirect (the headers are secrets).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};

/// How long one export may take, the answer included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Headers that may be sent along, and the length of each with its name.
const MOST_HEADERS: usize = 32;
const LONGEST_HEADER: usize = 8 * 1024;
/// What a collector says is read so far, so that its connection can be used again.
const LARGEST_ANSWER: usize = 64 * 1024;

/// An address or headers that cannot be used. Says nothing of the headers' values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("OTLP endpoint {endpoint:?} is not a URL: {reason}")]
    NotUrl {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Only HTTP is spoken here.
    #[error("OTLP endpoint {0:?} is neither http:// nor https:// (OTLP is sent over HTTP only)")]
    Scheme(String),
    /// It would be seen in lists and logs.
    #[error("the OTLP endpoint must not hold a user or password: send them as a header")]
    Credentials,
    /// Paths are appended to it.
    #[error("OTLP endpoint {0:?} has a query or fragment; /v1/metrics is appended to it")]
    NotBase(String),
    /// `key=value` pairs, separated by commas.
    #[error("OTLP header {0} is not NAME=VALUE with what a header may hold")]
    Header(usize),
    /// Too many of them, or one that is too long.
    #[error("more than {MOST_HEADERS} OTLP headers, or one of more than {LONGEST_HEADER} bytes")]
    Bounds,
    /// The HTTP client could not be made.
    #[error("no HTTP client for OTLP: {0}")]
    Client(String),
}

/// Where OTLP goes. `Debug` shows the names of the headers only.
#[derive(Clone, PartialEq, Eq)]
pub struct OtlpSettings {
    /// Without a `/` at its end.
    base: String,
    headers: HeaderMap,
}

impl OtlpSettings {
    /// Reads an `http(s)` base URL, and headers as `OTEL_EXPORTER_OTLP_HEADERS` holds them:
    /// `name=value,name=value`, percent-encoded.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn parse(endpoint: &str, headers: Option<&str>) -> Result<Self, Error> {
        let base = parse_base(endpoint)?;
        let headers = parse_headers(headers.unwrap_or_default())?;
        Ok(Self { base, headers })
    }

    /// The base URL, which holds no secret.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.base
    }

    /// Where metrics go.
    #[must_use]
    pub fn metrics_url(&self) -> String {
        format!("{}/v1/metrics", self.base)
    }

    /// Where spans go.
    #[must_use]
    pub fn traces_url(&self) -> String {
        format!("{}/v1/traces", self.base)
    }

    /// A client with these headers and this bound.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client(&self) -> Result<reqwest::Client, Error> {
        // There may be one already; it is the same.
        let _already_there = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .default_headers(self.headers.clone())
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would be named by the environment, which only the CLI reads.
            .no_proxy()
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(1)
            .build()
            .map_err(|error| Error::Client(error.without_url().to_string()))
    }
}

impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("OtlpSettings")
            .field("endpoint", &self.base)
            .field("headers", &names)
            .finish()
    }
}

/// 0, which OTLP has for "unknown", for what lies before 1970.
pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Why a try failed.
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// How long to wait before another; `None` when another would fail alike.
    pub(crate) again_after: Option<Duration>,
}

/// Sends one message, once.
pub(crate) async fn post(client: &Client, url: &str, body: Bytes) -> Result<(), Failure> {
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    let request = client.post(url).header(CONTENT_TYPE, protobuf).body(body);
    let response = request.send().await.map_err(|error| Failure {
        reason: innermost(&error.without_url()),
        again_after: Some(Duration::ZERO),
    })?;
    let status = response.status();
    let wanted = retry_after(&response);
    read_away(response).await;
    if status.is_success() {
        return Ok(());
    }
    let again_after = is_passing(status).then_some(wanted);
    Err(Failure { reason: format!("it answered {}", status.as_u16()), again_after })
}

/// What the protocol says may be tried again.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Duration::from_secs(seconds.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

async fn read_away(mut response: Response) {
    let mut n_read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        n_read += chunk.len();
        if n_read > LARGEST_ANSWER {
            return;
        }
    }
}

/// What lies at the bottom says most, as "connection refused".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn parse_base(endpoint: &str) -> Result<String, Error> {
    let endpoint = endpoint.trim();
    let parsed: Result<Url, _> = endpoint.parse();
    let is_http = parsed.as_ref().is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    // What stands before an @ may be a password; it is repeated in no message.
    if !is_http && endpoint.contains('@') {
        return Err(Error::Credentials);
    }
    let url = parsed
        .map_err(|error| Error::NotUrl { endpoint: shown(endpoint), reason: error.to_string() })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Credentials);
    }
    if !is_http {
        return Err(Error::Scheme(shown(endpoint)));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::NotBase(shown(endpoint)));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// What stands behind `?` or `#` may be a token; it is repeated in no message.
fn shown(endpoint: &str) -> String {
    endpoint.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn parse_headers(text: &str) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    for (i, pair) in pairs.enumerate() {
        if i >= MOST_HEADERS || pair.len() > LONGEST_HEADER {
            return Err(Error::Bounds);
        }
        let (name, value) = parse_header(pair).ok_or(Error::Header(i + 1))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn parse_header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    let mut value = HeaderValue::from_bytes(&percent_decoded(value.trim())?).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// `None` for a `%` that two hexadecimal digits do not follow.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        decoded.push(digit(bytes.next()?)? * 16 + digit(bytes.next()?)?);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(endpoint: &str) -> Result<OtlpSettings, Error> {
        OtlpSettings::parse(endpoint, None)
    }

    #[test]
    fn paths_are_appended_to_the_base() {
        for base in ["http://collector:4318", "http://collector:4318/"] {
            assert_eq!(parse(base).unwrap().metrics_url(), "http://collector:4318/v1/metrics");
        }
        let below = parse("https://vendor.example/otlp/").unwrap();
        assert_eq!(below.traces_url(), "https://vendor.example/otlp/v1/traces");
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        assert!(matches!(parse("collector"), Err(Error::NotUrl { .. })));
        assert!(matches!(parse("grpc://collector:4317"), Err(Error::Scheme(_))));
        assert!(matches!(parse("http://c/?key=1"), Err(Error::NotBase(_))));
        assert!(matches!(parse("http://c/#x"), Err(Error::NotBase(_))));
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        for address in ["http://me:hunter2@c:4318", "me:hunter2@:c", "http://me:hunter2@"] {
            let error = parse(address).unwrap_err();
            assert_eq!(error, Error::Credentials);
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let text = "api-key=hunter2, x-tenant = a%20b,,authorization=Basic%20Zm9vOmJhcg==";
        let settings = OtlpSettings::parse("http://c:4318", Some(text)).unwrap();
        assert_eq!(settings.headers["x-tenant"], "a b");
        assert_eq!(settings.headers["authorization"], "Basic Zm9vOmJhcg==");
        let shown = format!("{settings:?}");
        assert!(shown.contains("api-key") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn headers_that_are_none_are_refused_by_their_place() {
        for text in ["ok=1,hunter2", "ok=1,a b=hunter2", "ok=1,a=%0ahunter2", "ok=1,a=%zzhunter2"] {
            let error = OtlpSettings::parse("http://c", Some(text)).unwrap_err();
            assert_eq!(error, Error::Header(2), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let many = "a=1,".repeat(MOST_HEADERS + 1);
        assert_eq!(OtlpSettings::parse("http://c", Some(&many)), Err(Error::Bounds));
        let long = format!("a={}", "x".repeat(LONGEST_HEADER));
        assert_eq!(OtlpSettings::parse("http://c", Some(&long)), Err(Error::Bounds));
    }
}
