//! How programs end, asked or not.

use std::time::{Duration, Instant};

use nex_api::event::StopError;
use nex_api::log::Stream;
use nex_api::workload::WorkloadState;
use nex_nexlet::{Ended, Workload};
use serde_json::json;

use crate::support::{Fixture, processes};

fn ended(error: Option<(&str, &str)>, exit: &str) -> Ended {
    let error = error
        .map(|(code, message)| StopError { code: code.to_owned(), message: message.to_owned() });
    let facts = [("exit", exit), ("restarts", "0")];
    let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ended { error, facts: facts.into(), stays_listed: false }
}

/// Without what it wrote last, and whether it is still shown.
async fn end_of(workload: &dyn Workload) -> Ended {
    let mut ended = workload.ended().await;
    ended.facts.remove("last_output");
    Ended { stays_listed: false, ..ended }
}

#[tokio::test]
async fn a_program_that_ends_by_itself_tells_how() {
    let fixture = Fixture::new().await;
    for (argv, expected) in [
        (["exit", "0"].as_slice(), ended(None, "exit code 0")),
        (&["exit", "3"], ended(Some(("3", "")), "exit code 3")),
        (&["crash"], ended(Some(("", "SIGSEGV")), "SIGSEGV")),
    ] {
        let workload = fixture.start(fixture.program(argv, &json!({}))).await;
        assert_eq!(end_of(&*workload).await, expected);
        assert_eq!(end_of(&*workload).await, expected, "asked again, after the end");
        let has_failed = expected.error.is_some();
        let state = if has_failed { WorkloadState::Error } else { WorkloadState::Stopped };
        assert_eq!(workload.status().state, state);
        workload.stop().await;
        fixture.assert_nothing_is_left();
    }
    fixture.finish().await;
}

#[tokio::test]
async fn stop_asks_with_the_signal_of_the_request() {
    let fixture = Fixture::new().await;
    for (argv, stop, last_line, exit) in [
        ("polite", json!({}), Some("bye"), "exit code 0"),
        ("polite", json!({ "stop": { "signal": "SIGINT" } }), Some("bye"), "exit code 0"),
        ("plain", json!({}), None, "SIGTERM"),
        ("plain", json!({ "stop": { "signal": "SIGQUIT" } }), None, "SIGQUIT"),
    ] {
        let start = fixture.program(&[argv], &stop);
        let mut stdout = fixture.lines(&start, Stream::Stdout).await;
        let workload = fixture.start(start).await;
        assert_eq!(stdout.next_text().await, "up");
        workload.stop().await;
        workload.stop().await;
        assert_eq!(end_of(&*workload).await, ended(None, exit));
        if let Some(last_line) = last_line {
            assert_eq!(stdout.next_text().await, last_line);
        }
        fixture.assert_nothing_is_left();
    }
    fixture.finish().await;
}

#[tokio::test]
async fn a_program_that_ignores_it_is_killed_with_its_whole_tree() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["stubborn"], &json!({ "stop": { "grace": "300ms" } }));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let id = start.id.clone();
    let workload = fixture.start(start).await;
    for _ in 0..3 {
        stdout.next().await;
    }
    assert_eq!(processes(&id).len(), 3);
    let asked = Instant::now();
    workload.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "stop returns at once");
    assert_eq!(workload.status().state, WorkloadState::Stopping);
    assert_eq!(end_of(&*workload).await, ended(Some(("", "SYSKILL")), "SIGKILL"));
    assert!(asked.elapsed() >= Duration::from_millis(300), "not before its grace");
    assert_eq!(processes(&id), Vec::<i32>::new());
    fixture.assert_nothing_is_left();
    fixture.finish().await;
}

#[tokio::test]
async fn what_a_program_leaves_when_it_ends_by_itself_goes_too() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["orphan"], &json!({}));
    let id = start.id.clone();
    let workload = fixture.start(start).await;
    assert_eq!(end_of(&*workload).await, ended(None, "exit code 0"));
    assert_eq!(processes(&id), Vec::<i32>::new());
    fixture.finish().await;
}

#[tokio::test]
async fn files_that_a_program_wrote_go_with_it() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["litter"], &json!({}));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let file = fixture.run_folder(&start.id).join("file");
    let workload = fixture.start(start).await;
    assert_eq!(stdout.next_text().await, "up");
    assert!(file.exists());
    workload.stop().await;
    workload.ended().await;
    assert!(!file.exists());
    fixture.finish().await;
}
