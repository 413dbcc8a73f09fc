//! Many services at once: starting, listing and stopping them, and what becomes of them when their node or
//! nexlet is killed.
//!
//! Owns: those figures, and that nothing is left. Never: takes the view's word for a service that runs: the
//! node is asked, which asks its nexlets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt};
use nex_api::workload::{ListWorkloadsRequest, WorkloadState, WorkloadSummary};
use nex_api::{encode, subject};
use nex_testkit::{Nex, Signal, poll};

use super::super::control::deploy;
use super::super::table::{Row, millis};
use super::{Bench, progress};

/// In the command line of every shim.
pub(super) const SHIM: &str = "/.shim-";
const START_TARGET_S: f64 = 20.0;
const STOP_TARGET_S: f64 = 5.0;
const LIST_TARGET_MS: f64 = 100.0;
const ADOPT_TARGET_S: f64 = 2.0;
const N_LISTS: usize = 20;
/// Requests under way at once.
const BESIDE: usize = 32;
const BOUND: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);
/// Longer than a list takes, and short beside what is measured.
const ANSWER_BOUND: Duration = Duration::from_millis(50);

/// A service's id, and the process that it runs as.
type Running = BTreeMap<String, String>;

pub(super) async fn measure(bench: &Bench<'_>, nex: &mut Nex) -> anyhow::Result<Vec<Row>> {
    let n = bench.amounts.n_crowd;
    let mut times = Times::default();
    for round in 0..bench.amounts.n_rounds {
        progress(&format!("{n} services, round {} of {}", round + 1, bench.amounts.n_rounds));
        times.round(bench, nex).await?;
    }
    Ok(times.rows(n))
}

/// Starts so many, side by side.
pub(super) async fn start(
    bench: &Bench<'_>,
    n: usize,
    prefix: &str,
) -> anyhow::Result<Vec<String>> {
    let deploys = (0..n).map(|idx| async move {
        let request = bench.named(&format!("{prefix}-{idx}"), &["wait"])?;
        deploy(&bench.client, &request).await.map(|(_, id)| id)
    });
    futures::stream::iter(deploys).buffer_unordered(BESIDE).try_collect().await
}

/// Stops them, and waits until nothing of them is left.
pub(super) async fn stop(bench: &Bench<'_>, nex: &Nex, ids: &[String]) -> anyhow::Result<()> {
    let stops = ids.iter().map(|id| bench.client.stop("default", id));
    let stops: Vec<_> = futures::stream::iter(stops).buffer_unordered(BESIDE).try_collect().await?;
    ensure!(stops.iter().all(|it| it.stopped), "not all were stopped: {stops:?}");
    nothing_is_left(nex, ids).await
}

/// In seconds, lists in milliseconds.
#[derive(Default)]
struct Times {
    starts: Vec<f64>,
    views: Vec<f64>,
    lists: Vec<f64>,
    nexlet_killed: Vec<f64>,
    both_killed: Vec<f64>,
    stops: Vec<f64>,
}

impl Times {
    async fn round(&mut self, bench: &Bench<'_>, nex: &mut Nex) -> anyhow::Result<()> {
        let n = bench.amounts.n_crowd;
        let mounts = n_mounts()?;
        let begin = Instant::now();
        let ids = start(bench, n, "crowd").await?;
        self.starts.push(begin.elapsed().as_secs_f64());
        let (mut views, mut lists) = (Vec::new(), Vec::new());
        for _ in 0..N_LISTS {
            let begin = Instant::now();
            let n_listed = bench.client.workloads(&[]).await?.len();
            views.push(begin.elapsed());
            ensure!(n_listed >= n, "{n_listed} of {n} services are listed");
            let begin = Instant::now();
            running(bench.client.nats()).await?;
            lists.push(begin.elapsed());
        }
        self.views.extend(millis(views));
        self.lists.extend(millis(lists));
        let as_before = running(bench.client.nats()).await?;
        ensure!(as_before.len() == n, "{} of {n} services run", as_before.len());

        let begin = kill_nexlet(nex)?;
        self.nexlet_killed.push(until(bench, &as_before, begin).await?);
        nex.kill9().await;
        kill_nexlet(nex)?;
        let begin = Instant::now();
        let (adopted, ()) = tokio::join!(until(bench, &as_before, begin), nex.up_again());
        self.both_killed.push(adopted?);

        let begin = Instant::now();
        stop(bench, nex, &ids).await?;
        self.stops.push(begin.elapsed().as_secs_f64());
        ensure!(n_mounts()? == mounts, "mounts are left");
        Ok(())
    }

    fn rows(self, n: usize) -> Vec<Row> {
        vec![
            Row::new(&format!("{n} services: start all, s"), self.starts).below(START_TARGET_S),
            Row::new(&format!("{n} services: list, ms"), self.views).below(LIST_TARGET_MS),
            Row::new("the same, asking the node, ms", self.lists),
            Row::new(&format!("{n} services: stop all, s"), self.stops).below(STOP_TARGET_S),
            Row::new("nexlet killed: all adopted after, s", self.nexlet_killed)
                .below(ADOPT_TARGET_S),
            Row::new("node and nexlet killed: all adopted after, s", self.both_killed)
                .below(ADOPT_TARGET_S),
        ]
    }
}

fn kill_nexlet(nex: &Nex) -> anyhow::Result<Instant> {
    let processes = nex.processes();
    let nexlet = processes.iter().find(|entry| entry.command.contains("nexlet native"));
    let nexlet = nexlet.context("no native nexlet runs")?;
    let begin = Instant::now();
    nexlet.signal(Signal::SIGKILL);
    Ok(begin)
}

/// Seconds until all of them are listed as running, with the processes that they had. In a task of its own,
/// since a node that comes up is waited for beside it.
async fn until(bench: &Bench<'_>, expected: &Running, begin: Instant) -> anyhow::Result<f64> {
    let (nats, expected) = (bench.client.nats().clone(), expected.clone());
    let watching = tokio::spawn(async move {
        let mut seen = Running::new();
        while begin.elapsed() < BOUND {
            // A node that is not there yet does not answer, and one whose nexlet just died waits for it.
            let answer = tokio::time::timeout(ANSWER_BOUND, running(&nats)).await;
            seen = answer.ok().and_then(Result::ok).unwrap_or_default();
            if seen == expected {
                return Ok(begin.elapsed().as_secs_f64());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let as_they_were = seen.iter().filter(|(id, pid)| expected.get(*id) == Some(*pid)).count();
        anyhow::bail!("{as_they_were} of {} services go on as they were", expected.len())
    });
    watching.await?
}

/// What the one node answers, without the wait for others.
async fn running(nats: &async_nats::Client) -> anyhow::Result<Running> {
    let request = ListWorkloadsRequest { namespace: "default".to_owned(), ..Default::default() };
    let subject = subject::control("default", "WPING");
    let reply = nats.request(subject, encode(&request).into()).await?;
    let listed: Vec<WorkloadSummary> = serde_json::from_slice(&reply.payload)?;
    let running = listed.into_iter().filter(|it| it.workload_state == WorkloadState::Running);
    Ok(running.filter_map(|mut it| Some((it.id.clone(), it.metadata.remove("pid")?))).collect())
}

/// Waits until there is no process, no control group and no folder of any of them: a stop is answered when
/// the program was asked.
async fn nothing_is_left(nex: &Nex, ids: &[String]) -> anyhow::Result<()> {
    let gone = poll("nothing is left", BOUND, async || {
        let left = left(nex, ids);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    Ok(gone.await?)
}

fn left(nex: &Nex, ids: &[String]) -> Vec<String> {
    let shims = nex.processes().into_iter().filter(|entry| entry.command.contains(SHIM));
    let mut left: Vec<String> = shims.map(|entry| format!("process {}", entry.pid)).collect();
    let names: BTreeSet<String> =
        ids.iter().flat_map(|id| [id.clone(), format!("nex-{id}")]).collect();
    for place in [Path::new("/sys/fs/cgroup"), nex.state_dir()] {
        left.extend(folders_named(place, &names));
    }
    left
}

fn folders_named(place: &Path, names: &BTreeSet<String>) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if names.contains(&*entry.file_name().to_string_lossy()) {
            left.push(entry.path().display().to_string());
        }
        left.extend(folders_named(&entry.path(), names));
    }
    left
}

fn n_mounts() -> anyhow::Result<usize> {
    Ok(fs::read_to_string("/proc/self/mounts")?.lines().count())
}
