//! `nex events`: what happened to nodes and workloads, and what happens.
//!
//! Owns: the flags, and one line per event. Never: keeps anything; the node's stream does.

use std::collections::VecDeque;
use std::time::Duration;

use clap::Args;
use nex_client::{Begin, Client, EventLine, History};
use serde_json::{Value, json};

use super::logs::{Form, TAIL, form, keep_last, nothing_kept, since, tell_gaps};
use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

/// Show what happened to nodes and workloads, and follow what happens
///
///   nex events -f
///   nex events --since 1h --type WORKLOADSTOPPED
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EventsArgs {
    /// Go on with what happens from now on; without --since and --tail, begin with that
    #[arg(short, long)]
    follow: bool,
    /// Only events of this type, such as WORKLOADSTOPPED; repeatable
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Events of this time until now, such as 10m or 1h
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    since: Option<Duration>,
    /// At most the last N of the events that are there [default: 100; with --since: all]
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Print one JSON object per line
    #[arg(long)]
    json_lines: bool,
}

impl EventsArgs {
    fn wants(&self, event: &EventLine) -> bool {
        self.types.is_empty()
            || self.types.iter().any(|kind| kind.eq_ignore_ascii_case(&event.kind))
    }

    fn wants_past(&self) -> bool {
        !self.follow || self.since.is_some() || self.tail.is_some()
    }
}

pub(crate) async fn run(globals: Globals, args: EventsArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    let form = form(&globals, args.json_lines, args.follow);
    if args.wants_past() {
        with_past(&client, &args, form).await
    } else {
        follow(&client, &args, form).await
    }
}

/// What passes, also while JetStream is away.
async fn follow(client: &Client, args: &EventsArgs, form: Form) -> Result<(), CliError> {
    let mut events = client.events().await?;
    ui::note("following events; Ctrl-C ends it");
    while let Some(event) = events.next().await {
        if args.wants(&event) && !show(&event, form) {
            break;
        }
    }
    Ok(())
}

async fn with_past(client: &Client, args: &EventsArgs, form: Form) -> Result<(), CliError> {
    let begin = args.since.map_or(Begin::Oldest, since);
    let mut history = client.past_events(begin, args.follow).await?;
    if let Some(why) = history.missing() {
        let error = nothing_kept("events", why);
        if !args.follow {
            return Err(error);
        }
        ui::note(format_args!("{}; what comes from now on is shown", error.message));
    }
    let past = past(&mut history, args).await;
    tell_gaps(&history, "events");
    if form == Form::Json {
        ui::json(&past.iter().map(document).collect::<Vec<_>>());
    } else if !past.iter().all(|event| show(event, form)) {
        return Ok(());
    }
    if !args.follow {
        if past.is_empty() {
            ui::note("no such events");
        }
        return Ok(());
    }
    ui::note("following events; Ctrl-C ends it");
    while let Some(event) = history.next().await {
        if args.wants(&event) && !show(&event, form) {
            break;
        }
    }
    Ok(())
}

/// The last of what is there; all of it is bounded by the stream.
async fn past(history: &mut History<EventLine>, args: &EventsArgs) -> VecDeque<EventLine> {
    let most = args.tail.unwrap_or(if args.since.is_some() { usize::MAX } else { TAIL });
    let mut past = VecDeque::new();
    while let Some(event) = history.past().await {
        if args.wants(&event) {
            keep_last(&mut past, event, most);
        }
    }
    past
}

fn document(event: &EventLine) -> Value {
    let time = event.time.to_seconds_text();
    json!({ "time": time, "from": event.from, "type": event.kind, "event": event.payload })
}

fn show(event: &EventLine, form: Form) -> bool {
    if form != Form::Text {
        return ui::follow(document(event));
    }
    let (time, from) = (event.time.to_seconds_text(), ui::harmless(&event.from));
    let kind = ui::harmless(&event.kind);
    ui::follow(format_args!("{time} {kind:<15} {from} {}", words(&event.payload)))
}

/// `key=value`, without what every event has.
fn words(payload: &Value) -> String {
    let Value::Object(fields) = payload else { return ui::harmless(&payload.to_string()) };
    let word = |(key, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (!value.is_empty()).then(|| ui::harmless(&format!("{key}={value}")))
    };
    fields.iter().filter_map(word).collect::<Vec<_>>().join(" ")
}
