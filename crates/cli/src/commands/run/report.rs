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
use super::wish::Fulfilled;
use crate::commands::served::for_people;
use crate::ui;

/// One document.
pub(super) fn json(fulfilled: &Fulfilled) {
    let mut told = fulfilled.to_json();
    if let (Some(uploaded), None) = (&fulfilled.uploaded, fulfilled.already()) {
        told["uri"] = json!(uploaded.uri);
        told["digest"] = json!(uploaded.digest.to_string());
    }
    ui::json(&told);
}

/// What happened, and what to type next.
pub(super) fn text(args: &RunArgs, fulfilled: &Fulfilled) {
    let is_new = fulfilled.already().is_none();
    if let Some(uploaded) = fulfilled.uploaded.as_ref().filter(|_| is_new) {
        ui::line(describe_upload(uploaded, args.path()));
    }
    fulfilled.tell(false);
    if is_new {
        how_to_use(args, &fulfilled.request.name);
    }
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
