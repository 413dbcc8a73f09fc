//! The suite that every nexlet passes, in whatever language it is written: it plays the node.
//!
//! Owns: the list of checks and their order; launching the nexlet as a node would, and ending it. Never:
//! looks at anything but what the nexlet sends and answers (spec: control API, sections 2.3 to 5.12).
//!
//! ```text
//! launch ─► REGISTER, answered with a workload to restore ─► checks, one after the other ─► SIGTERM
//!                                                            launch again ─► REGISTER refused ─► backs off?
//! ```

mod bench;
mod endings;
mod life;
mod refusals;
mod registration;
mod report;
mod workloads;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

use bench::Bench;
pub use bench::{Options, SetupError};
pub use report::{Finding, Report, Verdict};

/// What a check says: nothing when all is well.
type Outcome = Result<(), Complaint>;

/// What a check found.
#[derive(Debug)]
enum Complaint {
    /// A node or client would stumble over it.
    Wrong(String),
    /// It works, but could be better.
    Advice(String),
    /// It could not be looked at.
    Skipped(String),
}

/// A complaint that something is wrong.
fn wrong(what: impl Into<String>) -> Complaint {
    Complaint::Wrong(what.into())
}

type Check = (&'static str, for<'a> fn(&'a Bench) -> LocalBoxFuture<'a, Outcome>);

/// In this order; each says in its name what a nexlet does.
const CHECKS: &[Check] = &[
    ("its registration has every key", |b| registration::has_every_key(b).boxed_local()),
    ("its name, type and version can be used", |b| registration::is_usable(b).boxed_local()),
    ("its schema is JSON", |b| registration::has_a_schema(b).boxed_local()),
    ("it sends a heartbeat at once", |b| life::beats_at_once(b).boxed_local()),
    ("its endpoints have the right subjects and queue groups", |b| {
        registration::endpoints(b).boxed_local()
    }),
    ("it starts existing workloads again, under their ids", |b| {
        workloads::restores(b).boxed_local()
    }),
    ("it answers pings with its summary and id", |b| life::answers_pings(b).boxed_local()),
    ("it starts a workload and answers once", |b| workloads::starts(b).boxed_local()),
    ("it lists workloads to their namespace and to system alone", |b| {
        workloads::lists(b).boxed_local()
    }),
    ("it filters lists by id and name", |b| workloads::filters(b).boxed_local()),
    ("it gives a workload's request back", |b| workloads::gives_back(b).boxed_local()),
    ("it starts several workloads at once", |b| workloads::starts_many(b).boxed_local()),
    ("it starts nothing twice", |b| workloads::starts_once(b).boxed_local()),
    ("it is silent about workloads that it does not run", |b| refusals::is_silent(b).boxed_local()),
    ("it refuses a request that it cannot run", |b| refusals::refuses_a_start(b).boxed_local()),
    ("it answers malformed requests with code 100", |b| {
        refusals::answers_malformed(b).boxed_local()
    }),
    ("it stops nothing of another namespace", |b| refusals::stops_no_other(b).boxed_local()),
    ("it stops workloads within a second", |b| workloads::stops(b).boxed_local()),
    ("it tells events of its workloads", |b| life::tells_events(b).boxed_local()),
    ("it logs under its workloads' namespace", |b| life::logs_under_the_namespace(b).boxed_local()),
    ("it goes on when publishing is refused", |b| life::survives_refusals(b).boxed_local()),
    ("its heartbeats keep coming", |b| life::keeps_beating(b).boxed_local()),
    ("it registers again with a new node", |b| life::registers_again(b).boxed_local()),
    ("it takes lame duck", |b| life::takes_lame_duck(b).boxed_local()),
];

/// Runs every check against the nexlet that `options` name, and tells each finding as it comes.
///
/// # Errors
/// When the suite itself cannot work: NATS cannot be reached, or the program cannot be started.
pub async fn check(
    options: &Options,
    mut tell: impl FnMut(&Finding),
) -> Result<Report, SetupError> {
    let mut report = Report::default();
    let mut found = |report: &mut Report, check, outcome: Outcome| {
        let finding = Finding::of(check, outcome);
        tell(&finding);
        report.findings.push(finding);
    };
    let (bench, registered) = Bench::open(options).await?;
    let is_registered = registered.is_ok();
    found(&mut report, "it registers under the id that it was given", registered);
    for (name, check) in CHECKS {
        let outcome = match is_registered {
            true => check(&bench).await,
            false => Err(Complaint::Skipped("it did not register".to_owned())),
        };
        found(&mut report, name, outcome);
    }
    let (ended, output) = bench.close().await;
    found(&mut report, "it ends when it is told, and leaves nothing", ended);
    report.output = output;
    let refused = endings::is_refused(options).await?;
    found(&mut report, "it takes a refused registration calmly", refused);
    Ok(report)
}
