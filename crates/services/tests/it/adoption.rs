//! What becomes of programs when their nexlet goes, or is killed, and another one comes.
//!
//! 1. A program goes on, with its pid; the next nexlet has it, its output without a gap, and its end.
//! 2. What ended meanwhile is told by the next one, its last lines too.
//! 3. What was lost with its shim is started again, if it is a service; a job fails.
//! 4. What nobody claims is found again by the one after.

use nex_api::log::Stream;
use nex_api::workload::{Lifecycle, WorkloadState};
use nex_nexlet::{Nexlet, Start};
use nex_sandbox::{Signal, signal};
use serde_json::json;

use crate::support::{BOUND, Fixture, processes, until_n_processes};

/// As the node would send it again.
fn again(fixture: &Fixture, start: &Start) -> Start {
    let mut again = Start { existing: true, ..start.clone() };
    again.control = fixture.client.clone();
    again
}

#[tokio::test]
async fn a_program_goes_on_and_the_next_nexlet_has_it() {
    let mut fixture = Fixture::new().await;
    for sandbox in ["none", "default"] {
        let start = fixture.program(&["count"], &json!({ "sandbox": sandbox }));
        let mut stdout = fixture.lines(&start, Stream::Stdout).await;
        let workload = fixture.start(start.clone()).await;
        assert_eq!(stdout.next_text().await, "1");
        let pid = workload.status().facts["pid"].clone();
        fixture.replace_nexlet().await;
        drop(workload);
        assert!(!processes(&start.id).is_empty(), "it goes on");
        let workload = fixture.start(again(&fixture, &start)).await;
        assert_eq!(workload.status().state, WorkloadState::Running);
        assert_eq!(workload.status().facts["pid"], pid);
        for n in 2..200 {
            assert_eq!(
                stdout.next_text().await,
                n.to_string(),
                "no line is lost, none comes twice"
            );
        }
        workload.stop().await;
        assert_eq!(workload.ended().await.error, None);
        assert_eq!(processes(&start.id), Vec::<i32>::new());
    }
    fixture.finish().await;
}

#[tokio::test]
async fn what_ended_meanwhile_is_told_with_its_last_lines() {
    let mut fixture = Fixture::new().await;
    let start = fixture.program(&["told-to-end"], &json!({}));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let workload = fixture.start(start.clone()).await;
    assert_eq!(stdout.next_text().await, "up");
    let pid: i32 = workload.status().facts["pid"].parse().unwrap();
    fixture.nexlet.leave().await;
    drop(workload);
    signal(pid, Signal::SIGUSR1);
    until_n_processes(&start.id, 0).await;
    fixture.replace_nexlet().await;
    let workload = fixture.start(again(&fixture, &start)).await;
    let ended = workload.ended().await;
    assert_eq!(ended.facts["exit"], "exit code 7");
    assert_eq!(ended.error.unwrap().code, "7");
    assert_eq!(stdout.next_text().await, "ending");
    drop((workload, start));
    fixture.finish().await;
}

#[tokio::test]
async fn a_service_that_was_lost_with_its_shim_is_started_again_and_a_job_fails() {
    let mut fixture = Fixture::new().await;
    for (lifecycle, keys) in [
        (Lifecycle::Service, json!({ "restart": { "backoff": "100ms" } })),
        (Lifecycle::Job, json!({ "restart": null })),
    ] {
        let mut start = fixture.program(&["plain"], &keys);
        start.request.workload_lifecycle = lifecycle;
        if lifecycle == Lifecycle::Job {
            start.request.run_request = start.request.run_request.replace(r#""restart":null,"#, "");
        }
        let mut stdout = fixture.lines(&start, Stream::Stdout).await;
        let workload = fixture.start(start.clone()).await;
        assert_eq!(stdout.next_text().await, "up");
        fixture.nexlet.leave().await;
        drop(workload);
        let shim = shim_of(&fixture, &start);
        signal(shim, Signal::SIGKILL);
        until_n_processes(&start.id, 0).await;
        fixture.replace_nexlet().await;
        let workload = fixture.start(again(&fixture, &start)).await;
        if lifecycle == Lifecycle::Job {
            let error = workload.ended().await.error.unwrap();
            assert!(error.message.contains("shim was killed"), "{}", error.message);
        } else {
            assert_eq!(stdout.next_text().await, "up", "it was started again");
            workload.stop().await;
            workload.ended().await;
        }
    }
    fixture.finish().await;
}

#[tokio::test]
async fn what_nobody_claims_stays_until_it_is_claimed() {
    let mut fixture = Fixture::new().await;
    let start = fixture.program(&["plain"], &json!({}));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let left = fixture.start(start.clone()).await;
    assert_eq!(stdout.next_text().await, "up");
    for _ in 0..2 {
        fixture.replace_nexlet().await;
        assert!(!processes(&start.id).is_empty());
    }
    let workload = fixture.start(again(&fixture, &start)).await;
    workload.stop().await;
    workload.ended().await;
    drop((left, start));
    fixture.finish().await;
}

fn shim_of(fixture: &Fixture, start: &Start) -> i32 {
    let file = fixture.run_folder(&start.id).join("shim.json");
    let running: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    i32::try_from(running["shim"]["pid"].as_i64().unwrap()).unwrap()
}

#[tokio::test]
async fn a_service_that_ends_is_started_again_with_growing_pauses_until_it_is_too_often() {
    let fixture = Fixture::new().await;
    let restart = json!({ "restart": { "max": 2, "backoff": "100ms" } });
    let start = fixture.program(&["exit", "1"], &restart);
    let events = nex_api::subject::event("default", "WORKLOADRESTARTING");
    let mut events = fixture.client.subscribe(events).await.unwrap();
    let workload = fixture.start(start).await;
    for n in ["0", "1"] {
        let event = tokio::time::timeout(BOUND, futures::StreamExt::next(&mut events)).await;
        let event: serde_json::Value =
            serde_json::from_slice(&event.unwrap().unwrap().payload).unwrap();
        assert_eq!(event["metadata"]["exit"], "exit code 1");
        assert_eq!(event["metadata"]["restarts"], n);
        assert!(event["metadata"]["next_start"].is_string(), "{event}");
    }
    let ended = workload.ended().await;
    let error = ended.error.unwrap();
    assert!(error.message.contains("too often"), "{}", error.message);
    assert!(ended.stays_listed);
    assert_eq!(workload.status().state, WorkloadState::Error);
    assert_eq!(workload.status().facts["restarts"], "2");
    fixture.finish().await;
}

#[tokio::test]
async fn a_service_that_waits_for_its_next_start_can_be_stopped() {
    let fixture = Fixture::new().await;
    let restart = json!({ "restart": { "backoff": "1m" } });
    let workload = fixture.start(fixture.program(&["exit", "1"], &restart)).await;
    nex_testkit::eventually("it waits", BOUND, async || {
        let phase = workload.status().phase;
        if phase == "restarting" { Ok(()) } else { Err(phase) }
    })
    .await;
    workload.stop().await;
    assert_eq!(workload.ended().await.error, None);
    fixture.finish().await;
}
