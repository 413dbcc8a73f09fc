//! How it is seen that a service works: `health` of its request.
//!
//! Owns: the four kinds of probes as text, and which of them a sandbox leaves possible. Never: probes.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use nex_api::start::{HealthRequest, TcpProbe};
use nex_nexlet::StartFailure;
use nex_sandbox::jail::Isolation;
use nex_types::{SubjectPattern, denied_by};

use super::bounds::{duration, number, shown};
use super::invalid;
use crate::health::{Health, Probe};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const INTERVAL: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3600)];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(60)];
const DEFAULT_FAILURES: u32 = 3;
const MOST_FAILURES: u32 = 100;
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LONGEST_PATH: usize = 1024;

pub(super) fn read(request: &HealthRequest, isolation: Isolation) -> Result<Health, StartFailure> {
    let interval = request.interval.as_deref();
    let timeout = request.timeout.as_deref();
    Ok(Health {
        probe: probe(request, isolation)?,
        interval: duration(
            "health.interval",
            interval,
            DEFAULT_INTERVAL,
            INTERVAL[0]..=INTERVAL[1],
        )?,
        timeout: duration("health.timeout", timeout, DEFAULT_TIMEOUT, TIMEOUT[0]..=TIMEOUT[1])?,
        failures: number("health.failures", request.failures, 1..=MOST_FAILURES)?
            .unwrap_or(DEFAULT_FAILURES),
    })
}

fn probe(request: &HealthRequest, isolation: Isolation) -> Result<Probe, StartFailure> {
    let HealthRequest { nats, tcp, http, exec, .. } = request;
    let probe = match (nats, tcp, http, exec) {
        (Some(nats), None, None, None) => return self::nats(nats),
        (None, Some(tcp), None, None) => self::tcp(tcp)?,
        (None, None, Some(http), None) => self::http(http)?,
        (None, None, None, Some(_)) => {
            return Err(invalid("health.exec is not there yet: use tcp, http or nats"));
        }
        _ => return Err(invalid("health: give exactly one of nats, tcp and http")),
    };
    if isolation == Isolation::Strict {
        let key = if tcp.is_some() { "tcp" } else { "http" };
        return Err(invalid(format!(
            "health.{key} cannot reach into the network of sandbox strict: use health.nats"
        )));
    }
    Ok(probe)
}

/// Without a dot it is the name of a micro service, of which its ping is asked.
fn nats(text: &str) -> Result<Probe, StartFailure> {
    let is_name_char = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 64 && text.chars().all(is_name_char) {
        return Ok(Probe::Nats { subject: format!("$SRV.PING.{text}") });
    }
    let refused = |why: String| {
        let what = "a micro service's name, or a subject with a dot in it";
        invalid(format!("health.nats: {why}; write {what}"))
    };
    let subject = SubjectPattern::parse(text).map_err(|error| refused(error.to_string()))?;
    if !subject.is_literal() || !text.contains('.') {
        return Err(refused(format!("\"{}\" is neither a name nor one subject", shown(text))));
    }
    // The nexlet asks with its own rights: nobody may send it where a workload may not publish.
    if let Some(pattern) = denied_by(&subject, &[]) {
        return Err(invalid(format!("health.nats: {} is denied by {pattern}", shown(text))));
    }
    Ok(Probe::Nats { subject: text.to_owned() })
}

fn tcp(target: &TcpProbe) -> Result<Probe, StartFailure> {
    let target = match target {
        TcpProbe::Port(port) => port.to_string(),
        TcpProbe::Address(text) => text.clone(),
    };
    let (address, port) = address(&target).ok_or_else(|| {
        let given = shown(&target);
        invalid(format!("health.tcp: \"{given}\" is not a port from 1 to 65535, or ADDRESS:PORT"))
    })?;
    Ok(Probe::Tcp { address, port })
}

fn http(text: &str) -> Result<Probe, StartFailure> {
    let refused = || {
        let given = shown(text);
        invalid(format!(
            "health.http: \"{given}\" is not :PORT/PATH or http://ADDRESS:PORT/PATH; https is not spoken"
        ))
    };
    let rest = text.strip_prefix("http://").unwrap_or(text);
    let (target, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (address, port) = match address(target) {
        Some(found) => found,
        // Only a URL may leave its port out.
        None if rest.len() < text.len() => (host(target).ok_or_else(refused)?, 80),
        None => return Err(refused()),
    };
    let is_plain = path.len() <= LONGEST_PATH && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain {
        return Err(refused());
    }
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    Ok(Probe::Http { address, port, path })
}

/// `PORT`, `:PORT` or `ADDRESS:PORT`. Names are not looked up, but for `localhost`: a probe is for what
/// runs on this machine.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (before, port) = text.rsplit_once(':').unwrap_or(("", text));
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|port| is_port && *port > 0)?;
    let address = if before.is_empty() { LOCALHOST } else { host(before)? };
    Some((address, port))
}

fn host(text: &str) -> Option<IpAddr> {
    if text == "localhost" {
        return Some(LOCALHOST);
    }
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}
