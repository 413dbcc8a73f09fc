//! `nex run FILE`: finds the type out from the bytes, uploads, deploys, replaces the previous one of
//! that name without a gap, and prints how to call it.
//!
//! Owns: the order of these, and what is printed. Never: parses the file's language; nexlets do.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use nex_api::workload::{
    Lifecycle, StartWorkloadRequest, StartWorkloadResponse, WorkloadSummary, fact,
};
use nex_artifact::{Kind as FileKind, UploadError, Uploaded, detect, upload};
use nex_client::Client;
use nex_types::{ByteSize, SubjectPattern, Tags, WorkloadName};
use serde_json::{Map, Value, json};

use super::served::parse_tags;
use super::stop::stop_all;
use crate::args::Globals;
use crate::error::{CliError, Kind};
use crate::ui;

/// Deploy a file: JavaScript, WebAssembly or a static program.
///
/// The type is found out from the bytes. A workload of that name that runs is replaced without a
/// gap: the new one starts, then the old one is drained and stopped.
///
///   nex run echo.js --on js.echo
///   nex run filter.wasm --on 'lines.*' LIMIT=10 -- --verbose
///   nex run ./echo-service GREETING=hello
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RunArgs {
    /// The file to deploy
    file: PathBuf,
    /// Environment of the workload
    #[arg(value_name = "KEY=VALUE")]
    environment: Vec<String>,
    /// Subject that triggers the function; wildcards are allowed; repeatable
    #[arg(long = "on", value_name = "TRIGGER")]
    triggers: Vec<String>,
    /// Name of the workload [default: the file's name]
    #[arg(long)]
    name: Option<String>,
    /// Type, when the bytes are not to be asked
    #[arg(long = "type", value_enum)]
    kind: Option<TypeArg>,
    /// A program that runs to its end once
    #[arg(long)]
    job: bool,
    /// Tags that the node must have
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ';')]
    tags: Vec<String>,
    /// Start another copy beside one that has the name
    #[arg(long)]
    no_replace: bool,
    /// Arguments of the program
    #[arg(last = true, value_name = "ARGS")]
    argv: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TypeArg {
    #[value(aliases = ["js", "v8"])]
    Javascript,
    Wasm,
    Native,
}

impl TypeArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::Javascript => "javascript",
            Self::Wasm => "wasm",
            Self::Native => "native",
        }
    }

    fn is_function(self) -> bool {
        self != Self::Native
    }
}

pub(crate) async fn run(globals: Globals, args: RunArgs) -> Result<(), CliError> {
    let start = Instant::now();
    let (bytes, kind) = read(&args)?;
    check(&args, kind)?;
    let name = name(&args)?;
    let client = globals.client().await?;
    let uploaded = upload_file(&client, &name, &bytes).await?;
    let request = start_request(&client, &args, kind, &name, &uploaded)?;
    let tags = parse_tags(&args.tags)?;
    let done = replace(&client, &request, &tags, args.no_replace).await?;
    report(&globals, &args, &uploaded, &request, &done, start).await
}

/// Takes the first bid and claims it; without one says why, per node.
pub(crate) async fn deploy(
    client: &Client,
    request: &StartWorkloadRequest,
    tags: &Tags,
) -> Result<StartWorkloadResponse, CliError> {
    let kind = &request.workload_type;
    let Some(bid) = client.auction(kind, tags).await? else {
        return Err(nobody(client, kind, tags).await);
    };
    let offers = bid.supported_lifecycles.as_deref().unwrap_or_default();
    if !offers.contains(&request.workload_lifecycle) {
        let message = format!(
            "agent does not support requested lifecycle: {kind} takes {}, not {}",
            offers.iter().map(|l| l.as_str()).collect::<Vec<_>>().join(" and "),
            request.workload_lifecycle
        );
        return Err(CliError::usage(message));
    }
    Ok(client.deploy(&bid, request).await?)
}

fn read(args: &RunArgs) -> Result<(Vec<u8>, TypeArg), CliError> {
    let path = &args.file;
    if path.is_dir() {
        let message = format!("{} is a folder, and Nexfiles are not there yet", path.display());
        return Err(CliError::usage(message).hint("name a file: nex run FILE --on SUBJECT"));
    }
    let bytes = std::fs::read(path)
        .map_err(|error| CliError::usage(format!("cannot read {}: {error}", path.display())))?;
    let name = path.file_name().and_then(|name| name.to_str());
    let refused =
        |error: nex_artifact::Refusal| CliError::other(format!("{}: {error}", path.display()));
    if let Some(kind) = args.kind {
        return Ok((bytes, kind));
    }
    let kind = match detect(&bytes, name).map_err(refused)? {
        FileKind::JavaScript => TypeArg::Javascript,
        FileKind::TypeScript => {
            let message = format!("{}: TypeScript is not there yet", path.display());
            let hint = "strip the types first, for example: npx esbuild FILE.ts --outfile=FILE.js";
            return Err(CliError::other(message).hint(hint));
        }
        FileKind::WasmModule | FileKind::Wat => TypeArg::Wasm,
        FileKind::WasmComponent => {
            let message = format!("{}: components are not there yet", path.display());
            return Err(CliError::other(message)
                .hint("build a WASI preview 1 command: --target wasm32-wasip1"));
        }
        FileKind::Elf(_) => TypeArg::Native,
    };
    Ok((bytes, kind))
}

fn check(args: &RunArgs, kind: TypeArg) -> Result<(), CliError> {
    let file = args.file.display();
    if kind.is_function() && args.triggers.is_empty() {
        let stem = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("function");
        return Err(CliError::usage(format!("{file} is a function and needs a trigger"))
            .hint(format!("nex run {file} --on {}", WorkloadName::from_stem(stem))));
    }
    if kind.is_function() && args.job {
        return Err(CliError::usage("a function cannot be a job")
            .hint(format!("leave out --job for {file}")));
    }
    if !kind.is_function() && !args.triggers.is_empty() {
        return Err(CliError::usage(format!("{file} is a program, and programs have no triggers"))
            .hint("it subscribes by itself; leave out --on"));
    }
    Ok(())
}

fn name(args: &RunArgs) -> Result<WorkloadName, CliError> {
    match &args.name {
        Some(name) => Ok(WorkloadName::parse(name)?),
        None => {
            let stem = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            Ok(WorkloadName::from_stem(stem))
        }
    }
}

async fn upload_file(
    client: &Client,
    name: &WorkloadName,
    bytes: &[u8],
) -> Result<Uploaded, CliError> {
    upload(client.nats(), client.namespace(), name.as_str(), bytes).await.map_err(|error| {
        let hint = match &error {
            UploadError::NoJetStream { .. } => {
                "start nats-server with -js, or let nex up start one"
            }
            _ => "see: nex doctor",
        };
        CliError::chain(&error).hint(hint)
    })
}

fn start_request(
    client: &Client,
    args: &RunArgs,
    kind: TypeArg,
    name: &WorkloadName,
    uploaded: &Uploaded,
) -> Result<StartWorkloadRequest, CliError> {
    let mut run_request = Map::new();
    run_request.insert("uri".to_owned(), json!(uploaded.uri));
    run_request.insert("digest".to_owned(), json!(uploaded.digest.to_string()));
    if kind.is_function() {
        let triggers: Vec<String> =
            args.triggers.iter().map(|t| trigger(t)).collect::<Result<_, _>>()?;
        run_request.insert("triggers".to_owned(), json!(triggers));
    }
    let environment = parse_tags(&args.environment)?;
    if !environment.is_empty() {
        run_request.insert("environment".to_owned(), json!(environment));
    }
    if !args.argv.is_empty() {
        run_request.insert("argv".to_owned(), json!(args.argv));
    }
    let lifecycle = match (kind.is_function(), args.job) {
        (true, _) => Lifecycle::Function,
        (false, true) => Lifecycle::Job,
        (false, false) => Lifecycle::Service,
    };
    Ok(StartWorkloadRequest {
        name: name.to_string(),
        namespace: client.namespace().to_string(),
        run_request: Value::Object(run_request).to_string(),
        workload_lifecycle: lifecycle,
        workload_type: kind.as_str().to_owned(),
        ..StartWorkloadRequest::default()
    })
}

/// `--on`: a subject, or with a prefix another source, of which only `subject:` is there yet.
fn trigger(text: &str) -> Result<String, CliError> {
    let subject = match text.split_once(':') {
        Some(("subject", subject)) => subject,
        Some((kind @ ("stream" | "kv" | "object" | "cron" | "every"), _)) => {
            let message = format!("triggers of the kind {kind} are not there yet");
            return Err(CliError::usage(message).hint("a subject works: --on my.subject"));
        }
        _ => text,
    };
    let pattern =
        SubjectPattern::parse(subject).map_err(|error| CliError::usage(error.to_string()))?;
    Ok(pattern.to_string())
}

/// What `replace` did.
#[derive(Debug)]
enum Done {
    AlreadyRunning(WorkloadSummary),
    Started { responses: Vec<StartWorkloadResponse>, n_replaced: usize },
}

/// Starts one, or one for each that has the name, and then stops the old ones.
async fn replace(
    client: &Client,
    request: &StartWorkloadRequest,
    tags: &Tags,
    no_replace: bool,
) -> Result<Done, CliError> {
    let running = match no_replace {
        true => Vec::new(),
        false => client.workloads(std::slice::from_ref(&request.name)).await?,
    };
    let running: Vec<WorkloadSummary> =
        running.into_iter().filter(|w| w.name == request.name).collect();
    let wanted = request.content_digest().to_string();
    let is_same = |w: &WorkloadSummary| w.metadata.get(fact::REQUEST_DIGEST) == Some(&wanted);
    if let Some(first) = running.first()
        && running.iter().all(is_same)
    {
        return Ok(Done::AlreadyRunning(first.clone()));
    }
    let mut responses = Vec::new();
    for old in &running {
        let mut tags = tags.clone();
        if let Some(node) = old.metadata.get(fact::NODE_NAME) {
            tags.insert("nex.node".to_owned(), node.clone());
        }
        responses.push(deploy(client, request, &tags).await?);
    }
    if running.is_empty() {
        responses.push(deploy(client, request, tags).await?);
    }
    stop_all(client, &running).await?;
    Ok(Done::Started { responses, n_replaced: running.len() })
}

async fn report(
    globals: &Globals,
    args: &RunArgs,
    uploaded: &Uploaded,
    request: &StartWorkloadRequest,
    done: &Done,
    start: Instant,
) -> Result<(), CliError> {
    let elapsed = super::served::elapsed(start);
    let client = globals.client().await?;
    match done {
        Done::AlreadyRunning(workload) if globals.json => ui::json(&json!({
            "already_running": true, "id": workload.id, "name": workload.name,
        })),
        Done::AlreadyRunning(workload) => {
            ui::line(format_args!("✓ {} is already running ({})", request.name, workload.id));
        }
        Done::Started { responses, .. } if globals.json => ui::json(&json!({
            "already_running": false, "workloads": responses, "uri": uploaded.uri,
            "digest": uploaded.digest.to_string(),
        })),
        Done::Started { responses, n_replaced } => {
            ui::line(describe_upload(uploaded, &args.file));
            for response in responses {
                let node = node_of(&client, &response.id).await;
                let what = request.workload_lifecycle;
                ui::line(format_args!(
                    "✓ {} deployed as {} {what} {} on node {node} in {elapsed}",
                    ui::harmless(&response.name),
                    request.workload_type,
                    ui::harmless(&response.id),
                ));
                for warning in &response.warnings {
                    ui::note(format_args!("warning: {}", ui::harmless(warning)));
                }
            }
            if *n_replaced > 0 {
                ui::line(format_args!("✓ replaced {n_replaced} that ran before"));
            }
            how_to_use(args, &request.name);
        }
    }
    Ok(())
}

fn describe_upload(uploaded: &Uploaded, file: &Path) -> String {
    let file = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let short: String = uploaded.digest.hex().chars().take(8).collect();
    let size = ByteSize(uploaded.size);
    match (&uploaded.bucket, uploaded.was_there) {
        (Some(bucket), true) => format!("✓ {file} ({size}, sha256:{short}…) is in {bucket}"),
        (Some(bucket), false) => format!("✓ uploaded {file} ({size}, sha256:{short}…) to {bucket}"),
        (None, _) => format!(
            "✓ {file} ({size}, sha256:{short}…) travels with the request: no JetStream here"
        ),
    }
}

fn how_to_use(args: &RunArgs, name: &str) {
    let subject = args.triggers.first().map(|text| text.trim_start_matches("subject:"));
    if let Some(subject) = subject {
        let is_literal = SubjectPattern::parse(subject).is_ok_and(|pattern| pattern.is_literal());
        let target = if is_literal { name } else { subject };
        ui::line(format_args!(
            "  call it:  nats req {subject} 'hello'     or   nex call {target} 'hello'"
        ));
    }
    ui::line(format_args!("  logs:     nex logs {name} -f     stop:  nex stop {name}"));
}

async fn node_of(client: &Client, id: &str) -> String {
    let list = client.workloads(&[id.to_owned()]).await.unwrap_or_default();
    let name = list.first().and_then(|workload| workload.metadata.get(fact::NODE_NAME));
    ui::harmless(name.map_or("?", String::as_str))
}

/// Why nobody bid: the first condition that failed, per node.
async fn nobody(client: &Client, kind: &str, tags: &Tags) -> CliError {
    let nodes = client.nodes(&Tags::new()).await.unwrap_or_default();
    if nodes.is_empty() {
        return CliError::new(Kind::NoBidder, "no node is there").hint("start one with: nex up");
    }
    let mut reasons = Vec::new();
    for node in &nodes {
        let name = node.tags.get("nex.node").map_or(node.node_id.as_str(), String::as_str);
        let reason = reason(client, node, kind, tags).await;
        reasons.push(format!("{name}: {reason}"));
    }
    CliError::new(Kind::NoBidder, "no agents available for workload placement")
        .detail(reasons.join("\n"))
        .hint("look closer with: nex info NODE")
}

async fn reason(
    client: &Client,
    node: &nex_api::node::NodePingResponse,
    kind: &str,
    tags: &Tags,
) -> String {
    if node.state != nex_api::node::NodeState::Running {
        return format!("the node is {}", node.state.as_str());
    }
    if let Some((key, value)) = tags.iter().find(|(key, value)| node.tags.get(*key) != Some(value))
    {
        return format!("has no tag {key}={value}");
    }
    let Ok(info) = client.node_info(&node.node_id).await else {
        return "does not answer".to_owned();
    };
    let mut of_type =
        info.node_agent_summaries.iter().filter(|agent| agent.agent_summary.register_type == kind);
    match of_type.next() {
        None => format!("has no nexlet of type {kind} that sends heartbeats"),
        Some(agent) if agent.agent_health != "healthy" => {
            format!("its {kind} nexlet is {}", agent.agent_health)
        }
        Some(_) => "did not bid; try again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_a_subject_with_or_without_its_prefix() {
        assert_eq!(trigger("js.echo").unwrap(), "js.echo");
        assert_eq!(trigger("subject:kv:odd").unwrap(), "kv:odd");
        assert!(trigger("stream:ORDERS").unwrap_err().message.contains("stream"));
        assert!(trigger("a..b").is_err());
    }
}
