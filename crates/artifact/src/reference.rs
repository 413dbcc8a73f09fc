//! References to artifacts: `nats://`, `https://`, `oci://`, `file://` and `data:` (spec: functions, section 1;
//! services, section 4).
//!
//! Owns: the grammar, and whose bucket a bucket is. Never: fetches, or shows what may be secret in an address.

use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use nex_types::Namespace;

use crate::address::HttpsUrl;
use crate::image::Image;

/// The bucket of namespace `default`; other namespaces have `NEXCLIFILES_<namespace>`.
const BUCKET: &str = "NEXCLIFILES";
const DEFAULT_NAMESPACE: &str = "default";
const LATEST: &str = "latest";

/// Where an artifact is. `Debug` is not for logs: a `data:` reference holds the artifact itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// An object in a NATS object store.
    Object {
        /// The bucket.
        bucket: String,
        /// The object: `<name>_<tag>`.
        object: String,
    },
    /// Whatever a web server delivers.
    Https(HttpsUrl),
    /// The layer of an artifact in a registry.
    Registry(Image),
    /// A file of the node's machine.
    File(PathBuf),
    /// The bytes themselves.
    Inline(Vec<u8>),
}

/// Text that is no reference that Nex takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(
        "\"{uri}\" has no scheme that Nex takes: use nats://BUCKET/name[:tag], https://, oci://, file:// or data:"
    )]
    UnknownScheme { uri: String },
    #[error("the https:// reference is not taken: {what}")]
    Https { what: &'static str },
    #[error(
        "\"{uri}\" is not a reference to an artifact in a registry: write \
         oci://REGISTRY/repository[:tag|@sha256:…]"
    )]
    Registry { uri: String },
    #[error("\"{uri}\" is not a reference to an object: write nats://BUCKET/name[:tag]")]
    Object { uri: String },
    #[error("\"{uri}\" is not a reference to a file: write file:// and an absolute path")]
    File { uri: String },
    #[error("the data: reference is malformed: {what}")]
    Data { what: &'static str },
}

impl Reference {
    /// Reads a `uri` of a start request.
    ///
    /// # Errors
    /// When it is malformed or of a scheme that is not taken.
    pub fn parse(uri: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = uri.split_once(':') else {
            return Err(Error::UnknownScheme { uri: shown(uri) });
        };
        match scheme.to_ascii_lowercase().as_str() {
            "nats" => parse_object(rest).ok_or_else(|| Error::Object { uri: shown(uri) }),
            "file" => parse_file(rest).ok_or_else(|| Error::File { uri: shown(uri) }),
            "data" => parse_data(rest).map(Self::Inline),
            "https" => HttpsUrl::parse(uri).map(Self::Https),
            "oci" => {
                let image = Image::parse(rest).map(Self::Registry);
                image.ok_or_else(|| Error::Registry { uri: shown(uri) })
            }
            _ => Err(Error::UnknownScheme { uri: shown(uri) }),
        }
    }
}

/// The bucket to which `nex run` uploads files of `namespace`.
#[must_use]
pub fn bucket_of(namespace: &Namespace) -> String {
    match namespace.as_str() {
        DEFAULT_NAMESPACE => BUCKET.to_owned(),
        other => format!("{BUCKET}_{other}"),
    }
}

/// Whether an artifact of `namespace` may come from `bucket`: not from a bucket that is known to be
/// another namespace's. Nexlets fetch with credentials that see them all, so this is the wall.
#[must_use]
pub fn may_read(namespace: &Namespace, bucket: &str) -> bool {
    namespace.is_system() || owner(bucket).is_none_or(|owner| owner == namespace.as_str())
}

/// Whose bucket it is, by Nex's own naming; `None` for buckets that people made.
fn owner(bucket: &str) -> Option<&str> {
    if bucket == BUCKET {
        return Some(DEFAULT_NAMESPACE);
    }
    if let Some(rest) = bucket.strip_prefix(BUCKET) {
        return rest.strip_prefix('_');
    }
    // Host services' stores: hs_<namespace>_<name>; a namespace has no underscore.
    let (namespace, _) = bucket.strip_prefix("hs_")?.split_once('_')?;
    Some(namespace)
}

fn parse_object(rest: &str) -> Option<Reference> {
    let (bucket, path) = rest.strip_prefix("//")?.split_once('/')?;
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if bucket.is_empty() || !bucket.chars().all(is_legal) {
        return None;
    }
    let (name, tag) = path.rsplit_once(':').unwrap_or((path, LATEST));
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    if name.is_empty() || tag.is_empty() || tag.contains('/') || !path.chars().all(is_plain) {
        return None;
    }
    Some(Reference::Object { bucket: bucket.to_owned(), object: format!("{name}_{tag}") })
}

fn parse_file(rest: &str) -> Option<Reference> {
    let path = rest.strip_prefix("//")?;
    let path = path.strip_prefix("localhost").filter(|p| p.starts_with('/')).unwrap_or(path);
    if !path.starts_with('/') {
        return None;
    }
    let path = String::from_utf8(percent_decode(path)).ok()?;
    (!path.contains('\0')).then(|| Reference::File(PathBuf::from(path)))
}

fn parse_data(rest: &str) -> Result<Vec<u8>, Error> {
    /// Padding or none, as writers of such references differ.
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let (head, body) = rest.split_once(',').ok_or(Error::Data { what: "it has no comma" })?;
    let is_base64 =
        head.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
    let body = if body.contains('%') { percent_decode(body) } else { body.as_bytes().to_vec() };
    if !is_base64 {
        return Ok(body);
    }
    BASE64.decode(body).map_err(|_| Error::Data { what: "it is not base64" })
}

/// Decodes `%XX`; anything else stays as it is.
fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, tail @ ..] => hex(*high).zip(hex(*low)).map(|digits| (digits, tail)),
            _ => None,
        };
        match escape {
            Some(((high, low), tail)) => {
                decoded.push(high << 4 | low);
                rest = tail;
            }
            None => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Enough to recognise it, without what an address may hide: credentials and a query.
fn shown(uri: &str) -> String {
    let (uri, is_cut) = uri.split_once('?').map_or((uri, false), |(head, _)| (head, true));
    let (scheme, rest) = uri.split_once("//").map_or(("", uri), |(scheme, rest)| (scheme, rest));
    let host_end = rest.find('/').unwrap_or(rest.len());
    let after_credentials = rest.get(..host_end).and_then(|host| host.rfind('@'));
    let mut shown: String = match after_credentials {
        Some(at) if !scheme.is_empty() => {
            let rest = rest.get(at..).unwrap_or_default();
            format!("{scheme}//…{rest}").chars().take(200).collect()
        }
        _ => uri.chars().take(200).collect(),
    };
    if is_cut {
        shown.push_str("?…");
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(bucket: &str, object: &str) -> Reference {
        Reference::Object { bucket: bucket.to_owned(), object: object.to_owned() }
    }

    #[test]
    fn an_object_has_a_tag_that_is_latest_when_absent() {
        for (uri, expected) in [
            ("nats://B/name", object("B", "name_latest")),
            ("nats://B/name:v1", object("B", "name_v1")),
            ("nats://B/echo.js:0f", object("B", "echo.js_0f")),
            ("nats://B-2_x/dir/name:v1", object("B-2_x", "dir/name_v1")),
        ] {
            assert_eq!(Reference::parse(uri), Ok(expected), "{uri}");
        }
        for bad in [
            "nats://B",
            "nats://B/",
            "nats:B/x",
            "nats:///x",
            "nats://B/:v",
            "nats://B/x:",
            "nats://B/a b",
            "nats://B.c/x",
            "nats://B/x:a/b",
        ] {
            assert_eq!(Reference::parse(bad), Err(Error::Object { uri: bad.to_owned() }), "{bad}");
        }
    }

    #[test]
    fn files_are_absolute() {
        let file = |path: &str| Ok(Reference::File(PathBuf::from(path)));
        assert_eq!(Reference::parse("file:///opt/a%20b"), file("/opt/a b"));
        assert_eq!(Reference::parse("file://localhost/x"), file("/x"));
        for bad in ["file://x/y", "file:x", "file://", "file:///a%00b", "file:///%ff"] {
            assert!(matches!(Reference::parse(bad), Err(Error::File { .. })), "{bad}");
        }
    }

    #[test]
    fn data_is_base64_or_percent_encoded() {
        let inline = |bytes: &[u8]| Ok(Reference::Inline(bytes.to_vec()));
        assert_eq!(Reference::parse("data:;base64,aGV5YQ=="), inline(b"heya"));
        assert_eq!(
            Reference::parse("data:text/javascript;charset=utf-8;base64,aGV5YQ"),
            inline(b"heya")
        );
        assert_eq!(Reference::parse("data:,a%20b"), inline(b"a b"));
        assert_eq!(Reference::parse("data:;base64,%61GV5YQ%3D%3D"), inline(b"heya"));
        assert!(matches!(Reference::parse("data:base64"), Err(Error::Data { .. })));
        assert!(matches!(Reference::parse("data:;base64,***"), Err(Error::Data { .. })));
    }

    #[test]
    fn web_servers_and_registries_are_named() {
        assert!(
            matches!(Reference::parse("HTTPS://x.test/y"), Ok(Reference::Https(url)) if url.host() == "x.test")
        );
        let image = Reference::parse("oci://x.test/y:v1");
        assert!(matches!(image, Ok(Reference::Registry(image)) if image.repository == "y"));
        assert!(matches!(Reference::parse("https://"), Err(Error::Https { .. })));
        assert!(matches!(Reference::parse("oci://x.test"), Err(Error::Registry { .. })));
    }

    #[test]
    fn other_schemes_are_refused_without_what_they_hide() {
        for bad in ["", "x", "ftp://x", "/bin/x", "http://x"] {
            assert!(matches!(Reference::parse(bad), Err(Error::UnknownScheme { .. })), "{bad}");
        }
        for hiding in ["http://u:secret@x/y?t=secret", "oci://u:secret@x/y", "http://x?secret"] {
            let error = Reference::parse(hiding).unwrap_err().to_string();
            assert!(error.contains("x") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn another_namespace_s_bucket_may_not_be_read() {
        let may = |namespace, bucket| may_read(&Namespace::parse(namespace).unwrap(), bucket);
        assert!(may("default", "NEXCLIFILES") && may("a", "NEXCLIFILES_a") && may("a", "bins"));
        assert!(!may("a", "NEXCLIFILES") && !may("a", "NEXCLIFILES_b"));
        assert!(!may("default", "NEXCLIFILES_b") && !may("a", "hs_b_files"));
        assert!(may("a", "hs_a_files") && may("system", "NEXCLIFILES_b"));
        for namespace in ["default", "a", "a-b"] {
            let namespace = Namespace::parse(namespace).unwrap();
            assert_eq!(owner(&bucket_of(&namespace)), Some(namespace.as_str()));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(uri in "(nats|file|data|https|oci)?:?(//)?\\PC{0,40}") {
            let _either = Reference::parse(&uri);
        }

        #[test]
        fn an_image_is_read_back_as_it_is_written(
            registry in "[a-z0-9]{1,8}(\\.[a-z]{1,5})?(:[1-9][0-9]{0,3})?",
            repository in "[a-z0-9]{1,5}([._-][a-z0-9]{1,3})?(/[a-z0-9]{1,5}){0,2}",
            tag in "[A-Za-z0-9_][A-Za-z0-9._-]{0,10}",
        ) {
            let Ok(Reference::Registry(image)) =
                Reference::parse(&format!("oci://{registry}/{repository}:{tag}"))
            else {
                return Err(TestCaseError::fail("not read"));
            };
            prop_assert_eq!(image.registry, registry);
            prop_assert_eq!(image.repository, repository);
            prop_assert_eq!(image.version.to_string(), tag);
        }
    }
}
