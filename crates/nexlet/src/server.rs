//! The nexlet's micro service: one function per request (spec: control API, sections 2.3 and 2.4).
//!
//! Owns: STARTWORKLOAD, STOPWORKLOAD, GETWORKLOAD, QUERYWORKLOADS and both PINGs; starting, and
//! watching for the end. Never: decides what a workload is, or answers a request twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use nex_api::agent::{AGENT_ID_HEADER, AgentSummary};
use nex_api::event::{Event, WorkloadStopped};
use nex_api::workload::{
    AgentStartWorkloadRequest, CloneWorkloadRequest, ListWorkloadsRequest, NOT_FOUND,
    StartWorkloadFailure, StartWorkloadRequest, StartWorkloadResponse, StopWorkloadRequest,
    StopWorkloadResponse, fact,
};
use nex_api::{Code, Time, decode, encode, subject};
use nex_bus::Client;
use nex_bus::service::{Answer, Endpoint, Handler, Request};
use nex_sandbox::{OnFailure, Tasks};
use nex_telemetry::traces::{Scope, Tracer};
use nex_types::{Id, Namespace, WorkloadName, invent};
use tokio::sync::watch;

use crate::ended::Ended;
use crate::events;
use crate::ingress::{self, Announcement};
use crate::lameduck::{self, Lameduck};
use crate::metrics;
use crate::table::{Entry, Metered, Place, Table};
use crate::{
    Description, Ending, EventFeed, EventListener, Ingress, LogSink, Nexlet, SealKey, Start,
    StartFailure, Started, seal, traces,
};

/// The node answers its caller after 55 s; the nexlet gives up a little earlier.
const START_BOUND: Duration = Duration::from_secs(54);
/// STOPWORKLOAD is answered within a second (section 13, "Stop").
const STOP_BOUND: Duration = Duration::from_secs(1);
/// The code of every nexlet error.
const NEXLET_ERROR: &str = "100";

/// What all requests of one nexlet share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) nexlet: Arc<dyn Nexlet>,
    pub(crate) description: Description,
    pub(crate) node_id: String,
    pub(crate) agent_id: String,
    pub(crate) ingress: Option<Ingress>,
    pub(crate) event_listener: Option<Arc<dyn EventListener>>,
    pub(crate) lameduck: Lameduck,
    pub(crate) key: SealKey,
    pub(crate) tracer: Tracer,
    pub(crate) started: Time,
    pub(crate) state: watch::Sender<&'static str>,
    pub(crate) table: Table,
    pub(crate) ended: Ended,
    pub(crate) client: Client,
    pub(crate) logs: LogSink,
    pub(crate) tasks: Tasks,
    /// Workloads whose end is still to be announced.
    pub(crate) unannounced: watch::Sender<usize>,
    /// Rounds of restoring that are under way.
    pub(crate) restoring: watch::Sender<usize>,
    /// Set once the nexlet ends, and with it its workloads.
    pub(crate) ending: watch::Sender<Option<Ending>>,
}

/// How a start came to be.
#[derive(Debug, Default)]
pub(crate) struct Began {
    /// From state, under an id that the workload had before.
    pub(crate) existing: bool,
    /// As part of a trace.
    pub(crate) scope: Scope,
}

const START: &str = "StartWorkload";
const STOP: &str = "StopWorkload";
const GET: &str = "GetWorkload";
const QUERY: &str = "QueryWorkloads";
const PING: &str = "PingAgent";
const PING_ALL: &str = "PingAllAgents";
const LAMEDUCK: &str = "SetLameduck";
const DISCOVERY: &str = "WorkloadDiscovery";
const EVENTS: &str = "EventListener";

impl Server {
    /// The endpoints, all in the queue group of the agent id; the last two only where the nexlet has
    /// what they are for.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let (node_id, agent_id) = (&self.node_id, &self.agent_id);
        let always = [
            (START, subject::start_workload(node_id, agent_id, "*")),
            (STOP, subject::agents(node_id, "STOPWORKLOAD.*")),
            (GET, subject::agents(node_id, "GETWORKLOAD.*")),
            (QUERY, subject::agents(node_id, "QUERYWORKLOADS")),
            (PING, subject::agent_ping(node_id, agent_id)),
            (PING_ALL, subject::agents(node_id, "PING")),
            (LAMEDUCK, subject::agents(node_id, "SETLAMEDUCK")),
        ];
        let ingress = self.ingress.as_ref();
        let discovery = ingress.map(|i| (DISCOVERY, subject::ping_workload(&i.nexus, "*")));
        let listener = self.event_listener.as_ref();
        let events = listener.map(|_| (EVENTS, subject::agent_events(agent_id)));
        let all = always.into_iter().chain(discovery).chain(events);
        all.map(|(name, subject)| Endpoint { name, subject, queue_group: agent_id.clone() })
            .collect()
    }

    pub(crate) fn handler(self: &Arc<Self>) -> Handler {
        let server = Arc::clone(self);
        Arc::new(move |request| {
            let server = Arc::clone(&server);
            async move { server.answer(request).await }.boxed()
        })
    }

    /// Starts a workload and, when it started, watches for its end. What runs already goes on, with the
    /// credentials that came; what has ended here is not started again, and its end is told once more.
    pub(crate) async fn start(
        self: &Arc<Self>,
        id: Id,
        message: AgentStartWorkloadRequest,
        began: Began,
    ) -> Result<StartWorkloadResponse, StartFailure> {
        let (namespace, name) = identity(&message.request)?;
        let _kept = match self.table.keep(&id) {
            Place::Runs(entry) => {
                entry.workload.renew(&message.workload_creds).await;
                return Ok(started(&id, &entry.name, Vec::new()));
            }
            Place::Starting => {
                let message = format!("{name} is being started already");
                return Err(StartFailure::new(Code::NodeFailed, message));
            }
            Place::Kept(kept) => kept,
        };
        if let Some(gone) = self.ended.find(&id, &namespace) {
            if let Some(event) = gone.event {
                self.emit(namespace.as_str(), &event).await;
            }
            return Err(StartFailure::new(Code::NodeFailed, format!("{name} has ended already")));
        }
        if self.lameduck.is_set() {
            let message = "the nexlet is in lame duck mode and takes no new work";
            return Err(StartFailure::new(Code::NodeStopping, message));
        }
        let start = self.start_of(&id, &namespace, &name, message, began);
        let request = start.request.clone();
        let Started { workload, warnings } = self.start_in_time(start).await?;
        let announcement = self.announce(&id, workload.port()).await;
        let entry = Entry {
            namespace: namespace.clone(),
            name: name.clone(),
            request,
            started: Time::now(),
            workload: Arc::clone(&workload),
            announcement,
        };
        self.begin(&id, entry).await;
        // Its owner may have stopped it while it came up.
        if self.ended.find(&id, &namespace).is_some() {
            workload.stop().await;
        }
        Ok(started(&id, &name, warnings))
    }

    /// What a node should know to run: not what was told to end.
    pub(crate) fn running(&self) -> Vec<String> {
        let mut ids = self.table.ids();
        ids.retain(|id| !self.ended.has(id));
        ids
    }

    /// Sends a heartbeat now.
    pub(crate) fn beat(&self) {
        self.state.send_modify(|_| {});
    }

    pub(crate) fn summary(&self) -> AgentSummary {
        let lifecycles: Vec<&str> =
            self.description.lifecycles.iter().map(|lifecycle| lifecycle.as_str()).collect();
        AgentSummary {
            name: self.description.name.clone(),
            start_time: self.started,
            state: (*self.state.borrow()).to_owned(),
            supported_lifecycles: lifecycles.join(","),
            register_type: self.description.register_type.clone(),
            version: self.description.version.clone(),
            workload_count: u32::try_from(self.table.len()).unwrap_or(u32::MAX),
        }
    }

    fn start_of(
        &self,
        id: &Id,
        namespace: &Namespace,
        name: &WorkloadName,
        message: AgentStartWorkloadRequest,
        began: Began,
    ) -> Start {
        let of = (namespace, name, message.request.workload_type.as_str());
        let events = self.event_feed(id, of);
        Start {
            events,
            id: id.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
            request: message.request,
            connection: message.workload_creds,
            control: self.client.clone(),
            key: self.key.clone(),
            logs: self.logs.named_feed(namespace, id, name),
            existing: began.existing,
            scope: began.scope,
        }
    }

    async fn start_in_time(&self, start: Start) -> Result<Started, StartFailure> {
        let name = start.name.clone();
        let started = tokio::time::timeout(START_BOUND, self.nexlet.start(start)).await;
        started.unwrap_or_else(|_| {
            let message = format!("{name} was not ready within {}s", START_BOUND.as_secs());
            Err(StartFailure::new(Code::NexletSilent, message))
        })
    }

    async fn announce(&self, id: &Id, port: Option<u16>) -> Option<Arc<Announcement>> {
        let (ingress, port) = (self.ingress.as_ref()?, port?);
        Some(Arc::new(Announcement::add(self, ingress, id, port).await))
    }

    async fn begin(self: &Arc<Self>, id: &Id, entry: Entry) {
        self.unannounced.send_modify(|count| *count += 1);
        self.table.insert(id.clone(), entry.clone());
        let of = (&entry.namespace, &entry.name, entry.request.workload_type.as_str());
        self.event_feed(id, of).started().await;
        let (server, watched) = (Arc::clone(self), id.clone());
        self.tasks.spawn("workload end", OnFailure::Log, async move {
            server.watch_end(watched, entry).await;
        });
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Answer {
        let id = request.subject.rsplit('.').next().unwrap_or_default();
        match request.endpoint {
            START => self.answer_start(id, &request).await,
            STOP => self.answer_stop(id, &request.body).await,
            GET => self.answer_get(id, &request.body),
            QUERY => self.answer_query(&request.body),
            LAMEDUCK => lameduck::answer(self, &request.body),
            DISCOVERY => ingress::answer(self, id),
            EVENTS => self.answer_event(request.body).await,
            _ => self.answer_ping(),
        }
    }

    async fn answer_start(self: &Arc<Self>, id: &str, request: &Request) -> Answer {
        let message = match decode::<AgentStartWorkloadRequest>(&request.body) {
            Ok(message) => message,
            Err(error) => {
                let failure = StartFailure::new(Code::MalformedRequest, error.to_string());
                return start_error(id, "", &failure);
            }
        };
        let name = message.request.name.clone();
        let Ok(id) = Id::parse(id) else {
            let failure = StartFailure::new(Code::MalformedRequest, "the workload id is malformed");
            return start_error(id, &name, &failure);
        };
        let mut span = self.tracer.answering("STARTWORKLOAD", request.traceparent.as_deref());
        span.set("nex.namespace", message.request.namespace.as_str());
        span.set("nex.workload.id", id.as_str());
        let began = Began { existing: false, scope: span.scope() };
        let outcome = self.start(id.clone(), message, began).await;
        traces::end(span, &outcome);
        match outcome {
            Ok(response) => Answer::ok(&response),
            Err(failure) => start_error(id.as_str(), &name, &failure),
        }
    }

    async fn answer_stop(&self, id: &str, body: &[u8]) -> Answer {
        let request = match decode::<StopWorkloadRequest>(body) {
            Ok(request) => request,
            Err(error) => return self.stop_error(id, &error.to_string()),
        };
        if !request.unless_ended && self.table.dismiss(id, &request.namespace, Instant::now()) {
            self.tell_end_again(id, &request.namespace).await;
            return self.stopped(id);
        }
        let found = Id::parse(id).ok().and_then(|id| Some((self.table.get(&id)?, id)));
        let Some((entry, workload_id)) =
            found.filter(|(entry, _)| entry.namespace.as_str() == request.namespace)
        else {
            self.note_unwanted(id, &request.namespace);
            return match self.stop_left(id, &request.namespace).await {
                true => self.stopped(id),
                false => self.stop_error(id, NOT_FOUND),
            };
        };
        // From now on it is on no list of what runs, however long it drains.
        self.ended.unwanted(&workload_id, &entry.namespace);
        // Longer than the bound only when NATS is slow; the end goes on in the workload's own task.
        let _slow = tokio::time::timeout(STOP_BOUND, entry.workload.stop()).await;
        if let Some(announcement) = &entry.announcement {
            announcement.remove(&self.client).await;
        }
        self.stopped(id)
    }

    /// An earlier nexlet left it, and no node has claimed it from this one yet.
    async fn stop_left(&self, id: &str, namespace: &str) -> bool {
        let (Ok(id), Ok(namespace)) = (Id::parse(id), Namespace::parse(namespace)) else {
            return false;
        };
        if !self.nexlet.stop_left(&id, &namespace).await {
            return false;
        }
        let event = Event::WorkloadStopped(WorkloadStopped {
            id: id.to_string(),
            namespace: namespace.to_string(),
            workload_type: self.description.register_type.clone(),
            ..WorkloadStopped::default()
        });
        self.emit(namespace.as_str(), &event).await;
        true
    }

    /// Who stops waits for the event, also of what has ended long ago.
    async fn tell_end_again(&self, id: &str, namespace: &str) {
        if let (Ok(id), Ok(namespace)) = (Id::parse(id), Namespace::parse(namespace))
            && let Some(event) = self.ended.find(&id, &namespace).and_then(|gone| gone.event)
        {
            self.emit(namespace.as_str(), &event).await;
        }
    }

    fn stopped(&self, id: &str) -> Answer {
        Answer::ok(&StopWorkloadResponse {
            id: id.to_owned(),
            message: String::new(),
            stopped: true,
            workload_type: self.description.register_type.clone(),
        })
    }

    /// What is told to stop before it is here must not come up afterwards, as when a registration's
    /// answer and a stop cross.
    fn note_unwanted(&self, id: &str, namespace: &str) {
        if let (Ok(id), Ok(namespace)) = (Id::parse(id), Namespace::parse(namespace))
            && self.table.get(&id).is_none()
        {
            self.ended.unwanted(&id, &namespace);
        }
    }

    /// Whose the workload is, the node checks: it is the one that knows its caller.
    fn answer_get(&self, id: &str, body: &[u8]) -> Answer {
        let asked = match decode::<CloneWorkloadRequest>(body) {
            Ok(asked) => asked,
            Err(error) => return failed(&error.to_string()),
        };
        let Some(entry) = Id::parse(id).ok().and_then(|id| self.table.get(&id)) else {
            return Answer::Silence;
        };
        match seal::for_clone(&entry.request, &self.key, &asked) {
            Ok(request) => Answer::ok(&request),
            Err(error) => failed(&error.to_string()),
        }
    }

    fn answer_query(&self, body: &[u8]) -> Answer {
        match decode::<ListWorkloadsRequest>(body) {
            Ok(request) => Answer::ok(&self.table.list(&request)),
            Err(error) => failed(&error.to_string()),
        }
    }

    /// A feed, but who asks for a reply gets one.
    async fn answer_event(&self, message: bytes::Bytes) -> Answer {
        if let Some(listener) = &self.event_listener {
            listener.hear(message).await;
        }
        Answer::Reply { body: Vec::new(), headers: Vec::new() }
    }

    fn answer_ping(&self) -> Answer {
        let headers = vec![(AGENT_ID_HEADER.to_owned(), self.agent_id.clone())];
        Answer::Reply { body: encode(&self.summary()), headers }
    }

    fn stop_error(&self, id: &str, why: &str) -> Answer {
        let body = StopWorkloadResponse {
            workload_type: self.description.register_type.clone(),
            ..StopWorkloadResponse::not_found(id)
        };
        Answer::error_with_body(NEXLET_ERROR, why, encode(&body))
    }

    async fn watch_end(self: Arc<Self>, id: Id, entry: Entry) {
        let ended = tokio::select! {
            ended = entry.workload.ended() => ended,
            () = self.lameduck.stop.passed() => {
                entry.workload.stop().await;
                entry.workload.ended().await
            }
        };
        if let Some(announcement) = &entry.announcement {
            announcement.remove(&self.client).await;
        }
        let ending = *self.ending.borrow();
        // A program that ends while its nexlet leaves the others has ended all the same.
        let hands_over = ending == Some(Ending::HandOver);
        let stays = hands_over && self.nexlet.leaves_workloads();
        let is_over = (ending.is_none() || stays) && !self.lameduck.is_set();
        let mut metadata = ended.facts;
        if !is_over {
            metadata.insert(fact::DRAINED.to_owned(), "true".to_owned());
        }
        let event = Event::WorkloadStopped(WorkloadStopped {
            error: ended.error,
            id: id.to_string(),
            metadata,
            namespace: entry.namespace.to_string(),
            workload_type: entry.request.workload_type.clone(),
        });
        if is_over {
            self.ended.ended(&id, &entry.namespace, event.clone());
        }
        match ended.stays_listed && is_over {
            true => self.table.finish(&id, entry.clone(), Instant::now()),
            false => drop(self.table.remove(&id)),
        }
        if !hands_over || stays {
            metrics::publish_last(&self, &id, &Metered::from(&entry)).await;
            self.emit(entry.namespace.as_str(), &event).await;
        }
        self.unannounced.send_modify(|count| *count -= 1);
    }

    fn event_feed(&self, id: &Id, entry: (&Namespace, &WorkloadName, &str)) -> EventFeed {
        let (namespace, name, workload_type) = entry;
        let (client, namespace) = (self.client.clone(), namespace.clone());
        EventFeed::new(client, namespace, id.clone(), name.clone(), workload_type.to_owned())
    }

    async fn emit(&self, from: &str, event: &Event) {
        events::emit(&self.client, from, event).await;
    }
}

/// An error reply without a body.
pub(crate) fn failed(why: &str) -> Answer {
    Answer::error_with_body(NEXLET_ERROR, why, Vec::new())
}

/// Namespace and name, checked; a name is invented when none is given.
fn identity(request: &StartWorkloadRequest) -> Result<(Namespace, WorkloadName), StartFailure> {
    let malformed = |error: String| StartFailure::new(Code::MalformedRequest, error);
    let namespace =
        Namespace::parse(&request.namespace).map_err(|error| malformed(error.to_string()))?;
    let name = if request.name.is_empty() { invent() } else { request.name.clone() };
    let name = WorkloadName::parse(&name).map_err(|error| malformed(error.to_string()))?;
    Ok((namespace, name))
}

fn started(id: &Id, name: &WorkloadName, warnings: Vec<String>) -> StartWorkloadResponse {
    StartWorkloadResponse { id: id.to_string(), name: name.to_string(), warnings }
}

fn start_error(id: &str, name: &str, failure: &StartFailure) -> Answer {
    let body = StartWorkloadFailure {
        code: failure.code.to_string(),
        detail: failure.detail.clone().unwrap_or_default(),
        error: failure.message.clone(),
        id: id.to_owned(),
        name: name.to_owned(),
    };
    Answer::error_with_body(NEXLET_ERROR, &failure.message, encode(&body))
}
