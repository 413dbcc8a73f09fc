//! `nex events -f`: what happens to nodes and workloads, as it happens.
//!
//! Owns: one line per event. Never: keeps history, which is not there yet.

use clap::Args;
use nex_api::Time;
use serde_json::Value;

use super::logs::no_history;
use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Follow
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(globals: Globals, args: EventsArgs) -> Result<(), CliError> {
    if !args.follow {
        return Err(no_history("events"));
    }
    let client = globals.client().await?;
    let mut events = client.events().await?;
    ui::note("following events; Ctrl-C ends it");
    while let Some(event) = events.next().await {
        let time = Time::now().to_seconds_text();
        let shown = if globals.json {
            let document = serde_json::json!({
                "time": time, "from": event.from, "type": event.kind, "event": event.payload,
            });
            ui::follow(document)
        } else {
            let from = ui::harmless(&event.from);
            ui::follow(format_args!(
                "{time} {:<15} {from} {}",
                ui::harmless(&event.kind),
                words(&event.payload)
            ))
        };
        if !shown {
            break;
        }
    }
    Ok(())
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
