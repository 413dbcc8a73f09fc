//! How one function comes up: check, fetch, prepare, connect, subscribe, serve.
//!
//! Owns: the order, which is cheap before dear, and nothing left behind when the future is dropped.
//! Never: keeps a table of functions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all, try_join, try_join_all};
use nex_api::Code;
use nex_api::trigger::runs_bucket;
use nex_api::workload::fact;
use nex_bus::connection::{SHARED_INBOX, workload_inbox};
use nex_bus::durable::{Durable, Settings as DurableSettings};
use nex_bus::seal::Variables;
use nex_bus::{Client, Lease, Settings, Subscriber, round_trip};
use nex_nexlet::{LogFeed, Start, StartFailure, Started, step};
use nex_sandbox::OnFailure;
use nex_types::{Digest, Id};
use tokio::sync::{RwLock, oneshot};
use tokio_util::task::TaskTracker;

use crate::artifact::{self, Reference};
use crate::call_trace::CallTraces;
use crate::dispatch::{Dispatcher, Parts};
use crate::guest_log::FeedLog;
use crate::host::Host;
use crate::nexlet::Options;
use crate::owner::Owner;
use crate::reply::Responder;
use crate::request::{self, Checked};
use crate::runtime::{ColdStarts, Guest, GuestSpec, Language, Refusal};
use crate::stats::Stats;
use crate::trigger::durable::{self, Keeping, Runner};
use crate::trigger::runs::Runs;
use crate::trigger::{DurableTrigger, Source, Trigger, overlapping, subject};
use crate::turns::Party;
use crate::workload::{Function, Shared};

/// Asking JetStream must not hold up a deploy.
const WARNING_BOUND: Duration = Duration::from_millis(300);
/// How long a start waits for the server to have read its subscriptions.
const SUBSCRIBED_BOUND: Duration = Duration::from_millis(500);

/// A guest that is ready, and what it was made of.
struct Prepared {
    guest: Arc<dyn Guest>,
    digest: Digest,
    cold_starts: ColdStarts,
}

/// What a function's triggers read from.
struct Sources {
    subscribers: Vec<Subscriber>,
    durables: Vec<(DurableTrigger, Durable)>,
}

/// Starts a function; when this returns, the server knows its subscriptions.
pub(crate) async fn start(options: &Options, start: Start) -> Result<Started, StartFailure> {
    let owner = request::Owner {
        namespace: &start.namespace,
        name: &start.name,
        deny: &options.deny,
        deny_services: &options.deny_services,
    };
    let mut checked = request::parse(&start.request.run_request, &owner)?;
    let variables = start.variables(&checked.request.environment)?;
    start.logs.set_rate(checked.limits.log_rate);
    let fetching = step(&start.scope, "fetch artifact", fetch(options, &start, &checked));
    let (source, lease) = try_join(fetching, connect(options, &start)).await?;
    let client = &lease.client;
    let settings = std::mem::take(&mut checked.host);
    let host = settings.into_host(client, &options.deny, &variables);
    let spec = guest_spec(options, &start, &checked, variables, source.bytes, host);
    let cold_starts = spec.cold_starts.clone();
    let preparing = step(&start.scope, "prepare", deploy(options, spec));
    let (guest, mut warnings) = join(preparing, warnings(asker(&start, client), &checked)).await;
    let prepared = Prepared { guest: guest?, digest: source.digest, cold_starts };
    let durables = durable_triggers(&checked).map(|trigger| open_durable(client, trigger));
    let durables = try_join_all(durables).await?;
    warnings.extend(durables.iter().filter_map(kept_position));
    let subjects = checked.triggers.iter().filter_map(Trigger::subject);
    let subscribers =
        try_join_all(subjects.map(|trigger| subject::subscribe(client, trigger))).await?;
    if !round_trip(client, SUBSCRIBED_BOUND).await {
        tracing::warn!(workload.id = %start.id, "no echo from NATS; subscriptions may be read later");
    }
    // Nothing below awaits: a start that is dropped before leaves no task behind, after it is done.
    let sources = Sources { subscribers, durables };
    let workload = serve(options, start, &checked, prepared, lease, sources);
    Ok(Started { workload: Arc::new(workload), warnings })
}

fn durable_triggers(checked: &Checked) -> impl Iterator<Item = &DurableTrigger> {
    checked.triggers.iter().filter_map(Trigger::durable)
}

async fn open_durable(
    client: &Client,
    trigger: &DurableTrigger,
) -> Result<(DurableTrigger, Durable), StartFailure> {
    if let Source::Schedule(schedule) = &trigger.source {
        schedule.prepare(client).await?;
    }
    Ok((trigger.clone(), durable::open(client, trigger).await?))
}

fn kept_position((trigger, durable): &(DurableTrigger, Durable)) -> Option<String> {
    let DurableSettings { stream, name, .. } = &trigger.settings;
    durable.began_otherwise.then(|| {
        format!(
            "durable {name} of stream {stream} is there already and goes on where it is: another \
             beginning counts only when it is made anew (nex stop --purge)"
        )
    })
}

async fn fetch(
    options: &Options,
    start: &Start,
    checked: &Checked,
) -> Result<artifact::Source, StartFailure> {
    let reference = Reference {
        uri: &checked.request.uri,
        digest: checked.digest,
        namespace: &start.namespace,
    };
    artifact::fetch(&options.store, &start.control, &reference).await
}

fn guest_spec(
    options: &Options,
    start: &Start,
    checked: &Checked,
    environment: Variables,
    source: bytes::Bytes,
    host: Host,
) -> GuestSpec {
    GuestSpec {
        name: start.name.to_string(),
        language: options.language,
        source_language: checked.source_language,
        quotes_source: is_of_bucket_or_registry(&checked.request.uri),
        source,
        environment,
        argv: checked.request.argv.clone(),
        memory: checked.limits.memory,
        timeout: checked.limits.timeout,
        instances: checked.instances,
        host: Arc::new(host),
        logs: Arc::new(FeedLog(start.logs.clone())),
        cold_starts: ColdStarts::default(),
    }
}

/// Whoever names such an artifact can read it; a file or an address might be readable for the node only.
fn is_of_bucket_or_registry(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        ["nats", "oci"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    })
}

/// Deploys on the guest threads, since a script's top level runs there. Ends with its caller.
async fn deploy(options: &Options, spec: GuestSpec) -> Result<Arc<dyn Guest>, StartFailure> {
    let (mut done, deployed) = oneshot::channel();
    let engine = Arc::clone(&options.engine);
    let work = async move {
        let outcome = tokio::select! {
            outcome = engine.deploy(spec) => outcome,
            () = done.closed() => return,
        };
        // The caller may have gone in this very moment; then the guest is freed here.
        let _nobody_waits = done.send(outcome);
    };
    options.tasks.spawn_on(options.guests.handle(), "function deploy", OnFailure::Log, work);
    match deployed.await {
        Ok(outcome) => outcome.map_err(|refusal| refused(options.language, refusal)),
        Err(_) => Err(StartFailure::new(
            Code::NodeFailed,
            "the engine failed while it prepared the function",
        )),
    }
}

fn refused(language: Language, refusal: Refusal) -> StartFailure {
    let code = match language {
        Language::JavaScript => Code::SourceRefused,
        Language::Wasm => Code::ModuleRefused,
    };
    StartFailure { code, message: refusal.message, detail: refusal.detail }
}

/// The workload's own connection, shared by workloads with the same credentials. The minter's name
/// for it is left out, since it would tell apart what is the same. Credentials of its own come with
/// an inbox of its own.
async fn connect(options: &Options, start: &Start) -> Result<Lease, StartFailure> {
    let mut data = start.connection.clone();
    data.conn_name.clear();
    let inbox_prefix = Some(match has_jwt(start) {
        true => workload_inbox(start.id.as_str()),
        false => SHARED_INBOX.to_owned(),
    });
    let name = format!("nex-{}", options.type_name());
    let settings = Settings { inbox_prefix, ..Settings::minted(data, name) };
    options.pool.lease(&settings).await.map_err(|error| {
        let message = format!("cannot connect with the workload's credentials: {error}");
        StartFailure::new(Code::NodeFailed, message)
    })
}

/// Whom JetStream is asked by: credentials of a workload's own do not reach it, those of the nexlet do;
/// without any, the workload may be in another account than the nexlet.
fn asker<'a>(start: &'a Start, own: &'a Client) -> &'a Client {
    if has_jwt(start) { &start.control } else { own }
}

fn has_jwt(start: &Start) -> bool {
    !start.connection.nats_user_jwt.is_empty()
}

async fn warnings(client: &Client, checked: &Checked) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some((one, other)) = overlapping(&checked.triggers) {
        warnings.push(format!("triggers {one} and {other} overlap: a message on both runs twice"));
    }
    if !client.server_info().jetstream {
        return warnings;
    }
    let subjects = checked.triggers.iter().filter_map(Trigger::subject);
    let captured = join_all(subjects.map(|trigger| async {
        let stream = nex_bus::streams::capturing(client, trigger.pattern.as_str()).await?;
        let subject = &trigger.pattern;
        Some(format!("stream {stream} captures {subject}: callers may get its acknowledgement before the function's reply"))
    }));
    let dead_letters = durable_triggers(checked).filter_map(|t| t.rules.dead_letter.as_deref());
    let lost = join_all(dead_letters.map(|subject| async move {
        let taken = nex_bus::streams::capturing(client, subject).await.is_some();
        (!taken).then(|| {
            format!("no stream captures the dead_letter {subject}: nothing can be given up")
        })
    }));
    let asked = futures::future::join(captured, lost);
    let (captured, lost) = tokio::time::timeout(WARNING_BOUND, asked).await.unwrap_or_default();
    warnings.extend(captured.into_iter().chain(lost).flatten());
    warnings
}

fn serve(
    options: &Options,
    start: Start,
    checked: &Checked,
    prepared: Prepared,
    lease: Lease,
    sources: Sources,
) -> Function {
    let Lease { client, renewer } = lease;
    let facts = facts(checked, &prepared);
    let stats = Arc::new(Stats::new(prepared.cold_starts));
    let responder = Responder {
        client: Arc::clone(&client),
        workload: start.name.to_string(),
        deny: Arc::clone(&options.deny),
    };
    let stop = options.tasks.token().child_token();
    let shared = Arc::new(Shared::new(Arc::clone(&stats), facts, stop.clone()));
    let logs = start.logs.clone();
    let dispatcher = Arc::new(Dispatcher::new(Parts {
        guest: prepared.guest,
        responder,
        limits: checked.limits,
        stats,
        logs: start.logs,
        traces: CallTraces::new(options.tracer.clone(), &start.namespace, &start.name, &start.id),
        guests: options.guests.clone(),
        party: Party::of(start.namespace.as_str()),
        gone: shared.gone_when_dropped(),
    }));
    let (readers, works) = (TaskTracker::new(), TaskTracker::new());
    for (trigger, durable) in sources.durables {
        let name = runs_bucket(&start.namespace);
        let reading = Reading { trigger, durable, logs: logs.clone(), runs_bucket: name };
        let places = checked.limits.bounds.concurrency;
        let keeping = Keeping {
            tasks: options.tasks.clone(),
            works: works.clone(),
            stop: stop.clone(),
            places: places.min(reading.trigger.settings.max_in_flight) as usize,
        };
        read_durable(&readers, reading, &client, &dispatcher, keeping);
    }
    for subscriber in sources.subscribers {
        let reader =
            subject::read(subscriber, Arc::clone(&client), Arc::clone(&dispatcher), stop.clone());
        let (reader, unsettled) = (readers.track_future(reader), works.token());
        let reading = async move {
            reader.await.settle().await;
            drop(unsettled);
        };
        options.tasks.spawn("function trigger", OnFailure::Log, reading);
    }
    let drain = checked.limits.timeout.min(options.drain);
    let owner = Owner { dispatcher, client, shared: Arc::clone(&shared), readers, works, drain };
    options.tasks.spawn("function owner", OnFailure::Log, owner.run());
    Function { shared, renewer }
}

/// A durable that is to be read.
struct Reading {
    trigger: DurableTrigger,
    durable: Durable,
    logs: LogFeed,
    runs_bucket: String,
}

fn read_durable(
    readers: &TaskTracker,
    reading: Reading,
    client: &Arc<Client>,
    dispatcher: &Arc<Dispatcher>,
    keeping: Keeping,
) {
    let Reading { trigger, durable, logs, runs_bucket } = reading;
    let (tasks, stop) = (keeping.tasks.clone(), keeping.stop.clone());
    if let Source::Schedule(schedule) = &trigger.source {
        let ticking = schedule.clone().tick(Arc::clone(client), FeedLog(logs.clone()), stop);
        tasks.spawn("function schedule", OnFailure::Log, readers.track_future(ticking));
    }
    let runs = Runs::new(runs_bucket, trigger.runs_prefix.clone());
    let runner = Arc::new(Runner {
        trigger,
        client: Arc::clone(client),
        dispatcher: Arc::clone(dispatcher),
        runs,
        logs: FeedLog(logs),
        me: Id::random().to_string(),
        alone: RwLock::default(),
    });
    let reader = readers.track_future(durable::read(durable, runner, keeping));
    tasks.spawn("function trigger", OnFailure::Log, reader);
}

fn facts(checked: &Checked, prepared: &Prepared) -> BTreeMap<String, String> {
    let triggers: Vec<_> = checked.triggers.iter().map(|trigger| trigger.to_wire()).collect();
    let triggers = String::from_utf8_lossy(&nex_api::encode(&triggers)).into_owned();
    BTreeMap::from([
        (fact::DIGEST.to_owned(), prepared.digest.to_string()),
        (fact::TRIGGERS.to_owned(), triggers),
        ("shape".to_owned(), prepared.guest.shape().to_owned()),
    ])
}
