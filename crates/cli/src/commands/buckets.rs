//! `nex buckets`: the buckets that host services made for the functions of a namespace.
//!
//! Owns: the list and removing one. Never: shows or removes a bucket of another namespace.

use clap::{Args, Subcommand};
use nex_bus::guest::{self, BucketKind, Listed};
use nex_types::{ByteSize, host_bucket_prefix};
use serde_json::json;

use crate::args::Globals;
use crate::error::CliError;
use crate::{complete, ui};

/// List the buckets of functions, or remove one
///
/// Functions keep key-value entries and objects in buckets of their own, which outlive them.
///
///   nex buckets
///   nex buckets rm hs_default_counter_kv
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct BucketsArgs {
    #[command(subcommand)]
    command: Option<BucketsCommand>,
}

#[derive(Debug, Subcommand)]
enum BucketsCommand {
    /// List them
    ///
    ///   nex buckets ls --json
    #[command(verbatim_doc_comment)]
    Ls,
    /// Remove buckets with all that is in them
    ///
    ///   nex buckets rm hs_default_counter_kv
    #[command(verbatim_doc_comment)]
    Rm {
        /// Names, as the list shows them
        #[arg(required = true, add = complete::buckets())]
        buckets: Vec<String>,
    },
}

pub(crate) async fn run(globals: Globals, args: BucketsArgs) -> Result<(), CliError> {
    let control = globals.client().await?;
    let client = globals.to_workloads(&control).await?;
    let prefix = host_bucket_prefix(control.namespace());
    let found = guest::list(&client, &prefix).await.map_err(|error| CliError::chain(&error))?;
    match args.command.unwrap_or(BucketsCommand::Ls) {
        BucketsCommand::Ls => list(&globals, &found),
        BucketsCommand::Rm { buckets } => {
            for bucket in buckets {
                let Some(listed) = found.iter().find(|listed| listed.bucket == bucket) else {
                    let message =
                        format!("bucket {bucket} is not one of this namespace's functions");
                    let names = found.iter().map(|listed| listed.bucket.as_str());
                    return Err(CliError::unknown(&message, &bucket, names)
                        .hint("see which there are: nex buckets"));
                };
                let removed = guest::remove(&client, listed.kind, &listed.bucket).await;
                removed.map_err(|error| CliError::chain(&error))?;
                ui::note(format!("removed {bucket}"));
            }
        }
    }
    Ok(())
}

fn list(globals: &Globals, found: &[Listed]) {
    if globals.json {
        let rows: Vec<_> = found
            .iter()
            .map(|listed| {
                json!({
                    "bucket": listed.bucket,
                    "type": kind(listed.kind),
                    "bytes": listed.bytes,
                    "messages": listed.messages,
                })
            })
            .collect();
        ui::json(&rows);
        return;
    }
    let row = |listed: &Listed| {
        vec![
            listed.bucket.clone(),
            kind(listed.kind).to_owned(),
            ByteSize(listed.bytes).to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    ui::table(&["BUCKET", "TYPE", "SIZE"], &rows);
}

fn kind(kind: BucketKind) -> &'static str {
    match kind {
        BucketKind::KeyValue => "kv",
        BucketKind::Objects => "objects",
    }
}
