//! Manifests: which layer an artifact has, or which manifest of an index is for this machine.
//!
//! Owns: both choices, and the words for what has no such layer. Never: fetches.

use nex_types::Digest;
use serde::Deserialize;

/// Manifests that are understood.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// What a manifest leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Layer(Layer),
    /// The manifest for this machine.
    Index(Digest),
}

/// The bytes of the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// A manifest that leads to no single layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("what the registry sent is not a manifest that Nex understands")]
    NotAManifest,
    #[error(
        "it has {n_layers} layers, and Nex takes artifacts of one: push the file alone (oras push REFERENCE FILE)"
    )]
    Layers { n_layers: usize },
    #[error("it has no entry for linux/{architecture}")]
    NoPlatform { architecture: &'static str },
    #[error("its layer has a digest that is not SHA-256")]
    DigestKind,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

pub(crate) fn read(bytes: &[u8]) -> Result<Found, Refusal> {
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|_| Refusal::NotAManifest)?;
    match (manifest.layers, manifest.manifests) {
        (Some(layers), None) => match layers.as_slice() {
            [layer] => Ok(Found::Layer(Layer { digest: digest(layer)?, size: layer.size })),
            layers => Err(Refusal::Layers { n_layers: layers.len() }),
        },
        (None, Some(entries)) => for_this_machine(&entries).and_then(digest).map(Found::Index),
        _ => Err(Refusal::NotAManifest),
    }
}

fn for_this_machine(entries: &[Descriptor]) -> Result<&Descriptor, Refusal> {
    let architecture = architecture();
    let is_here =
        |platform: &Platform| platform.os == "linux" && platform.architecture == architecture;
    let here = entries.iter().find(|entry| entry.platform.as_ref().is_some_and(is_here));
    match (here, entries) {
        (Some(entry), _) => Ok(entry),
        // Of no platform: for all of them.
        (None, [only]) if only.platform.is_none() => Ok(only),
        _ => Err(Refusal::NoPlatform { architecture }),
    }
}

/// As registries call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest(descriptor: &Descriptor) -> Result<Digest, Refusal> {
    descriptor.digest.parse().map_err(|_| Refusal::DigestKind)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(manifest: &Value) -> Result<Found, Refusal> {
        super::read(manifest.to_string().as_bytes())
    }

    fn descriptor(text: &str) -> Value {
        let digest = Digest::of(text.as_bytes()).to_string();
        json!({ "mediaType": "x/y", "digest": digest, "size": text.len() })
    }

    #[test]
    fn an_artifact_has_one_layer_of_any_type() {
        let manifest = json!({ "schemaVersion": 2, "config": {}, "layers": [descriptor("abc")] });
        let layer = Layer { digest: Digest::of(b"abc"), size: 3 };
        assert_eq!(read(&manifest), Ok(Found::Layer(layer)));
        for n_layers in [0, 2, 5] {
            let layers = vec![descriptor("x"); n_layers];
            assert_eq!(read(&json!({ "layers": layers })), Err(Refusal::Layers { n_layers }));
        }
        let sha512 = json!({ "layers": [{ "digest": "sha512:00", "size": 1 }] });
        assert_eq!(read(&sha512), Err(Refusal::DigestKind));
        for bad in [json!({}), json!([]), json!({ "layers": [{}] }), json!({ "fsLayers": [] })] {
            assert_eq!(read(&bad), Err(Refusal::NotAManifest), "{bad}");
        }
        let negative = json!({ "layers": [{ "digest": "sha256:00", "size": -1 }] });
        assert_eq!(read(&negative), Err(Refusal::NotAManifest));
    }

    #[test]
    fn an_index_leads_to_the_entry_for_this_machine() {
        let on = |os: &str, architecture: &str, text: &str| {
            let mut entry = descriptor(text);
            entry["platform"] = json!({ "os": os, "architecture": architecture });
            entry
        };
        let entries = [on("linux", "s390x", "a"), on("linux", architecture(), "b")];
        let found = read(&json!({ "manifests": entries }));
        assert_eq!(found, Ok(Found::Index(Digest::of(b"b"))));
        let only = read(&json!({ "manifests": [descriptor("c")] }));
        assert_eq!(only, Ok(Found::Index(Digest::of(b"c"))));
        for entries in [json!([]), json!([on("windows", architecture(), "a")])] {
            let refused = read(&json!({ "manifests": entries }));
            assert!(matches!(refused, Err(Refusal::NoPlatform { .. })), "{refused:?}");
        }
    }
}
