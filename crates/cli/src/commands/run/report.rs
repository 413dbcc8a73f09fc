//! What `nex run` prints when it is done.
//!
//! Owns: both forms. Never: fails; the work is done by then.

use std::path::Path;
use std::time::Duration;

use nex_api::workload::StartWorkloadRequest;
use nex_artifact::Uploaded;
use nex_types::{ByteSize, SubjectPattern};
use serde_json::json;

use super::RunArgs;
use super::placement::Placed;
use super::replace::Done;
use crate::commands::served::for_people;
use crate::ui;

/// One document.
pub(super) fn json(uploaded: &Uploaded, done: &Done, pruned: &[String]) {
    match done {
        Done::AlreadyRunning(workload) => ui::json(&json!({
            "already_running": true, "id": workload.id, "name": workload.name,
        })),
        Done::Changed { placed, n_stopped, n_buried } => {
            let responses: Vec<_> = placed.iter().map(|placed| &placed.response).collect();
            ui::json(&json!({
                "already_running": false, "workloads": responses,
                "replaced": n_stopped, "replaced_unreachable": n_buried,
                "uri": uploaded.uri, "digest": uploaded.digest.to_string(),
                "pruned": pruned,
            }));
        }
    }
}

/// What happened, and what to type next.
pub(super) fn text(
    args: &RunArgs,
    uploaded: &Uploaded,
    request: &StartWorkloadRequest,
    done: &Done,
    elapsed: Duration,
) {
    let (placed, n_stopped, n_buried) = match done {
        Done::AlreadyRunning(workload) => {
            return already(&request.name, &workload.id);
        }
        Done::Changed { placed, n_stopped, n_buried } => (placed, *n_stopped, *n_buried),
    };
    ui::line(describe_upload(uploaded, args.path()));
    deployed(request, placed, elapsed);
    replaced(n_stopped, n_buried);
    how_to_use(args, &request.name);
}

/// What was started, a line each, with warnings.
pub(super) fn deployed(request: &StartWorkloadRequest, placed: &[Placed], elapsed: Duration) {
    let (kind, lifecycle) = (&request.workload_type, request.workload_lifecycle);
    for Placed { node, response } in placed {
        let node = ui::harmless(node);
        let (name, id) = (ui::harmless(&response.name), ui::harmless(&response.id));
        let elapsed = for_people(elapsed);
        ui::line(format_args!(
            "✓ {name} deployed as {kind} {lifecycle} {id} on node {node} in {elapsed}"
        ));
        for warning in &response.warnings {
            ui::note(format_args!("warning: {}", ui::harmless(warning)));
        }
    }
}

/// Nothing was to do.
pub(super) fn already(name: &str, id: &str) {
    ui::line(format_args!("✓ {name} is already running ({})", ui::harmless(id)));
}

/// What made room for it.
pub(super) fn replaced(n_stopped: usize, n_buried: usize) {
    if n_stopped > 0 {
        ui::line(format_args!("✓ replaced {n_stopped} that ran before"));
    }
    if n_buried > 0 {
        ui::line(format_args!(
            "✓ replaced {n_buried} on nodes that do not answer; they will not bring it back"
        ));
    }
}

/// Which older uploads went.
pub(super) fn pruned(objects: &[String]) {
    for object in objects {
        ui::line(format_args!(
            "✓ removed the upload {}, which nothing needs",
            ui::harmless(object)
        ));
    }
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
    let is_source = |text: &&String| {
        let kind = text.split_once(':').map(|(kind, _)| kind);
        matches!(kind, Some("stream" | "kv" | "object" | "cron" | "every"))
    };
    let subject = args.triggers.iter().find(|text| !is_source(text));
    let subject = subject.map(|text| text.trim_start_matches("subject:"));
    if let Some(subject) = subject {
        let is_literal = SubjectPattern::parse(subject).is_ok_and(|pattern| pattern.is_literal());
        let example = one_of(subject);
        let target = if is_literal { name } else { &example };
        ui::line(format_args!(
            "  call it:  nats req {example} 'hello'     or   nex call {target} 'hello'"
        ));
    }
    ui::line(format_args!("  logs:     nex logs {name} -f     stop:  nex stop {name}"));
}

/// A subject that the pattern stands for, since only such a one can be called.
fn one_of(pattern: &str) -> String {
    let tokens =
        pattern.split('.').map(|token| if matches!(token, "*" | ">") { "x" } else { token });
    tokens.collect::<Vec<_>>().join(".")
}
