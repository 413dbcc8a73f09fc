//! `cargo xtask bench services`: what it costs that a program runs under Nex, in one run on this machine.
//!
//! Owns: which figures there are, in which order, and the programs that are deployed. Never: measures
//! functions; nor keeps anything: what it deployed is stopped, and looked for afterwards.

mod crowd;
mod memory;
mod single;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use nex_api::workload::{Lifecycle, StartWorkloadRequest};
use nex_client::Client;
use nex_testkit::{NatsServer, Nex};
use nex_types::Namespace;
use serde_json::json;

use super::progress;
use super::table::{Row, Table};

const SOURCE: &str = include_str!("program.c");

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Amounts {
    n_boxes: usize,
    n_deploys: usize,
    n_pairs: usize,
    n_for_memory: usize,
    n_crowd: usize,
    n_rounds: usize,
}

impl Amounts {
    const WHOLE: Self = Self {
        n_boxes: 100,
        n_deploys: 100,
        n_pairs: 40,
        n_for_memory: 100,
        n_crowd: 200,
        n_rounds: 5,
    };
    const QUICK: Self =
        Self { n_boxes: 20, n_deploys: 10, n_pairs: 3, n_for_memory: 10, n_crowd: 20, n_rounds: 1 };
}

/// What is started besides the node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Programs<'a> {
    pub(super) echo_service: &'a Path,
    pub(super) nats_server: &'a Path,
}

/// What all measurements have at hand.
struct Bench<'a> {
    server: &'a NatsServer,
    client: Client,
    amounts: Amounts,
    /// What deploys the program.
    request: StartWorkloadRequest,
    echo_service: &'a Path,
    nats_server: &'a Path,
}

/// Measures on a node that is started here; `only` is a part of the name of a figure.
pub(super) async fn measure_services(
    server: &NatsServer,
    nex: &mut Nex,
    programs: Programs<'_>,
    is_quick: bool,
    only: Option<&str>,
) -> anyhow::Result<Table> {
    let program = build(nex)?;
    let amounts = if is_quick { Amounts::QUICK } else { Amounts::WHOLE };
    let is_wanted = |name: &str| only.is_none_or(|part| name.contains(part));
    let mut rows: Vec<Row> = Vec::new();
    if is_wanted("boxes") {
        // Before the node, which compiles while it comes up.
        rows.extend(single::boxes(&program, amounts.n_boxes)?);
    }
    nex.up_again().await;
    let client = Client::new(server.client().await, Namespace::parse("default")?);
    let request = uploaded(nex, &client, &program).await?;
    let Programs { echo_service, nats_server } = programs;
    let bench = Bench { server, client, amounts, request, echo_service, nats_server };
    if is_wanted("requests") {
        rows.extend(single::requests(&bench, nex).await?);
    }
    if is_wanted("deploys") {
        rows.extend(single::deploys(&bench).await?);
    }
    if is_wanted("memory") {
        rows.extend(memory::of_services(&bench, nex).await?);
    }
    if is_wanted("crowd") {
        rows.extend(crowd::measure(&bench, nex).await?);
    }
    Ok(Table::new("services", rows))
}

impl Bench<'_> {
    /// The program as a service of another name, with these arguments.
    fn named(&self, name: &str, argv: &[&str]) -> anyhow::Result<StartWorkloadRequest> {
        let mut run_request: serde_json::Value = serde_json::from_str(&self.request.run_request)?;
        run_request["argv"] = json!(argv);
        Ok(StartWorkloadRequest {
            name: name.to_owned(),
            run_request: run_request.to_string(),
            workload_lifecycle: Lifecycle::Service,
            ..self.request.clone()
        })
    }
}

/// The program, built by the machine's C compiler.
fn build(nex: &Nex) -> anyhow::Result<PathBuf> {
    let folder = nex.work_dir();
    std::fs::write(folder.join("program.c"), SOURCE)?;
    let mut build = Command::new("cc");
    build.args(["-static", "-O1", "-o", "program", "program.c"]).current_dir(&folder);
    let built = build.output().context("the bench needs a C compiler named cc")?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(folder.join("program"))
}

/// The request of a deployed service, whose artifact is therefore there.
async fn uploaded(
    nex: &Nex,
    client: &Client,
    program: &Path,
) -> anyhow::Result<StartWorkloadRequest> {
    let file = program.display().to_string();
    let deployed = nex.run(&["run", &file, "--name", "uploaded", "--", "wait"]).await;
    ensure!(deployed.code == 0, "{deployed}");
    let listed = client.workloads(&["uploaded".to_owned()]).await?;
    let first = listed.first().context("the first service is not listed")?;
    let definition = client.definition(&first.id).await?;
    client.stop("default", &first.id).await?;
    Ok(definition)
}
