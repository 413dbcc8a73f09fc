//! `https://` references.

use std::fs;
use std::time::Duration;

use nex_artifact::{Artifact, FetchError, Options, Store};
use nex_bus::Client;
use nex_testkit::NatsServer;
use nex_types::Digest;

use crate::support::{Fixture, LIMIT, namespace};
use crate::web::{Answer, Asked, WebServer, root};

/// A server, and a store that may ask it by the name `localhost` alone.
struct World {
    fixture: Fixture,
    web: WebServer,
    client: Client,
    _nats: NatsServer,
}

impl World {
    async fn new(answers: impl Fn(&Asked, u16) -> Answer + Send + Sync + 'static) -> Self {
        let nats = NatsServer::options().without_jetstream().start().await;
        let client = nats.client().await;
        let web = WebServer::https(answers).await;
        let fixture = Fixture::with(|options| Options {
            allow_hosts: vec!["localhost".to_owned()],
            extra_roots: vec![root()],
            ..options
        });
        Self { fixture, web, client, _nats: nats }
    }

    fn uri(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.web.port)
    }

    async fn fetch(&self, path: &str, digest: Option<Digest>) -> Result<Artifact, FetchError> {
        let (uri, a) = (self.uri(path), namespace("a"));
        self.fixture.store.fetch(&self.client, &uri, digest, &a, LIMIT).await
    }

    /// The error's words, when nothing is left of the fetch.
    async fn refusal(&self, path: &str, digest: Option<Digest>) -> FetchError {
        let error = self.fetch(path, digest).await.unwrap_err();
        assert_eq!(self.fixture.cached(), Vec::<String>::new(), "{error}");
        let words = error.to_string();
        assert!(!words.contains("secret"), "{words}");
        error
    }
}

#[tokio::test]
async fn what_a_web_server_has_is_fetched_also_behind_redirects() {
    let world = World::new(|asked, _| match asked.path.as_str() {
        "/a?token=secret" => Answer::redirect("/b"),
        "/b" => Answer::of("bytes"),
        _ => Answer::status(500),
    })
    .await;
    let digest = Digest::of(b"bytes");
    let artifact = world.fetch("a?token=secret#part", None).await.unwrap();
    assert_eq!(fs::read(&artifact.path).unwrap(), b"bytes");
    assert_eq!((artifact.digest, artifact.size), (digest, 5));
    let again = world.fetch("gone", Some(digest)).await.unwrap();
    assert_eq!(again.digest, digest);
    assert_eq!(world.web.asked().len(), 2, "with a digest the cache is asked first");
}

#[tokio::test]
async fn equal_fetches_at_the_same_time_are_one_with_and_without_a_digest() {
    let world = World::new(|_, _| Answer::of(vec![7; 1 << 20])).await;
    for (path, digest) in [("x", None), ("y", Some(Digest::of(&vec![7; 1 << 20])))] {
        let many = (0..16).map(|_| world.fetch(path, digest));
        let many: Vec<_> = futures::future::join_all(many).await;
        assert!(many.into_iter().all(|artifact| artifact.unwrap().size == 1 << 20));
    }
    assert_eq!(world.web.asked().len(), 1, "one for x; y is in the cache by its digest");
    world.fetch("x", None).await.unwrap();
    assert_eq!(world.web.asked().len(), 2, "a later one asks again");
}

#[tokio::test]
async fn this_machine_and_its_networks_are_refused_whatever_leads_there() {
    let world = World::new(|asked, port| match asked.path.as_str() {
        "/loopback" => Answer::redirect(format!("https://127.0.0.1:{port}/x?secret")),
        "/metadata" => Answer::redirect("https://169.254.169.254/latest?secret"),
        "/plain" => Answer::redirect(format!("http://localhost:{port}/x?secret")),
        "/login" => Answer::redirect(format!("https://u:secret@localhost:{port}/x")),
        "/loop" => Answer::redirect("/loop"),
        _ => Answer::of("secret"),
    })
    .await;
    for (path, says) in [
        ("loopback", "--allow-artifact-hosts 127.0.0.1"),
        ("metadata", "--allow-artifact-hosts 169.254.169.254"),
        ("plain", "only https"),
        ("login", "credentials"),
    ] {
        let error = world.refusal(path, None).await;
        assert!(matches!(error, FetchError::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(world.web.asked().len(), 4, "no redirect was followed");
    let error = world.refusal("loop", None).await;
    assert!(error.to_string().contains("redirects more than 5 times"), "{error}");
    let strict = Fixture::new();
    for host in ["localhost", "127.0.0.1", "[::1]", "10.0.0.1", "[::ffff:127.0.0.1]", "0x7f.1"] {
        let (uri, a) = (format!("https://{host}:{}/x", world.web.port), namespace("a"));
        let error = strict.store.fetch(&world.client, &uri, None, &a, LIMIT).await.unwrap_err();
        assert!(matches!(error, FetchError::Unsupported { .. }), "{host}: {error:?}");
    }
    assert_eq!(world.web.asked().len(), 10, "nobody of these was asked");
}

#[tokio::test]
async fn an_unknown_certificate_is_not_taken() {
    let world = World::new(|_, _| Answer::of("bytes")).await;
    let allow_hosts = vec!["localhost".to_owned()];
    let fixture = Fixture::with(|options| Options { allow_hosts, ..options });
    let (uri, a) = (world.uri("x"), namespace("a"));
    let error = fixture.store.fetch(&world.client, &uri, None, &a, LIMIT).await.unwrap_err();
    assert!(matches!(error, FetchError::Unavailable { .. }), "{error:?}");
    assert_eq!(world.web.asked().len(), 0);
}

#[tokio::test]
async fn each_way_to_send_too_much_or_too_little_is_noticed() {
    let world = World::new(|asked, _| match asked.path.as_str() {
        "/claims" => Answer::Cut { length: LIMIT + 1, body: b"x".to_vec() },
        "/endless" => Answer::Endless(vec![0; 64 * 1024]),
        "/cut?secret" => Answer::Cut { length: 100, body: b"half".to_vec() },
        "/other" => Answer::of("other"),
        _ => Answer::status(404),
    })
    .await;
    for path in ["claims", "endless"] {
        let error = world.refusal(path, None).await;
        assert!(matches!(error, FetchError::TooLarge { limit: LIMIT, .. }), "{path}: {error:?}");
    }
    let cut = world.refusal("cut?secret", None).await;
    assert!(matches!(cut, FetchError::Unavailable { .. }), "{cut:?}");
    assert!(cut.to_string().starts_with("host localhost: "), "{cut}");
    let wanted = Digest::of(b"wanted");
    let other = world.refusal("other", Some(wanted)).await;
    assert!(matches!(other, FetchError::DigestMismatch { .. }), "{other:?}");
}

#[tokio::test]
async fn a_status_is_told_with_the_host_and_nothing_that_may_be_secret() {
    let world = World::new(|asked, _| {
        let status = asked.path.trim_start_matches('/').split('?').next().unwrap_or_default();
        Answer::status(status.parse().unwrap_or(500))
    })
    .await;
    let missing = world.refusal("404?secret", None).await;
    assert!(matches!(missing, FetchError::Missing { .. }), "{missing:?}");
    assert_eq!(missing.to_string(), "the artifact at localhost (status 404) does not exist");
    for status in ["401", "403", "206", "500"] {
        let error = world.refusal(&format!("{status}?secret"), None).await;
        assert!(matches!(error, FetchError::Unavailable { .. }), "{error:?}");
        assert!(error.to_string().ends_with(&format!("status {status}")), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    let web = WebServer::https(|_, _| Answer::Stalled).await;
    let nats = NatsServer::options().without_jetstream().start().await;
    let client = nats.client().await;
    let fixture = Fixture::with(|options| Options {
        allow_hosts: vec!["localhost".to_owned()],
        extra_roots: vec![root()],
        fetch_bound: Duration::from_millis(700),
        ..options
    });
    let (uri, a) = (format!("https://localhost:{}/x?secret", web.port), namespace("a"));
    let error = fixture.store.fetch(&client, &uri, None, &a, LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("at localhost did not arrive within"), "{error}");
    assert_eq!(fixture.cached(), Vec::<String>::new());
}

#[test]
fn options_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options::new(folder.path().join("cache"));
    let allow_hosts = vec!["https://x".to_owned()];
    let error = Store::open_with(Options { allow_hosts, ..options() }).unwrap_err();
    assert!(error.to_string().contains("\"https://x\" is not a host"), "{error}");
    let extra_roots = vec!["no pem".to_owned()];
    assert!(Store::open_with(Options { extra_roots, ..options() }).is_err());
}
