//! A nexlet in process, on a real server. Functions are `data:` artifacts that the fake engine reads.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{Client, Message};
use nex_api::workload::StartWorkloadRequest;
use nex_api::{CallErrorBody, NatsConnectionData};
use nex_bus::{Pool, Settings};
use nex_functions::runtime::Language;
use nex_functions::{FunctionNexlet, GuestThreads, Options};
use nex_nexlet::{EventFeed, LogSink, Nexlet, Start, StartFailure, Started, Workload};
use nex_sandbox::{OnFailure, Tasks};
use nex_testkit::{NatsServer, ServerOptions, eventually};
use nex_types::{Id, Namespace, SubjectPattern, WorkloadName};
use serde_json::{Value, json};

use crate::engine::FakeEngine;

pub(crate) struct Harness {
    pub(crate) server: NatsServer,
    pub(crate) client: Client,
    pub(crate) engine: Arc<FakeEngine>,
    pub(crate) nexlet: Arc<FunctionNexlet>,
    control: nex_bus::Client,
    logs: LogSink,
    tasks: Tasks,
    _cache: tempfile::TempDir,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::on(NatsServer::options(), Duration::from_secs(30)).await
    }

    pub(crate) async fn on(server: ServerOptions, drain: Duration) -> Self {
        Self::with(server, drain, 2).await
    }

    /// With so many threads for guests.
    pub(crate) async fn with(server: ServerOptions, drain: Duration, n_threads: usize) -> Self {
        let server = server.start().await;
        let tasks = Tasks::new();
        let engine = Arc::new(FakeEngine::default());
        let cache = tempfile::tempdir().unwrap();
        let nexlet = Arc::new(FunctionNexlet::new(Options {
            language: Language::JavaScript,
            version: "0.0.0".to_owned(),
            engine: Arc::clone(&engine) as Arc<dyn nex_functions::runtime::Engine>,
            store: nex_artifact::Store::open(cache.path().join("cache"), Vec::new()).unwrap(),
            deny: Arc::new([SubjectPattern::parse("private.>").unwrap()]),
            deny_services: Vec::new(),
            tracer: nex_nexlet::Tracer::off(),
            pool: Pool::default(),
            tasks: tasks.clone(),
            guests: GuestThreads::new(NonZeroUsize::new(n_threads).unwrap()).unwrap(),
            drain,
        }));
        let data = NatsConnectionData::open(vec![server.url()]);
        let control = nex_bus::connect(&Settings::minted(data, "control")).await.unwrap();
        let (logs, log_task) = LogSink::new(control.clone());
        tasks.spawn("logs", OnFailure::Log, log_task);
        let client = server.client().await;
        Self { server, client, engine, nexlet, control, logs, tasks, _cache: cache }
    }

    /// Deploys a guest that does `what` on `subject`, with more keys of the request in `more`.
    pub(crate) async fn deploy(&self, what: &str, subject: &str, more: Value) -> Arc<dyn Workload> {
        self.try_deploy(request(what, subject, more)).await.unwrap().workload
    }

    pub(crate) async fn try_deploy(&self, run_request: Value) -> Result<Started, StartFailure> {
        self.nexlet.start(self.start_of(&run_request)).await
    }

    pub(crate) fn start_of(&self, run_request: &Value) -> Start {
        let (id, namespace) = (Id::random(), Namespace::parse("default").unwrap());
        Start {
            logs: self.logs.feed(&namespace, &id),
            events: EventFeed::new(
                self.control.clone(),
                namespace.clone(),
                id.clone(),
                WorkloadName::parse("probe").unwrap(),
                "probe".to_owned(),
            ),
            id,
            namespace,
            name: WorkloadName::parse("probe").unwrap(),
            request: StartWorkloadRequest {
                run_request: run_request.to_string(),
                ..StartWorkloadRequest::default()
            },
            connection: NatsConnectionData::open(vec![self.server.url()]),
            control: self.control.clone(),
            key: nex_nexlet::SealKey::fresh(),
            existing: false,
            scope: nex_nexlet::Scope::none(),
        }
    }

    pub(crate) async fn call(&self, subject: &str, payload: &str) -> Message {
        let asked = self.client.request(subject.to_owned(), payload.to_owned().into());
        tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap().unwrap()
    }

    /// Calls in a task of its own; the reply is awaited later.
    pub(crate) fn call_later(&self, subject: &str) -> tokio::sync::oneshot::Receiver<Message> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (client, subject) = (self.client.clone(), subject.to_owned());
        self.tasks.spawn("caller", OnFailure::Log, async move {
            let reply = client.request(subject, "x".into()).await.unwrap();
            let _nobody = tell.send(reply);
        });
        told
    }

    pub(crate) async fn until_running(&self, n_calls: usize) {
        eventually("calls run", Duration::from_secs(5), async || {
            let running = self.engine.running.load(Ordering::SeqCst);
            if running == n_calls { Ok(()) } else { Err(running) }
        })
        .await;
    }

    /// Waits until `workload` has taken in so many calls.
    pub(crate) async fn until_received(&self, workload: &dyn Workload, n_calls: usize) {
        eventually("calls were received", Duration::from_secs(5), async || {
            let calls = workload.status().facts["calls"].clone();
            if calls == n_calls.to_string() { Ok(()) } else { Err(calls) }
        })
        .await;
    }

    /// Ends everything and asserts that no connection or guest is left.
    pub(crate) async fn finish(self) {
        let Self { server, client, engine, nexlet, control, logs, tasks, _cache } = self;
        nexlet.shutdown().await;
        drop((nexlet, logs));
        assert!(tasks.shutdown(Duration::from_secs(5)).await, "tasks are left");
        control.drain().await.unwrap();
        drop((control, client));
        server.assert_no_other_clients().await;
        assert_eq!(engine.alive.load(Ordering::SeqCst), 0, "guests are left");
    }
}

pub(crate) fn request(what: &str, subject: &str, more: Value) -> Value {
    let uri = format!("data:,{}", what.replace(' ', "%20"));
    let mut request = json!({ "uri": uri, "triggers": [subject] });
    let Value::Object(more) = more else { panic!("more keys come as an object") };
    for (key, value) in more {
        request[key] = value;
    }
    request
}

/// The status, code and text of an error reply.
pub(crate) fn error_of(reply: &Message) -> (String, String, String) {
    let status = header(reply, "Nats-Service-Error-Code").expect("an error reply");
    let body: CallErrorBody = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(body.workload, "probe");
    assert_eq!(body.request_id.len(), 22);
    assert!(header(reply, "Nats-Service-Error").is_some_and(|line| !line.contains('\n')));
    (status, body.code, body.error)
}

pub(crate) fn header(reply: &Message, name: &str) -> Option<String> {
    reply.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned())
}
