//! What requests are read as, and how they are refused.
//!
//! Owns: one line per refusal. Never: starts anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nex_policy::life::RestartWhen;
use serde_json::{Value, json};

use super::*;
use crate::health::Probe;

fn read(run_request: &str) -> Result<Plan, StartFailure> {
    let run_request = run_request.to_owned();
    Plan::read(&StartWorkloadRequest { run_request, ..Default::default() })
}

/// A request with these keys besides `uri`.
fn with(workload_lifecycle: Lifecycle, keys: Value) -> Result<Plan, StartFailure> {
    let Value::Object(mut keys) = keys else { panic!("not an object") };
    keys.insert("uri".to_owned(), json!("nats://B/x"));
    let run_request = Value::Object(keys).to_string();
    Plan::read(&StartWorkloadRequest { run_request, workload_lifecycle, ..Default::default() })
}

fn service(keys: Value) -> Plan {
    with(Lifecycle::Service, keys).unwrap()
}

fn job(keys: Value) -> Plan {
    with(Lifecycle::Job, keys).unwrap()
}

#[test]
fn what_is_not_said_has_a_default() {
    let plan = read(r#"{"uri":"nats://B/x"}"#).unwrap();
    let default = StopPlan { signal: Signal::SIGTERM, grace: Duration::from_secs(10) };
    assert_eq!(plan.stop, default);
    let stop = r#"{"uri":"nats://B/x","stop":{"signal":"SIGINT","grace":"250ms"}}"#;
    let expected = StopPlan { signal: Signal::SIGINT, grace: Duration::from_millis(250) };
    assert_eq!(read(stop).unwrap().stop, expected);
    assert_eq!(plan.isolation, Isolation::Default);
    assert_eq!((plan.limits, plan.log_rate), (Limits::default(), 1000));
    assert!(plan.health.is_none() && plan.mounts.is_empty());
    let life = plan.life;
    assert_eq!((life.kind, life.restart, life.max), (Kind::Service, RestartWhen::Always, 10));
    assert_eq!((life.window.as_secs(), life.backoff_first.as_secs()), (600, 1));
    assert_eq!(life.grace, Duration::from_secs(10));
    let life = job(json!({})).life;
    assert_eq!((life.kind, life.restart, life.max), (Kind::Job, RestartWhen::Never, 0));
    assert_eq!(life.timeout, None);
}

#[test]
fn what_is_said_is_taken() {
    let plan = service(json!({
        "sandbox": "strict",
        "limits": {
            "cpu": 0.5, "memory": "64MiB", "pids": 20, "files": 256, "tmp": "1MiB", "log_rate": 5,
        },
        "restart": {"policy": "on-failure", "max": 3, "window": "1m", "backoff": "200ms"},
        "stop": {"grace": "3s"},
        "mounts": ["/etc/ssl", "/srv/data//:/data"],
    }));
    assert_eq!(plan.isolation, Isolation::Strict);
    let limits = Limits {
        memory: Some(64 << 20),
        cpu_millis: Some(500),
        pids: Some(20),
        files: Some(256),
        tmp: Some(1 << 20),
    };
    assert_eq!((plan.limits, plan.log_rate), (limits, 5));
    let life = plan.life;
    assert_eq!((life.restart, life.max), (RestartWhen::OnFailure, 3));
    assert_eq!((life.window.as_secs(), life.backoff_first.as_millis()), (60, 200));
    assert_eq!(life.grace, Duration::from_secs(3));
    let mount = |source: &str, target: &str| Mount { source: source.into(), target: target.into() };
    assert_eq!(plan.mounts, [mount("/etc/ssl", "/etc/ssl"), mount("/srv/data", "/data")]);
    assert_eq!(service(json!({"limits": {"cpu": "2"}})).limits.cpu_millis, Some(2000));
    assert_eq!(service(json!({"sandbox": "none"})).isolation, Isolation::None);
    let life = job(json!({"timeout": "1h", "retries": 2})).life;
    assert_eq!((life.restart, life.max), (RestartWhen::OnFailure, 2));
    assert_eq!((life.timeout, life.window), (Some(Duration::from_secs(3600)), Duration::MAX));
}

#[test]
fn probes_are_of_this_machine_or_of_nats() {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let tcp = |address, port| Probe::Tcp { address, port };
    let http = |port, path: &str| Probe::Http { address: localhost, port, path: path.to_owned() };
    let nats = |subject: &str| Probe::Nats { subject: subject.to_owned() };
    for (health, probe) in [
        (json!({"tcp": 8080}), tcp(localhost, 8080)),
        (json!({"tcp": "8080"}), tcp(localhost, 8080)),
        (json!({"tcp": "localhost:8080"}), tcp(localhost, 8080)),
        (json!({"tcp": "[::1]:8080"}), tcp(IpAddr::V6(Ipv6Addr::LOCALHOST), 8080)),
        (json!({"http": ":8080"}), http(8080, "/")),
        (json!({"http": ":8080/health?full=1"}), http(8080, "/health?full=1")),
        (json!({"http": "http://127.0.0.1/up"}), http(80, "/up")),
        (json!({"nats": "echo-service"}), nats("$SRV.PING.echo-service")),
        (json!({"nats": "orders.alive"}), nats("orders.alive")),
    ] {
        let told = health.to_string();
        let read = service(json!({ "health": health })).health.unwrap();
        assert_eq!(read.probe, probe, "{told}");
        assert_eq!((read.interval.as_secs(), read.timeout.as_secs(), read.failures), (10, 2, 3));
    }
    let strict = json!({"sandbox": "strict", "health": {"nats": "echo", "interval": "1s"}});
    assert_eq!(service(strict).health.unwrap().interval, Duration::from_secs(1));
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    for (run_request, says) in [
        ("", "not one for native"),
        (r#"{"uri":"x","enviroment":{}}"#, "enviroment"),
        (r#"{"uri":"x","digest":"md5:0"}"#, "digest"),
        (r#"{"uri":"x","stop":{"grace":"soon"}}"#, "stop.grace"),
        (r#"{"uri":"x","stop":{"grace":"601s"}}"#, "10m is the longest"),
        (r#"{"uri":"x","stop":{"signal":"SIGKILL"}}"#, "SIGKILL"),
        (r#"{"uri":"x","argv":["a\u0000b"]}"#, "argv"),
    ] {
        let failure = read(run_request).unwrap_err();
        assert_eq!(failure.code, Code::StartRequestInvalid);
        assert!(failure.message.contains(says), "{}", failure.message);
    }
    let workload_lifecycle = Lifecycle::Function;
    let function = StartWorkloadRequest { workload_lifecycle, ..Default::default() };
    assert!(Plan::read(&function).unwrap_err().message.contains("function"));
}

/// Each with the words that tell what may stand there.
#[test]
fn a_value_out_of_bounds_is_refused_with_its_bounds() {
    for (keys, says) in [
        (json!({"sandbox": "firm"}), "expected one of `default`, `strict`, `none`"),
        (json!({"expose_ports": [0]}), "expose_ports: 0 is no port"),
        (json!({"limits": {"cpus": 1}}), "unknown field `cpus`, expected one of `cpu`"),
        (json!({"limits": {"cpu": true}}), "limits.cpu is a number of processors"),
        (json!({"limits": {"cpu": "half"}}), "limits.cpu: \"half\" is not a number"),
        (json!({"limits": {"cpu": "NaN"}}), "limits.cpu: \"NaN\" is not a number"),
        (json!({"limits": {"cpu": 0}}), "limits.cpu is 0, but must be from 0.01 to 1024"),
        (json!({"limits": {"memory": "much"}}), "limits.memory: \"much\" is not a size"),
        (json!({"limits": {"memory": "1KiB"}}), "limits.memory is 1KiB, but must be from 1 MiB"),
        (json!({"limits": {"pids": 0}}), "limits.pids is 0, but must be from 1 to 4194304"),
        (json!({"limits": {"files": 3}}), "limits.files is 3, but must be from 16 to 1048576"),
        (json!({"limits": {"tmp": "1"}}), "limits.tmp is 1, but must be from 64 KiB"),
        (json!({"limits": {"log_rate": 0}}), "limits.log_rate is 0, but must be from 1"),
        (json!({"restart": {"policy": "no"}}), "expected one of `always`, `on-failure`, `never`"),
        (json!({"restart": {"max": 1001}}), "restart.max is 1001, but must be from 0 to 1000"),
        (json!({"restart": {"window": "soon"}}), "restart.window: \"soon\" is not a duration"),
        (json!({"restart": {"window": "25h"}}), "must be from 1s to 24h0m0s"),
        (json!({"restart": {"backoff": "2m"}}), "restart.backoff is 2m, but must be from 100ms"),
        (json!({"mounts": ["etc"]}), "mounts: \"etc\" is not a mount; write an absolute path"),
        (json!({"mounts": ["/a/../b"]}), "mounts: \"/a/../b\" is not a mount"),
        (json!({"mounts": ["/"]}), "mounts: \"/\" is not a mount"),
        (json!({"mounts": ["/a:/b:ro"]}), "mounts: \"/a:/b:ro\" is not a mount"),
        (json!({"mounts": ["/a:/c", "/b:/c/"]}), "mounts: /c is there twice"),
        (json!({"mounts": vec!["/a"; 65]}), "mounts: there are more than 64"),
        (json!({"mounts": ["/a"], "sandbox": "none"}), "sees every path as it is"),
        (json!({"timeout": "1s"}), "timeout is for jobs; a service has restart and health"),
        (json!({"retries": 0}), "retries is for jobs"),
    ] {
        refused(Lifecycle::Service, keys, says);
    }
    for (keys, says) in [
        (json!({"restart": {}}), "restart is for services; a job has timeout and retries"),
        (json!({"health": {"tcp": 1}}), "health is for services"),
        (json!({"timeout": "721h"}), "timeout is 721h, but must be from 100ms to 720h0m0s"),
        (json!({"retries": 1001}), "retries is 1001, but must be from 0 to 1000"),
    ] {
        refused(Lifecycle::Job, keys, says);
    }
}

#[test]
fn a_probe_that_cannot_be_is_refused() {
    for (health, says) in [
        (json!({}), "give exactly one of nats, tcp and http"),
        (json!({"tcp": 1, "nats": "a"}), "give exactly one"),
        (json!({"exec": ["/bin/true"]}), "health.exec is not there yet: use tcp, http or nats"),
        (json!({"tcp": 0}), "health.tcp: \"0\" is not a port from 1 to 65535"),
        (json!({"tcp": "+80"}), "health.tcp"),
        (json!({"tcp": 65536}), "health.tcp is a port from 1 to 65535, or ADDRESS:PORT"),
        (json!({"tcp": "db.example.com:80"}), "health.tcp: \"db.example.com:80\" is not"),
        (json!({"http": "https://127.0.0.1/"}), "https is not spoken"),
        (json!({"http": "example.com/"}), "health.http: \"example.com/\" is not :PORT/PATH"),
        (json!({"http": "http://user@127.0.0.1/"}), "health.http"),
        (json!({"http": ":80/a b"}), "health.http"),
        (json!({"nats": "a b"}), "health.nats: \"a b\" is not a subject"),
        (json!({"nats": "a.>"}), "health.nats: \"a.>\" is neither a name nor one subject"),
        (json!({"nats": "$JS.API.INFO"}), "health.nats: $JS.API.INFO is denied by $*.>"),
        (json!({"nats": "a", "interval": "1ms"}), "health.interval is 1ms, but must be from 100ms"),
        (json!({"nats": "a", "timeout": "2m"}), "health.timeout is 2m, but must be from 10ms"),
        (json!({"nats": "a", "failures": 0}), "health.failures is 0, but must be from 1 to 100"),
    ] {
        refused(Lifecycle::Service, json!({ "health": health }), says);
    }
    let strict = json!({"sandbox": "strict", "health": {"tcp": 80}});
    refused(
        Lifecycle::Service,
        strict,
        "health.tcp cannot reach into the network of sandbox strict",
    );
}

#[track_caller]
fn refused(lifecycle: Lifecycle, keys: Value, says: &str) {
    let told = keys.to_string();
    let failure = with(lifecycle, keys).expect_err(&told);
    assert_eq!(failure.code, Code::StartRequestInvalid);
    assert!(failure.message.contains(says), "{told}: {}", failure.message);
}
