//! J8: `nex run` of a name that runs, while 64 callers send without a pause.
//!
//! 1. Not one call fails.
//! 2. When the command has returned, only the new version answers.
//! 3. One workload of the name is left; the same file again is "already running".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_nats::Client;
use nex_testkit::eventually;
use tokio::task::JoinHandle;

use crate::world::{SOON, World, try_ask};

const CALLERS: usize = 64;

/// Callers that never pause; each ends at its first failed call.
pub(crate) struct Callers {
    n_answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<(), String>>>,
}

impl Callers {
    pub(crate) fn start(client: &Client, subject: &'static str) -> Self {
        let (n_answered, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let tasks = (0..CALLERS).map(|_| {
            let client = client.clone();
            let (n_answered, stop) = (Arc::clone(&n_answered), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let reply = try_ask(&client, subject, b"x".to_vec()).await;
                    let reply = reply.map_err(|error| error.to_string())?;
                    if reply.headers.is_some() || !reply.payload.starts_with(b"version ") {
                        return Err(format!("{reply:?}"));
                    }
                    n_answered.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            })
        });
        let tasks = tasks.collect();
        Self { n_answered, stop, tasks }
    }

    /// Waits until each has been answered about ten times more.
    pub(crate) async fn go_on(&self) {
        let before = self.n_answered.load(Ordering::SeqCst);
        eventually("the callers are answered", SOON, async || {
            let n_new = self.n_answered.load(Ordering::SeqCst) - before;
            let n_left = self.tasks.iter().filter(|task| !task.is_finished()).count();
            if n_new >= 10 * CALLERS || n_left == 0 { Ok(()) } else { Err(n_new) }
        })
        .await;
    }

    /// The calls that failed.
    pub(crate) async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.unwrap().err());
        }
        failures
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j08_replacing_loses_not_one_call() {
    let world = World::up().await;
    world.deploy("echo.js", &version(1), "js.echo").await;
    let callers = Callers::start(&world.client, "js.echo");
    callers.go_on().await;
    for number in 2..=4 {
        let replaced = world.deploy("echo.js", &version(number), "js.echo").await.text();
        assert!(replaced.contains("✓ replaced 1 that ran before"), "{replaced}");
        let only = format!("version {number}");
        for _ in 0..CALLERS {
            assert_eq!(world.ask("js.echo", "x").await.payload, only);
        }
        callers.go_on().await;
    }
    assert_eq!(callers.end().await, Vec::<String>::new());

    let ids = world.ids().await;
    assert_eq!(ids.len(), 1);
    let again = world.deploy("echo.js", &version(4), "js.echo").await.text();
    assert_eq!(again, format!("✓ echo is already running ({})\n", ids[0]));
    assert_eq!(world.ids().await, ids);
    world.finish().await;
}

#[tokio::test]
async fn j08_another_subject_or_a_second_copy_is_what_one_asks_for() {
    let world = World::up().await;
    world.deploy("echo.js", &version(1), "first").await;
    world.deploy("echo.js", &version(1), "second").await;
    assert_eq!(world.ask("second", "x").await.payload, "version 1");
    crate::world::assert_no_responders(&world.client, "first").await;

    world.nex.ok(&["run", "echo.js", "--on", "second", "--no-replace"]).await;
    assert_eq!(world.ids().await.len(), 2);
    let replaced = world.deploy("echo.js", &version(2), "second").await.text();
    assert!(replaced.contains("✓ replaced 2 that ran before"), "{replaced}");
    assert_eq!(world.ids().await.len(), 2);
    world.nex.ok(&["stop", "echo"]).await;
    assert_eq!(world.ids().await, Vec::<String>::new(), "a name stands for all copies");
    world.finish().await;
}

pub(crate) fn version(number: u32) -> String {
    format!("(subject, payload) => 'version {number}'\n")
}
