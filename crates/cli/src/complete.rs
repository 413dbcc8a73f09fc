//! Completions of a shell, with the names that are there now.
//!
//! Owns: the words that a shell hands over, what is offered for each argument, and the bound on asking. Never:
//! tells an error, since nobody at a prompt can do anything with it; offers a word that a shell or a terminal
//! would take for more than a word.
//!
//! A shell calls `COMPLETE=<shell> nex -- <words>`. Its script comes from `nex completions <shell>`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use nex_api::workload::{Lifecycle, WorkloadSummary};
use nex_client::Client;
use nex_types::{Namespace, host_bucket_prefix};

use crate::args::{self, Globals};
use crate::commands::explain;
use crate::{config, context, ui};

/// What the shell's script sets.
const VARIABLE: &str = "COMPLETE";
/// Which word is to be completed; some shells say it, with others it is the last.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";
/// Somebody waits with a finger on the key.
const BOUND: Duration = Duration::from_millis(300);
/// More than anybody reads.
const MOST: usize = 200;
const DEFAULT_NAMESPACE: &str = "default";
const LONGEST_HELP: usize = 60;

/// What may be typed in place of an argument, and a few words about it.
type Offers = BTreeMap<String, String>;

/// Answers a shell, if it is one that asks.
pub(crate) fn answer() -> Option<ExitCode> {
    let shell = PathBuf::from(std::env::var_os(VARIABLE)?);
    // The variable may be somebody else's; then this is a command like any other.
    Shells::builtins().completer(shell.file_stem()?.to_str()?)?;
    let folder = std::env::current_dir().ok();
    let completing = CompleteEnv::with_factory(args::command).bin("nex");
    let _nothing_offered = completing.try_complete(std::env::args_os(), folder.as_deref());
    Some(ExitCode::SUCCESS)
}

/// The script by which a shell learns to ask.
pub(crate) fn script(shell: clap_complete::Shell) -> Vec<u8> {
    let shells = Shells::builtins();
    let mut script = Vec::new();
    if let Some(shell) = shells.completer(&shell.to_string()) {
        let _in_memory = shell.write_registration(VARIABLE, "nex", "nex", &this(), &mut script);
    }
    script
}

/// This program, as it was called: by its name alone, the shell finds it wherever it is next time.
fn this() -> String {
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_else(|| "nex".into()));
    let path = match called.components().count() {
        0 | 1 => called,
        _ => std::path::absolute(&called).unwrap_or(called),
    };
    path.to_string_lossy().into_owned()
}

/// For names and ids of workloads.
pub(crate) fn workloads() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let asked = ask(async |client| client.known_workloads().await);
        offer(current, by_name(&asked), by_id(&asked))
    })
}

/// For names of workloads, where an id means nothing.
pub(crate) fn workload_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let asked = ask(async |client| client.known_workloads().await);
        offer(current, by_name(&asked), Offers::new())
    })
}

/// For names of functions, which can be called.
pub(crate) fn functions() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let mut asked = ask(async |client| client.known_workloads().await);
        asked.retain(|workload| workload.workload_lifecycle == Lifecycle::Function.as_str());
        offer(current, by_name(&asked), Offers::new())
    })
}

/// For names and ids of nodes.
pub(crate) fn nodes() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let (names, ids) = ask(async |client| nodes_known(&client).await);
        offer(current, names, ids)
    })
}

/// For names and ids of both.
pub(crate) fn workloads_and_nodes() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let (workloads, (mut names, mut ids)) =
            ask(async |client| tokio::join!(client.known_workloads(), nodes_known(&client)));
        names.extend(by_name(&workloads));
        ids.extend(by_id(&workloads));
        offer(current, names, ids)
    })
}

/// For namespaces; the two that are always there first come without asking.
pub(crate) fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let mut names: Offers = ask(async |client| client.known_namespaces().await)
            .into_iter()
            .map(|namespace| (namespace.to_string(), String::new()))
            .collect();
        names.insert(DEFAULT_NAMESPACE.to_owned(), "unless another is named".to_owned());
        names.insert(Namespace::SYSTEM.to_owned(), "sees and may do all".to_owned());
        offer(current, names, Offers::new())
    })
}

/// For the buckets of functions.
pub(crate) fn buckets() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let asked = ask(async |client| {
            let prefix = host_bucket_prefix(client.namespace());
            let Some(globals) = globals() else { return Vec::new() };
            let Ok(nats) = globals.to_workloads(&client).await else { return Vec::new() };
            nex_bus::guest::list(&nats, &prefix).await.unwrap_or_default()
        });
        let names = asked.into_iter().map(|listed| (listed.bucket, String::new()));
        offer(current, names.collect(), Offers::new())
    })
}

/// For error codes, with or without `NEX-`.
pub(crate) fn codes() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let is_number =
            current.to_str().is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
        let prefix = if is_number { "" } else { "NEX-" };
        let codes = explain::titles()
            .map(|(number, title)| (format!("{prefix}{number}"), title.to_owned()));
        offer(current, codes.collect(), Offers::new())
    })
}

/// For contexts of the `nats` command line.
pub(crate) fn contexts() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let names = context::all_names().into_iter().map(|name| (name, String::new()));
        offer(current, names.collect(), Offers::new())
    })
}

/// The names that go on as `current` does; ids only of somebody who types one.
fn offer(current: &OsStr, names: Offers, ids: Offers) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let going_on = |offers: Offers| {
        let offers =
            offers.into_iter().filter(|(word, _)| is_plain(word) && word.starts_with(current));
        let candidate = |(word, help): (String, String)| {
            let help: String = ui::harmless(&help).chars().take(LONGEST_HELP).collect();
            CompletionCandidate::new(word).help((!help.is_empty()).then(|| help.into()))
        };
        offers.take(MOST).map(candidate).collect::<Vec<_>>()
    };
    let named = going_on(names);
    if named.is_empty() && !current.is_empty() { going_on(ids) } else { named }
}

/// Strangers name workloads; what is offered is put on a command line as it is.
fn is_plain(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(is_plain)
}

fn by_name(workloads: &[WorkloadSummary]) -> Offers {
    let help = |w: &WorkloadSummary| format!("{} {}", w.workload_type, w.workload_lifecycle);
    workloads.iter().map(|workload| (workload.name.clone(), help(workload))).collect()
}

fn by_id(workloads: &[WorkloadSummary]) -> Offers {
    workloads.iter().map(|workload| (workload.id.clone(), workload.name.clone())).collect()
}

/// By name and by id.
async fn nodes_known(client: &Client) -> (Offers, Offers) {
    let nodes = client.known_nodes().await;
    let name = |tags: &nex_types::Tags| tags.get("nex.node").cloned();
    let names = nodes.iter().filter_map(|node| Some((name(&node.tags)?, "node".to_owned())));
    let ids = nodes.iter().map(|node| (node.node_id.clone(), name(&node.tags).unwrap_or_default()));
    (names.collect(), ids.collect())
}

/// Asks with the settings that are typed already; nothing when there is no answer in time.
fn ask<T: Default>(question: impl AsyncFnOnce(Client) -> T) -> T {
    let Some(globals) = globals() else { return T::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return T::default() };
    let asked = async {
        match globals.client().await {
            Ok(client) => question(client).await,
            Err(_) => T::default(),
        }
    };
    let answer = runtime.block_on(async { tokio::time::timeout(BOUND, asked).await });
    // A resolver that hangs must not keep the shell.
    runtime.shutdown_background();
    answer.unwrap_or_default()
}

fn globals() -> Option<Globals> {
    config::unfinished(&typed())
}

/// What is typed, without the word that is to be completed.
fn typed() -> Vec<OsString> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let mut words: Vec<OsString> = words.collect();
    let last = words.len().saturating_sub(1);
    let index = std::env::var_os(INDEX).and_then(|index| index.to_str()?.parse().ok());
    let index: usize = index.unwrap_or(last);
    if index < words.len() {
        words.remove(index);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(names: &[&str]) -> Offers {
        names.iter().map(|name| ((*name).to_owned(), "a\u{1b}[2Jb".to_owned())).collect()
    }

    fn words(candidates: &[CompletionCandidate]) -> Vec<&str> {
        candidates.iter().filter_map(|candidate| candidate.get_value().to_str()).collect()
    }

    #[test]
    fn only_plain_words_are_offered_and_ids_to_those_who_type_one() {
        let names = ["echo", "orders", "$(reboot)", "a b", "\u{1b}[2J", "-rf", "x;y", "", "é"];
        let ids = ["eXYZ", "9abc"];
        let offered = |current: &str| offer(OsStr::new(current), offers(&names), offers(&ids));
        assert_eq!(words(&offered("")), ["echo", "orders"]);
        assert_eq!(words(&offered("e")), ["echo"]);
        assert_eq!(words(&offered("9")), ["9abc"]);
        assert!(offered("$").is_empty() && offered("zzz").is_empty());
        let help = offered("o").first().and_then(|c| c.get_help().map(ToString::to_string));
        assert_eq!(help.as_deref(), Some("a\u{fffd}[2Jb"));
    }
}
