//! The nexlet of type `native`.
//!
//! Owns: the steps of a start, in an order that leaves nothing behind. Never: runs what was not verified
//! and checked.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nex_api::Code;
use nex_api::start::{NativeRequest, schema_text};
use nex_api::workload::{Lifecycle, fact};
use nex_artifact::{Artifact, Store, check_static_file};
use nex_nexlet::{Description, Ingress, Nexlet, Start, StartFailure, Started};
use nex_sandbox::{Program, Spawner, Tasks};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::credentials;
use crate::environment;
use crate::plan::{self, Plan};
use crate::programs::{self, RunFolder};
use crate::workload::{self, Launch};

/// Name and workload type.
const NATIVE: &str = "native";
const LARGEST_PROGRAM: u64 = 1 << 30;
const SHUTDOWN_BOUND: Duration = Duration::from_secs(8);

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
}

/// A nexlet that could not be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum OpenError {
    #[error("cannot use folder {path} for programs")]
    RunFolder { path: PathBuf, source: io::Error },
    #[error("cannot start the thread that starts programs")]
    Spawner { source: io::Error },
}

/// Starts static programs as services and jobs. When it is dropped, they are killed.
#[derive(Debug)]
pub struct NativeNexlet {
    node_id: String,
    run_dir: PathBuf,
    store: Store,
    ingress: Option<Ingress>,
    /// Its thread lives as long as this: the kernel kills programs when it ends.
    spawner: Arc<Spawner>,
    tasks: Tasks,
    kill: CancellationToken,
    _kill_on_drop: DropGuard,
}

impl NativeNexlet {
    /// Prepares the run folder, and ends what an earlier nexlet left in it. Call within a runtime.
    ///
    /// # Errors
    /// When the folder cannot be used, or the system gives no thread.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options { node_id, run_dir, store, ingress } = options;
        programs::prepare(&run_dir)
            .map_err(|source| OpenError::RunFolder { path: run_dir.clone(), source })?;
        let spawner = Spawner::start().map_err(|source| OpenError::Spawner { source })?;
        let kill = CancellationToken::new();
        Ok(Self {
            node_id,
            run_dir,
            store,
            ingress,
            spawner: Arc::new(spawner),
            tasks: Tasks::new(),
            _kill_on_drop: kill.clone().drop_guard(),
            kill,
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
        let path = artifact.path.clone();
        match blocking(move || check_static_file(&path)).await? {
            Ok(_) => Ok(artifact),
            Err(refusal) => Err(plan::refused(&refusal)),
        }
    }

    /// The program and its credentials, in a folder of its own.
    async fn place(
        &self,
        start: &Start,
        artifact: &Artifact,
    ) -> Result<(RunFolder, PathBuf), StartFailure> {
        let (run_dir, verified) = (self.run_dir.clone(), artifact.path.clone());
        let (id, name) = (start.id.clone(), start.name.clone());
        let connection = start.connection.clone();
        // When the start is given up meanwhile, the folder is dropped there, and so removed.
        blocking(move || {
            let (folder, program) = RunFolder::with_program(&run_dir, &id, &name, &verified)?;
            credentials::write(folder.path(), &connection)?;
            Ok((folder, program))
        })
        .await
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
        // What can be refused without the artifact is refused before it is fetched.
        let folder = programs::folder_of(&self.run_dir, &start.id);
        let environment = environment(&start, &plan, &self.node_id, &folder)?;
        let artifact = self.obtain(&start, &plan).await?;
        let (folder, path) = self.place(&start, &artifact).await?;
        let program = Program {
            args: plan.argv.clone(),
            environment,
            directory: Some(folder.path().to_owned()),
            dies_with_spawner: true,
            ..Program::new(path)
        };
        let launch = Launch {
            program,
            marker: programs::marker(start.id.as_str()),
            folder,
            stop: plan.stop,
            logs: start.logs,
            facts: facts(&artifact, &plan),
            port: plan.ports.first().copied(),
        };
        let launching = workload::launch(
            launch,
            Arc::clone(&self.spawner),
            self.kill.child_token(),
            &self.tasks,
        );
        let workload = launching.await.map_err(|error| plan::not_spawned(&error))?;
        Ok(Started { workload: Arc::new(workload), warnings: Vec::new() })
    }

    fn ingress(&self) -> Option<Ingress> {
        self.ingress.clone()
    }

    async fn shutdown(&self) {
        self.kill.cancel();
        if !self.tasks.shutdown(SHUTDOWN_BOUND).await {
            tracing::error!("native workloads left after the shutdown deadline");
        }
    }
}

fn environment(
    start: &Start,
    plan: &Plan,
    node_id: &str,
    folder: &Path,
) -> Result<BTreeMap<String, String>, StartFailure> {
    let variables = start.variables(&plan.environment)?;
    environment::build(start, variables, node_id, folder)
        .map_err(|error| plan::invalid(error.to_string()))
}

fn facts(artifact: &Artifact, plan: &Plan) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut add = |name: &str, value: String| facts.insert(name.to_owned(), value);
    add(fact::DIGEST, artifact.digest.to_string());
    add(fact::RESTARTS, "0".to_owned());
    // True as long as nothing but a process group and an environment of its own is around it.
    add(fact::SANDBOX, "none".to_owned());
    if !plan.ports.is_empty() {
        let ports: Vec<String> = plan.ports.iter().map(ToString::to_string).collect();
        add("expose_ports", ports.join(","));
    }
    facts
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StartFailure> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.and_then(|result| result).map_err(|error| {
        StartFailure::new(Code::NodeFailed, format!("cannot place the program: {error}"))
    })
}
