//! The nexlet of type `native`.
//!
//! Owns: the steps of a start, in an order that leaves nothing behind, and what it finds of an earlier
//! nexlet's. Never: runs what was not verified and checked.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use nex_api::Code;
use nex_api::start::{NativeRequest, schema_text};
use nex_api::workload::{Lifecycle, fact};
use nex_artifact::{Artifact, ElfRefusal, Store, check_static_file};
use nex_nexlet::{Description, Ingress, Nexlet, Start, StartFailure, Started, step};
use nex_sandbox::jail::{self, Isolation};
use nex_sandbox::{OnFailure, Tasks};
use nex_shim::{Order, Relay, VERSION};
use nex_types::{Id, Namespace};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::credentials;
use crate::environment::{self, Place};
use crate::health::{Health, Probe};
use crate::left::{Claim, Left};
use crate::permits::Permits;
use crate::plan::{self, Plan};
use crate::programs::{self, Record, RunFolder, Verified};
use crate::shim::{self, Found, LaunchError, Launcher};
use crate::shim_binary::shim_binary;
use crate::supervise::{Common, Launch, Origin, supervise};
use crate::uids::{OwnUid, Uids};

/// Name and workload type.
const NATIVE: &str = "native";
const LARGEST_PROGRAM: u64 = 1 << 30;
const SHUTDOWN_BOUND: Duration = Duration::from_secs(8);
/// What a node that has answered does not claim within this belongs to nobody.
const UNCLAIMED_AFTER: Duration = Duration::from_secs(120);
const ENDED_AT_ONCE: usize = 8;
/// Of output that nobody has taken yet, per workload.
const SPOOL_BYTES: u64 = 8 << 20;

/// What a nexlet of type `native` needs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its node, which programs are told.
    pub node_id: String,
    /// Where running programs are placed; this nexlet's alone, and on a file system that may execute.
    pub run_dir: PathBuf,
    /// Where artifacts come from.
    pub store: Store,
    /// Where programs with `expose_ports` are reached from outside, if that is to be announced.
    pub ingress: Option<Ingress>,
    /// What this node lets requests ask for.
    pub permits: Permits,
}

/// A nexlet that could not be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum OpenError {
    #[error("cannot use folder {path} for programs")]
    RunFolder { path: PathBuf, source: io::Error },
}

/// Starts static programs as services and jobs, each beside a shim. When it is dropped without having
/// left, they are killed.
#[derive(Debug)]
pub struct NativeNexlet {
    node_id: String,
    run_dir: PathBuf,
    store: Store,
    ingress: Option<Ingress>,
    permits: Permits,
    uids: Option<Uids>,
    left: Left,
    common: Common,
    tasks: Tasks,
    was_registered: std::sync::Once,
    _kill_on_drop: DropGuard,
}

/// What is needed to go on with a workload of an earlier nexlet's.
struct Adoption {
    claim: Claim,
    folder: RunFolder,
    record: Record,
    origin: Origin,
}

impl NativeNexlet {
    /// Prepares the run folder, and looks for what an earlier nexlet left in it. Call within a runtime.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options { node_id, run_dir, store, ingress, permits } = options;
        let failed = |source| OpenError::RunFolder { path: run_dir.clone(), source };
        let found = programs::prepare(&run_dir).map_err(failed)?;
        let uids = Uids::of(&run_dir);
        let left = Left::in_folder(&run_dir, found, uids.as_ref());
        let launcher = Launcher::install(&run_dir, shim_binary()).map_err(failed)?;
        if left.len() > 0 {
            tracing::info!(workloads = left.len(), "found what an earlier nexlet left");
        }
        let kill = CancellationToken::new();
        let common = Common {
            launcher: Arc::new(launcher),
            kill: kill.clone(),
            leave: CancellationToken::new(),
        };
        Ok(Self {
            node_id,
            uids,
            run_dir,
            store,
            ingress,
            permits,
            left,
            common,
            tasks: Tasks::new(),
            was_registered: std::sync::Once::new(),
            _kill_on_drop: kill.drop_guard(),
        })
    }

    /// Fetches, verifies and checks; nothing is executable yet.
    async fn obtain(&self, start: &Start, plan: &Plan) -> Result<Artifact, StartFailure> {
        let fetching = self.store.fetch(
            &start.control,
            &plan.uri,
            plan.digest,
            &start.namespace,
            LARGEST_PROGRAM,
        );
        let artifact = fetching.await.map_err(|error| plan::not_fetched(&error))?;
        let (path, is_boxed) = (artifact.path.clone(), plan.isolation != Isolation::None);
        match blocking(move || check_static_file(&path)).await? {
            Ok(_) => Ok(artifact),
            // Its interpreter and libraries are those of the machine, which it sees without a box.
            Err(ElfRefusal::Dynamic { .. }) if !is_boxed => Ok(artifact),
            Err(refusal) => Err(plan::refused(&refusal)),
        }
    }

    /// The program, in a folder of its own.
    async fn place(
        &self,
        start: &Start,
        plan: &Plan,
        uid: Option<u32>,
    ) -> Result<(RunFolder, Record), StartFailure> {
        let artifact = step(&start.scope, "fetch artifact", self.obtain(start, plan)).await?;
        let record = Record {
            namespace: start.namespace.to_string(),
            digest: artifact.digest.to_string(),
            uid,
            restarts: 0,
            missing: Vec::new(),
        };
        let verified = Verified {
            path: artifact.path.clone(),
            digest: artifact.digest,
            is_shared: plan.isolation != Isolation::None,
        };
        let (run_dir, id, name) = (self.run_dir.clone(), start.id.clone(), start.name.clone());
        // When the start is given up meanwhile, the folder is dropped there, and so removed.
        let placing = move || RunFolder::with_program(&run_dir, &id, &name, &verified);
        let folder = blocking(placing).await?;
        drop(artifact);
        Ok((folder, record))
    }

    /// What an earlier nexlet left of this workload, if anything that can be gone on with.
    async fn take_left(&self, start: &Start) -> Result<Option<Adoption>, StartFailure> {
        let Some(claim) = self.left.claim(&start.id) else { return Ok(None) };
        let folder = RunFolder::found(&self.run_dir, &start.id, &start.name);
        let path = folder.path().to_owned();
        let Some(record) = blocking(move || Ok(Record::read(&path))).await? else {
            // Its start was never told to anybody: it is started anew.
            end_left(folder, start.id.clone()).await?;
            drop(claim.settle());
            return Ok(None);
        };
        let origin = match shim::find(folder.path(), start.id.as_str()).await {
            Found::Runs(link, running) => Origin::Runs(link, running.program.pid, running.walls),
            Found::Ended(end) => Origin::Ended(end.taken),
            Found::Lost => Origin::Lost,
        };
        tracing::info!(workload.id = %start.id, standing = origin.as_str(), "workload adopted");
        Ok(Some(Adoption { claim, folder, record, origin }))
    }

    /// For a program that is started here, and has a box.
    fn own_uid(&self, plan: &Plan) -> Option<OwnUid> {
        let uids = self.uids.as_ref().filter(|_| plan.isolation != Isolation::None)?;
        uids.take()
    }

    /// A probe over NATS has the rights of its workload, and is where that is.
    async fn probing_client(
        &self,
        start: &Start,
        plan: &Plan,
        is_adopted: bool,
    ) -> Result<nex_bus::Client, StartFailure> {
        if !matches!(plan.health, Some(Health { probe: Probe::Nats { .. }, .. })) {
            return Ok(start.control.clone());
        }
        match start.connect().await {
            Err(failure) if is_adopted => {
                tracing::error!(workload.id = %start.id, error = %failure, "its probe cannot connect");
                Ok(start.control.clone())
            }
            connected => connected,
        }
    }

    fn order(
        &self,
        start: &Start,
        plan: &Plan,
        folder: &RunFolder,
        uid: Option<u32>,
        environment: BTreeMap<String, String>,
    ) -> Order {
        let is_boxed = plan.isolation != Isolation::None;
        let servers = &start.connection.nats_servers;
        Order {
            version: VERSION,
            spool_bytes: SPOOL_BYTES,
            relay: (plan.isolation == Isolation::Strict)
                .then(|| Relay { servers: servers.iter().map(|url| host_and_port(url)).collect() }),
            plan: jail::Plan {
                program: folder.program().to_owned(),
                name: start.name.to_string(),
                args: plan.argv.clone(),
                environment,
                directory: folder.path().to_owned(),
                isolation: plan.isolation,
                allow_weak: self.permits.weak_sandbox,
                uid,
                limits: plan.limits.clone(),
                group: programs::group_of(start.id.as_str()),
                ports: Some(plan.ports.clone()).filter(|ports| is_boxed && !ports.is_empty()),
                mounts: plan.mounts.clone(),
                credentials: Some(credentials::folder(folder.path())),
            },
        }
    }
}

#[async_trait]
impl Nexlet for NativeNexlet {
    fn describe(&self) -> Description {
        Description {
            name: NATIVE.to_owned(),
            register_type: NATIVE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "static 64-bit Linux programs as services and jobs".to_owned(),
            lifecycles: vec![Lifecycle::Service, Lifecycle::Job],
            schema: schema_text::<NativeRequest>(),
        }
    }

    async fn start(&self, start: Start) -> Result<Started, StartFailure> {
        let plan = Plan::read(&start.request)?;
        self.permits.check(&plan)?;
        // What can be refused without the artifact is refused before it is fetched.
        let place = Place {
            folder: &programs::folder_of(&self.run_dir, &start.id),
            is_boxed: plan.isolation != Isolation::None,
            has_relay: plan.isolation == Isolation::Strict,
        };
        let environment = environment(&start, &plan, &self.node_id, place)?;
        let adoption = self.take_left(&start).await?;
        let is_adopted = adoption.is_some();
        let (folder, record, origin, claim, own_uid) = match adoption {
            Some(Adoption { claim, folder, record, origin }) => {
                (folder, record, origin, Some(claim), None)
            }
            None => {
                let own_uid = self.own_uid(&plan);
                let uid = own_uid.as_ref().map(|own| own.uid);
                let (folder, record) = self.place(&start, &plan, uid).await?;
                (folder, record, Origin::Fresh, None, own_uid)
            }
        };
        let uid = own_uid.as_ref().map(|own| own.uid).or(claim.as_ref().and_then(Claim::uid));
        match write_credentials(&folder, uid, &start).await {
            Err(failure) if is_adopted => {
                tracing::error!(workload.id = %start.id, error = %failure, "credentials not renewed");
            }
            written => written?,
        }
        start.logs.set_rate(plan.log_rate);
        let client = self.probing_client(&start, &plan, is_adopted).await?;
        let own_uid = own_uid.or_else(|| claim.and_then(Claim::settle));
        let launch = Launch {
            order: self.order(&start, &plan, &folder, uid, environment),
            facts: facts(&record, &plan),
            port: plan.ports.first().copied(),
            policy: plan.life.clone(),
            signal: plan.stop.signal,
            health: plan.health.clone(),
            client,
            logs: start.logs,
            events: start.events,
            id: start.id,
            folder,
            record,
            origin,
            own_uid,
        };
        let launching = async {
            let launched = supervise(launch, self.common.clone(), &self.tasks).await;
            launched.map_err(|error| not_launched(&error))
        };
        let workload = step(&start.scope, "spawn", launching).await?;
        Ok(Started { workload: Arc::new(workload), warnings: Vec::new() })
    }

    fn ingress(&self) -> Option<Ingress> {
        self.ingress.clone()
    }

    fn leaves_workloads(&self) -> bool {
        true
    }

    async fn stop_left(&self, id: &Id, namespace: &Namespace) -> bool {
        let Some(claim) = self.left.claim(id) else { return false };
        let folder = programs::folder_of(&self.run_dir, id);
        let record = blocking(move || Ok(Record::read(&folder))).await.ok().flatten();
        let is_theirs = record.is_some_and(|record| record.namespace == namespace.as_str());
        is_theirs && end_claimed(claim, &self.run_dir).await
    }

    fn registered(&self) {
        self.was_registered.call_once(|| {
            let (left, run_dir) = (self.left.clone(), self.run_dir.clone());
            let Common { kill, leave, .. } = self.common.clone();
            self.tasks.spawn("unclaimed workloads", OnFailure::Log, async move {
                tokio::select! {
                    () = tokio::time::sleep(UNCLAIMED_AFTER) => end_unclaimed(&left, &run_dir).await,
                    // However this nexlet ends, it does not wait for them; the next one finds them.
                    () = leave.cancelled() => {}
                    () = kill.cancelled() => {}
                }
            });
        });
    }

    async fn shutdown(&self) {
        self.common.kill.cancel();
        end_unclaimed(&self.left, &self.run_dir).await;
        if !self.tasks.shutdown(SHUTDOWN_BOUND).await {
            tracing::error!("native workloads left after the shutdown deadline");
        }
    }

    async fn leave(&self) {
        self.common.leave.cancel();
        if !self.tasks.shutdown(SHUTDOWN_BOUND).await {
            tracing::error!("tasks of native workloads left after the deadline");
        }
    }
}

fn environment(
    start: &Start,
    plan: &Plan,
    node_id: &str,
    place: Place<'_>,
) -> Result<BTreeMap<String, String>, StartFailure> {
    let variables = start.variables(&plan.environment)?;
    environment::build(start, variables, node_id, place)
        .map_err(|error| plan::invalid(error.to_string()))
}

async fn write_credentials(
    folder: &RunFolder,
    uid: Option<u32>,
    start: &Start,
) -> Result<(), StartFailure> {
    let (path, connection) = (folder.path().to_owned(), start.connection.clone());
    blocking(move || credentials::write(&path, uid, &connection)).await
}

fn facts(record: &Record, plan: &Plan) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut add = |name: &str, value: String| facts.insert(name.to_owned(), value);
    add(fact::DIGEST, record.digest.clone());
    add(fact::RESTARTS, record.restarts.to_string());
    if !plan.ports.is_empty() {
        let ports: Vec<String> = plan.ports.iter().map(ToString::to_string).collect();
        add("expose_ports", ports.join(","));
    }
    facts
}

fn not_launched(error: &LaunchError) -> StartFailure {
    match error {
        LaunchError::Refused { lacks_wall: true, message } => {
            StartFailure::new(Code::SandboxUnavailable, message.clone())
        }
        _ => plan::not_spawned(error),
    }
}

/// `nats://host:port`, with or without a scheme and a user, as what a socket connects to.
fn host_and_port(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest).trim_end_matches('/');
    let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { rest.to_owned() } else { format!("{rest}:4222") }
}

/// No node wants them: it stopped them while no nexlet was there.
async fn end_unclaimed(left: &Left, run_dir: &Path) {
    futures::stream::iter(left.claim_all())
        .for_each_concurrent(ENDED_AT_ONCE, |claim| async move {
            tracing::warn!(workload.id = %claim.id(), "nobody claims this workload: ended");
            end_claimed(claim, run_dir).await;
        })
        .await;
}

/// What cannot be ended is left again.
async fn end_claimed(claim: Claim, run_dir: &Path) -> bool {
    let folder = RunFolder::left(run_dir, claim.id());
    match end_left(folder, claim.id().clone()).await {
        Ok(()) => {
            drop(claim.settle());
            true
        }
        Err(failure) => {
            tracing::error!(workload.id = %claim.id(), error = %failure, "a workload is left");
            false
        }
    }
}

async fn end_left(folder: RunFolder, id: Id) -> Result<(), StartFailure> {
    blocking(move || {
        shim::end_left(folder.path(), id.as_str())?;
        folder.remove();
        Ok(())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StartFailure> {
    programs::on_disk(work).await.map_err(|error| {
        StartFailure::new(Code::NodeFailed, format!("cannot place the program: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_connects_to_what_a_client_would() {
        for (url, expected) in [
            ("nats://a.example:4333", "a.example:4333"),
            ("tls://user:secret@b.example", "b.example:4222"),
            ("127.0.0.1:4222", "127.0.0.1:4222"),
            ("nats://[::1]:4222/", "[::1]:4222"),
        ] {
            assert_eq!(host_and_port(url), expected);
        }
    }
}
