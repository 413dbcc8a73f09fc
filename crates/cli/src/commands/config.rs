//! `nex config`: the settings that are in force, and where each is from.
//!
//! Owns: both forms. Never: shows a secret, or connects.

use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::config::report::{Setting, settings};
use crate::error::CliError;
use crate::ui;

/// Show the settings that are in force, and where each is from
///
/// Flags win over configuration files, these over variables, these over defaults. The keys are those of
/// a configuration file.
///
///   nex config --all
#[derive(Debug, Default, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ConfigArgs {
    /// Those too that nobody has said anything about
    #[arg(short, long)]
    all: bool,
}

pub(crate) fn run(globals: &Globals, args: &ConfigArgs) -> Result<(), CliError> {
    let chosen = globals.chosen()?;
    let (server, from) = (chosen.settings.servers_text(), chosen.from.to_string());
    let settings = settings(globals);
    if globals.json {
        ui::json(&json!({
            "nats": {"servers": server, "identity": chosen.identity(), "from": from},
            "left_alone": globals.origins.left_alone(),
            "settings": settings,
        }));
        return Ok(());
    }
    let identity = chosen.identity();
    ui::block("NATS", &[("servers", server), ("identity", identity), ("from", from)]);
    ui::line("");
    let is_shown = |setting: &&Setting| args.all || !setting.is_untouched();
    let rows: Vec<Vec<String>> = settings.iter().filter(is_shown).map(row).collect();
    ui::table(&["KEY", "VALUE", "FROM"], &rows);
    if !args.all {
        ui::note("all keys: nex config --all");
    }
    if let Some(why) = globals.origins.left_alone() {
        ui::note(format_args!("note: ./config.json is left alone: {why}"));
    }
    Ok(())
}

fn row(setting: &Setting) -> Vec<String> {
    vec![setting.key.clone(), setting.value.clone().unwrap_or_default(), setting.from.clone()]
}
