//! From the order to the running program, and the answer to whoever ordered it.
//!
//! Owns: the steps, and that nothing is left when one fails. Never: shows what stands in an order: it may
//! be secret.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixListener;

use nex_sandbox::detach::{self, Signals};
use nex_sandbox::jail::{self, Jail};
use nex_sandbox::{ProcessIdentity, Signal};
use nex_shim::{Answer, Order, Running, SHIM_FILE, VERSION};
use rustix::stdio;

use super::life::{Life, Parts};
use super::relay::Relay;
use super::spool::Spool;
use super::{folder, now};

/// Bytes of an order.
const ORDER_LIMIT: u64 = 4 * 1024 * 1024;
/// Read, instead of ending the shim; SIGXFSZ, since a bound on files must cost output and no more.
const SIGNALS: [Signal; 6] = [
    Signal::SIGCHLD,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGXFSZ,
];
/// The kernel looks elsewhere first when memory is short; a shim holds little and knows much.
const OOM_SCORE: &str = "-900";

/// Keeps nothing of the starter's but the way to answer it.
pub(super) fn leave_starter() -> io::Result<File> {
    detach::set_name(c"nex-shim");
    detach::close_inherited()?;
    let answering = rustix::io::fcntl_dupfd_cloexec(stdio::stdout(), 3)?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    stdio::dup2_stdout(&null)?;
    stdio::dup2_stderr(&null)?;
    Ok(answering.into())
}

/// Does what the order says.
pub(super) fn start() -> Result<(Life, Answer), Answer> {
    let order = read_order().map_err(|error| failed("order", &error))?;
    let listener = folder::prepare().map_err(|error| failed("folder", &error))?;
    let started = start_in_folder(&order, listener);
    if started.is_err() {
        folder::abandon();
    }
    started
}

/// Says the answer. That nobody hears it changes nothing: the next nexlet finds the socket.
pub(super) fn answer(mut answering: File, answer: &Answer) {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    let _unheard = answering.write_all(&line);
}

fn read_order() -> io::Result<Order> {
    let mut text = Vec::new();
    io::stdin().lock().take(ORDER_LIMIT + 1).read_to_end(&mut text)?;
    let null = File::open("/dev/null")?;
    stdio::dup2_stdin(&null)?;
    if text.len() as u64 > ORDER_LIMIT {
        return Err(io::Error::other("it is larger than 4 MiB: give the program less environment"));
    }
    // Without the parser's own words, since they may quote a secret.
    serde_json::from_slice(&text).map_err(|error| {
        io::Error::other(format!(
            "it is no order of version {VERSION} (line {}, column {}): start the shim through its nexlet",
            error.line(),
            error.column()
        ))
    })
}

fn start_in_folder(order: &Order, listener: UnixListener) -> Result<(Life, Answer), Answer> {
    let spool = Spool::create(order.spool_bytes).map_err(|error| failed("spool", &error))?;
    detach::adopt_orphans().map_err(|error| failed("subreaper", &error))?;
    let signals = Signals::block(&SIGNALS).map_err(|error| failed("signals", &error))?;
    let started = now();
    let mut jail = jail::start(&order.plan).map_err(|error| Answer::Failed {
        step: error.step.to_owned(),
        message: error.message,
        lacks_wall: error.lacks_wall.is_some(),
    })?;
    let running = match describe(order, &jail, started) {
        Ok(running) => running,
        Err(answer) => {
            let _closed = jail.close();
            return Err(answer);
        }
    };
    protect();
    let answer = Answer::Running {
        shim_pid: running.shim.pid,
        pid: running.program.pid,
        walls: running.walls,
        missing: jail.missing().to_vec(),
    };
    let relay = order
        .relay
        .as_ref()
        .zip(jail.take_listener())
        .map(|(relay, listener)| Relay::new(listener.into(), relay.servers.clone()));
    let parts = Parts { jail, signals, listener, spool, relay, started };
    Ok((Life::new(parts), answer))
}

/// Writes `shim.json`.
fn describe(order: &Order, jail: &Jail, started: u64) -> Result<Running, Answer> {
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let shim = ProcessIdentity::of(me)
        .ok_or_else(|| failed("identity", &"/proc does not show this process"))?;
    // A program that has ended already is nobody's to adopt, but its folder is read like others.
    let program = ProcessIdentity::of(jail.pid()).unwrap_or_else(|| ProcessIdentity {
        pid: jail.pid(),
        start_time: 0,
        ..shim.clone()
    });
    let walls = jail.walls().to_vec();
    let group = order.plan.group.clone();
    let running = Running { version: VERSION, shim, program, started, group, walls };
    folder::write(SHIM_FILE, &running).map_err(|error| failed(SHIM_FILE, &error))?;
    Ok(running)
}

/// After the program's start, since it would inherit the one and be hindered by the other.
fn protect() {
    // Allowed to root alone.
    let _refused = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let _unhidden = detach::hide_memory();
}

fn failed(step: &str, error: &impl std::fmt::Display) -> Answer {
    Answer::Failed { step: step.to_owned(), message: error.to_string(), lacks_wall: false }
}
