//! `file://` and `data:` references.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use nex_artifact::FetchError;
use nex_testkit::NatsServer;
use nex_types::Digest;

use crate::support::{Fixture, LIMIT, namespace};

async fn fetch(fixture: &Fixture, uri: &str) -> Result<Vec<u8>, FetchError> {
    let server = NatsServer::options().without_jetstream().start().await;
    let client = server.client().await;
    let artifact = fixture.store.fetch(&client, uri, None, &namespace("a"), LIMIT).await?;
    Ok(fs::read(&artifact.path).unwrap())
}

#[tokio::test]
async fn a_file_below_an_allowed_folder_is_fetched() {
    let fixture = Fixture::new();
    let path = fixture.allowed.join("a program");
    fs::write(&path, b"bytes").unwrap();
    let uri = format!("file://{}", path.display().to_string().replace(' ', "%20"));
    assert_eq!(fetch(&fixture, &uri).await.unwrap(), b"bytes");
    symlink(&path, fixture.allowed.join("link")).unwrap();
    let link = format!("file://{}/link", fixture.allowed.display());
    assert_eq!(fetch(&fixture, &link).await.unwrap(), b"bytes");
}

#[tokio::test]
async fn files_elsewhere_are_refused_whatever_leads_there() {
    let fixture = Fixture::new();
    let secret = fixture.folder.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    symlink(&secret, fixture.allowed.join("link")).unwrap();
    symlink(fixture.folder.path(), fixture.allowed.join("up")).unwrap();
    let allowed = fixture.allowed.display();
    for uri in [
        format!("file://{}", secret.display()),
        format!("file://{allowed}/../secret"),
        format!("file://{allowed}/%2e%2e/secret"),
        format!("file://{allowed}/link"),
        format!("file://{allowed}/up/secret"),
        "file:///nowhere/at/all".to_owned(),
    ] {
        let error = fetch(&fixture, &uri).await.unwrap_err();
        assert!(matches!(error, FetchError::Unsupported { .. }), "{uri}: {error:?}");
        assert!(error.to_string().contains("--allow-files"), "{error}");
    }
    assert_eq!(fixture.cached(), Vec::<String>::new());
}

#[tokio::test]
async fn only_regular_files_that_are_there_are_fetched() {
    let fixture = Fixture::new();
    let _socket = UnixListener::bind(fixture.allowed.join("socket")).unwrap();
    fs::create_dir(fixture.allowed.join("folder")).unwrap();
    let uri = |name: &str| format!("file://{}/{name}", fixture.allowed.display());
    for name in ["socket", "folder"] {
        let error = fetch(&fixture, &uri(name)).await.unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
    let error = fetch(&fixture, &uri("missing")).await.unwrap_err();
    assert!(matches!(error, FetchError::Missing { .. }), "{error:?}");
}

#[tokio::test]
async fn data_is_verified_and_bounded() {
    let fixture = Fixture::new();
    assert_eq!(fetch(&fixture, "data:;base64,aGV5YQ==").await.unwrap(), b"heya");
    let server = NatsServer::options().without_jetstream().start().await;
    let client = server.client().await;
    let wanted = Some(Digest::of(b"other"));
    let (a, uri) = (namespace("a"), "data:,heya");
    let error = fixture.store.fetch(&client, uri, wanted, &a, LIMIT).await.unwrap_err();
    assert!(matches!(error, FetchError::DigestMismatch { .. }), "{error:?}");
    let error = fixture.store.fetch(&client, uri, None, &a, 3).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { limit: 3, .. }), "{error:?}");
    assert_eq!(fixture.cached().len(), 1, "only the first one is there");
}
