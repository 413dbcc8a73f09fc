//! `nex dev FILE`: deploys a file, deploys it again at each save, and shows its logs and calls in one flow.
//!
//! Owns: the arguments, and what is refused before anything is deployed. Never: deploys in another way than
//! `nex run` does.

mod attempt;
mod calls;
mod feeds;
mod flow;
mod happening;
mod keys;
mod meter;
mod ours;
mod session;
mod watch;

use std::io::{self, IsTerminal};

use clap::Args;

use self::flow::Flow;
use self::keys::RawTerminal;
use self::session::Setup;
use self::watch::Watch;
use super::logs::{Form, form};
use super::run::{RunArgs, Wish};
use super::signals::Signals;
use crate::args::Globals;
use crate::error::CliError;

/// Work on a file: deploy it, deploy it again at each save, and show its logs and calls
///
/// What `nex run` takes after FILE is taken here too. Each save is deployed at once, and how long it
/// took is told; a file that is broken is shown at its line, and the last good version goes on.
/// A workload of that name that ran before is replaced. At the end what was deployed is removed, and
/// only that.
///
///   nex dev echo.js --on js.echo
///   nex dev target/wasm32-wasip1/release/filter.wasm --on 'lines.*'    watches what the build writes
///   nex dev ./project                                                  a folder with a Nexfile
///
/// Keys: c asks for a payload and calls with it, r makes the last call again (also one that came from
/// elsewhere), l hides or shows logs, q quits. Without a terminal there are none; SIGINT or SIGTERM
/// ends it.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
// Nothing of these has an effect here.
#[command(
    mut_arg("no_replace", |arg| arg.hide(true)),
    mut_arg("otlp", |arg| arg.hide(true)),
    mut_arg("trace_sample", |arg| arg.hide(true))
)]
pub(crate) struct DevArgs {
    /// Print one JSON object per happening
    #[arg(long)]
    json_lines: bool,
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) async fn run(globals: Globals, args: DevArgs) -> Result<(), CliError> {
    let form = form(&globals, args.json_lines, true);
    let args = args.run.for_many_times()?;
    let wish = Wish::typed(args.clone())?;
    let client = globals.client().await.map_err(in_another_terminal)?;
    let workloads = globals.to_workloads(&client).await?;
    let setup = Setup {
        client,
        workloads,
        state_dir: globals.state_dir(),
        args,
        watch: Watch::new(wish.files()),
        flow: Flow::new(form),
        signals: Signals::listen(io::stderr().is_terminal())?,
        terminal: if form == Form::Text { RawTerminal::take() } else { None },
    };
    Box::pin(session::run(setup)).await.map_err(in_another_terminal)
}

/// This terminal is going to be busy.
fn in_another_terminal(error: CliError) -> CliError {
    let hint = error
        .hint
        .map(|hint| hint.replace("start one with: nex up", "in another terminal: nex up"));
    CliError { hint, ..error }
}
