//! Metrics leave the node: for Prometheus, and for an OpenTelemetry collector.
//!
//! 1. `--metrics` is answered at the address that the first lines and the node's tags tell.
//! 2. What a workload publishes is told under the name of the request that started it; copies are added up,
//!    and what was counted stays when the workload is gone.
//! 3. What does not make sense, or is about somebody else's workload, changes nothing but one counter.
//! 4. `--otlp` sends the same values, with headers that nobody sees; a collector may go and come back.
//! 5. Settings that cannot work are refused before anything is started.

use nex_testkit::{NatsServer, Nex, OtlpReceiver, echo_service, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{SOON, World, assert_refused, seat, text};

const LOCAL: [&str; 2] = ["--metrics", "127.0.0.1:0"];

/// The address in the first lines of a node.
fn told_address(stdout: &[u8]) -> String {
    let said = String::from_utf8_lossy(stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix("metrics  http://"));
    let address = line.and_then(|rest| rest.strip_suffix("/metrics"));
    address.unwrap_or_else(|| panic!("no address in {said}")).to_owned()
}

async fn ask(address: &str, request_line: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request_line} HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Waits until each of these lines stands in what is answered; returns all of it.
async fn until_told(address: &str, lines: &[&str]) -> String {
    eventually("the values are told", SOON, async || {
        let answer = ask(address, "GET /metrics").await;
        let lacks = lines.iter().find(|line| !answer.lines().any(|it| it == **line));
        match lacks {
            None => Ok(answer),
            Some(line) => Err(format!("no line {line} in {answer}")),
        }
    })
    .await
}

fn address(world: &World) -> String {
    told_address(&world.nex.node().unwrap().stdout())
}

/// What a workload might publish as a function.
fn message(id: &str, calls: u64) -> Value {
    json!({
        "id": id, "name": "somebody-else", "namespace": "system", "type": "wasm",
        "time": "2026-01-01T00:00:00Z",
        "function": {
            "calls": calls, "cold_starts": 1, "in_flight": 2, "bytes_received": 100, "bytes_sent": 50,
            "errors": {"500": 1, "429": 2},
            "duration": {"bounds": [0.001, 0.01], "counts": [calls - 1, 1, 0], "sum": 0.5},
        },
    })
}

async fn publish(world: &World, subject: String, payload: impl ToString) {
    world.client.publish(subject, payload.to_string().into()).await.unwrap();
    world.client.flush().await.unwrap();
}

async fn tell(world: &World, id: &str, calls: u64) {
    publish(world, format!("$NEX.FEED.default.metrics.{id}"), message(id, calls)).await;
}

async fn deploy(world: &World, copies: &str) -> Vec<String> {
    let program = echo_service().unwrap().display().to_string();
    world.nex.ok(&["run", &program, "--name", "echo", "--copies", copies]).await;
    world.ids().await
}

const OF_ECHO: &str =
    r#"{nex_namespace="default",nex_workload_name="echo",nex_workload_type="native""#;

#[tokio::test]
async fn what_workloads_count_is_scraped_under_their_names() {
    let world = World::with(NatsServer::options(), &LOCAL).await;
    let address = address(&world);
    let nodes = world.nex.ok(&["nodes", "--json"]).await.json();
    assert_eq!(nodes[0]["tags"]["nex.metrics"], json!(address));
    let ids = deploy(&world, "2").await;
    tell(&world, &ids[0], 10).await;
    tell(&world, &ids[1], 5).await;
    tell(&world, &ids[0], 12).await;
    let told = until_told(
        &address,
        &[
            &format!("nex_function_calls_total{OF_ECHO}}} 17"),
            &format!("nex_function_in_flight{OF_ECHO}}} 4"),
            &format!(r#"nex_function_errors_total{OF_ECHO},error_type="429"}} 4"#),
            &format!(r#"nex_function_io_bytes_total{OF_ECHO},nex_io_direction="receive"}} 200"#),
            &format!("nex_function_duration_seconds_count{OF_ECHO}}} 17"),
            r#"nex_node_workloads{nex_workload_type="native",nex_workload_state="running"} 2"#,
            r#"nex_node_nexlet_restarts_total{nex_nexlet_type="native"} 0"#,
            r#"nex_node_metrics_dropped_total{error_type="message"} 0"#,
        ],
    )
    .await;
    assert!(told.contains("\nnex_node_nats_round_trip_seconds "), "{told}");
    let node = text(&nodes, "/0/node_id");
    assert!(told.contains(&format!(r#"service_instance_id="{node}""#)), "{told}");
    for secret in ["somebody-else", &ids[0], &ids[1]] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    world.nex.ok(&["stop", "echo"]).await;
    eventually("what it used is no more, what it counted stays", SOON * 3, async || {
        let told = ask(&address, "GET /metrics").await;
        let is_gone = !told.contains("nex_function_in_flight{");
        let stays = told.contains(&format!("nex_function_calls_total{OF_ECHO}}} 17\n"));
        if is_gone && stays { Ok(()) } else { Err(told) }
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn nonsense_changes_nothing_but_the_count_of_nonsense() {
    let world = World::with(NatsServer::options(), &LOCAL).await;
    let address = address(&world);
    let id = deploy(&world, "1").await.remove(0);
    tell(&world, &id, 10).await;
    let own = format!("$NEX.FEED.default.metrics.{id}");
    let mut hostile = message(&id, 11);
    hostile["function"]["calls"] = json!(u64::MAX);
    let mut unsorted = message(&id, 11);
    unsorted["function"]["duration"]["bounds"] = json!([2, 1]);
    for payload in ["", "[", "{}", "null", &hostile.to_string(), &unsorted.to_string()] {
        publish(&world, own.clone(), payload).await;
    }
    publish(&world, own.clone(), message("WvLS2fm0rYuHFVcv9jR5nE", 11)).await;
    publish(&world, own.clone(), "x".repeat(500_000)).await;
    // Of another namespace: not its own word.
    publish(&world, format!("$NEX.FEED.other.metrics.{id}"), message(&id, 11)).await;
    // Somebody else's workloads are nobody's business here.
    for subject in
        ["$NEX.FEED.default.metrics.WvLS2fm0rYuHFVcv9jR5nE", "$NEX.FEED.default.metrics.x"]
    {
        publish(&world, subject.to_owned(), message("x", 99)).await;
    }
    let told = until_told(
        &address,
        &[
            r#"nex_node_metrics_dropped_total{error_type="message"} 9"#,
            &format!("nex_function_calls_total{OF_ECHO}}} 10"),
        ],
    )
    .await;
    assert_eq!(told.matches("\nnex_function_calls_total{").count(), 1, "{told}");
    world.finish().await;
}

#[tokio::test]
async fn a_collector_gets_the_values_and_may_be_away() {
    let mut receiver = OtlpReceiver::start().await;
    let server = NatsServer::start().await;
    let client = server.client().await;
    let options = Nex::against(&server)
        .arguments(["--otlp", &receiver.url(), "--otlp-interval", "1000"])
        .environment("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=hunter2");
    let world = World::started(server, options, client).await;
    let id = deploy(&world, "1").await.remove(0);
    tell(&world, &id, 10).await;
    let calls =
        receiver.until("calls arrive", SOON, |got| got.points("nex.function.calls").pop()).await;
    assert_eq!((calls.value, calls.attribute("nex.workload.name")), (10.0, "echo"));
    let received = receiver.received();
    assert_eq!(received.headers["x-api-key"], "hunter2");
    assert_eq!(received.metrics_resource()["service.instance.id"], world.node_id().await);

    receiver.stop().await;
    tell(&world, &id, 20).await;
    let node = world.nex.node().unwrap();
    eventually("the log tells", SOON, async || {
        let log = node.stderr();
        if log.contains("metrics not taken") { Ok(()) } else { Err(log) }
    })
    .await;
    receiver.clear();
    receiver.start_again().await;
    let dropped = receiver
        .until("it goes on, with all that was counted", SOON * 2, |got| {
            let calls = got.points("nex.function.calls").pop()?.value;
            let dropped = got.points("nex.node.metrics.dropped").into_iter();
            let exports = dropped.filter(|point| point.attribute("error.type") == "export");
            let dropped = exports.map(|point| point.value).sum::<f64>();
            (calls == 20.0 && dropped >= 1.0).then_some(dropped)
        })
        .await;
    assert!(dropped >= 1.0);
    let log = world.nex.node().unwrap().stderr();
    assert_eq!(log.matches("metrics not taken").count(), 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    let config = world.nex.ok(&["config"]).await;
    assert!(!config.text().contains("hunter2"), "{config}");
    world.finish().await;
}

#[tokio::test]
async fn node_up_takes_the_address_from_its_surroundings_and_warns_of_others_machines() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).environment("NEX_METRICS", "0.0.0.0:0").down();
    let mut node = nex.spawn(&["node", "up", "--nexlets", "native"]);
    node.line(SOON * 4, |line| line.starts_with("ready")).await.unwrap();
    let port = told_address(&node.stdout()).rsplit(':').next().unwrap().to_owned();
    let address = format!("127.0.0.1:{port}");
    assert!(ask(&address, "GET /metrics").await.starts_with("HTTP/1.1 200"));
    assert!(ask(&address, "HEAD /metrics").await.starts_with("HTTP/1.1 200"));
    assert!(ask(&address, "GET /").await.starts_with("HTTP/1.1 404"));
    assert!(ask(&address, "DELETE /metrics").await.starts_with("HTTP/1.1 405"));
    assert!(node.stderr().contains("whoever reaches this address"), "{}", node.stderr());
    node.signal(nex_testkit::Signal::SIGTERM);
    assert!(node.exit(SOON * 3).await.unwrap().success());
    assert!(TcpStream::connect(&address).await.is_err(), "nobody listens any more");
    nex.finish().await;
    server.assert_no_other_clients().await;
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_once() {
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).down();
    let up = async |arguments: &[&str]| nex.run(&[&["up"], arguments].concat()).await;
    let wrong = up(&["--metrics", "everywhere"]).await.exits(2);
    assert!(wrong.stderr.contains("such as 127.0.0.1:9464"), "{wrong}");
    for (endpoint, says) in [
        ("collector", "is not a URL"),
        ("grpc://collector:4317", "neither http:// nor https://"),
        ("http://me:hunter2@collector", "must not hold a user or password"),
    ] {
        let refused = assert_refused(up(&["--otlp", endpoint]).await, 2, &[says], "--otlp http://");
        assert!(!refused.stderr.contains("hunter2"), "{refused}");
    }
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = up(&["--metrics", &address]).await.exits(1);
    let says = format!("metrics cannot be offered at {address}");
    assert!(refused.stderr.contains(&says), "{refused}");
    assert!(refused.stderr.contains("--metrics 127.0.0.1:0"), "{refused}");
    let file = json!({"metrics": "127.0.0.1:7", "otlp": "http://me:hunter2@collector:4318"});
    std::fs::write(nex.work_dir().join("m.json"), file.to_string()).unwrap();
    let shown = nex.ok(&["config", "--json", "--config", "m.json"]).await.json();
    let value = |key: &str| {
        let settings = shown["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(value("metrics"), "127.0.0.1:7");
    assert_eq!(value("otlp"), "http://collector:4318");
}

#[tokio::test]
async fn without_an_exporter_nobody_listens_to_metrics() {
    let world = World::up().await;
    let subjects = world.server.subjects().await;
    assert!(!subjects.iter().any(|subject| subject.contains(".metrics.")), "{subjects:?}");
    let tags = world.nex.ok(&["nodes", "--json"]).await.json()[0]["tags"].clone();
    assert_eq!(tags.get("nex.metrics"), None, "{tags}");
    world.finish().await;
}
