//! Figures of one program at a time: its box, its deploy, its requests.
//!
//! Owns: those three measurements. Never: has two programs of one figure running at once.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::StreamExt;
use nex_testkit::{NatsServer, Nex};
use nix::time::{ClockId, clock_gettime};

use super::super::control::deploy;
use super::super::measure::{Load, Sample, measure};
use super::super::table::{Row, millis};
use super::{Bench, progress};

const BOX_TARGET_MS: f64 = 4.0;
const DEPLOY_TARGET_MS: f64 = 15.0;
/// "The same within the noise", which on two cores is some per cent between equal programs.
const RATIO_TARGET: f64 = 1.1;
const SUBJECT: &str = "svc.echo";
const NAME: &str = "echo-service";
const BOUND: Duration = Duration::from_secs(20);

/// Starts of an empty program, in a process of one thread as a shim is.
pub(super) fn boxes(program: &Path, n_starts: usize) -> anyhow::Result<Vec<Row>> {
    progress("boxes");
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bench-boxes").arg(program).args(["--starts", &n_starts.to_string()]);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let of = |kind: &str| {
        let times = text.lines().filter_map(|line| line.strip_prefix(kind)?.trim().parse().ok());
        times.map(|nanos: f64| nanos / 1e6).collect::<Vec<f64>>()
    };
    Ok(vec![
        Row::new("start without a box, ms", of("plain ")),
        Row::new("box alone, default, ms", of("default ")).below(BOX_TARGET_MS),
        Row::new("box alone, strict, ms", of("strict ")),
    ])
}

/// From a deploy's request to the program's first instruction, whose time it tells itself.
pub(super) async fn deploys(bench: &Bench<'_>) -> anyhow::Result<Vec<Row>> {
    progress("deploys");
    let onlooker = bench.server.client().await;
    // The clock starts when the deploy request passes by; the auction before it is told apart.
    let mut requests = onlooker.subscribe("$NEX.SVC.default.control.ADEPLOY.>").await?;
    let mut firsts = onlooker.subscribe("bench.first.*").await?;
    onlooker.flush().await?;
    let (mut from_request, mut from_auction) = (Vec::new(), Vec::new());
    for idx in 0..bench.amounts.n_deploys {
        let subject = format!("bench.first.{idx}");
        let request = bench.named(&format!("first-{idx}"), &["first", &subject])?;
        let begin = monotonic()?;
        let seen = async {
            let seen = tokio::time::timeout(BOUND, requests.next()).await;
            seen.context("no deploy request was seen")?.context("the connection ended")?;
            monotonic()
        };
        let (deployed, requested) = tokio::join!(deploy(&bench.client, &request), seen);
        let ((_, id), requested) = (deployed?, requested?);
        let first = tokio::time::timeout(BOUND, firsts.next()).await;
        let first = first.context("the program says nothing")?.context("the connection ended")?;
        let first: u64 = std::str::from_utf8(&first.payload)?.parse()?;
        from_request.push(Duration::from_nanos(first.saturating_sub(requested)));
        from_auction.push(Duration::from_nanos(first.saturating_sub(begin)));
        bench.client.stop("default", &id).await?;
    }
    Ok(vec![
        Row::new("deploy request to first instruction, ms", millis(from_request))
            .below(DEPLOY_TARGET_MS),
        Row::new("the same with finding a node, ms", millis(from_auction)),
    ])
}

/// The clock that the program reads, in nanoseconds.
fn monotonic() -> anyhow::Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    Ok(u64::try_from(now.as_nanos())?)
}

/// The echo service by hand and under Nex, asked in turn; within a pair the order alternates. First without
/// output, which is the path of requests alone; then as it is, with a line for each request.
pub(super) async fn requests(bench: &Bench<'_>, nex: &Nex) -> anyhow::Result<Vec<Row>> {
    // Both answer on one subject, so each has a server; the servers are alike.
    let other = NatsServer::options().binary(bench.nats_server.to_owned()).try_start().await?;
    let mut rows = pairs(bench, nex, &other, Output::Quiet).await?;
    rows.extend(pairs(bench, nex, &other, Output::Lines).await?);
    Ok(rows)
}

/// What the echo service prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Quiet,
    Lines,
}

async fn pairs(
    bench: &Bench<'_>,
    nex: &Nex,
    other: &NatsServer,
    output: Output,
) -> anyhow::Result<Vec<Row>> {
    let by_hand = by_hand(bench, other, output).await?;
    under_nex(bench, nex, output).await?;
    let (plain, own) = (other.client().await, bench.server.client().await);
    let ask = |client| measure(client, SUBJECT, Load::BRIEF);
    let mut pairs: Vec<(Sample, Sample)> = Vec::new();
    for idx in 0..bench.amounts.n_pairs {
        progress(&format!("{output:?}, pair {} of {}", idx + 1, bench.amounts.n_pairs));
        pairs.push(if idx % 2 == 0 {
            let plain = ask(&plain).await?;
            (plain, ask(&own).await?)
        } else {
            let own = ask(&own).await?;
            (ask(&plain).await?, own)
        });
    }
    drop(by_hand);
    let stopped = nex.run(&["stop", NAME]).await;
    ensure!(stopped.code == 0, "{stopped}");
    Ok(rows(output, &pairs))
}

fn rows(output: Output, pairs: &[(Sample, Sample)]) -> Vec<Row> {
    let of = |figure: &dyn Fn(&(Sample, Sample)) -> f64| pairs.iter().map(figure).collect();
    let micros = |sample: &Sample| sample.p50.as_secs_f64() * 1e6;
    let ratio = Row::new("its ratio", of(&|(plain, own)| micros(own) / micros(plain)));
    let throughput = of(&|(plain, own)| own.per_second / plain.per_second);
    let many = Row::new("64 callers: ratio of requests a second", throughput);
    match output {
        Output::Quiet => vec![
            Row::new("echo service by hand, p50 of requests, µs", of(&|(plain, _)| micros(plain))),
            Row::new("echo service on Nex, p50 of requests, µs", of(&|(_, own)| micros(own))),
            ratio.below(RATIO_TARGET),
            many,
        ],
        Output::Lines => vec![
            Row::new("printing lines, by hand into nothing, µs", of(&|(plain, _)| micros(plain))),
            Row::new("printing lines, on Nex into its log, µs", of(&|(_, own)| micros(own))),
            ratio,
            many,
        ],
    }
}

/// Killed when dropped.
struct ByHand(Child);

impl Drop for ByHand {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

async fn by_hand(bench: &Bench<'_>, server: &NatsServer, output: Output) -> anyhow::Result<ByHand> {
    let mut command = Command::new(bench.echo_service);
    command.env("NATS_URL", server.url()).stdout(Stdio::null());
    if output == Output::Quiet {
        command.env("QUIET", "1");
    }
    let program = ByHand(command.spawn()?);
    server.until_subscribed(SUBJECT).await;
    Ok(program)
}

async fn under_nex(bench: &Bench<'_>, nex: &Nex, output: Output) -> anyhow::Result<()> {
    let file = bench.echo_service.display().to_string();
    let mut arguments = vec!["run", &file, "--name", NAME];
    if output == Output::Quiet {
        arguments.push("QUIET=1");
    }
    let deployed = nex.run(&arguments).await;
    ensure!(deployed.code == 0, "{deployed}");
    bench.server.until_subscribed(SUBJECT).await;
    Ok(())
}
