//! `cargo xtask bench`: functions against a plain responder, the control plane, services, or the command line, in one
//! run on this machine.
//!
//! Owns: what is measured, and in which order (interleaved pairs, so that a slow minute hits both alike). Never:
//! compares with numbers of another run or machine; only the ratios mean something elsewhere.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::StreamExt;
use nex_testkit::{NatsServer, Nex, Process, example};
use serde::Serialize;

use crate::{builds, nats_server};
use measure::{Load, measure};
use report::{Deploy, Function, Memory, Pair, Report};

mod boxes;
mod cli;
mod control;
mod measure;
mod report;
mod responder;
mod services;
mod table;

pub(crate) use boxes::{BoxesArgs, run as run_boxes};
pub(crate) use responder::{ResponderArgs, run as run_responder};

/// Options of the bench.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is measured
    #[arg(value_enum, default_value = "functions")]
    what: What,
    /// 3 pairs instead of 15, and fewer functions: to see that it works
    #[arg(long)]
    quick: bool,
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Measure this `nex` instead of building one
    #[arg(long, value_name = "FILE")]
    nex: Option<PathBuf>,
    /// Only the ratios, of candidates with this in their name; of services `boxes`, `deploys`, `requests`,
    /// `memory` or `crowd`
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Functions deployed for the memory figure
    #[arg(long, default_value_t = 100)]
    functions: usize,
}

impl Args {
    fn is_wanted(&self, candidate: &Candidate) -> bool {
        self.only.as_ref().is_none_or(|part| candidate.name.contains(part.as_str()))
    }
}

/// What a bench is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Calls, deploys and memory of functions
    Functions,
    /// Deploys and lists of the control plane
    Control,
    /// Boxes, deploys, requests, memory and adoption of services
    Services,
    /// How long commands take, and what an idle node does
    Cli,
}

const PLAIN: &str = "bench.plain";

/// A function that is compared, and what it should reach (spec: functions, section 8).
#[derive(Debug)]
struct Candidate {
    name: &'static str,
    title: &'static str,
    file: &'static str,
    /// Where it is not the default of its kind.
    instances: Option<&'static str>,
    /// The most that its sequential p50 may be, as a multiple of the plain responder's.
    sequential: Option<f64>,
    /// The least that its throughput may be, likewise.
    throughput: Option<f64>,
}

const CANDIDATES: [Candidate; 6] = [
    Candidate {
        name: "reactor",
        title: "wasm reactor, reused",
        file: "reactor.wat",
        instances: None,
        sequential: Some(1.15),
        throughput: Some(0.9),
    },
    Candidate {
        name: "component-reused",
        title: "component, reused",
        file: "component-rust.wasm",
        instances: Some("reuse"),
        sequential: Some(1.15),
        throughput: Some(0.9),
    },
    Candidate {
        name: "component-fresh",
        title: "component, fresh",
        file: "component-rust.wasm",
        instances: None,
        sequential: None,
        throughput: Some(0.65),
    },
    Candidate {
        name: "command",
        title: "WASI p1 command, fresh",
        file: "wasm-echo.wasm",
        instances: None,
        sequential: None,
        throughput: Some(0.55),
    },
    Candidate {
        name: "javascript-reused",
        title: "JavaScript, reused",
        file: "echo.js",
        instances: None,
        sequential: Some(1.2),
        throughput: Some(0.85),
    },
    Candidate {
        name: "javascript-fresh",
        title: "JavaScript, fresh",
        file: "echo.js",
        instances: Some("fresh"),
        sequential: None,
        throughput: None,
    },
];

impl Candidate {
    fn subject(&self) -> String {
        format!("bench.{}", self.name)
    }

    fn file(&self) -> String {
        example(self.file)
    }
}

/// Builds, measures and prints.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<()> {
    let nats_server = nats_server::ensure(root)?;
    let nex = match &args.nex {
        Some(nex) => nex.clone(),
        None => builds::nex(root)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if args.what == What::Control {
        let report = runtime.block_on(async {
            let server = NatsServer::options().binary(nats_server).try_start().await?;
            let nex = Nex::against(&server).binary(nex).try_up().await?;
            let report = control::measure_control(&server, &nex, args.quick).await;
            nex.finish().await;
            report
        })?;
        return print(args, &report);
    }
    if args.what == What::Cli {
        let report = runtime.block_on(async {
            let server = NatsServer::options().binary(nats_server).try_start().await?;
            cli::measure_cli(&server, &nex, args.quick).await
        })?;
        return print(args, &report);
    }
    if args.what == What::Services {
        let echo_service = nex_testkit::echo_service().or_else(|_| builds::echo_service(root))?;
        let programs =
            services::Programs { echo_service: &echo_service, nats_server: &nats_server };
        let report = runtime.block_on(async {
            let server = NatsServer::options().binary(nats_server.clone()).try_start().await?;
            let mut nex = Nex::against(&server).binary(nex).down();
            let only = args.only.as_deref();
            let measured =
                services::measure_services(&server, &mut nex, programs, args.quick, only);
            let report = measured.await;
            nex.finish().await;
            report
        })?;
        return print(args, &report);
    }
    let report = runtime.block_on(async {
        let server = NatsServer::options().binary(nats_server).try_start().await?;
        let responder = start_responder(&server).await?;
        let nex = Nex::against(&server).binary(nex).try_up().await?;
        let report = measure_all(&server, &nex, args).await;
        drop(responder);
        nex.finish().await;
        report
    })?;
    print(args, &report)
}

fn print(args: &Args, report: &(impl Serialize + Display)) -> anyhow::Result<()> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn start_responder(server: &NatsServer) -> anyhow::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench-responder", "--url", &server.url(), "--subject", PLAIN]);
    let process = Process::spawn(command)?;
    server.until_subscribed(PLAIN).await;
    Ok(process)
}

async fn measure_all(server: &NatsServer, nex: &Nex, args: &Args) -> anyhow::Result<Report> {
    let client = server.client().await;
    let n_pairs = if args.quick { 3 } else { 15 };
    let n_functions = if args.quick { args.functions.min(10) } else { args.functions };
    let mut memory = vec![Memory::read("idle", nex)];

    let candidates: Vec<&Candidate> = CANDIDATES.iter().filter(|it| args.is_wanted(it)).collect();
    for candidate in &candidates {
        deploy_candidate(nex, candidate).await?;
        let first = client.request(candidate.subject(), measure::payload()).await?;
        let error = first.headers.as_ref().and_then(|headers| headers.get("Nats-Service-Error"));
        ensure!(error.is_none(), "{} answers with an error: {error:?}", candidate.name);
    }
    memory.push(Memory::read(&format!("{} functions", candidates.len()), nex));

    let pairs = measure_pairs(&client, &candidates, n_pairs).await?;
    let functions = candidates.iter().zip(pairs);
    let functions = functions.map(|(candidate, pairs)| Function::new(candidate, &pairs)).collect();

    let mut deploys = Vec::new();
    if args.only.is_some() {
        return Ok(Report { n_pairs, functions, deploys, memory, bytes_per_function: 0.0 });
    }
    for candidate in &candidates {
        progress(&format!("deploys of {}", candidate.title));
        let n_deploys = if args.quick { 3 } else { 9 };
        deploys.push(measure_deploys(&client, nex, candidate, n_deploys).await?);
    }

    let before = Memory::read("before many functions", nex);
    for n in 0..n_functions {
        progress(&format!("function {} of {n_functions}", n + 1));
        let name = format!("many-{n}");
        deploy(nex, &example("echo.js"), &name, &format!("bench.many.{n}")).await?;
    }
    let after = Memory::read(&format!("{n_functions} more functions"), nex);
    let per_function = after.growth_per(&before, n_functions);
    memory.extend([before, after]);
    Ok(Report { n_pairs, functions, deploys, memory, bytes_per_function: per_function })
}

/// For each candidate its pairs; within a pair the order alternates.
async fn measure_pairs(
    client: &async_nats::Client,
    candidates: &[&Candidate],
    n_pairs: usize,
) -> anyhow::Result<Vec<Vec<Pair>>> {
    let mut all: Vec<Vec<Pair>> = candidates.iter().map(|_| Vec::new()).collect();
    for pair_idx in 0..n_pairs {
        progress(&format!("pair {} of {n_pairs}", pair_idx + 1));
        for (candidate, pairs) in candidates.iter().zip(&mut all) {
            let subject = candidate.subject();
            let (plain, other) = if pair_idx % 2 == 0 {
                let plain = measure(client, PLAIN, Load::default()).await?;
                (plain, measure(client, &subject, Load::default()).await?)
            } else {
                let other = measure(client, &subject, Load::default()).await?;
                (measure(client, PLAIN, Load::default()).await?, other)
            };
            pairs.push(Pair { plain, other });
        }
    }
    Ok(all)
}

/// Deploys the same artifact under new names, and asks each until it answers.
async fn measure_deploys(
    client: &async_nats::Client,
    nex: &Nex,
    candidate: &Candidate,
    n_deploys: usize,
) -> anyhow::Result<Deploy> {
    // An onlooker: the clock starts when the deploy request passes by, without the time of the command.
    let mut requests = client.subscribe("$NEX.SVC.default.control.ADEPLOY.>").await?;
    let (mut from_request, mut from_command) = (Vec::new(), Vec::new());
    for n in 0..n_deploys {
        let name = format!("deploy-{}-{n}", candidate.name);
        let subject = format!("bench.{name}");
        let started = Instant::now();
        let file = candidate.file();
        let (deployed, requested, answered) = tokio::join!(
            deploy(nex, &file, &name, &subject),
            seen(&mut requests),
            first_answer(client, &subject),
        );
        deployed?;
        let answered = answered?;
        from_request.push(answered.duration_since(requested?));
        from_command.push(answered.duration_since(started));
        nex.run(&["stop", &name]).await;
    }
    Ok(Deploy::new(candidate, from_request, from_command))
}

async fn seen(requests: &mut async_nats::Subscriber) -> anyhow::Result<Instant> {
    let request = tokio::time::timeout(Duration::from_secs(20), requests.next()).await;
    request.context("no deploy request was seen")?.context("the connection ended")?;
    Ok(Instant::now())
}

async fn first_answer(client: &async_nats::Client, subject: &str) -> anyhow::Result<Instant> {
    let asked = nex_testkit::poll("the function answers", Duration::from_secs(20), async || {
        let answer = client.request(subject.to_owned(), measure::payload()).await;
        answer.map_err(|error| error.to_string())
    });
    asked.await?;
    Ok(Instant::now())
}

async fn deploy_candidate(nex: &Nex, candidate: &Candidate) -> anyhow::Result<()> {
    let Some(instances) = candidate.instances else {
        return deploy(nex, &candidate.file(), candidate.name, &candidate.subject()).await;
    };
    let nexfile = serde_json::json!({
        "name": candidate.name,
        "file": candidate.file(),
        "triggers": [candidate.subject()],
        "start_request": { "instances": instances },
    });
    let path = nex.work_dir().join(format!("{}.yaml", candidate.name));
    std::fs::write(&path, nexfile.to_string())?;
    let output = nex.run(&["run", &path.to_string_lossy()]).await;
    ensure!(output.code == 0, "{output}");
    Ok(())
}

async fn deploy(nex: &Nex, file: &str, name: &str, subject: &str) -> anyhow::Result<()> {
    let output = nex.run(&["run", file, "--name", name, "--on", subject]).await;
    ensure!(output.code == 0, "{output}");
    Ok(())
}

/// Tells on stderr what goes on, since it takes minutes.
fn progress(what: &str) {
    eprintln!("bench: {what}");
}
