//! What a program finds, and what becomes of it with its nexlet.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nex_api::log::Stream;
use nex_api::workload::WorkloadState;
use nex_artifact::upload_file;
use nex_nexlet::Nexlet;
use nex_testkit::eventually;
use nex_types::Namespace;
use serde_json::json;

use crate::programs;
use crate::support::{BOUND, Fixture, processes, until_n_processes};

#[tokio::test]
async fn a_program_finds_exactly_its_environment_in_a_folder_of_its_own() {
    let fixture = Fixture::new().await;
    let more = json!({ "environment": { "ONLY": "this = ä", "PATH": "/mine" } });
    let start = fixture.program(&["environment"], &more);
    let (id, folder) = (start.id.clone(), fixture.run_folder(&start.id));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let workload = fixture.start(start).await;
    let folder = folder.display();
    let url = fixture.server.url();
    let expected = [
        format!("HOME={folder}"),
        format!("NATS_URL={url}"),
        "NEX_NAMESPACE=default".to_owned(),
        "NEX_NODE_ID=NODE".to_owned(),
        format!("NEX_WORKLOAD_ID={id}"),
        "NEX_WORKLOAD_NAME=prog".to_owned(),
        "NEX_WORKLOAD_NATS_B64_JWT=".to_owned(),
        "NEX_WORKLOAD_NATS_NKEY=".to_owned(),
        format!("NEX_WORKLOAD_NATS_SERVERS={url}"),
        "ONLY=this = ä".to_owned(),
        "PATH=/mine".to_owned(),
        format!("cwd {folder}"),
    ];
    let mut found = BTreeSet::new();
    for _ in &expected {
        found.insert(stdout.next_text().await);
    }
    assert_eq!(found, BTreeSet::from(expected));
    assert_eq!(workload.ended().await.error, None);
    fixture.finish().await;
}

#[tokio::test]
async fn an_uploaded_program_runs_from_a_private_copy_and_tells_its_facts() {
    let fixture = Fixture::new().await;
    let namespace = Namespace::parse("default").unwrap();
    let path = programs::folder().join("static");
    let uploaded = upload_file(&fixture.client, &namespace, "prog", &path).await.unwrap();
    let start = fixture.request(&json!({
        "uri": uploaded.uri,
        "digest": uploaded.digest.to_string(),
        "argv": ["plain"],
        "expose_ports": [8080, 9090],
        "sandbox": "none",
    }));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let id = start.id.clone();
    let workload = fixture.start(start).await;
    assert_eq!(stdout.next_text().await, "up");
    let program = fixture.run_folder(&id).join("prog");
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o700);
    let mut status = workload.status();
    let sandbox = status.facts.insert("sandbox".to_owned(), "none".to_owned()).unwrap();
    assert!(sandbox.starts_with("none"), "{sandbox}");
    // What is used is asked for now and then.
    status.facts.retain(|name, _| !["memory", "cpu_seconds", "pids"].contains(&name.as_str()));
    assert_eq!((status.state, status.phase), (WorkloadState::Running, "running"));
    let pid = processes(&id)[0].to_string();
    let digest = uploaded.digest.to_string();
    let expected = [
        ("digest", digest.as_str()),
        ("expose_ports", "8080,9090"),
        ("pid", &pid),
        ("restarts", "0"),
        ("sandbox", "none"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(status.facts, expected.into());
    drop(workload);
    until_n_processes(&id, 0).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_nothing() {
    let fixture = Fixture::new().await;
    for delay in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let start = fixture.program(&["plain"], &json!({}));
        let id = start.id.clone();
        let starting = fixture.nexlet.start(start);
        let given_up = tokio::time::timeout(Duration::from_millis(delay), starting).await;
        drop(given_up);
        eventually("nothing is left", BOUND, async || {
            let left = (processes(&id), fixture.run_folders());
            if left.0.is_empty() && left.1.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }
    fixture.finish().await;
}

#[tokio::test]
async fn programs_end_with_their_nexlet() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["stubborn"], &json!({ "stop": { "grace": "10m" } }));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let id = start.id.clone();
    let workload = fixture.start(start).await;
    for _ in 0..3 {
        stdout.next().await;
    }
    assert_eq!(processes(&id).len(), 3);
    fixture.nexlet.shutdown().await;
    assert_eq!(processes(&id), Vec::<i32>::new());
    assert_eq!(workload.ended().await.error.unwrap().message, "SYSKILL");
    fixture.finish().await;
}

#[tokio::test]
async fn a_nexlet_that_ends_does_not_wait_for_whom_nobody_has_claimed_yet() {
    let fixture = Fixture::new().await;
    fixture.nexlet.registered();
    // Well below what a task may take that goes on.
    let ending = tokio::time::timeout(Duration::from_secs(5), fixture.nexlet.shutdown());
    ending.await.expect("it waits for something");
    fixture.finish().await;
}

#[tokio::test]
async fn programs_end_with_a_nexlet_that_is_dropped() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["plain"], &json!({}));
    let id = start.id.clone();
    let workload = fixture.start(start).await;
    assert_eq!(processes(&id).len(), 1);
    drop(fixture.nexlet);
    assert_eq!(workload.ended().await.error.unwrap().message, "SYSKILL");
    assert_eq!(processes(&id), Vec::<i32>::new());
}

#[tokio::test]
async fn many_start_at_the_same_time() {
    let fixture = Fixture::new().await;
    let starts = (0..40).map(|_| fixture.start(fixture.program(&["plain"], &json!({}))));
    let workloads = futures::future::join_all(starts).await;
    assert_eq!(fixture.run_folders().len(), 40);
    for workload in &workloads {
        workload.stop().await;
    }
    for workload in &workloads {
        assert_eq!(workload.ended().await.error, None);
    }
    fixture.finish().await;
}
