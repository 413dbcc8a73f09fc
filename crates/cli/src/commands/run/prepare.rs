//! From the command line and the file to a start request.
//!
//! Owns: what is refused before anything is sent. Never: deploys.

use std::path::PathBuf;

use clap::ValueEnum;
use nex_api::workload::{Lifecycle, StartWorkloadRequest};
use nex_artifact::Uploaded;
use nex_client::Client;
use nex_types::{SubjectPattern, WorkloadName};
use serde_json::{Map, Value, json};

use super::local::LocalFile;
use super::{RunArgs, TypeArg};
use crate::commands::served::parse_tags;
use crate::error::CliError;
use crate::nexfile::{self, Nexfile};

/// What a Nexfile says, when a folder or nothing was named; what was typed wins over it.
pub(super) fn with_nexfile(args: RunArgs) -> Result<RunArgs, CliError> {
    let named = args.file.clone().unwrap_or_else(|| PathBuf::from("."));
    let is_nexfile = nexfile::is_called_so(&named);
    if !named.is_dir() && !is_nexfile {
        return Ok(args);
    }
    if named.is_dir() && nexfile::find_in(&named).is_none() {
        return Err(CliError::usage(format!("there is no Nexfile in {}", named.display()))
            .hint("name a file: nex run FILE --on SUBJECT"));
    }
    let_it_say(args, nexfile::load(&named)?)
}

/// What one workload of a Nexfile says; what was typed wins over it.
pub(super) fn let_it_say(args: RunArgs, mut nexfile: Nexfile) -> Result<RunArgs, CliError> {
    let Some(file) = nexfile.file_beside() else {
        let message = format!("{} names no file to upload", nexfile.path.display());
        return Err(CliError::usage(message)
            .hint(format!("nex workload start --nexfile {}", nexfile.path.display())));
    };
    let typed = |kind: &str| {
        TypeArg::from_str(kind, false).map_err(|_| {
            CliError::usage(format!("{}: type \"{kind}\" cannot be uploaded", file.display()))
                .hint("types: javascript, typescript, wasm, native")
        })
    };
    let kind = args
        .kind
        .map_or_else(|| nexfile.kind.as_deref().map(typed).transpose(), |kind| Ok(Some(kind)))?;
    let in_file = nexfile.plain_triggers();
    let triggers = match in_file {
        _ if !args.triggers.is_empty() => {
            nexfile.request.remove("triggers");
            args.triggers
        }
        Some(triggers) => {
            nexfile.request.remove("triggers");
            triggers
        }
        None => Vec::new(),
    };
    let mut tags: Vec<String> =
        nexfile.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    tags.extend(args.tags);
    Ok(RunArgs {
        name: args.name.or(nexfile.name.take()),
        copies: args.copies.or(nexfile.copies),
        job: args.job || nexfile.lifecycle == Some(Lifecycle::Job),
        file: Some(file),
        nexfile: Some(nexfile),
        kind,
        tags,
        triggers,
        ..args
    })
}

/// The file and its type: the one that was named, else by its bytes.
pub(super) fn open(args: &RunArgs) -> Result<(LocalFile, TypeArg), CliError> {
    let file = LocalFile::open(args.path())?;
    let kind = args.kind.map_or_else(|| file.kind(), Ok)?;
    Ok((file, kind))
}

pub(super) fn check(args: &RunArgs, kind: TypeArg) -> Result<(), CliError> {
    let file = args.path().display();
    if kind.is_function() && !args.has_triggers() {
        let stem = args.path().file_stem().and_then(|stem| stem.to_str()).unwrap_or("function");
        return Err(CliError::usage(format!("{file} is a function and needs a trigger"))
            .hint(format!("nex run {file} --on {}", WorkloadName::from_stem(stem))));
    }
    if kind.is_function() && args.job {
        return Err(CliError::usage("a function cannot be a job")
            .hint(format!("leave out --job for {file}")));
    }
    if !kind.is_function() && args.has_triggers() {
        return Err(CliError::usage(format!("{file} is a program, and programs have no triggers"))
            .hint("it subscribes by itself; leave out --on"));
    }
    args.native.check(lifecycle(args, kind))
}

pub(super) fn name(args: &RunArgs) -> Result<WorkloadName, CliError> {
    match &args.name {
        Some(name) => Ok(WorkloadName::parse(name)?),
        None => {
            let stem = args.path().file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            Ok(WorkloadName::from_stem(stem))
        }
    }
}

pub(super) fn start_request(
    client: &Client,
    args: &RunArgs,
    kind: TypeArg,
    name: &WorkloadName,
    uploaded: &Uploaded,
) -> Result<StartWorkloadRequest, CliError> {
    let nexfile = args.nexfile.as_ref();
    let mut run_request = nexfile.map_or_else(Map::new, |nexfile| nexfile.request.clone());
    run_request.insert("uri".to_owned(), json!(uploaded.uri));
    run_request.insert("digest".to_owned(), json!(uploaded.digest.to_string()));
    if kind == TypeArg::Typescript {
        run_request.insert("language".to_owned(), json!("typescript"));
    }
    if kind.is_function() && !args.triggers.is_empty() {
        let triggers: Vec<Value> =
            args.triggers.iter().map(|t| trigger(t)).collect::<Result<_, _>>()?;
        run_request.insert("triggers".to_owned(), json!(triggers));
    }
    let environment = parse_tags(&args.environment)?;
    if !environment.is_empty() {
        let all = run_request.entry("environment").or_insert_with(|| json!({}));
        if let Value::Object(all) = all {
            all.extend(environment.into_iter().map(|(key, value)| (key, Value::String(value))));
        }
    }
    let lifecycle = lifecycle(args, kind);
    args.host_services.add_to(&mut run_request, kind.is_function())?;
    args.native.add_to(&mut run_request, lifecycle)?;
    if !args.argv.is_empty() {
        run_request.insert("argv".to_owned(), json!(args.argv));
    }
    Ok(StartWorkloadRequest {
        name: name.to_string(),
        description: nexfile.map(|nexfile| nexfile.description.clone()).unwrap_or_default(),
        namespace: client.namespace().to_string(),
        run_request: Value::Object(run_request).to_string(),
        workload_lifecycle: lifecycle,
        workload_type: kind.as_str().to_owned(),
        ..StartWorkloadRequest::default()
    })
}

/// How long it will live.
pub(super) fn lifecycle(args: &RunArgs, kind: TypeArg) -> Lifecycle {
    match (kind.is_function(), args.job) {
        (true, _) => Lifecycle::Function,
        (false, true) => Lifecycle::Job,
        (false, false) => Lifecycle::Service,
    }
}

/// `--on`: a subject, or with a prefix another source. What else a trigger may say stands in a Nexfile.
fn trigger(text: &str) -> Result<Value, CliError> {
    let subject = match text.split_once(':') {
        Some(("subject", subject)) => subject,
        Some((kind @ "stream", what)) => return from(kind, what, "stream", "filter"),
        Some((kind @ "kv", what)) => return from(kind, what, "bucket", "keys"),
        Some((kind @ "object", what)) => return from(kind, what, "bucket", "names"),
        Some(("cron", cron)) => return Ok(json!({ "type": "schedule", "cron": cron.trim() })),
        Some(("every", every)) => {
            return Ok(json!({ "type": "schedule", "cron": format!("@every {}", every.trim()) }));
        }
        _ => text,
    };
    let pattern =
        SubjectPattern::parse(subject).map_err(|error| CliError::usage(error.to_string()))?;
    Ok(json!(pattern.as_str()))
}

/// `KIND:NAME`, or `KIND:NAME/PART`.
fn from(kind: &str, what: &str, name_key: &str, part_key: &str) -> Result<Value, CliError> {
    let (name, part) = what.split_once('/').map_or((what, None), |(name, part)| (name, Some(part)));
    if name.is_empty() || part == Some("") {
        let hint = format!("--on {kind}:NAME   or   --on {kind}:NAME/{}", part_key.to_uppercase());
        return Err(CliError::usage(format!("{kind}:{what} lacks a name")).hint(hint));
    }
    let mut trigger = json!({ "type": kind, (name_key): name });
    if let Some(part) = part {
        trigger[part_key] = part.into();
    }
    Ok(trigger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_a_subject_or_has_the_prefix_of_its_source() {
        for (text, expected) in [
            ("js.echo", json!("js.echo")),
            ("subject:kv:odd", json!("kv:odd")),
            ("stream:ORDERS", json!({"type": "stream", "stream": "ORDERS"})),
            (
                "stream:ORDERS/orders.*",
                json!({"type": "stream", "stream": "ORDERS", "filter": "orders.*"}),
            ),
            ("kv:B/a/b", json!({"type": "kv", "bucket": "B", "keys": "a/b"})),
            ("object:B/*.png", json!({"type": "object", "bucket": "B", "names": "*.png"})),
            ("cron:*/5 * * * *", json!({"type": "schedule", "cron": "*/5 * * * *"})),
            ("every:10s", json!({"type": "schedule", "cron": "@every 10s"})),
        ] {
            assert_eq!(trigger(text).unwrap(), expected, "{text}");
        }
        for wrong in ["a..b", "stream:", "kv:/a", "object:B/"] {
            assert!(trigger(wrong).is_err(), "{wrong}");
        }
    }
}
