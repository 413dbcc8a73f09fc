//! A nexlet of its own for each test, and what it leaves. Never: asserts what one test is about.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nex_api::NatsConnectionData;
use nex_api::log::Stream;
use nex_api::subject;
use nex_api::workload::{Lifecycle, StartWorkloadRequest};
use nex_artifact::Store;
use nex_bus::{Client, Subscriber};
use nex_nexlet::{EventFeed, LogSink, Nexlet, Start, StartFailure, Workload};
use nex_sandbox::{Marker, OnFailure, Tasks, processes_with};
use nex_services::{NativeNexlet, Options, Permits};
use nex_testkit::{NatsServer, eventually};
use nex_types::{Id, Namespace, WorkloadName};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::programs;

pub(crate) const BOUND: Duration = Duration::from_secs(10);

pub(crate) struct Fixture {
    pub(crate) nexlet: NativeNexlet,
    pub(crate) client: Client,
    pub(crate) server: NatsServer,
    logs: LogSink,
    tasks: Tasks,
    folder: TempDir,
}

/// The stdout or stderr of one workload.
pub(crate) struct Lines(Subscriber);

impl Fixture {
    pub(crate) async fn new() -> Self {
        let server = NatsServer::start().await;
        let client = server.client().await;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("cache"), vec![programs::folder()]).unwrap();
        let (tasks, (logs, publishing)) = (Tasks::new(), LogSink::new(client.clone()));
        tasks.spawn("log publisher", OnFailure::Log, publishing);
        let nexlet = open(&folder, store);
        Self { nexlet, client, server, logs, tasks, folder }
    }

    /// The nexlet goes without ending anything, and another one takes its place.
    pub(crate) async fn replace_nexlet(&mut self) {
        let store =
            Store::open(self.folder.path().join("cache"), vec![programs::folder()]).unwrap();
        self.nexlet.leave().await;
        self.nexlet = open(&self.folder, store);
    }

    /// What the SDK would hand over for this `run_request`.
    pub(crate) fn request(&self, run_request: &Value) -> Start {
        let (id, namespace) = (Id::random(), Namespace::parse("default").unwrap());
        Start {
            logs: self.logs.feed(&namespace, &id),
            events: EventFeed::new(
                self.client.clone(),
                namespace.clone(),
                id.clone(),
                WorkloadName::parse("prog").unwrap(),
                "native".to_owned(),
            ),
            id,
            namespace,
            name: WorkloadName::parse("prog").unwrap(),
            request: StartWorkloadRequest {
                run_request: run_request.to_string(),
                workload_lifecycle: Lifecycle::Service,
                ..StartWorkloadRequest::default()
            },
            connection: NatsConnectionData::open(vec![self.server.url()]),
            control: self.client.clone(),
            key: nex_nexlet::SealKey::fresh(),
            existing: false,
            scope: nex_nexlet::Scope::none(),
        }
    }

    /// The static program with these arguments, and more keys of the request. Unless they say otherwise
    /// it has no box, and is not started again.
    pub(crate) fn program(&self, argv: &[&str], more: &Value) -> Start {
        let mut run_request = json!({
            "uri": uri("static"), "argv": argv, "sandbox": "none", "restart": { "policy": "never" },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            run_request[key] = value.clone();
        }
        self.request(&run_request)
    }

    pub(crate) async fn start(&self, start: Start) -> Arc<dyn Workload> {
        self.nexlet.start(start).await.unwrap().workload
    }

    pub(crate) async fn refusal(&self, start: Start) -> StartFailure {
        let failure = self.nexlet.start(start).await.unwrap_err();
        self.assert_nothing_is_left();
        failure
    }

    /// Subscribed when this returns, so that no line is missed.
    pub(crate) async fn lines(&self, start: &Start, stream: Stream) -> Lines {
        let subject = subject::log(start.namespace.as_str(), start.id.as_str(), stream);
        let subscriber = self.client.subscribe(subject).await.unwrap();
        self.client.flush().await.unwrap();
        Lines(subscriber)
    }

    pub(crate) fn run_folder(&self, id: &Id) -> PathBuf {
        self.folder.path().join("run").join(id.as_str())
    }

    /// Of workloads; programs that they share, and the shim's, have no ids.
    pub(crate) fn run_folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("run")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| Id::parse(path.file_name().unwrap().to_str().unwrap()).is_ok())
            .collect()
    }

    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.run_folders(), Vec::<PathBuf>::new());
    }

    /// Ends the nexlet as the SDK does, and the tasks of the fixture.
    pub(crate) async fn finish(self) {
        self.nexlet.shutdown().await;
        self.assert_nothing_is_left();
        drop((self.nexlet, self.logs));
        assert!(self.tasks.shutdown(BOUND).await, "a log feed is left");
    }
}

impl Lines {
    pub(crate) async fn next(&mut self) -> Vec<u8> {
        let next = tokio::time::timeout(nex_testkit::patience(BOUND), self.0.next());
        next.await.expect("no line in time").unwrap().payload.to_vec()
    }

    pub(crate) async fn next_text(&mut self) -> String {
        String::from_utf8(self.next().await).unwrap()
    }
}

pub(crate) fn uri(name: &str) -> String {
    format!("file://{}", programs::folder().join(name).display())
}

pub(crate) fn processes(id: &Id) -> Vec<i32> {
    processes_with(&Marker::new("NEX_WORKLOAD_ID", id.as_str())).into_iter().collect()
}

pub(crate) async fn until_n_processes(id: &Id, wanted: usize) {
    eventually(&format!("{wanted} processes"), BOUND, async || {
        let processes = processes(id);
        if processes.len() == wanted { Ok(()) } else { Err(processes) }
    })
    .await;
}

fn open(folder: &TempDir, store: Store) -> NativeNexlet {
    NativeNexlet::open(Options {
        node_id: "NODE".to_owned(),
        run_dir: folder.path().join("run"),
        store,
        ingress: None,
        permits: Permits { weak_sandbox: true, no_sandbox: true, mounts: Vec::new() },
    })
    .unwrap()
}
