//! What `nex config` shows, read off the command line's own definition.
//!
//! Owns: the value and origin of each setting, with secrets masked. Never: prints.

use clap::{Arg, Command, CommandFactory};
use nex_bus::connection::without_user;
use serde::Serialize;

use super::{Origin, configurable, keys};
use crate::args::{Cli, Globals};

const MASK: &str = "********";

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// Its key in a configuration file.
    pub(crate) key: String,
    /// Its flag.
    pub(crate) flag: String,
    /// The variable that says it, if it has one.
    pub(crate) variable: Option<String>,
    /// None when nobody says anything and there is no default; secrets are masked.
    pub(crate) value: Option<String>,
    /// Who says it.
    pub(crate) from: String,
}

impl Setting {
    /// Whether neither anybody nor a default says anything.
    pub(crate) fn is_untouched(&self) -> bool {
        self.value.is_none()
    }
}

/// All settings, those of every command first.
pub(crate) fn settings(globals: &Globals) -> Vec<Setting> {
    let command = Cli::command();
    let mut settings: Vec<Setting> = Vec::new();
    for arg in configurable(&command).into_iter().flat_map(Command::get_arguments) {
        let is_new = !settings.iter().any(|setting| Some(&*setting.flag) == long(arg).as_deref());
        if let (true, false, Some(flag)) = (is_new, arg.is_hide_set(), long(arg)) {
            settings.push(setting(globals, arg, flag));
        }
    }
    settings
}

fn setting(globals: &Globals, arg: &Arg, flag: String) -> Setting {
    let (texts, from) = said(globals, arg);
    let value = (!texts.is_empty()).then(|| shown(arg, &texts.join(",")));
    let names = keys::names(arg);
    // The name with a dot is the Go command line's, and the one that files have.
    let key = names.iter().find(|name| name.contains('.')).or(names.first());
    Setting {
        key: key.map(|key| key.replace('-', "_")).unwrap_or_default(),
        flag,
        variable: variable(arg),
        value,
        from,
    }
}

/// The value as it was typed, and who said it.
fn said(globals: &Globals, arg: &Arg) -> (Vec<String>, String) {
    let id = arg.get_id().as_str();
    if let Origin::Flag = globals.origins.of(id) {
        return (globals.origins.typed(id).to_vec(), "flag".to_owned());
    }
    if let Some(value) = globals.origins.in_files(id) {
        return (value.texts.clone(), format!("file {}", value.path.display()));
    }
    if let Some(name) = variable(arg)
        && let Some(value) = std::env::var_os(&name).filter(|value| !value.is_empty())
    {
        return (vec![value.to_string_lossy().into_owned()], format!("variable {name}"));
    }
    let defaults = arg.get_default_values().iter();
    (defaults.map(|value| value.to_string_lossy().into_owned()).collect(), "default".to_owned())
}

fn shown(arg: &Arg, text: &str) -> String {
    let is_secret = arg
        .get_value_names()
        .is_some_and(|names| names.iter().any(|name| name == "SECRET" || name == "SEED"));
    if is_secret && !text.starts_with('@') {
        return MASK.to_owned();
    }
    if arg.get_id() == "nats_url" || arg.get_id() == "otlp" {
        return text.split(',').map(without_user).collect::<Vec<_>>().join(",");
    }
    text.to_owned()
}

fn long(arg: &Arg) -> Option<String> {
    arg.get_long().map(|long| format!("--{long}"))
}

fn variable(arg: &Arg) -> Option<String> {
    arg.get_env().map(|name| name.to_string_lossy().into_owned())
}
