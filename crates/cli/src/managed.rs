//! The two sides of this user's managed server: the control plane, and where workloads are.
//!
//! Owns: which credentials lead to which. Never: starts it.

use std::path::Path;

use nex_bus::Settings;
use nex_bus::connection::NEX_INBOX;
use nex_bus::managed::{Accounts, Record};

/// Settings for the control plane of the managed server in `directory`, if it runs.
pub(crate) fn of_running(directory: &Path) -> Option<Settings> {
    let record = Record::of_running(directory)?;
    Some(control(directory, &record.url))
}

/// Settings for the control plane of the server at `url`, which is the one in `directory`.
pub(crate) fn control(directory: &Path, url: &str) -> Settings {
    let settings = crate::connection::settings_for(url.to_owned());
    match Accounts::read(directory) {
        Some(accounts) => Settings {
            data: accounts.control(url),
            inbox_prefix: Some(NEX_INBOX.to_owned()),
            ..settings
        },
        None => settings,
    }
}

/// Whether `settings` lead to the control plane of the managed server in `directory`.
pub(crate) fn is_control(directory: &Path, settings: &Settings) -> bool {
    Accounts::read(directory).is_some_and(|accounts| accounts.is_control(&settings.data))
}

/// Where workloads are: beside the control plane on the managed server, the same place anywhere else.
pub(crate) fn workloads(directory: &Path, settings: Settings) -> Settings {
    let accounts = Accounts::read(directory).filter(|a| a.is_control(&settings.data));
    match (accounts, settings.data.nats_servers.first()) {
        (Some(accounts), Some(url)) => Settings { data: accounts.workloads(url), ..settings },
        _ => settings,
    }
}
