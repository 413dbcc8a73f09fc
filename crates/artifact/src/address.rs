//! Addresses of `https://` artifacts.
//!
//! Owns: which are taken. Never: prints a path or a query: both may be secret.

use std::fmt;

use reqwest::Url;

use crate::reference::Error;

/// An `https://` URL with a host and without credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpsUrl(Url);

impl HttpsUrl {
    pub(crate) fn parse(uri: &str) -> Result<Self, Error> {
        let url = Url::parse(uri).map_err(|_| Error::Https { what: "it is not a URL" })?;
        Self::check(url)
    }

    fn check(mut url: Url) -> Result<Self, Error> {
        if url.scheme() != "https" || url.host_str().is_none_or(str::is_empty) {
            return Err(Error::Https { what: "it names no host" });
        }
        if has_credentials(&url) {
            return Err(Error::Https {
                what: "it holds credentials, which would stand in logs and lists: put a presigned \
                       URL there, or the artifact into a registry (oci://)",
            });
        }
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// The host that is asked.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(crate) fn into_url(self) -> Url {
        self.0
    }
}

impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpsUrl").field(&self.host()).finish()
    }
}

/// Whether a name or password stands before the host.
pub(crate) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_refused_and_secrets_not_shown() {
        for with_credentials in
            ["https://u:pw@h.test/x", "https://u@h.test/", "https://:pw@h.test/"]
        {
            let error = HttpsUrl::parse(with_credentials).unwrap_err().to_string();
            assert!(error.contains("credentials") && !error.contains("pw"), "{error}");
        }
        let url = HttpsUrl::parse("https://H.test:8443/a/b?token=secret#part").unwrap();
        assert_eq!(url.host(), "h.test");
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(url.into_url().as_str(), "https://h.test:8443/a/b?token=secret");
        for bad in ["https://", "https:// x", "https://h.test:70000/", "https://[::1"] {
            assert!(HttpsUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
