//! Child processes: lines, exits, descendants.

use std::process::Command;
use std::time::Duration;

use nex_testkit::{Family, Process, eventually, poll};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn lines_are_handed_out_in_order() {
    let mut process = Process::spawn(shell("echo one; echo two; echo three; exit 7")).unwrap();
    assert_eq!(process.line(SOON, |line| line.starts_with('t')).await.unwrap(), "two");
    assert_eq!(process.line(SOON, |_| true).await.unwrap(), "three");
    let failure = process.line(SOON, |_| true).await.unwrap_err();
    assert!(failure.to_string().contains("without the line awaited"), "{failure}");
    assert_eq!(process.exit(SOON).await.unwrap().code(), Some(7));
    assert_eq!(process.stdout(), b"one\ntwo\nthree\n");
}

#[tokio::test]
async fn a_deadline_tells_what_was_printed() {
    let mut process = Process::spawn(shell("echo here I am; exec sleep 60")).unwrap();
    process.line(SOON, |line| line == "here I am").await.unwrap();
    let failure = process.exit(Duration::from_millis(50)).await.unwrap_err();
    assert!(failure.to_string().contains("here I am"), "{failure}");
}

#[tokio::test]
async fn input_reaches_the_child() {
    let input = vec![b'x'; 1_000_000];
    let mut process = Process::spawn_with_input(Command::new("cat"), input.clone()).unwrap();
    assert!(process.exit(SOON).await.unwrap().success());
    assert!(process.stdout() == input);
}

#[tokio::test]
async fn an_orphan_stays_known_and_dies_with_its_family() {
    let mut process = Process::spawn(shell("setsid sleep 77 & echo started; wait")).unwrap();
    process.line(SOON, |line| line == "started").await.unwrap();
    let family = Family::of(process.id());
    eventually("the sleeper runs", SOON, async || {
        let alive = family.alive();
        if alive.iter().any(|entry| entry.command == "sleep 77") { Ok(()) } else { Err(alive) }
    })
    .await;

    process.signal(nix::sys::signal::Signal::SIGKILL);
    process.exit(SOON).await.unwrap();
    let orphans = family.alive();
    assert_eq!(orphans.len(), 1, "{orphans:?}");
    family.kill();
    eventually("nobody is left", SOON, async || {
        let alive = family.alive();
        if alive.is_empty() { Ok(()) } else { Err(alive) }
    })
    .await;
}

#[tokio::test]
async fn giving_up_tells_the_last_value() {
    let failure =
        poll("the moon is green", Duration::from_millis(30), async || Err::<(), _>("it is grey"))
            .await
            .unwrap_err();
    assert!(failure.to_string().contains("it is grey"), "{failure}");
}
