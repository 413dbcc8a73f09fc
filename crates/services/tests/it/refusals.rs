//! What is not started, and the words for it.

use nex_api::Code;
use nex_artifact::upload;
use nex_types::{Digest, Namespace};
use serde_json::json;

use crate::support::{Fixture, uri};

#[tokio::test]
async fn only_static_programs_are_run() {
    let fixture = Fixture::new().await;
    let failure = fixture.refusal(fixture.request(&json!({ "uri": uri("dynamic") }))).await;
    assert_eq!(failure.code, Code::ProgramRefused);
    for says in ["dynamically linked", "/ld-", "-static", "+crt-static", "CGO_ENABLED=0"] {
        assert!(failure.message.contains(says), "{}", failure.message);
    }
    let script = fixture.refusal(fixture.request(&json!({ "uri": "data:,%23!/bin/sh" }))).await;
    assert_eq!(script.code, Code::ProgramRefused);
    assert_eq!(script.message, "the program cannot be run: it is not an ELF executable");
    fixture.finish().await;
}

#[tokio::test]
async fn an_artifact_that_is_not_what_was_asked_for_is_refused() {
    let fixture = Fixture::new().await;
    let wanted = Digest::of(b"other");
    let start = fixture.request(&json!({ "uri": uri("static"), "digest": wanted.to_string() }));
    let failure = fixture.refusal(start).await;
    assert_eq!(failure.code, Code::DigestMismatch);
    assert!(failure.message.contains(&wanted.to_string()), "{}", failure.message);
    fixture.finish().await;
}

#[tokio::test]
async fn an_artifact_that_cannot_be_had_is_refused_with_its_reason() {
    let fixture = Fixture::new().await;
    let here = Namespace::parse("default").unwrap();
    upload(&fixture.client, &here, "other", b"x").await.unwrap();
    for (uri, code, says) in [
        (
            "nats://NEXCLIFILES/gone:v1",
            Code::ArtifactMissing,
            "object gone_v1 in bucket NEXCLIFILES",
        ),
        ("nats://NOWHERE/gone", Code::ArtifactMissing, "bucket NOWHERE does not exist"),
        ("nats://NEXCLIFILES_b/x", Code::ArtifactUnsupported, "belongs to another namespace"),
        ("file:///bin/true", Code::ArtifactUnsupported, "--allow-files"),
        ("https://localhost/x", Code::ArtifactUnsupported, "--allow-artifact-hosts localhost"),
        ("http://example.test/x", Code::ArtifactUnsupported, "no scheme that Nex takes"),
        ("oci://127.0.0.1/x", Code::ArtifactUnsupported, "--allow-artifact-hosts 127.0.0.1"),
    ] {
        let failure = fixture.refusal(fixture.request(&json!({ "uri": uri }))).await;
        assert_eq!(failure.code, code, "{uri}");
        assert!(failure.message.contains(says), "{}", failure.message);
    }
    fixture.finish().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_is_refused_before_anything_is_fetched() {
    let fixture = Fixture::new().await;
    for (run_request, says) in [
        (json!({ "uri": "nats://NOWHERE/x", "sandbox": "thick" }), "thick"),
        (json!({ "uri": "nats://NOWHERE/x", "environment": { "A=B": "x" } }), "A=B"),
        (
            json!({ "uri": "nats://NOWHERE/x", "environment": { "NEX_WORKLOAD_ID": "x" } }),
            "set by Nex",
        ),
    ] {
        let failure = fixture.refusal(fixture.request(&run_request)).await;
        assert_eq!(failure.code, Code::StartRequestInvalid);
        assert!(failure.message.contains(says), "{}", failure.message);
    }
    fixture.finish().await;
}

#[tokio::test]
async fn what_the_system_will_not_start_is_said() {
    let fixture = Fixture::new().await;
    let argument = "x".repeat(200_000);
    let failure = fixture.refusal(fixture.program(&[&argument], &json!({}))).await;
    assert_eq!(failure.code, Code::SpawnFailed);
    assert!(failure.message.contains("Argument list too long"), "{}", failure.message);
    fixture.finish().await;
}
