//! `nex logs -f`: what workloads write, as they write it.
//!
//! Owns: following a name over restarts and replacements. Never: keeps history, which is not there yet.

use std::collections::HashMap;

use clap::Args;
use nex_api::event::WORKLOAD_STARTED;
use nex_client::{Client, EventLine, LogRecord};

use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

/// Lines of workloads whose name is not known yet that are kept until it is; more are not shown.
const HELD_BACK: usize = 1000;

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Name, id or unique prefix of an id; all workloads when left out
    target: Option<String>,
    /// Follow
    #[arg(short, long)]
    follow: bool,
}

/// The sentence of commands whose history is not there yet.
pub(crate) fn no_history(what: &str) -> CliError {
    CliError::other(format!("history of {what} is not there yet"))
        .hint(format!("follow what comes from now on with: nex {what} -f"))
}

pub(crate) async fn run(globals: Globals, args: LogsArgs) -> Result<(), CliError> {
    if !args.follow {
        return Err(no_history("logs"));
    }
    let client = globals.client().await?;
    let (mut logs, mut events) = (client.logs().await?, client.events().await?);
    let mut follower = Follower::new(&client, args.target, globals.json).await?;
    ui::note("following logs; Ctrl-C ends it");
    loop {
        let is_open = tokio::select! {
            Some(record) = logs.next() => follower.record(record),
            Some(event) = events.next() => follower.event(&event),
            else => return Ok(()),
        };
        if !is_open {
            return Ok(());
        }
    }
}

#[derive(Debug)]
struct Follower {
    target: Option<String>,
    json: bool,
    names: HashMap<String, String>,
    held: Vec<LogRecord>,
}

impl Follower {
    async fn new(client: &Client, target: Option<String>, json: bool) -> Result<Self, CliError> {
        let names = client.workloads(&[]).await?.into_iter().map(|w| (w.id, w.name)).collect();
        Ok(Self { target, json, names, held: Vec::new() })
    }

    /// Shows a line or holds it back until its workload's name is known; false when nobody reads.
    fn record(&mut self, record: LogRecord) -> bool {
        if self.target.is_none() || self.names.contains_key(&record.workload_id) {
            return self.show(&record);
        }
        if self.held.len() < HELD_BACK {
            self.held.push(record);
        }
        true
    }

    /// Learns the names of workloads that start.
    fn event(&mut self, event: &EventLine) -> bool {
        if event.kind != WORKLOAD_STARTED {
            return true;
        }
        let text = |pointer: &str| event.payload.pointer(pointer).and_then(|v| v.as_str());
        let Some(id) = text("/id").map(str::to_owned) else { return true };
        let name = text("/metadata/name").unwrap_or(&id).to_owned();
        self.names.insert(id.clone(), name);
        let (now, later) =
            std::mem::take(&mut self.held).into_iter().partition(|r| r.workload_id == id);
        self.held = later;
        let now: Vec<LogRecord> = now;
        now.iter().all(|record| self.show(record))
    }

    fn show(&self, record: &LogRecord) -> bool {
        let name = self.names.get(&record.workload_id).unwrap_or(&record.workload_id);
        let is_wanted = self
            .target
            .as_ref()
            .is_none_or(|target| name == target || record.workload_id.starts_with(target.as_str()));
        if !is_wanted {
            return true;
        }
        let text = String::from_utf8_lossy(&record.bytes);
        if self.json {
            return ui::follow(serde_json::json!({
                "time": record.time, "workload_id": record.workload_id, "name": name,
                "stream": record.stream, "level": record.level, "line": text,
            }));
        }
        let mark = match record.level.as_str() {
            "error" => ui::paint_out("error ", ui::RED),
            "warn" => ui::paint_out("warn ", ui::YELLOW),
            _ => String::new(),
        };
        let name = ui::paint_out(&ui::harmless(name), ui::CYAN);
        ui::follow(format_args!("{name}: {mark}{}", ui::harmless(&text)))
    }
}
