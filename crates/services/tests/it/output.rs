//! Output of programs, as it arrives on the log feed.

use nex_api::log::Stream;
use serde_json::json;

use crate::support::Fixture;

#[tokio::test]
async fn a_flood_arrives_in_order_up_to_the_rate_and_holds_nobody_up() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["flood"], &json!({}));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let workload = fixture.start(start).await;
    for n in 0..1000 {
        assert_eq!(stdout.next_text().await, format!("line {n}"));
    }
    assert_eq!(workload.ended().await.error, None);
    fixture.finish().await;
}

#[tokio::test]
async fn a_line_without_end_comes_in_pieces() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["endless"], &json!({}));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let workload = fixture.start(start).await;
    for _ in 0..100 {
        assert_eq!(stdout.next().await, vec![b'x'; 16 * 1024]);
    }
    assert_eq!(workload.ended().await.error, None);
    fixture.finish().await;
}

#[tokio::test]
async fn binary_bytes_survive() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["binary"], &json!({}));
    let mut stderr = fixture.lines(&start, Stream::Stderr).await;
    let workload = fixture.start(start).await;
    let all: Vec<u8> = (0..=255).collect();
    let mut halves = all.split(|byte| *byte == b'\n');
    assert_eq!(stderr.next().await, halves.next().unwrap());
    assert_eq!(stderr.next().await, halves.next().unwrap());
    assert_eq!(workload.ended().await.error, None);
    fixture.finish().await;
}

#[tokio::test]
async fn a_line_that_has_not_ended_is_shown_while_the_program_waits() {
    let fixture = Fixture::new().await;
    let start = fixture.program(&["partial"], &json!({}));
    let mut stdout = fixture.lines(&start, Stream::Stdout).await;
    let workload = fixture.start(start).await;
    assert_eq!(stdout.next_text().await, "half");
    assert_eq!(workload.status().phase, "running");
    workload.stop().await;
    workload.ended().await;
    fixture.finish().await;
}
