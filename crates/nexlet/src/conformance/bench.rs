//! The played node: one nexlet process, and everything that it says.
//!
//! Owns: the connection, the process, what was heard so far, and requests. Never: judges.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use nex_api::agent::{RegisterAgentRequest, RegisterAgentResponse};
use nex_api::workload::{AgentStartWorkloadRequest, Lifecycle, StartWorkloadRequest};
use nex_api::{NatsConnectionData, encode, subject};
use nex_bus::gather::{Bounds, gather};
use nex_bus::service::header_map;
use nex_bus::{Client, ConnectError, HeaderMap, Message, Settings, Subscriber, connect};
use nex_sandbox::{Child, OnFailure, Program, Tasks};
use nex_types::Id;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

use super::{Outcome, endings, wrong};
use crate::variables;

/// The namespace of all workloads of the suite.
pub(super) const NAMESPACE: &str = "conformance";
/// The nexus that the played node belongs to.
pub(super) const NEXUS: &str = "nexus";
/// What is there at once is here by then, on a slow machine too.
pub(super) const SOON: Duration = Duration::from_secs(5);
const REGISTERS_WITHIN: Duration = Duration::from_secs(20);
/// After a first reply, a second one would follow at once.
const SECOND_REPLY: Duration = Duration::from_millis(250);
/// What is heard of each kind, and lines of output; older ones are dropped.
const KEPT: usize = 1024;
const KEPT_LINES: usize = 40;
const LONGEST_LINE: usize = 400;
const POLL: Duration = Duration::from_millis(20);
/// A node would wait longer; a sample that takes this long is no good sample.
pub(super) const START_BOUND: Duration = Duration::from_secs(30);

/// What is checked, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// The nexlet's executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, besides the eight variables that a node adds.
    pub environment: BTreeMap<String, String>,
    /// How the played node reaches NATS.
    pub node: Settings,
    /// What the nexlet is given to reach NATS with.
    pub agent: NatsConnectionData,
    /// Whether `agent` may do only what section 7 grants, so that its logs and events are refused.
    pub agent_is_limited: bool,
    /// The type that it must register; any when absent.
    pub register_type: Option<String>,
    /// The lifecycle of the sample; the first that it registers when absent.
    pub lifecycle: Option<Lifecycle>,
    /// A `run_request` that it can start, several times at once.
    pub start_request: String,
    /// A `run_request` that it must refuse.
    pub refused_request: Option<String>,
}

/// Why the suite cannot work.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SetupError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("NATS failed: {0}")]
    Nats(String),
    #[error("{path} cannot be started")]
    Spawn { path: PathBuf, source: std::io::Error },
}

/// A message and when it came.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) at: Instant,
    pub(super) subject: String,
    pub(super) payload: Vec<u8>,
}

/// What the nexlet published, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ear(Mutex<VecDeque<Heard>>);

impl Ear {
    pub(super) fn all(&self) -> Vec<Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn hear(&self, message: &Message) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= KEPT {
            heard.pop_front();
        }
        let (subject, payload) = (message.subject.to_string(), message.payload.to_vec());
        heard.push_back(Heard { at: Instant::now(), subject, payload });
    }
}

/// The last lines that a process printed.
pub(super) type Output = Arc<Mutex<VecDeque<String>>>;

/// A nexlet that registered with us, or failed to.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) options: Options,
    pub(super) client: Client,
    pub(super) node_id: String,
    pub(super) agent_id: String,
    /// The body of its REGISTER; empty when none came.
    pub(super) registration: Vec<u8>,
    /// When that was answered.
    pub(super) answered: Instant,
    /// The workload that it was told to restore.
    pub(super) restored_id: String,
    pub(super) heartbeats: Arc<Ear>,
    pub(super) feeds: Arc<Ear>,
    /// How many REGISTERs came.
    pub(super) n_registrations: watch::Receiver<usize>,
    tasks: Tasks,
    child: Child,
    mark: String,
    output: Output,
}

impl Bench {
    /// Launches the nexlet and answers its registration, unless none comes.
    pub(super) async fn open(options: &Options) -> Result<(Self, Outcome), SetupError> {
        let client = connect(&options.node).await?;
        let (node_id, agent_id) = (nex_bus::connection::fresh_node_id(), Id::random().to_string());
        let nats = |error: &dyn std::error::Error| SetupError::Nats(error.to_string());
        let mut registrations =
            client.subscribe(subject::register(&node_id, &agent_id)).await.map_err(|e| nats(&e))?;
        let tasks = Tasks::new();
        let heartbeats =
            listen(&client, &tasks, subject::agent_heartbeat(&node_id, &agent_id)).await?;
        let feeds = listen(&client, &tasks, "$NEX.FEED.>".to_owned()).await?;
        nex_bus::round_trip(&client, SOON).await;
        let (mut child, mark, output) = launch(options, &node_id, &agent_id, &tasks)?;
        let first = await_registration(&mut registrations, &mut child).await;
        let (count, n_registrations) = watch::channel(0);
        let mut bench = Self {
            options: options.clone(),
            client,
            node_id,
            agent_id,
            registration: Vec::new(),
            answered: Instant::now(),
            restored_id: Id::random().to_string(),
            heartbeats,
            feeds,
            n_registrations,
            tasks,
            child,
            mark,
            output,
        };
        let message = match first {
            Ok(message) => message,
            Err(complaint) => return Ok((bench, Err(complaint))),
        };
        bench.registration = message.payload.to_vec();
        bench.answer(&message).await.map_err(|e| nats(&e))?;
        bench.answered = Instant::now();
        bench.answer_later_ones(registrations, count);
        Ok((bench, Ok(())))
    }

    /// The registration, as far as it could be read.
    pub(super) fn registered(&self) -> RegisterAgentRequest {
        nex_api::decode(&self.registration).unwrap_or_default()
    }

    /// A start request with the sample.
    pub(super) fn request(&self, name: &str) -> StartWorkloadRequest {
        let registered = self.registered();
        let announced = registered.supported_lifecycles.and_then(|all| all.first().copied());
        StartWorkloadRequest {
            name: name.to_owned(),
            namespace: NAMESPACE.to_owned(),
            run_request: self.options.start_request.clone(),
            workload_lifecycle: self.options.lifecycle.or(announced).unwrap_or_default(),
            workload_type: registered.register_type,
            ..StartWorkloadRequest::default()
        }
    }

    pub(super) fn start_message(&self, request: StartWorkloadRequest) -> Vec<u8> {
        let workload_creds = self.options.agent.clone();
        encode(&AgentStartWorkloadRequest { request, workload_creds })
    }

    /// A subject that all nexlets of the node listen on.
    pub(super) fn all(&self, verb: &str) -> String {
        subject::agents(&self.node_id, verb)
    }

    pub(super) fn start_subject(&self, id: &str) -> String {
        subject::start_workload(&self.node_id, &self.agent_id, id)
    }

    /// The first reply.
    pub(super) async fn ask(
        &self,
        subject: String,
        body: Vec<u8>,
    ) -> Result<Message, super::Complaint> {
        let mut replies = self.replies(subject, body, START_BOUND, Some(1)).await?;
        Ok(replies.remove(0))
    }

    /// All replies, of which there must be at least one.
    pub(super) async fn ask_all(
        &self,
        subject: String,
        body: Vec<u8>,
    ) -> Result<Vec<Message>, super::Complaint> {
        self.replies(subject, body, START_BOUND, None).await
    }

    async fn replies(
        &self,
        subject: String,
        body: Vec<u8>,
        total: Duration,
        max: Option<usize>,
    ) -> Result<Vec<Message>, super::Complaint> {
        let shown = subject.clone();
        let bounds = Bounds { total, stall: SECOND_REPLY, max };
        let gathered = gather(&self.client, subject, body.into(), bounds, |_| false).await;
        let gathered = gathered.map_err(|error| wrong(format!("NATS failed: {error}")))?;
        if gathered.no_responders {
            return Err(wrong(format!("nobody listens on {shown}")));
        }
        if gathered.messages.is_empty() {
            return Err(wrong(format!("no reply on {shown} within {}s", total.as_secs())));
        }
        Ok(gathered.messages)
    }

    /// Whether a request stays unanswered for a moment.
    pub(super) async fn is_silent(&self, subject: String, body: Vec<u8>) -> bool {
        let moment = Duration::from_millis(500);
        let bounds = Bounds { total: moment, stall: moment, max: Some(1) };
        let gathered = gather(&self.client, subject, body.into(), bounds, |_| false).await;
        gathered.is_ok_and(|gathered| gathered.messages.is_empty())
    }

    /// Asks again and again until `found` finds something; none after `bound`.
    pub(super) async fn eventually<T>(
        &self,
        bound: Duration,
        mut found: impl AsyncFnMut() -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + bound;
        loop {
            match found().await {
                Some(value) => return Some(value),
                None if Instant::now() >= deadline => return None,
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    pub(super) async fn publish_ping(&self, headers: &[(String, String)]) -> Outcome {
        let (subject, headers): (_, HeaderMap) = (self.all("PING"), header_map(headers));
        let reply = self.client.new_inbox();
        let sent =
            self.client.publish_with_reply_and_headers(subject, reply, headers, "".into()).await;
        sent.map_err(|error| wrong(format!("NATS failed: {error}")))
    }

    /// Ends the nexlet as a node does, and tells what it printed last.
    pub(super) async fn close(self) -> (Outcome, Vec<String>) {
        let outcome = endings::end(self.child, &self.mark).await;
        self.tasks.shutdown(SOON).await;
        let _already_closed = self.client.drain().await;
        let lines =
            self.output.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        (outcome, lines)
    }

    async fn answer(&self, message: &Message) -> Result<(), nex_bus::PublishError> {
        let response = self.welcome();
        let Some(reply) = message.reply.clone() else { return Ok(()) };
        self.client.publish(reply, encode(&response).into()).await
    }

    fn welcome(&self) -> RegisterAgentResponse {
        let workload_creds = self.options.agent.clone();
        let restored =
            AgentStartWorkloadRequest { request: self.request("restored"), workload_creds };
        RegisterAgentResponse {
            connection_data: self.options.agent.clone(),
            existing_state: [(self.restored_id.clone(), restored)].into(),
            message: String::new(),
            node_id: self.node_id.clone(),
            success: true,
        }
    }

    /// A nexlet may register again: it is welcome, and counted.
    fn answer_later_ones(&self, mut registrations: Subscriber, count: watch::Sender<usize>) {
        let (client, welcome, token) =
            (self.client.clone(), encode(&self.welcome()), self.tasks.token());
        self.tasks.spawn("registrations", OnFailure::Log, async move {
            loop {
                let message = tokio::select! {
                    message = registrations.next() => message,
                    () = token.cancelled() => return,
                };
                let Some(message) = message else { return };
                count.send_modify(|count| *count += 1);
                if let Some(reply) = message.reply {
                    let _connection_lost = client.publish(reply, welcome.clone().into()).await;
                }
            }
        });
    }
}

/// The first REGISTER, unless the process ends before it or the time is over.
async fn await_registration(
    registrations: &mut Subscriber,
    child: &mut Child,
) -> Result<Message, super::Complaint> {
    let late =
        || wrong(format!("no REGISTER on its subject within {}s", REGISTERS_WITHIN.as_secs()));
    tokio::select! {
        message = registrations.next() => message.ok_or_else(late),
        exit = child.wait() => {
            let how = exit.map_or_else(|error| error.to_string(), |exit| exit.to_string());
            Err(wrong(format!("it ended before it registered: {how}")))
        }
        () = tokio::time::sleep(REGISTERS_WITHIN) => Err(late()),
    }
}

/// Keeps what comes on `subject`.
async fn listen(client: &Client, tasks: &Tasks, subject: String) -> Result<Arc<Ear>, SetupError> {
    let subscribed = client.subscribe(subject).await;
    let mut messages = subscribed.map_err(|error| SetupError::Nats(error.to_string()))?;
    let (ear, token) = (Arc::new(Ear::default()), tasks.token());
    let keeper = Arc::clone(&ear);
    tasks.spawn("ear", OnFailure::Log, async move {
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => keeper.hear(&message),
                    None => return,
                },
                () = token.cancelled() => return,
            }
        }
    });
    Ok(ear)
}

/// Starts the nexlet with the eight variables and a mark by which its children are found.
pub(super) fn launch(
    options: &Options,
    node_id: &str,
    agent_id: &str,
    tasks: &Tasks,
) -> Result<(Child, String, Output), SetupError> {
    let (data, mark) = (&options.agent, Id::random().to_string());
    let mut environment = options.environment.clone();
    let entries = [
        (variables::SERVERS, data.nats_servers.join(",")),
        (variables::USER_SEED, data.nats_user_seed.clone()),
        (variables::USER_JWT, nex_bus::connection::base64(data.nats_user_jwt.as_bytes())),
        (variables::USER, data.nats_user_name.clone()),
        (variables::PASSWORD, data.nats_user_password.clone()),
        (variables::USER_NKEY, data.nats_user_nkey.clone()),
        (variables::NODE_ID, node_id.to_owned()),
        (variables::ASSIGNED_ID, agent_id.to_owned()),
        (endings::MARK, mark.clone()),
    ];
    environment.extend(entries.map(|(name, value)| (name.to_owned(), value)));
    let program =
        Program { args: options.args.clone(), environment, ..Program::new(&options.path) };
    let spawned = program.spawn();
    let mut child =
        spawned.map_err(|source| SetupError::Spawn { path: options.path.clone(), source })?;
    let output = Output::default();
    if let Some(stdout) = child.stdout.take() {
        tasks.spawn("nexlet stdout", OnFailure::Log, keep(stdout, Arc::clone(&output)));
    }
    if let Some(stderr) = child.stderr.take() {
        tasks.spawn("nexlet stderr", OnFailure::Log, keep(stderr, Arc::clone(&output)));
    }
    Ok((child, mark, output))
}

async fn keep(pipe: impl AsyncRead + Unpin, output: Output) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = line.get(..LONGEST_LINE).unwrap_or(&line);
        let mut kept = output.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(String::from_utf8_lossy(line).into_owned());
    }
}
