//! Entry points for fuzzers: whatever the bytes are, they return.
//!
//! Owns: one function per parser of this crate. Never: part of the interface.

use crate::registry::{Challenge, manifest, read_token, token_url};
use crate::{Reference, check_static, detect};

/// What a file is, ELF headers included.
pub fn fuzz_detect(data: &[u8]) {
    let _either = detect(data, None);
    let _either = detect(data, Some("x.ts"));
    let _either = check_static(data);
}

/// References; what is accepted as an object names no other bucket, as an image no other path.
pub fn fuzz_reference(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Reference::parse(&text) {
        Ok(Reference::Object { bucket, .. }) => {
            assert!(
                !bucket.is_empty() && !bucket.contains(['.', '/', ' ', '*', '>']),
                "{bucket:?}"
            );
        }
        Ok(Reference::File(path)) => assert!(path.is_absolute(), "{}", path.display()),
        Ok(Reference::Https(url)) => assert!(!url.host().is_empty(), "{url:?}"),
        Ok(Reference::Registry(image)) => {
            let path = format!("{}/{}", image.repository, image.version);
            assert!(!image.repository.contains(".."), "{path}");
            assert!(!path.contains(['?', '#', '%', ' ', '\\']), "{path}");
        }
        _ => {}
    }
}

/// What a registry says: manifests, challenges, tokens.
pub fn fuzz_registry(data: &[u8]) {
    let _either = manifest::read(data);
    let _either = read_token(data);
    let text = String::from_utf8_lossy(data);
    if let Some(Challenge::Bearer { realm, service, scope }) = Challenge::parse(&text) {
        let _either = token_url(&realm, service.as_deref(), scope.as_deref().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADS: &[&[u8]] = &[b"\0asm", b"\x7fELF\x02\x01\x01", b"#!", b"(module", b"MZ"];

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz_detect(&data);
            fuzz_reference(&data);
            fuzz_registry(&data);
        }

        #[test]
        fn so_have_bytes_that_begin_well(
            head in proptest::sample::select(HEADS),
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            fuzz_detect(&[head, &rest].concat());
        }

        #[test]
        fn so_has_what_a_registry_says(
            text in "(Bearer realm=|\\{\"(layers|manifests|token)\":)[-a-z0-9:,=\"\\[\\]{} ]{0,60}",
        ) {
            fuzz_registry(text.as_bytes());
        }

        #[test]
        fn so_have_references(text in "(nats|file|data|https|oci|x)?:(//)?[-a-zA-Z0-9_./:%,;= ]{0,60}") {
            fuzz_reference(text.as_bytes());
        }
    }
}
