//! References to artifacts in registries: `oci://REGISTRY/REPOSITORY[:TAG|@DIGEST]`.
//!
//! Owns: the grammar. Never: guesses a registry.

use nex_types::Digest;

const LATEST: &str = "latest";
const LONGEST_TAG: usize = 128;
const LONGEST_REPOSITORY: usize = 255;

/// An artifact in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Host, and port where it is not the usual one.
    pub registry: String,
    /// Its path there.
    pub repository: String,
    /// Which of them.
    pub version: Version,
}

/// Which manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// Whatever the tag names now.
    Tag(String),
    /// Exactly this manifest.
    Manifest(Digest),
}

impl Image {
    /// What follows `oci:`.
    pub(crate) fn parse(rest: &str) -> Option<Self> {
        let (registry, path) = rest.strip_prefix("//")?.split_once('/')?;
        let (path, digest) = match path.split_once('@') {
            Some((path, digest)) => (path, Some(digest.parse().ok()?)),
            None => (path, None),
        };
        let (repository, tag) = path.split_once(':').unwrap_or((path, LATEST));
        if !is_registry(registry) || !is_repository(repository) || !is_tag(tag) {
            return None;
        }
        Some(Self {
            registry: registry.to_ascii_lowercase(),
            repository: repository.to_owned(),
            // With both, the digest is what counts, as for everybody else.
            version: digest.map_or_else(|| Version::Tag(tag.to_owned()), Version::Manifest),
        })
    }

    /// The host without its port.
    pub(crate) fn host(&self) -> &str {
        split_port(&self.registry).0
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Manifest(digest) => write!(f, "{digest}"),
        }
    }
}

/// A host, as a name or an address, and perhaps a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = split_port(text);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    !host.is_empty() && host.len() <= 253 && host.chars().all(is_letter) && !host.starts_with('.')
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Lower-case words with single separators between, joined by slashes: no `..`, nothing to escape.
fn is_repository(text: &str) -> bool {
    let is_word = |word: &str| {
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        word.starts_with(is_letter)
            && word.ends_with(is_letter)
            && word.chars().all(|c| is_letter(c) || matches!(c, '.' | '_' | '-'))
            && !word.contains("..")
    };
    text.len() <= LONGEST_REPOSITORY && text.split('/').all(is_word)
}

fn is_tag(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= LONGEST_TAG
        && text.starts_with(is_letter)
        && text.chars().all(|c| is_letter(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(registry: &str, repository: &str, tag: &str) -> Option<Image> {
        let version = Version::Tag(tag.to_owned());
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        Some(Image { registry, repository, version })
    }

    #[test]
    fn an_image_has_a_registry_a_repository_and_a_version() {
        assert_eq!(Image::parse("//r.test/a/b"), tagged("r.test", "a/b", "latest"));
        assert_eq!(Image::parse("//R.test:5000/a:v1.2"), tagged("r.test:5000", "a", "v1.2"));
        assert_eq!(Image::parse("//[::1]:5000/a-b__c"), tagged("[::1]:5000", "a-b__c", "latest"));
        let digest = Digest::of(b"x");
        for text in [format!("//r.test/a@{digest}"), format!("//r.test/a:v1@{digest}")] {
            assert_eq!(Image::parse(&text).unwrap().version, Version::Manifest(digest), "{text}");
        }
        assert_eq!(Image::parse("//[::1]:5000/a").unwrap().host(), "[::1]");
        assert_eq!(Image::parse("//localhost:5000/a").unwrap().host(), "localhost");
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for bad in [
            "r.test/a",
            "//r.test",
            "//r.test/",
            "///a",
            "//u:p@r.test/a",
            "//r.test/../a",
            "//r.test/a/../b",
            "//r.test/A",
            "//r.test/a?x=1",
            "//r.test/a#x",
            "//r.test/a%2f",
            "//r.test:x/a",
            "//r.test/a:",
            "//r.test/a:.x",
            "//r.test/a@md5:00",
            "//r.test/a b",
            "//[::x]/a",
        ] {
            assert_eq!(Image::parse(bad), None, "{bad}");
        }
    }
}
