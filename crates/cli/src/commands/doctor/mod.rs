//! `nex doctor`: what stands and what is missing, and what to do about it.
//!
//! Owns: the order of the checks and how they are shown. Never: changes anything without `--fix`.

mod machine;
mod mend;
mod nats;

pub(crate) use machine::Walls;

use clap::Args;
use serde::Serialize;

use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

/// Check NATS, JetStream, nodes and this machine, and say what to do
///
/// With --fix, what is wrong with Nex's own files is put right first, and each thing is told: the state
/// directory and the modes of it and of keys, what a server that is gone left behind, a missing NATS context.
///
///   nex doctor
///   nex doctor --fix
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DoctorArgs {
    /// Put right what is wrong with Nex's own files
    #[arg(long)]
    fix: bool,
}

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
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), advice: None }
    }

    fn note(check: &'static str, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, ..Self::ok(check, found) }
    }

    fn bad(check: &'static str, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::ok(check, found) }
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into()).filter(|advice| !advice.is_empty());
        self
    }
}

impl From<CliError> for Finding {
    fn from(error: CliError) -> Self {
        Self::bad("NATS", error.message).advice(error.hint.unwrap_or_default())
    }
}

pub(crate) async fn run(globals: Globals, args: DoctorArgs) -> Result<(), CliError> {
    let mut findings = mend::findings(&globals, args.fix);
    findings.push(configuration(&globals));
    findings.extend(machine::findings(&globals).await);
    findings.extend(nats::findings(&globals).await);
    findings.push(machine::walls());
    findings.extend(machine::sandbox().await);
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

fn configuration(globals: &Globals) -> Finding {
    match globals.origins.left_alone() {
        Some(why) => Finding::note("config", format!("./config.json is left alone: {why}"))
            .advice("when it is meant for Nex, name it: --config config.json"),
        None => Finding::ok("config", "read").advice("see what is in force: nex config"),
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
