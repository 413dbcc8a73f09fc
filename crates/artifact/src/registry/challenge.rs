//! How a registry asks for credentials (`WWW-Authenticate`), and the token that it gives.
//!
//! Owns: parsing both. Never: sends.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The first that is known; a token is preferred.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE);
        let known: Vec<Self> =
            values.iter().filter_map(|value| Self::parse(value.to_str().ok()?)).collect();
        let token = known.iter().find(|challenge| matches!(challenge, Self::Bearer { .. }));
        token.or(known.first()).cloned()
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let named = |wanted: &str| {
            let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.clone())
        };
        Some(Self::Bearer {
            realm: named("realm")?,
            service: named("service"),
            scope: named("scope"),
        })
    }
}

/// `name=value` pairs between commas; values may be quoted.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, after) = after.split_once(',').unwrap_or((after, ""));
                (value.trim().to_owned(), after)
            }
        };
        found.push((name.trim_matches([' ', ',', '\t']).to_owned(), value));
        rest = after;
    }
    found
}

/// The text until the closing quote, and what follows it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

/// Where a token is asked for.
pub(crate) fn token_url(realm: &str, service: Option<&str>, scope: &str) -> Option<Url> {
    let mut url = Url::parse(realm).ok()?;
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in scope.split(' ').filter(|scope| !scope.is_empty()) {
            query.append_pair("scope", scope);
        }
    }
    Some(url)
}

/// The header that shows a token, from what its server answered.
pub(crate) fn read_token(bytes: &[u8]) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(bytes).ok()?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty())?;
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_challenge_is_read_as_registries_write_it() {
        let bearer = Challenge::parse(
            r#"Bearer realm="https://auth.test/token",service="r.test", scope="repository:a/b:pull,push""#,
        );
        let expected = Challenge::Bearer {
            realm: "https://auth.test/token".to_owned(),
            service: Some("r.test".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(bearer, Some(expected));
        assert_eq!(Challenge::parse("basic realm=x"), Some(Challenge::Basic));
        let bare = Challenge::parse("BEARER realm=https://a.test/t");
        assert!(
            matches!(bare, Some(Challenge::Bearer { realm, .. }) if realm == "https://a.test/t")
        );
        for unknown in ["", "Digest realm=x", "Bearer", "Bearer service=\"x\""] {
            assert_eq!(Challenge::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_token_is_asked_for_by_service_and_scope() {
        let url = token_url("https://a.test/t?x=1", Some("r"), "repository:a:pull").unwrap();
        assert_eq!(url.as_str(), "https://a.test/t?x=1&service=r&scope=repository%3Aa%3Apull");
        assert!(token_url("not a place", None, "").is_none());
        assert_eq!(read_token(br#"{"token":"t","expires_in":60}"#).unwrap(), "Bearer t");
        assert_eq!(read_token(br#"{"access_token":"t"}"#).unwrap(), "Bearer t");
        for bad in ["", "{}", r#"{"token":""}"#, r#"{"token":"a\nb"}"#] {
            assert_eq!(read_token(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_challenge_is_read_or_refused(text in "(Bearer |basic )?[-a-z=\", \\\\\\PC]{0,60}") {
            let _either = Challenge::parse(&text);
        }
    }
}
