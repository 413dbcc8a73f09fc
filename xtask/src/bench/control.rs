//! `cargo xtask bench control`: how long deploys and lists take, in one run on this machine.
//!
//! Owns: deploys one by one and side by side, and lists of many workloads. Never: counts the upload, which
//! happens once, or the start of the command line, which is told apart.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::StreamExt;
use nex_api::workload::{AgentStartWorkloadRequest, Lifecycle, StartWorkloadRequest, fact};
use nex_api::{NatsConnectionData, encode, subject};
use nex_client::{Client, Placement};
use nex_testkit::{NatsServer, Nex, example};
use nex_types::{Namespace, Tags};
use serde::Serialize;
use serde_json::json;

use super::{measure, progress};

/// What a deploy may take over what its artifact needs.
const DEPLOY_TARGET: Duration = Duration::from_millis(10);
/// What a list of a thousand workloads may take.
const LIST_TARGET: Duration = Duration::from_millis(50);
const PARALLEL: usize = 200;
/// Deploys under way at once while the list is filled.
const FILLING: usize = 32;

/// What was measured, in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Control {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    what: String,
    n: usize,
    p50_ms: f64,
    p90_ms: f64,
    target_ms: Option<f64>,
}

/// Measures on a node that runs.
pub(super) async fn measure_control(
    server: &NatsServer,
    nex: &Nex,
    is_quick: bool,
) -> anyhow::Result<Control> {
    let client = Client::new(server.client().await, Namespace::parse("default")?);
    let request = uploaded(nex, &client).await?;
    let n_deploys = if is_quick { 20 } else { 100 };
    let n_listed = if is_quick { 200 } else { 1000 };

    progress("starts at the nexlet itself");
    let needed = starts(&client, &request, n_deploys).await?;
    progress("deploys one by one");
    let deploys = one_by_one(&client, &request, n_deploys).await?;
    progress("deploys side by side");
    let (parallel, total) = side_by_side(&client, &request).await?;
    progress("filling the list");
    fill(&client, &request, n_listed).await?;
    let (mut lists, mut commands) = (Vec::new(), Vec::new());
    for _ in 0..n_deploys {
        let start = Instant::now();
        let n_seen = client.workloads(&[]).await?.len();
        lists.push(start.elapsed());
        ensure!(n_seen >= n_listed, "{n_seen} of {n_listed} workloads are listed");
    }
    for _ in 0..9 {
        commands.push(nex.ok(&["ls"]).await.took);
    }
    let target = needed_p50(&needed) + DEPLOY_TARGET;
    Ok(Control {
        rows: vec![
            Row::new("what the artifact needs: STARTWORKLOAD", needed, None),
            Row::new("deploy: who is there, auction, start", deploys, Some(target)),
            Row::new("the same, 200 side by side: each", parallel, None),
            Row::new("the same, 200 side by side: all", vec![total], None),
            Row::new(&format!("list of {n_listed}: client"), lists, Some(LIST_TARGET)),
            Row::new(&format!("list of {n_listed}: nex ls"), commands, None),
        ],
    })
}

/// The request of a deployed function, whose artifact is therefore there.
async fn uploaded(nex: &Nex, client: &Client) -> anyhow::Result<StartWorkloadRequest> {
    let file = example("echo.js");
    let deployed = nex.run(&["run", &file, "--name", "first", "--on", "bench.first"]).await;
    ensure!(deployed.code == 0, "{deployed}");
    let listed = client.workloads(&["first".to_owned()]).await?;
    let first = listed.first().context("the first function is not listed")?;
    Ok(client.definition(&first.id).await?)
}

/// The same function under another name and subject.
fn named(request: &StartWorkloadRequest, name: &str) -> anyhow::Result<StartWorkloadRequest> {
    let mut run_request: serde_json::Value = serde_json::from_str(&request.run_request)?;
    run_request["triggers"] = json!([format!("bench.{name}")]);
    Ok(StartWorkloadRequest {
        name: name.to_owned(),
        run_request: run_request.to_string(),
        workload_lifecycle: Lifecycle::Function,
        ..request.clone()
    })
}

/// Starts at the nexlet, without a node.
async fn starts(
    client: &Client,
    request: &StartWorkloadRequest,
    n: usize,
) -> anyhow::Result<Vec<Duration>> {
    let listed = client.workloads(&["first".to_owned()]).await?;
    let node = listed.first().and_then(|w| w.metadata.get(fact::NODE_ID)).context("no node")?;
    let info = client.node_info(node).await?;
    let agents = info.node_agent_summaries.iter();
    let agent = agents.clone().find(|agent| agent.agent_summary.register_type == "javascript");
    let agent = &agent.context("no javascript nexlet")?.agent_id;
    let url = client.nats().server_info();
    let workload_creds = NatsConnectionData::open(vec![format!("nats://127.0.0.1:{}", url.port)]);
    let mut times = Vec::new();
    for idx in 0..n {
        let request = named(request, &format!("direct-{idx}"))?;
        let message = AgentStartWorkloadRequest { request, workload_creds: workload_creds.clone() };
        let subject = subject::start_workload(node, agent, &format!("direct{idx}"));
        let start = Instant::now();
        let reply = client.nats().request(subject, encode(&message).into()).await?;
        times.push(start.elapsed());
        ensure!(reply.headers.is_none(), "the start failed: {reply:?}");
        client.stop("default", &format!("direct{idx}")).await?;
    }
    Ok(times)
}

async fn one_by_one(
    client: &Client,
    request: &StartWorkloadRequest,
    n: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for idx in 0..n {
        let request = named(request, &format!("one-{idx}"))?;
        let (took, id) = deploy(client, &request).await?;
        times.push(took);
        client.stop("default", &id).await?;
    }
    Ok(times)
}

async fn side_by_side(
    client: &Client,
    request: &StartWorkloadRequest,
) -> anyhow::Result<(Vec<Duration>, Duration)> {
    let requests: Vec<StartWorkloadRequest> = (0..PARALLEL)
        .map(|idx| named(request, &format!("beside-{idx}")))
        .collect::<anyhow::Result<_>>()?;
    let start = Instant::now();
    let deploys = requests.iter().map(|request| deploy(client, request));
    let deployed = futures::future::try_join_all(deploys).await?;
    let total = start.elapsed();
    for (_, id) in &deployed {
        client.stop("default", id).await?;
    }
    Ok((deployed.into_iter().map(|(took, _)| took).collect(), total))
}

async fn fill(client: &Client, request: &StartWorkloadRequest, n: usize) -> anyhow::Result<()> {
    let deploys = (0..n).map(|idx| async move {
        deploy(client, &named(request, &format!("listed-{idx}"))?).await.map(|_| ())
    });
    let mut deploys = futures::stream::iter(deploys).buffer_unordered(FILLING);
    while let Some(deployed) = deploys.next().await {
        deployed?;
    }
    Ok(())
}

/// Finds a node and deploys; how long it took, and the workload's id.
pub(super) async fn deploy(
    client: &Client,
    request: &StartWorkloadRequest,
) -> anyhow::Result<(Duration, String)> {
    let start = Instant::now();
    let fleet = client.fleet().await?;
    match client.place(&fleet, request, &Tags::new()).await? {
        Placement::Placed { response, .. } => Ok((start.elapsed(), response.id)),
        other => anyhow::bail!("not placed: {other:?}"),
    }
}

fn needed_p50(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    measure::percentile(&sorted, 50)
}

impl Row {
    fn new(what: &str, mut times: Vec<Duration>, target: Option<Duration>) -> Self {
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Self {
            what: what.to_owned(),
            n: times.len(),
            p50_ms: ms(measure::percentile(&times, 50)),
            p90_ms: ms(measure::percentile(&times, 90)),
            target_ms: target.map(ms),
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = "control plane";
        writeln!(f, "\n{title:<42} {:>6} {:>9} {:>9} {:>12}", "n", "p50 ms", "p90 ms", "target")?;
        for Row { what, n, p50_ms, p90_ms, target_ms } in &self.rows {
            let target = target_ms.map_or_else(String::new, |most| {
                format!("≤ {most:.1} {}", if *p50_ms <= most { "✓" } else { "✗" })
            });
            writeln!(f, "{what:<42} {n:>6} {p50_ms:>9.1} {p90_ms:>9.1} {target:>12}")?;
        }
        Ok(())
    }
}
