//! What a program uses of the machine, as its nexlet counts it.

use nex_nexlet::{Nexlet, ProcessMetrics, Start, Workload};
use nex_testkit::eventually;
use serde_json::json;

use crate::support::{BOUND, Fixture};

/// None before anybody was asked.
fn used(workload: &dyn Workload) -> Option<ProcessMetrics> {
    workload.metrics().and_then(|metrics| metrics.process)
}

async fn until_counted(workload: &dyn Workload) -> ProcessMetrics {
    eventually("what it uses is counted", BOUND, async || {
        let Some(used) = used(workload) else { return Err(None) };
        let is_counted = used.memory_bytes > Some(0) && used.processes > Some(0);
        if is_counted { Ok(used) } else { Err(Some(used)) }
    })
    .await
}

#[tokio::test]
async fn a_program_that_runs_has_memory_and_processes_and_the_next_nexlet_counts_on() {
    let mut fixture = Fixture::new().await;
    for sandbox in ["none", "default"] {
        let start = fixture.program(&["plain"], &json!({ "sandbox": sandbox }));
        let workload = fixture.start(start.clone()).await;
        let first = until_counted(workload.as_ref()).await;
        assert_eq!(first.restarts, 0);
        fixture.replace_nexlet().await;
        drop(workload);
        let again = Start { existing: true, control: fixture.client.clone(), ..start };
        let workload = fixture.nexlet.start(again).await.unwrap().workload;
        let adopted = until_counted(workload.as_ref()).await;
        assert_eq!(adopted.memory_limit_bytes, first.memory_limit_bytes);
        assert!(adopted.cpu_seconds >= first.cpu_seconds, "{adopted:?} after {first:?}");
        workload.stop().await;
        workload.ended().await;
    }
    fixture.finish().await;
}

#[tokio::test]
async fn the_last_word_about_a_short_job_has_all_of_its_processor_time() {
    let fixture = Fixture::new().await;
    let workload = fixture.start(fixture.program(&["busy"], &json!({}))).await;
    workload.ended().await;
    let last = used(workload.as_ref()).expect("an ended program is counted");
    assert!(last.cpu_seconds >= 0.15, "{last:?}");
    assert_eq!((last.processes, last.memory_bytes), (Some(0), Some(0)));
    fixture.finish().await;
}
