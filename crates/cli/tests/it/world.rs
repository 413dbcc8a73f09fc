//! A server, a node of the real binary and a NATS client of somebody who has never heard of Nex.
//!
//! Owns: how tests deploy, ask and end. Never: knows what a test is about.

use std::time::Duration;

use async_nats::{Client, Message, RequestError};
use futures::StreamExt;
use nex_testkit::{
    NatsServer, Nex, NexOptions, Output, Process, ServerOptions, eventually, patience,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a state may take that comes by itself.
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// How long any single reply may take.
const REPLY: Duration = Duration::from_secs(15);

/// After this, no further reply comes.
const QUIET: Duration = Duration::from_millis(600);

/// A node compiles at its start: more at once than this only slow each other down.
static SEATS: Semaphore = Semaphore::const_new(3);

/// A place for a test that runs nodes; kept until it ends.
pub(crate) async fn seat() -> SemaphorePermit<'static> {
    SEATS.acquire().await.unwrap()
}

pub(crate) struct World {
    pub(crate) server: NatsServer,
    pub(crate) nex: Nex,
    pub(crate) client: Client,
    _seat: SemaphorePermit<'static>,
}

impl World {
    /// A server and a node on it.
    pub(crate) async fn up() -> Self {
        Self::on(NatsServer::options()).await
    }

    /// One whose parts were started in a way of their own.
    pub(crate) fn of(
        server: NatsServer,
        nex: Nex,
        client: Client,
        seat: SemaphorePermit<'static>,
    ) -> Self {
        Self { server, nex, client, _seat: seat }
    }

    /// Likewise, on a server that differs from the usual one.
    pub(crate) async fn on(options: ServerOptions) -> Self {
        Self::with(options, &[]).await
    }

    /// Likewise, with more arguments of `nex up`.
    pub(crate) async fn with(options: ServerOptions, arguments: &[&str]) -> Self {
        let seat = seat().await;
        let server = options.start().await;
        let nex = Nex::against(&server).arguments(arguments).up().await;
        let client = server.client().await;
        Self { server, nex, client, _seat: seat }
    }

    /// A node as these options say, and a caller of the test's own making.
    pub(crate) async fn started(server: NatsServer, options: NexOptions, client: Client) -> Self {
        let seat = seat().await;
        let nex = options.up().await;
        Self { server, nex, client, _seat: seat }
    }

    /// Writes a file into the folder that commands run in, and returns its name.
    pub(crate) fn file<'a>(&self, name: &'a str, content: impl AsRef<[u8]>) -> &'a str {
        std::fs::write(self.nex.work_dir().join(name), content).unwrap();
        name
    }

    /// `nex run` of a file with this content.
    pub(crate) async fn deploy(&self, file: &str, content: &str, subject: &str) -> Output {
        self.file(file, content);
        self.nex.ok(&["run", file, "--on", subject]).await
    }

    /// `nex workload start` of a JavaScript function that travels with its request.
    pub(crate) async fn start(&self, name: &str, source: &str, more: Value) -> Output {
        let request = start_request(source, more).to_string();
        let kind = ["--type", "javascript", "--lifecycle", "function"];
        let arguments =
            [&["workload", "start", "--name", name, "--start-request", &request], &kind[..]];
        self.nex.run(&arguments.concat()).await
    }

    /// One request, as any NATS client makes it.
    pub(crate) async fn ask(&self, subject: &str, payload: impl Into<Vec<u8>>) -> Message {
        let asked = try_ask(&self.client, subject, payload.into()).await;
        asked.unwrap_or_else(|error| panic!("no reply on {subject}: {error}"))
    }

    /// Asks until an answer is `expected`, as after something has gone and come back.
    pub(crate) async fn until_answered(&self, subject: &str, payload: &str, expected: &str) {
        let what = format!("{subject} answers {expected:?}");
        eventually(&what, SOON * 2, async || {
            let reply = try_ask(&self.client, subject, payload.into()).await;
            let reply = reply.map_err(|error| error.to_string())?;
            if reply.payload == expected { Ok(()) } else { Err(format!("{reply:?}")) }
        })
        .await;
    }

    /// A request on a control subject of namespace `default`, or on one that is named in full.
    pub(crate) async fn control(&self, verb: &str, body: impl ToString) -> Message {
        let subject = control(verb);
        self.ask(&subject, body.to_string()).await
    }

    /// The same as JSON.
    pub(crate) async fn control_json(&self, verb: &str, body: impl ToString) -> Value {
        let reply = self.control(verb, body).await;
        json_of(&reply)
    }

    /// All replies to one request, until nobody has answered for a while; errors too.
    pub(crate) async fn replies(&self, verb: &str, body: impl ToString) -> Vec<Message> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.unwrap();
        let body = body.to_string().into_bytes();
        self.client.publish_with_reply(control(verb), inbox, body.into()).await.unwrap();
        let mut replies = Vec::new();
        while let Ok(Some(reply)) = tokio::time::timeout(patience(QUIET), answers.next()).await {
            assert_eq!(reply.status, None, "nobody listens on {verb}");
            replies.push(reply);
        }
        replies
    }

    /// What `nex ls --json` lists.
    pub(crate) async fn list(&self) -> Vec<Value> {
        let list = self.nex.ok(&["ls", "--json"]).await.json();
        list.as_array().cloned().unwrap_or_default()
    }

    /// The same of what the nodes answer now, counters included.
    pub(crate) async fn live(&self) -> Vec<Value> {
        let list = self.nex.ok(&["ls", "--live", "--json"]).await.json();
        list.as_array().cloned().unwrap_or_default()
    }

    /// The ids that `nex ls --json` lists, sorted.
    pub(crate) async fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.list().await.iter().map(|w| text(w, "/id")).collect();
        ids.sort();
        ids
    }

    pub(crate) async fn node_id(&self) -> String {
        let nodes = self.nex.ok(&["nodes", "--json"]).await.json();
        text(&nodes, "/0/node_id")
    }

    /// The id of the live nexlet of a type.
    pub(crate) async fn agent_id(&self, kind: &str) -> String {
        let node = self.node_id().await;
        let info = self.control_json(&format!("$NEX.SVC.system.control.INFO.{node}"), "").await;
        let agents = info["node_agent_summaries"].as_array().unwrap();
        let agent = agents.iter().find(|agent| agent["agent_summary"]["type"] == kind).unwrap();
        text(agent, "/agent_id")
    }

    /// Starts a following command and waits until it follows.
    pub(crate) async fn follow(&self, arguments: &[&str]) -> Process {
        let process = self.nex.spawn(arguments);
        eventually("the command follows", SOON, async || {
            let said = process.stderr();
            if said.contains("following") { Ok(()) } else { Err(said) }
        })
        .await;
        process
    }

    /// Ends the node, and asserts that no process, file, connection or subscription is left.
    pub(crate) async fn finish(self) {
        let Self { server, nex, client, _seat } = self;
        drop(client);
        nex.finish().await;
        server.assert_no_other_clients().await;
    }
}

/// A start request that carries its source.
pub(crate) fn start_request(source: &str, more: Value) -> Value {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let data: String = source.bytes().map(encode).collect();
    let mut request = json!({ "uri": format!("data:,{data}") });
    let Value::Object(more) = more else { panic!("more keys come as an object") };
    for (key, value) in more {
        request[key] = value;
    }
    request
}

pub(crate) fn control(verb: &str) -> String {
    match verb.starts_with('$') {
        true => verb.to_owned(),
        false => format!("$NEX.SVC.default.control.{verb}"),
    }
}

pub(crate) async fn try_ask(
    client: &Client,
    subject: &str,
    payload: Vec<u8>,
) -> Result<Message, RequestError> {
    let request = async_nats::Request::new().payload(payload.into()).timeout(Some(patience(REPLY)));
    client.send_request(subject.to_owned(), request).await
}

/// Asserts that nobody listens on a subject, at once.
pub(crate) async fn assert_no_responders(client: &Client, subject: &str) {
    let error = try_ask(client, subject, b"x".to_vec()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::NoResponders, "{subject}: {error}");
}

/// Asserts that somebody listens and nobody answers.
pub(crate) async fn assert_silence(client: &Client, verb: &str, body: impl ToString) {
    let request = async_nats::Request::new().payload(body.to_string().into_bytes().into());
    let request = request.timeout(Some(QUIET));
    let outcome = client.send_request(control(verb), request).await;
    let error = outcome.map(|reply| panic!("{verb} was answered: {reply:?}")).unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::TimedOut, "{verb}");
}

pub(crate) fn header(message: &Message, name: &str) -> Option<String> {
    message.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned())
}

/// The code and description of an error reply; the description is one line.
pub(crate) fn error_headers(message: &Message) -> (String, String) {
    let code = header(message, "Nats-Service-Error-Code");
    let code = code.unwrap_or_else(|| panic!("not an error reply: {message:?}"));
    let description = header(message, "Nats-Service-Error").unwrap();
    assert!(!description.is_empty() && !description.contains('\n'), "{description:?}");
    (code, description)
}

pub(crate) fn json_of(message: &Message) -> Value {
    let error = header(message, "Nats-Service-Error");
    assert_eq!(error, None, "{message:?}");
    serde_json::from_slice(&message.payload).unwrap()
}

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer} of {value:#}")).to_owned()
}

/// Asserts that a command was refused with this exit code, these words and this hint, all on standard error.
#[track_caller]
pub(crate) fn assert_refused(output: Output, code: i32, says: &[&str], hint: &str) -> Output {
    let output = output.exits(code);
    assert!(output.stdout.is_empty(), "errors are no data: {output}");
    assert!(output.stderr.starts_with("error: "), "{output}");
    for words in says {
        assert!(output.stderr.contains(words), "no {words:?} in {output}");
    }
    let hints = output.stderr.lines().filter_map(|line| line.strip_prefix("hint: "));
    let hints: Vec<&str> = hints.collect();
    assert!(hints.iter().any(|line| line.contains(hint)), "no hint with {hint:?} in {output}");
    output
}
