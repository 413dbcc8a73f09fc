//! `nex logs`: what workloads wrote and write.
//!
//! Owns: the flags, and how much of the past is read. Never: keeps anything; the node's streams do.

mod select;
mod show;

use std::collections::VecDeque;
use std::time::Duration;

use clap::{Args, ValueEnum};
use nex_api::Time;
use nex_client::{Begin, Client, EventLine, History, HistoryError, LogRecord};

use self::select::Selection;
use self::show::{Names, Shown};
use crate::args::Globals;
use crate::error::CliError;
use crate::{complete, ui};

/// Lines or events that are shown when nothing else was asked for.
pub(crate) const TAIL: usize = 100;
/// Messages among which the last lines are looked for, before more of them are read.
const WINDOWS: [u64; 3] = [2_000, 50_000, u64::MAX];
/// Lines of workloads whose name is not known yet that are kept until it is; more are not shown.
const HELD_BACK: usize = 1000;

/// Show what workloads wrote, and follow what they write
///
///   nex logs echo -f
///   nex logs --since 10m --level warn
///   nex logs echo --previous        of the run before
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LogsArgs {
    /// Name, id or the beginning of an id; all workloads when left out
    #[arg(add = complete::workloads())]
    target: Option<String>,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Lines of this time until now, such as 10m or 1h
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    since: Option<Duration>,
    /// At most the last N of the lines that are there [default: 100; with --since: all]
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Only the run before the one that runs now, or the last one when none does
    #[arg(long, requires = "target", conflicts_with = "follow")]
    previous: bool,
    /// Only lines of this level and above
    #[arg(long, value_enum, ignore_case = true)]
    level: Option<Level>,
    /// Only lines that contain this text
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Only lines from this node, by name or the beginning of its id
    #[arg(long, value_name = "NODE", add = complete::nodes())]
    node: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json_lines: bool,
}

/// From the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// What is not one of ours counts as info.
    fn of(text: &str) -> Self {
        <Self as ValueEnum>::from_str(text, true).unwrap_or(Self::Info)
    }
}

/// How output is wanted.
pub(crate) fn form(globals: &Globals, json_lines: bool, follow: bool) -> Form {
    match (json_lines || (globals.json && follow), globals.json) {
        (true, _) => Form::JsonLines,
        (false, true) => Form::Json,
        (false, false) => Form::Text,
    }
}

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    JsonLines,
    /// One document, when all is known.
    Json,
}

/// From when on, by this machine's clock.
pub(crate) fn since(duration: Duration) -> Begin {
    let nanos = i128::try_from(duration.as_nanos()).unwrap_or_default();
    let now = Time::now().since(Time::from_unix_nanos(0)).as_nanos();
    Begin::At(Time::from_unix_nanos(i128::try_from(now).unwrap_or_default() - nanos))
}

/// Adds to a tail of at most so many.
pub(crate) fn keep_last<T>(tail: &mut VecDeque<T>, newest: T, most: usize) {
    tail.push_back(newest);
    if tail.len() > most {
        tail.pop_front();
    }
}

/// What is kept is not shown in full, and why.
pub(crate) fn tell_gaps<T>(history: &History<T>, what: &str) {
    if let Some(why) = history.missing().filter(|_| history.is_kept()) {
        ui::note(format_args!("not all {what} that are kept can be read: {why}"));
    }
    if history.is_cut() {
        ui::note(format_args!(
            "{what} may be missing: reading what is kept stopped before its end"
        ));
    }
}

/// Why nothing can be shown but what comes.
pub(crate) fn nothing_kept(what: &str, why: &HistoryError) -> CliError {
    let reason = match why {
        HistoryError::NoStream(_) => format!("no {what} are kept here"),
        other => format!("no {what} are kept: {other}"),
    };
    CliError::other(reason).hint(format!("follow what comes from now on with: nex {what} -f"))
}

pub(crate) async fn run(globals: Globals, args: LogsArgs) -> Result<(), CliError> {
    let client = globals.client().await?;
    // Of workloads whose lines do not tell their names, events do.
    let mut events = match args.follow {
        true => Some(client.events().await?),
        false => None,
    };
    let names = Names::new(&client).await;
    let mut selection = Selection::new(&client, &args, &names).await?;
    if args.previous {
        selection.choose_previous(&client, &names).await?;
    }
    let mut shown = Shown::new(form(&globals, args.json_lines, args.follow), names);
    let Some(mut history) = past(&client, &args, &selection, &mut shown).await? else {
        return Ok(());
    };
    shown.end_of_past();
    let Some(events) = &mut events else { return Ok(()) };
    if let Some(why) = history.missing().filter(|_| !history.is_kept()) {
        ui::note(format_args!(
            "{}; what comes from now on is shown",
            nothing_kept("logs", why).message
        ));
    }
    ui::note("following logs; Ctrl-C ends it");
    let mut held = Held::default();
    loop {
        let is_open = tokio::select! {
            Some(record) = history.next() => held.record(&selection, &mut shown, record),
            Some(event) = events.next() => held.event(&selection, &mut shown, &event),
            else => return Ok(()),
        };
        if !is_open {
            return Ok(());
        }
    }
}

/// Shows what is there of the past; none when nobody reads any more.
async fn past(
    client: &Client,
    args: &LogsArgs,
    selection: &Selection,
    shown: &mut Shown,
) -> Result<Option<History<LogRecord>>, CliError> {
    let tail = args.tail.or(args.since.is_none().then_some(TAIL));
    let begins: Vec<Begin> = match args.since {
        Some(duration) => vec![since(duration)],
        None => WINDOWS.map(Begin::Last).to_vec(),
    };
    let mut n_shown = 0_usize;
    let mut last = None;
    for begin in begins {
        let mut history = client.logs(begin, args.follow).await?;
        if !args.follow && !history.is_kept() {
            selection.refuse_unknown(&shown.names)?;
            let missing = history.missing().cloned();
            return Err(missing
                .map_or_else(|| CliError::other("no logs"), |why| nothing_kept("logs", &why)));
        }
        let mut lines = VecDeque::new();
        while let Some(record) = history.past().await {
            if !selection.wants(&record, &shown.names) {
                continue;
            }
            match tail {
                None if shown.show(&record) => n_shown += 1,
                None => return Ok(None),
                Some(most) => keep_last(&mut lines, record, most),
            }
        }
        let is_enough = tail.is_none_or(|most| lines.len() >= most) || history.is_whole();
        last = Some((history, lines));
        if is_enough {
            break;
        }
    }
    let Some((history, lines)) = last else { return Ok(None) };
    tell_gaps(&history, "logs");
    n_shown += lines.len();
    if !lines.iter().all(|record| shown.show(record)) {
        return Ok(None);
    }
    if n_shown == 0 && !args.follow {
        selection.explain_nothing(&shown.names)?;
    }
    Ok(Some(history))
}

/// Lines that wait for the name of their workload.
#[derive(Debug, Default)]
struct Held(Vec<LogRecord>);

impl Held {
    /// Shows a line or holds it back until its workload's name is known; false when nobody reads.
    fn record(&mut self, selection: &Selection, shown: &mut Shown, record: LogRecord) -> bool {
        if selection.wants(&record, &shown.names) {
            return shown.show(&record);
        }
        if !shown.names.knows(&record) && self.0.len() < HELD_BACK {
            self.0.push(record);
        }
        true
    }

    /// Learns the names of workloads that start.
    fn event(&mut self, selection: &Selection, shown: &mut Shown, event: &EventLine) -> bool {
        let Some(id) = shown.names.learn(event) else { return true };
        let (now, later): (Vec<LogRecord>, _) =
            std::mem::take(&mut self.0).into_iter().partition(|held| held.workload_id == id);
        self.0 = later;
        now.iter().all(|held| !selection.wants(held, &shown.names) || shown.show(held))
    }
}

/// Nothing of that name or id.
fn not_found(target: &str, namespace: &str, names: &Names) -> CliError {
    let message =
        format!("no workload {target} runs in namespace {namespace}, and no lines of it are kept");
    CliError::unknown(&message, target, names.of_workloads())
        .hint("see what runs: nex ls   and what was written: nex logs --since 1h")
}
