//! `oci://` references.

use std::fs;

use nex_artifact::{Artifact, FetchError, Options};
use nex_bus::Client;
use nex_testkit::NatsServer;
use nex_types::Digest;
use serde_json::{Value, json};

use crate::support::{Fixture, LIMIT, namespace};
use crate::web::{Answer, Asked, WebServer, root};

/// "u:pw"
const BASIC: &str = "Basic dTpwdw==";

struct World {
    fixture: Fixture,
    web: WebServer,
    client: Client,
    _nats: NatsServer,
}

impl World {
    async fn new(web: WebServer, docker_config: Option<&Value>) -> Self {
        let nats = NatsServer::options().without_jetstream().start().await;
        let client = nats.client().await;
        let fixture = Fixture::with(|options| {
            let path = options.cache_dir.with_file_name("docker.json");
            if let Some(config) = docker_config {
                let registry = format!("localhost:{}", web.port);
                fs::write(&path, config.to_string().replace("REGISTRY", &registry)).unwrap();
            }
            Options {
                allow_hosts: vec!["localhost".to_owned()],
                extra_roots: vec![root()],
                docker_config: Some(path),
                ..options
            }
        });
        Self { fixture, web, client, _nats: nats }
    }

    async fn fetch(&self, path: &str, digest: Option<Digest>) -> Result<Artifact, FetchError> {
        let uri = format!("oci://localhost:{}/{path}", self.web.port);
        self.fixture.store.fetch(&self.client, &uri, digest, &namespace("a"), LIMIT).await
    }

    async fn read(&self, path: &str) -> Vec<u8> {
        let artifact = self.fetch(path, None).await.unwrap();
        fs::read(artifact.path).unwrap()
    }

    async fn refusal(&self, path: &str, digest: Option<Digest>) -> FetchError {
        let error = self.fetch(path, digest).await.unwrap_err();
        assert_eq!(self.fixture.cached(), Vec::<String>::new(), "{error}");
        error
    }
}

fn layer(bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes).to_string();
    json!({ "mediaType": "application/x-nex", "digest": digest, "size": bytes.len() })
}

fn manifest(layers: &[Value]) -> String {
    json!({ "schemaVersion": 2, "config": layer(b"{}"), "layers": layers }).to_string()
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/{}", Digest::of(bytes))
}

/// The path below `/v2/`.
fn path(asked: &Asked) -> &str {
    asked.path.strip_prefix("/v2/").unwrap_or(&asked.path)
}

/// Artifacts as they should be, and each in one way not.
fn answer(asked: &Asked) -> Answer {
    let (one, index) = (manifest(&[layer(b"bytes")]), index().to_string());
    let by_digest = format!("manifests/{}", Digest::of(one.as_bytes()));
    let Some((repository, rest)) = path(asked).split_once('/') else { return Answer::of("{}") };
    match (repository, rest) {
        ("one", "manifests/latest" | "manifests/v1") => Answer::of(one),
        ("index", "manifests/latest") => Answer::of(index),
        ("one" | "index", rest) if rest == by_digest => Answer::of(one),
        ("lying", rest) if rest.starts_with("manifests/sha256") => Answer::of(one),
        ("moved" | "swapped" | "cut", "manifests/latest") => Answer::of(one),
        ("many", "manifests/latest") => Answer::of(manifest(&[layer(b"a"), layer(b"b")])),
        ("huge", "manifests/latest") => {
            let mut layer = layer(b"x");
            layer["size"] = json!(LIMIT + 1);
            Answer::of(manifest(&[layer]))
        }
        ("fat", "manifests/latest") => Answer::Endless(vec![b' '; 64 * 1024]),
        ("longer", "manifests/latest") => Answer::of(one),
        ("longer", _) => Answer::Endless(vec![0; 64 * 1024]),
        ("odd", "manifests/latest") => Answer::of("<html>"),
        ("moved", _) => Answer::redirect("https://10.0.0.1/blob?secret"),
        ("swapped", _) => Answer::of("BYTES"),
        ("cut", _) => Answer::Cut { length: 5, body: b"by".to_vec() },
        (_, rest) if rest == blob(b"bytes") => Answer::of("bytes"),
        _ => Answer::status(404),
    }
}

fn index() -> Value {
    let one = manifest(&[layer(b"bytes")]);
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let mut entry = layer(one.as_bytes());
    entry["platform"] = json!({ "os": "linux", "architecture": architecture });
    let mut other = layer(b"other");
    other["platform"] = json!({ "os": "linux", "architecture": "s390x" });
    json!({ "schemaVersion": 2, "manifests": [other, entry] })
}

#[tokio::test]
async fn the_layer_of_an_artifact_is_fetched_by_tag_digest_and_platform() {
    let world = World::new(WebServer::https(|asked, _| answer(asked)).await, None).await;
    let manifest = Digest::of(manifest(&[layer(b"bytes")]).as_bytes());
    for path in ["one", "one:v1", "index", &format!("one@{manifest}")] {
        assert_eq!(world.read(path).await, b"bytes", "{path}");
    }
    let n_asked = world.web.asked().len();
    let cached = world.fetch("gone", Some(Digest::of(b"bytes"))).await.unwrap();
    assert_eq!(cached.digest, Digest::of(b"bytes"));
    assert_eq!(world.web.asked().len(), n_asked, "with a digest the cache is asked first");
}

#[tokio::test]
async fn a_registry_of_this_machine_may_do_without_tls_when_it_is_allowed() {
    let world = World::new(WebServer::http(|asked, _| answer(asked)).await, None).await;
    assert_eq!(world.read("one").await, b"bytes");
    let strict = Fixture::new();
    let n_asked = world.web.asked().len();
    let (uri, a) = (format!("oci://localhost:{}/one", world.web.port), namespace("a"));
    let error = strict.store.fetch(&world.client, &uri, None, &a, LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("--allow-artifact-hosts localhost"), "{error}");
    assert_eq!(world.web.asked().len(), n_asked);
}

#[tokio::test]
async fn what_is_not_one_verified_layer_is_refused() {
    let world = World::new(WebServer::https(|asked, _| answer(asked)).await, None).await;
    let manifest = Digest::of(manifest(&[layer(b"bytes")]).as_bytes());
    let other = Digest::of(b"other");
    let lying = format!("lying@{other}");
    assert_ne!(manifest, other);
    for (path, says) in [
        ("many", "it has 2 layers, and Nex takes artifacts of one"),
        ("odd", "not a manifest that Nex understands"),
        ("fat", "larger than 4194304 bytes"),
        ("huge", "is larger than the"),
        ("longer", "is larger than the"),
        ("moved", "--allow-artifact-hosts 10.0.0.1"),
        ("swapped", "other bytes than its manifest names"),
        ("cut", "host localhost: "),
        ("gone", "gone latest (status 404) does not exist"),
        (&lying, "another manifest than sha256:"),
    ] {
        let error = world.refusal(path, None).await.to_string();
        assert!(error.contains(says) && !error.contains("secret"), "{path}: {error}");
    }
    let wanted = Some(Digest::of(b"wanted"));
    let mismatch = world.refusal("one", wanted).await;
    assert!(matches!(mismatch, FetchError::DigestMismatch { .. }), "{mismatch:?}");
}

#[tokio::test]
async fn a_token_is_got_where_the_registry_says_with_the_user_s_credentials() {
    let web = WebServer::https(|asked, port| {
        let authorization = asked.authorization.as_deref();
        if asked.path.starts_with("/token?") {
            let is_right = asked.path == "/token?service=r&scope=repository%3Aone%3Apull";
            return match authorization {
                Some(BASIC) if is_right => Answer::of(r#"{"token":"t"}"#),
                _ => Answer::status(401),
            };
        }
        match authorization {
            Some("Bearer t") => answer(asked),
            _ => Answer::challenge(format!(
                r#"Bearer realm="https://localhost:{port}/token",service="r",scope="repository:one:pull""#
            )),
        }
    })
    .await;
    let world =
        World::new(web, Some(&json!({ "auths": { "REGISTRY": { "auth": "dTpwdw==" } } }))).await;
    assert_eq!(world.read("one").await, b"bytes");
    let tokens = world.web.asked().iter().filter(|asked| asked.path.starts_with("/token")).count();
    assert_eq!(tokens, 1, "one for the whole pull");
    let config = world.fixture.folder.path().join("docker.json");
    fs::write(&config, "{}").unwrap();
    let error = world.fetch("one", None).await.unwrap_err().to_string();
    assert!(error.contains("answers 401 for one") && error.contains("docker login"), "{error}");
    let registry = format!("localhost:{}", world.web.port);
    let stored = json!({ "auths": { registry: {} }, "credsStore": "desktop" });
    fs::write(&config, stored.to_string()).unwrap();
    let error = world.fetch("one", None).await.unwrap_err().to_string();
    assert!(error.contains("credential helper desktop"), "{error}");
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let elsewhere = WebServer::https(|_, _| Answer::of("bytes")).await;
    let target = format!("https://localhost:{}/blob", elsewhere.port);
    let web = WebServer::https(move |asked, _| match asked.authorization.as_deref() {
        Some(BASIC) if path(asked).contains("blobs/") => Answer::redirect(target.clone()),
        Some(BASIC) => answer(asked),
        _ => Answer::challenge("Basic realm=\"r\""),
    })
    .await;
    let world =
        World::new(web, Some(&json!({ "auths": { "REGISTRY": { "auth": "dTpwdw==" } } }))).await;
    assert_eq!(world.read("one").await, b"bytes");
    assert_eq!(elsewhere.asked().len(), 1);
    assert_eq!(elsewhere.asked()[0].authorization, None);
}

#[tokio::test]
async fn equal_pulls_at_the_same_time_are_one() {
    let world = World::new(WebServer::https(|asked, _| answer(asked)).await, None).await;
    let many = (0..8).map(|_| world.fetch("one", None));
    let many: Vec<_> = futures::future::join_all(many).await;
    assert!(many.into_iter().all(|artifact| artifact.is_ok()));
    let blobs = world.web.asked().iter().filter(|asked| asked.path.contains("/blobs/")).count();
    assert_eq!(blobs, 1);
}
