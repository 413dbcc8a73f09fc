//! `nex call NAME|SUBJECT [DATA]`: one request, and its reply raw on stdout.
//!
//! Owns: what a name stands for, and error replies as errors. Never: changes a byte of the reply.

use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use nex_api::workload::{WorkloadSummary, fact};
use nex_bus::{Message, RequestErrorKind};
use nex_client::{Client, Refusal};
use nex_types::SubjectPattern;
use serde_json::json;

use crate::args::Globals;
use crate::error::{CliError, Kind};
use crate::{complete, find, ui};

/// Send one request to a function, by name or subject, and print the reply
///
///   nex call echo 'hello'
///   nex call orders @order.json -v        with the time that it took, and headers
///   date | nex call echo - --count 3
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CallArgs {
    /// A function's name, or any subject
    #[arg(add = complete::functions())]
    target: String,
    /// What to send; - reads standard input, @file reads a file
    #[arg(allow_hyphen_values = true)]
    data: Option<String>,
    /// Timing and headers on standard error
    #[arg(short, long)]
    verbose: bool,
    /// How often
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// How long to wait for each reply
    #[arg(long, default_value = "15s")]
    timeout: String,
}

pub(crate) async fn run(globals: Globals, args: CallArgs) -> Result<(), CliError> {
    let timeout =
        nex_types::parse_go(&args.timeout).map_err(|error| CliError::usage(error.to_string()))?;
    let payload = payload(args.data.as_deref())?;
    let client = globals.client().await?;
    let subject = subject(&client, &args.target).await?;
    let workloads = globals.to_workloads(&client).await?;
    let limit = workloads.server_info().max_payload;
    if payload.len() > limit {
        let message =
            format!("the payload has {} bytes, more than the server's {limit}", payload.len());
        return Err(CliError::other(message)
            .hint("send less, or raise max_payload in the server's configuration"));
    }
    for _ in 0..args.count {
        let start = Instant::now();
        let reply = match request(&workloads, &subject, payload.clone(), timeout).await {
            Err(error) if error.kind == Kind::NotFound => {
                return Err(nobody(&client, &args.target, error).await);
            }
            replied => replied?,
        };
        let elapsed = start.elapsed();
        if args.verbose {
            describe(&subject, &reply, elapsed);
        }
        if let Some(refusal) = Refusal::of(&reply) {
            // Without a code of ours the status is the function's own, and so is the body.
            if refusal.code.is_none() && !reply.payload.is_empty() {
                show(&globals, &subject, &reply, elapsed);
            }
            return Err(error_reply(&args.target, refusal));
        }
        show(&globals, &subject, &reply, elapsed);
    }
    Ok(())
}

fn payload(data: Option<&str>) -> Result<Bytes, CliError> {
    let unreadable =
        |what: &str, error: std::io::Error| CliError::usage(format!("cannot read {what}: {error}"));
    match data {
        None => Ok(Bytes::new()),
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|e| unreadable("standard input", e))?;
            Ok(bytes.into())
        }
        Some(text) => match text.strip_prefix('@') {
            Some(path) => std::fs::read(path).map(Bytes::from).map_err(|e| unreadable(path, e)),
            None => Ok(Bytes::copy_from_slice(text.as_bytes())),
        },
    }
}

/// A name stands for its only literal subject trigger; what no function is called is a subject.
async fn subject(client: &Client, target: &str) -> Result<String, CliError> {
    let found = client.workloads(&[target.to_owned()]).await?;
    let named: Vec<&WorkloadSummary> =
        found.iter().filter(|w| w.name == target || w.id == target).collect();
    if named.is_empty() {
        let literal =
            SubjectPattern::parse(target).map_err(|error| CliError::usage(error.to_string()))?;
        if !literal.is_literal() {
            return Err(CliError::usage(format!("{target} is a pattern, not a subject"))
                .hint("put words in place of its wildcards"));
        }
        return Ok(target.to_owned());
    }
    let mut subjects: Vec<String> = named.iter().flat_map(|w| trigger_subjects(w)).collect();
    subjects.sort();
    subjects.dedup();
    let literal: Vec<&String> = subjects
        .iter()
        .filter(|subject| SubjectPattern::parse(subject).is_ok_and(|pattern| pattern.is_literal()))
        .collect();
    match literal.as_slice() {
        [only] if subjects.len() == 1 => Ok((*only).clone()),
        _ if subjects.is_empty() => {
            Err(CliError::usage(format!("{target} has no subject to call"))
                .hint("name the subject itself: nex call SUBJECT DATA"))
        }
        _ => Err(CliError::usage(format!("{target} listens on {}", subjects.join(", ")))
            .hint("name the subject itself: nex call SUBJECT DATA")),
    }
}

/// The subjects in a summary's `triggers` fact.
fn trigger_subjects(workload: &WorkloadSummary) -> Vec<String> {
    let text = workload.metadata.get(fact::TRIGGERS).map_or("[]", String::as_str);
    subjects(&serde_json::from_str::<Vec<_>>(text).unwrap_or_default())
}

/// The subjects among triggers: texts, or objects with a `subject`.
pub(super) fn subjects(triggers: &[serde_json::Value]) -> Vec<String> {
    let subject = |trigger: &serde_json::Value| {
        trigger.as_str().or_else(|| trigger.get("subject")?.as_str()).map(str::to_owned)
    };
    triggers.iter().filter_map(subject).collect()
}

async fn request(
    workloads: &nex_bus::Client,
    subject: &str,
    payload: Bytes,
    timeout: Duration,
) -> Result<Message, CliError> {
    let request = nex_bus::request(payload, timeout);
    let asked = workloads.send_request(subject.to_owned(), request).await;
    asked.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => {
            CliError::new(Kind::NotFound, format!("nobody listens on {subject}"))
                .hint("see what runs: nex ls")
        }
        RequestErrorKind::TimedOut => CliError::new(
            Kind::TimedOut,
            format!("no reply on {subject} within {}", nex_types::format_go(timeout)),
        )
        .hint("wait longer with: --timeout 1m"),
        _ => CliError::chain(&error),
    })
}

/// With the name or subject that was probably meant.
async fn nobody(client: &Client, target: &str, error: CliError) -> CliError {
    let known = tokio::time::timeout(find::ELSEWHERE_BOUND, client.known_workloads()).await;
    let known = known.unwrap_or_default();
    let subjects: Vec<String> = known.iter().flat_map(trigger_subjects).collect();
    let names = known.iter().map(|workload| workload.name.as_str());
    let names = names.chain(subjects.iter().map(String::as_str)).filter(|name| *name != target);
    let guessed = CliError::unknown(&error.message, target, names);
    CliError { message: guessed.message, has_guess: guessed.has_guess, ..error }
}

fn error_reply(target: &str, refusal: Refusal) -> CliError {
    let message = format!("{target} answered {}: {}", refusal.status, refusal.description);
    CliError { code: refusal.code, ..CliError::other(message) }
        .hint(format!("what it logged while it ran: nex logs {target} -f"))
}

fn describe(subject: &str, reply: &Message, elapsed: Duration) {
    let (millis, n_bytes) = (elapsed.as_secs_f64() * 1000.0, reply.payload.len());
    ui::note(format_args!("{subject}: {n_bytes} bytes in {millis:.2} ms"));
    for (name, values) in reply.headers.iter().flat_map(|headers| headers.iter()) {
        for value in values {
            ui::note(format_args!(
                "{}: {}",
                ui::harmless(name.as_ref()),
                ui::harmless(value.as_str())
            ));
        }
    }
}

fn show(globals: &Globals, subject: &str, reply: &Message, elapsed: Duration) {
    if globals.json {
        let text = std::str::from_utf8(&reply.payload).ok();
        let base64 = text.is_none().then(|| nex_bus::connection::base64(&reply.payload));
        ui::json(&json!({
            "subject": subject, "milliseconds": elapsed.as_secs_f64() * 1000.0,
            "reply": text, "reply_base64": base64,
        }));
        return;
    }
    ui::raw(&reply.payload);
    // On a terminal the prompt shall not stand behind the reply; a pipe gets the bytes as they are.
    if std::io::IsTerminal::is_terminal(&std::io::stdout()) && !reply.payload.ends_with(b"\n") {
        ui::raw(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_read_in_both_forms() {
        let triggers = r#"["a",{"type":"subject","subject":"b.*"}]"#.to_owned();
        let metadata = [(fact::TRIGGERS.to_owned(), triggers)].into();
        let workload = WorkloadSummary { metadata, ..WorkloadSummary::default() };
        assert_eq!(trigger_subjects(&workload), ["a", "b.*"]);
    }
}
