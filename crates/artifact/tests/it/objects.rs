//! `nats://` references and uploads.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use nex_artifact::{
    FetchError, KEPT_PER_NAME, UploadError, prune, upload, upload_file, upload_file_with,
};
use nex_testkit::NatsServer;
use nex_types::Digest;

use crate::support::{Fixture, LIMIT, namespace};

#[tokio::test]
async fn what_is_uploaded_is_fetched_and_uploaded_once() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, a) = (server.client().await, namespace("a"));
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let first = upload(&client, &a, "my prog.js", &bytes).await.unwrap();
    assert_eq!(first.bucket.as_deref(), Some("NEXCLIFILES_a"));
    assert_eq!(first.uri, format!("nats://NEXCLIFILES_a/my-prog.js:{}", Digest::of(&bytes).hex()));
    assert!(!first.was_there);
    let path = fixture.folder.path().join("copy");
    fs::write(&path, &bytes).unwrap();
    let again = upload_file(&client, &a, "my prog.js", &path).await.unwrap();
    assert!(again.was_there);
    for uri in [first.uri.as_str(), "nats://NEXCLIFILES_a/my-prog.js"] {
        let artifact = fixture.store.fetch(&client, uri, None, &a, LIMIT).await.unwrap();
        assert_eq!(fs::read(&artifact.path).unwrap(), bytes);
        assert_eq!((artifact.digest, artifact.size), (first.digest, bytes.len() as u64));
        assert_eq!(fs::metadata(&artifact.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fixture.cached(), [format!("a/{}", first.digest.hex())]);
}

#[tokio::test]
async fn an_upload_tells_how_far_it_is() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, a) = (server.client().await, namespace("a"));
    let (path, total) = (fixture.folder.path().join("x"), 3_000_000);
    fs::write(&path, vec![7; total]).unwrap();
    let mut told = Vec::new();
    let progress = |done, total| told.push((done, total));
    let uploaded = upload_file_with(&client, &a, "x", &path, progress).await.unwrap();
    assert!(!uploaded.was_there && told.len() > 10);
    assert!(told.is_sorted() && told.iter().all(|(_, of)| *of == total as u64));
    assert_eq!(told.last(), Some(&(total as u64, total as u64)));
    let nothing = |_, _| panic!("nothing is sent");
    let again = upload_file_with(&client, &a, "x", &path, nothing).await.unwrap();
    assert!(again.was_there);
}

#[tokio::test]
async fn a_file_that_changes_on_its_way_is_not_left_under_a_wrong_name() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, a) = (server.client().await, namespace("a"));
    let path = fixture.folder.path().join("x");
    fs::write(&path, vec![7; 3_000_000]).unwrap();
    let mut is_first = true;
    let change = |_, _| {
        if std::mem::take(&mut is_first) {
            fs::write(&path, vec![8; 3_000_000]).unwrap();
        }
    };
    let error = upload_file_with(&client, &a, "x", &path, change).await.unwrap_err();
    assert!(matches!(error, UploadError::Changed { .. }), "{error:?}");
    let digest = Digest::of(&vec![7; 3_000_000]).hex();
    for uri in ["nats://NEXCLIFILES_a/x", &format!("nats://NEXCLIFILES_a/x:{digest}")] {
        let left = fixture.store.fetch(&client, uri, None, &a, LIMIT).await;
        assert!(matches!(left, Err(FetchError::Missing { .. })), "{left:?}");
    }
}

#[tokio::test]
async fn old_uploads_go_but_for_those_in_use() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, a) = (server.client().await, namespace("a"));
    let nothing = async || Some(HashSet::new());
    assert!(prune(&client, &a, "x", nothing).await.is_empty(), "there is no bucket, and no harm");
    let mut uploads = Vec::new();
    for n in 0..8u8 {
        uploads.push(upload(&client, &a, "x", &[n]).await.unwrap());
        upload(&client, &a, "x_y", &[n]).await.unwrap();
    }
    assert!(prune(&client, &a, "x", async || None).await.is_empty(), "nobody knows what is needed");
    let needed = async || Some(HashSet::from([uploads[1].digest]));
    assert_eq!(prune(&client, &a, "x", needed).await.len(), 2);
    for (n, uploaded) in uploads.iter().enumerate() {
        let fetched = fixture.store.fetch(&client, &uploaded.uri, None, &a, LIMIT).await;
        let stays = n == 1 || n >= uploads.len() - KEPT_PER_NAME;
        assert_eq!(fetched.is_ok(), stays, "{n}: {fetched:?}");
    }
    for uri in ["nats://NEXCLIFILES_a/x", "nats://NEXCLIFILES_a/x_y"] {
        assert!(fixture.store.fetch(&client, uri, None, &a, LIMIT).await.is_ok(), "{uri}");
    }
    assert!(prune(&client, &a, "x", needed).await.is_empty());
    let without = NatsServer::options().without_jetstream().start().await;
    assert!(prune(&without.client().await, &a, "x", nothing).await.is_empty());
}

#[tokio::test]
async fn with_a_digest_the_cache_is_asked_first() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, a) = (server.client().await, namespace("a"));
    let uploaded = upload(&client, &a, "x", b"bytes").await.unwrap();
    let digest = Some(uploaded.digest);
    let many = (0..16).map(|_| fixture.store.fetch(&client, &uploaded.uri, digest, &a, LIMIT));
    for artifact in futures::future::join_all(many).await {
        assert_eq!(artifact.unwrap().digest, uploaded.digest);
    }
    let deletion = "$JS.API.STREAM.DELETE.OBJ_NEXCLIFILES_a";
    client.request(deletion, "".into()).await.unwrap();
    let cached = fixture.store.fetch(&client, &uploaded.uri, digest, &a, LIMIT).await.unwrap();
    assert_eq!(fs::read(cached.path).unwrap(), b"bytes");
    let too_large = fixture.store.fetch(&client, &uploaded.uri, digest, &a, 4).await.unwrap_err();
    assert!(matches!(too_large, FetchError::TooLarge { .. }), "{too_large:?}");
    let b = namespace("b");
    let other = fixture.store.fetch(&client, "nats://NEXCLIFILES_b/x", digest, &b, LIMIT).await;
    assert!(matches!(other, Err(FetchError::Missing { .. })), "to know a digest is not to have it");
}

#[tokio::test]
async fn a_changed_cached_file_is_fetched_again() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, a) = (server.client().await, namespace("a"));
    let uploaded = upload(&client, &a, "x", b"bytes").await.unwrap();
    let digest = Some(uploaded.digest);
    let first = fixture.store.fetch(&client, &uploaded.uri, digest, &a, LIMIT).await.unwrap();
    fs::write(&first.path, b"BYTES").unwrap();
    let second = fixture.store.fetch(&client, &uploaded.uri, digest, &a, LIMIT).await.unwrap();
    assert_eq!(fs::read(second.path).unwrap(), b"bytes");
}

#[tokio::test]
async fn each_failure_is_told_apart_and_leaves_nothing() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, default) = (server.client().await, namespace("default"));
    let uploaded = upload(&client, &default, "x", b"bytes").await.unwrap();
    let fetch = async |uri: &str, digest, limit| {
        fixture.store.fetch(&client, uri, digest, &default, limit).await.unwrap_err()
    };
    let no_bucket = fetch("nats://NOWHERE/x", None, LIMIT).await;
    assert_eq!(no_bucket.to_string(), "bucket NOWHERE does not exist");
    assert!(matches!(no_bucket, FetchError::Missing { .. }));
    let no_object = fetch("nats://NEXCLIFILES/y:v1", None, LIMIT).await;
    assert_eq!(no_object.to_string(), "object y_v1 in bucket NEXCLIFILES does not exist");
    let wanted = Digest::of(b"other");
    let mismatch = fetch(&uploaded.uri, Some(wanted), LIMIT).await;
    let expected =
        format!("the artifact has digest {}, but {wanted} was asked for", uploaded.digest);
    assert_eq!(mismatch.to_string(), expected);
    let too_large = fetch(&uploaded.uri, None, 4).await;
    assert!(matches!(too_large, FetchError::TooLarge { limit: 4, .. }), "{too_large:?}");
    let scheme = fetch("http://example.test/x", None, LIMIT).await;
    assert!(matches!(scheme, FetchError::Unsupported { .. }), "{scheme:?}");
    assert_eq!(fixture.cached(), Vec::<String>::new());
}

#[tokio::test]
async fn another_namespace_s_bucket_is_refused_also_behind_a_link() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, a, b) = (server.client().await, namespace("a"), namespace("b"));
    let theirs = upload(&client, &b, "x", b"secret").await.unwrap();
    let direct = fixture.store.fetch(&client, &theirs.uri, None, &a, LIMIT).await.unwrap_err();
    assert_eq!(direct.to_string(), "bucket NEXCLIFILES_b belongs to another namespace than a");
    upload(&client, &a, "mine", b"mine").await.unwrap();
    // A link as whoever may write to a bucket can make it, without any library's consent.
    let name = format!("x_{}", theirs.digest.hex());
    let link = format!(
        r#"{{"name":"stolen_latest","bucket":"NEXCLIFILES_a","nuid":"n","size":0,"chunks":0,"options":{{"link":{{"bucket":"NEXCLIFILES_b","name":"{name}"}}}}}}"#
    );
    let encoded = base64::engine::general_purpose::URL_SAFE.encode("stolen_latest");
    client.request(format!("$O.NEXCLIFILES_a.M.{encoded}"), link.into()).await.unwrap();
    let linked = fixture.store.fetch(&client, "nats://NEXCLIFILES_a/stolen", None, &a, LIMIT).await;
    let linked = linked.unwrap_err();
    assert!(matches!(linked, FetchError::Unsupported { .. }), "{linked:?}");
    assert!(linked.to_string().contains("is a link into bucket NEXCLIFILES_b"), "{linked}");
    assert_eq!(fixture.cached(), Vec::<String>::new());
}

#[tokio::test]
async fn without_jetstream_small_files_travel_in_the_reference() {
    let (server, fixture) =
        (NatsServer::options().without_jetstream().start().await, Fixture::new());
    let (client, a) = (server.client().await, namespace("a"));
    let uploaded = upload(&client, &a, "x.js", b"heya").await.unwrap();
    assert_eq!((uploaded.uri.as_str(), uploaded.bucket), ("data:;base64,aGV5YQ==", None));
    let digest = Some(uploaded.digest);
    let artifact = fixture.store.fetch(&client, &uploaded.uri, digest, &a, LIMIT).await.unwrap();
    assert_eq!(fs::read(artifact.path).unwrap(), b"heya");
    let large = upload(&client, &a, "x", &vec![0; 1 << 20]).await.unwrap_err();
    assert!(matches!(large, UploadError::NoJetStream { .. }), "{large:?}");
    let object = fixture.store.fetch(&client, "nats://B/x", None, &a, LIMIT).await.unwrap_err();
    assert!(matches!(object, FetchError::Unavailable { .. }), "{object:?}");
}

#[tokio::test]
async fn a_fetch_that_is_dropped_leaves_nothing() {
    let (server, fixture) = (NatsServer::start().await, Fixture::new());
    let (client, a) = (server.client().await, namespace("a"));
    let uploaded = upload(&client, &a, "x", &vec![7; 4 << 20]).await.unwrap();
    let digest = Some(uploaded.digest);
    let fetching = fixture.store.fetch(&client, &uploaded.uri, digest, &a, LIMIT);
    let cut = tokio::time::timeout(std::time::Duration::from_millis(1), fetching).await;
    assert!(cut.is_err(), "4 MiB do not arrive in a millisecond");
    let left = fixture.cached();
    assert!(left.is_empty(), "{left:?}");
    assert!(fixture.store.fetch(&client, &uploaded.uri, digest, &a, LIMIT).await.is_ok());
}
