//! Flags of `nex run` that say how a program runs: its box, its limits, its life and its health.
//!
//! Owns: how they become keys of the request, and which type each is for. Never: checks values; the nexlet
//! does.

use clap::Args;
use nex_api::workload::Lifecycle;
use serde_json::{Map, Value, json};

use crate::error::CliError;

/// The keys of `health` that say what is probed; a flag takes the place of all of them.
const PROBES: [&str; 4] = ["nats", "tcp", "http", "exec"];

/// How a program runs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options for services and jobs")]
pub(super) struct NativeArgs {
    /// How strong the box around the program is [default: default]
    #[arg(long, value_name = "KIND", value_parser = ["default", "strict", "none"])]
    sandbox: Option<String>,
    /// Processors that it may use, also parts of one: 0.5
    #[arg(long, value_name = "CORES")]
    cpu: Option<String>,
    /// Memory that it may use: 64MiB; for a function, that of one instance
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Processes and threads that it may have
    #[arg(long, value_name = "N")]
    pids: Option<u32>,
    /// When a service that ended is started again [default: always]
    #[arg(long, value_name = "POLICY", value_parser = ["always", "on-failure", "never"])]
    restart: Option<String>,
    /// How often a job that failed is tried again [default: 0]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Time that an attempt of a job may take, or a call of a function: 30s
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Signal that asks the program to stop [default: SIGTERM]
    #[arg(long, value_name = "SIGNAL", value_parser = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])]
    stop_signal: Option<String>,
    /// Time to stop, before the program is killed [default: 10s]
    #[arg(long, value_name = "DURATION")]
    grace: Option<String>,
    /// How it is seen that a service works: tcp:PORT, http:PORT/PATH, nats:SERVICE or nats:SUBJECT
    #[arg(long, value_name = "PROBE")]
    health: Option<String>,
    /// Port that the program listens on; repeatable
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    expose: Vec<u16>,
    /// Host path that the program sees read-only: PATH or SOURCE:TARGET; repeatable
    #[arg(long, value_name = "PATH")]
    mount: Vec<String>,
}

impl NativeArgs {
    /// Refuses flags that are for another type.
    pub(super) fn check(&self, lifecycle: Lifecycle) -> Result<(), CliError> {
        use Lifecycle::{Function, Job, Service};
        let all: &[Lifecycle] = &[Function, Job, Service];
        let programs = &all[1..];
        for (flag, is_given, lifecycles, instead) in [
            ("--sandbox", self.sandbox.is_some(), programs, "is for programs"),
            ("--cpu", self.cpu.is_some(), programs, "is for programs"),
            ("--pids", self.pids.is_some(), programs, "is for programs"),
            ("--stop-signal", self.stop_signal.is_some(), programs, "is for programs"),
            ("--grace", self.grace.is_some(), programs, "is for programs"),
            ("--expose", !self.expose.is_empty(), programs, "is for programs"),
            ("--mount", !self.mount.is_empty(), programs, "is for programs"),
            ("--restart", self.restart.is_some(), &[Service], "is for services"),
            ("--health", self.health.is_some(), &[Service], "is for services"),
            ("--retries", self.retries.is_some(), &[Job], "is for jobs"),
            ("--timeout", self.timeout.is_some(), &all[..2], "is for jobs and functions"),
        ] {
            if is_given && !lifecycles.contains(&lifecycle) {
                let has = match lifecycle {
                    Service => "a service has --restart and --health",
                    Job => "a job has --retries and --timeout",
                    Function => "a function has --memory and --timeout",
                };
                return Err(CliError::usage(format!("{flag} {instead}; {has}"))
                    .hint(format!("leave out {flag}")));
            }
        }
        self.health.as_deref().map(probe).transpose()?;
        Ok(())
    }

    /// Adds to what a Nexfile says, and takes the place of what it says otherwise.
    pub(super) fn add_to(
        &self,
        request: &mut Map<String, Value>,
        lifecycle: Lifecycle,
    ) -> Result<(), CliError> {
        let timeout_at =
            if lifecycle == Lifecycle::Function { "limits.timeout" } else { "timeout" };
        for (place, value) in [
            ("sandbox", &self.sandbox),
            ("limits.cpu", &self.cpu),
            ("limits.memory", &self.memory),
            ("restart.policy", &self.restart),
            (timeout_at, &self.timeout),
            ("stop.signal", &self.stop_signal),
            ("stop.grace", &self.grace),
        ] {
            put(request, place, value.as_ref().map(|text| json!(text)))?;
        }
        put(request, "limits.pids", self.pids.map(Value::from))?;
        put(request, "retries", self.retries.map(Value::from))?;
        if let Some(health) = &self.health {
            let (kind, target) = probe(health)?;
            if let Some(Value::Object(health)) = request.get_mut("health") {
                health.retain(|key, _| !PROBES.contains(&key.as_str()));
            }
            put(request, &format!("health.{kind}"), Some(json!(target)))?;
        }
        let ports = self.expose.iter().map(|port| json!(port)).collect();
        extend(request, "expose_ports", ports)?;
        extend(request, "mounts", self.mount.iter().map(|mount| json!(mount)).collect())
    }
}

/// `KIND:TARGET` as the key of `health` and its value.
fn probe(text: &str) -> Result<(&str, String), CliError> {
    let refused = || {
        CliError::usage(format!("--health {text}: there is no such probe"))
            .hint("write one of: tcp:PORT   http:PORT/PATH   nats:SERVICE   nats:SUBJECT")
    };
    let (kind, target) = text.split_once(':').ok_or_else(refused)?;
    match kind {
        _ if target.is_empty() => Err(refused()),
        // Of a whole URL the kind is its scheme.
        "http" if target.starts_with("//") => Ok((kind, text.to_owned())),
        "http" if target.starts_with(|c: char| c.is_ascii_digit()) && !has_address(target) => {
            Ok((kind, format!(":{target}")))
        }
        "http" if !target.starts_with(':') => Ok((kind, format!("http://{target}"))),
        "tcp" | "http" | "nats" => Ok((kind, target.to_owned())),
        _ => Err(refused()),
    }
}

/// Whether what stands before the path is more than a port.
fn has_address(target: &str) -> bool {
    target.split('/').next().is_some_and(|start| start.contains(['.', ':']))
}

/// At `KEY` or `KEY.PART`.
fn put(
    request: &mut Map<String, Value>,
    place: &str,
    value: Option<Value>,
) -> Result<(), CliError> {
    let Some(value) = value else { return Ok(()) };
    let Some((key, part)) = place.split_once('.') else {
        request.insert(place.to_owned(), value);
        return Ok(());
    };
    match request.entry(key).or_insert_with(|| json!({})) {
        Value::Object(parts) => {
            parts.insert(part.to_owned(), value);
            Ok(())
        }
        _ => Err(wrong(key, "an object")),
    }
}

fn extend(request: &mut Map<String, Value>, key: &str, values: Vec<Value>) -> Result<(), CliError> {
    if values.is_empty() {
        return Ok(());
    }
    match request.entry(key).or_insert_with(|| json!([])) {
        Value::Array(listed) => {
            for value in values {
                if !listed.contains(&value) {
                    listed.push(value);
                }
            }
            Ok(())
        }
        _ => Err(wrong(key, "a list")),
    }
}

fn wrong(key: &str, what: &str) -> CliError {
    CliError::usage(format!("{key} of the Nexfile must be {what}"))
        .hint("see docs/guide/services.md")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        native: NativeArgs,
    }

    fn request(lifecycle: Lifecycle, nexfile: Value, flags: &[&str]) -> Result<Value, CliError> {
        let flags = ["nex"].iter().chain(flags);
        let args = Line::try_parse_from(flags).expect("flags that are").native;
        let Value::Object(mut request) = nexfile else { panic!("not an object") };
        args.check(lifecycle)?;
        args.add_to(&mut request, lifecycle)?;
        Ok(Value::Object(request))
    }

    #[test]
    fn flags_become_keys_and_win_over_a_nexfile() {
        let flags = [
            "--sandbox=strict",
            "--cpu=0.5",
            "--memory=64MiB",
            "--pids=20",
            "--restart=on-failure",
            "--stop-signal=SIGINT",
            "--grace=3s",
            "--health=nats:echo",
            "--expose=80,81",
            "--mount=/a",
            "--mount=/b:/c",
        ];
        let nexfile = json!({
            "limits": {"pids": 5, "files": 99}, "health": {"tcp": 80, "interval": "1s"},
            "mounts": ["/a"],
        });
        let expected = json!({
            "sandbox": "strict", "limits": {"cpu": "0.5", "memory": "64MiB", "pids": 20, "files": 99},
            "restart": {"policy": "on-failure"}, "stop": {"signal": "SIGINT", "grace": "3s"},
            "health": {"nats": "echo", "interval": "1s"}, "expose_ports": [80, 81],
            "mounts": ["/a", "/b:/c"],
        });
        assert_eq!(request(Lifecycle::Service, nexfile, &flags).unwrap(), expected);
        let job = request(Lifecycle::Job, json!({}), &["--retries=3", "--timeout=1m"]);
        assert_eq!(job.unwrap(), json!({"retries": 3, "timeout": "1m"}));
        let function = request(Lifecycle::Function, json!({}), &["--memory=8MiB", "--timeout=1s"]);
        assert_eq!(function.unwrap(), json!({"limits": {"memory": "8MiB", "timeout": "1s"}}));
    }

    #[test]
    fn a_flag_for_another_type_is_refused() {
        for (lifecycle, flag, says) in [
            (Lifecycle::Service, "--retries=1", "--retries is for jobs; a service has --restart"),
            (Lifecycle::Service, "--timeout=1s", "--timeout is for jobs and functions; a service"),
            (Lifecycle::Job, "--restart=always", "--restart is for services; a job has --retries"),
            (Lifecycle::Job, "--health=tcp:1", "--health is for services"),
            (Lifecycle::Function, "--cpu=1", "--cpu is for programs; a function has --memory"),
            (Lifecycle::Function, "--expose=80", "--expose is for programs"),
            (Lifecycle::Function, "--retries=1", "--retries is for jobs"),
        ] {
            let error = request(lifecycle, json!({}), &[flag]).unwrap_err().message;
            assert!(error.contains(says), "{flag}: {error}");
        }
    }

    #[test]
    fn a_probe_is_a_kind_and_a_target() {
        for (text, expected) in [
            ("tcp:8080", ("tcp", "8080")),
            ("tcp:127.0.0.1:8080", ("tcp", "127.0.0.1:8080")),
            ("http:8080/up", ("http", ":8080/up")),
            ("http:8080", ("http", ":8080")),
            ("http::8080/up", ("http", ":8080/up")),
            ("http:127.0.0.1:8080/a.b", ("http", "http://127.0.0.1:8080/a.b")),
            ("http:localhost:8080", ("http", "http://localhost:8080")),
            ("http://127.0.0.1/up", ("http", "http://127.0.0.1/up")),
            ("nats:orders.alive", ("nats", "orders.alive")),
        ] {
            let (kind, target) = probe(text).unwrap();
            assert_eq!((kind, target.as_str()), expected, "{text}");
        }
        for wrong in ["8080", "tcp:", "exec:/bin/true", "udp:80"] {
            assert!(probe(wrong).is_err(), "{wrong}");
        }
    }
}
