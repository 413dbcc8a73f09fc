//! `cargo xtask bench cli`: how long a person waits for the command line, and what an idle node takes.
//!
//! Owns: those figures; commands are timed in turns, beside a program that does nothing, so that a slow minute hits
//! all alike. Never: what a deploy or a call costs, which the other benches measure.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use nex_testkit::{NatsServer, Nex, example};

use super::progress;
use super::table::{Row, Table};

const VERSION_TARGET_MS: f64 = 15.0;
const COMMAND_TARGET_MS: f64 = 100.0;
const SECOND_START_TARGET_MS: f64 = 1500.0;
const IDLE_TARGET_MB: f64 = 30.0;
const NAME: &str = "echo";

/// What is timed, by the name that its row has.
const COMMANDS: [(&str, &[&str], f64); 5] = [
    ("nex version, ms", &["version"], VERSION_TARGET_MS),
    ("nex --help, ms", &["--help"], VERSION_TARGET_MS),
    ("nex ls, ms", &["ls"], COMMAND_TARGET_MS),
    ("nex info NAME, ms", &["info", NAME], COMMAND_TARGET_MS),
    ("nex nodes, ms", &["nodes"], COMMAND_TARGET_MS),
];

/// How often.
#[derive(Debug, Clone, Copy)]
struct Amounts {
    n_rounds: usize,
    n_starts: usize,
}

impl Amounts {
    const WHOLE: Self = Self { n_rounds: 60, n_starts: 15 };
    const QUICK: Self = Self { n_rounds: 5, n_starts: 2 };
}

pub(super) async fn measure_cli(
    server: &NatsServer,
    binary: &Path,
    is_quick: bool,
) -> anyhow::Result<Table> {
    let amounts = if is_quick { Amounts::QUICK } else { Amounts::WHOLE };
    let mut rows = commands(server, binary, amounts.n_rounds).await?;
    rows.extend(starts(binary, amounts.n_starts).await?);
    Ok(Table::new("command line", rows))
}

/// Each command once in every round, beginning with another one each time.
async fn commands(server: &NatsServer, binary: &Path, n_rounds: usize) -> anyhow::Result<Vec<Row>> {
    let nex = Nex::against(server).binary(binary.to_owned()).try_up().await?;
    let file = example("echo.js");
    let deployed = nex.run(&["run", &file, "--name", NAME, "--on", "bench.cli"]).await;
    ensure!(deployed.code == 0, "{deployed}");
    let mut empty = Vec::new();
    let mut times = vec![Vec::new(); COMMANDS.len()];
    for round in 0..n_rounds {
        progress(&format!("commands, round {} of {n_rounds}", round + 1));
        empty.push(millis(Command::new("/bin/true"))?);
        for offset in 0..COMMANDS.len() {
            let idx = (round + offset) % COMMANDS.len();
            let (_, arguments, _) = COMMANDS[idx];
            times[idx].push(millis(nex.command(arguments))?);
        }
    }
    nex.finish().await;
    let rows = COMMANDS.iter().zip(times);
    let rows = rows.map(|((name, _, target), times)| Row::new(name, times).below(*target));
    Ok([Row::new("for comparison: /bin/true, ms", empty)].into_iter().chain(rows).collect())
}

/// From the start of a process to its end, which must be a success.
fn millis(mut command: Command) -> anyhow::Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    let took = start.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(took.as_secs_f64() * 1e3)
}

/// `nex up` with a server of its own: once with nothing there, then again and again with what that left.
async fn starts(binary: &Path, n_starts: usize) -> anyhow::Result<Vec<Row>> {
    progress("first start");
    let mut nex = Nex::managed().binary(binary.to_owned()).compiles().down();
    let first = start(&mut nex).await;
    nex.try_terminate().await?;
    let mut again = Vec::new();
    let mut memory: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for idx in 0..n_starts {
        progress(&format!("second start, {} of {n_starts}", idx + 1));
        again.push(start(&mut nex).await);
        for (process, resident) in resident(&nex) {
            memory.entry(process).or_default().push(resident);
        }
        nex.try_terminate().await?;
    }
    nex.finish().await;
    let mut rows = vec![
        Row::new("nex up until ready, first start, ms", vec![first]),
        Row::new("nex up until ready, second start, ms", again).below(SECOND_START_TARGET_MS),
    ];
    rows.extend(memory.into_iter().map(|(process, megabytes)| {
        let row = Row::new(&format!("idle {process}, MB resident"), megabytes);
        if process == "node" { row.below(IDLE_TARGET_MB) } else { row }
    }));
    Ok(rows)
}

async fn start(nex: &mut Nex) -> f64 {
    let start = Instant::now();
    nex.up_again().await;
    start.elapsed().as_secs_f64() * 1e3
}

/// Of the node and of each process that it started. Pages of the binary are shared, and counted in each.
fn resident(nex: &Nex) -> Vec<(String, f64)> {
    let node = nex.id();
    let named = nex.processes().into_iter().filter_map(|entry| {
        let name = if entry.pid == node { "node".to_owned() } else { name(entry.pid)? };
        Some((name, entry.resident as f64 / 1e6))
    });
    named.collect()
}

/// `nexlet wasm`, `nats-server`; `None` for what has just ended.
fn name(pid: i32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let mut words = line.split('\0');
    let program = words.next()?.rsplit('/').next()?.to_owned();
    match words.next() {
        Some("nexlet") => Some(format!("nexlet {}", words.next()?)),
        _ if program.is_empty() => None,
        _ => Some(program),
    }
}
