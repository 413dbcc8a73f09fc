//! One run of the server: spawned by us, or adopted from a predecessor.
//!
//! Owns: the configuration file, readiness by the ports file, the record, the end. Never: restarts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nex_sandbox::{Child, ProcessIdentity, Program, Signal, kill_tree, signal};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::{Accounts, Error, Options};

const READY_BOUND: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
const STOP_GRACE: Duration = Duration::from_secs(10);

/// What stands in `record.json`, so that others of this user find the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pid: i32,
    start_time: u64,
    boot_id: String,
    /// The server's address.
    pub url: String,
    port: u16,
}

impl Record {
    /// The record of a server that runs now, if there is one in `directory`.
    #[must_use]
    pub fn of_running(directory: &Path) -> Option<Self> {
        let text = fs::read(record_path(directory)).ok()?;
        let record: Self = serde_json::from_slice(&text).ok()?;
        record.identity().is_alive().then_some(record)
    }

    fn identity(&self) -> ProcessIdentity {
        let boot_id = self.boot_id.clone();
        ProcessIdentity { pid: self.pid, start_time: self.start_time, boot_id }
    }
}

/// A running server.
#[derive(Debug)]
pub(super) struct ServerProcess {
    record: Record,
    directory: PathBuf,
    /// Absent when it was adopted: then somebody else reaps it.
    child: Option<Child>,
}

impl ServerProcess {
    pub(super) fn adopt(options: &Options) -> Option<Self> {
        let record = Record::of_running(&options.directory)?;
        Some(Self { record, directory: options.directory.clone(), child: None })
    }

    pub(super) async fn spawn(options: &Options) -> Result<Self, Error> {
        let directory = &options.directory;
        let ports = directory.join("ports");
        let write = |path: &Path, source| Error::Write { path: path.to_owned(), source };
        // Ports files of earlier runs are stale: they would name ports that nobody has any more.
        let _absent = fs::remove_dir_all(&ports);
        fs::create_dir_all(&ports).map_err(|error| write(&ports, error))?;
        let config = directory.join("nats.conf");
        let accounts = Accounts::keep(directory)?;
        fs::write(&config, configuration(options, &accounts))
            .map_err(|error| write(&config, error))?;
        let args = ["--config", &config.to_string_lossy()].map(str::to_owned).to_vec();
        let mut child = Program { args, ..Program::new(&options.binary) }
            .spawn()
            .map_err(|source| Error::Spawn { path: options.binary.clone(), source })?;
        let url = match ready(&mut child, &ports, directory).await {
            Ok(url) => url,
            Err(error) => {
                let _already_gone = child.stop(Signal::SIGKILL, Duration::ZERO, None).await;
                return Err(error);
            }
        };
        Accounts::write_context(directory, &url)?;
        let record = record(&child, url)?;
        let path = record_path(directory);
        fs::write(&path, serde_json::to_vec(&record).unwrap_or_default())
            .map_err(|error| write(&path, error))?;
        Ok(Self { record, directory: directory.clone(), child: Some(child) })
    }

    pub(super) fn url(&self) -> &str {
        &self.record.url
    }

    pub(super) fn port(&self) -> u16 {
        self.record.port
    }

    /// Returns when it is gone. Cancel-safe.
    pub(super) async fn ended(&mut self) {
        if let Some(child) = &mut self.child {
            let _status = child.wait().await;
            return;
        }
        let identity = self.record.identity();
        while identity.is_alive() {
            tokio::time::sleep(POLL * 10).await;
        }
    }

    /// SIGTERM, a grace, SIGKILL; then the record is removed.
    pub(super) async fn stop(mut self) {
        match &mut self.child {
            Some(child) => {
                let _gone = child.stop(Signal::SIGTERM, STOP_GRACE, None).await;
            }
            None => {
                signal(self.record.pid, Signal::SIGTERM);
                if tokio::time::timeout(STOP_GRACE, self.ended()).await.is_err() {
                    let pid = self.record.pid;
                    let kill = move || kill_tree(pid, None, Duration::from_secs(5));
                    let _left = tokio::task::spawn_blocking(kill).await;
                }
            }
        }
        if let Err(error) = sweep(&self.directory) {
            tracing::warn!(directory = %self.directory.display(), %error, "the server's files stay behind");
        }
    }
}

/// Whether a server that runs no more has left its record, ports or context in `directory`.
#[must_use]
pub fn has_leftovers(directory: &Path) -> bool {
    let is_left = |name: &str| directory.join(name).exists();
    (["record.json", "ports"].into_iter().any(is_left) || Accounts::has_context(directory))
        && Record::of_running(directory).is_none()
}

/// Removes them. Keys, log and store stay.
///
/// # Errors
/// When one of them cannot be removed.
pub fn sweep(directory: &Path) -> io::Result<()> {
    let absent_is_fine = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let record = absent_is_fine(fs::remove_file(record_path(directory)));
    let ports = absent_is_fine(fs::remove_dir_all(directory.join("ports")));
    record.and(ports).and(absent_is_fine(Accounts::remove_context(directory)))
}

/// Whether the server that runs in `directory` has no context for the `nats` CLI.
#[must_use]
pub fn lacks_context(directory: &Path) -> bool {
    Record::of_running(directory).is_some()
        && Accounts::read(directory).is_some()
        && !Accounts::has_context(directory)
}

/// Writes it again.
///
/// # Errors
/// When it cannot be written, or no server runs there.
pub fn mend_context(directory: &Path) -> Result<(), Error> {
    match Record::of_running(directory) {
        Some(record) => Accounts::write_context(directory, &record.url),
        None => Err(Error::Ended { output: "it runs no more".to_owned() }),
    }
}

fn record_path(directory: &Path) -> PathBuf {
    directory.join("record.json")
}

fn record(child: &Child, url: String) -> Result<Record, Error> {
    let gone = || Error::Ended { output: "it left no trace".to_owned() };
    let identity = ProcessIdentity::of(child.pid()).ok_or_else(gone)?;
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).ok_or_else(gone)?;
    let ProcessIdentity { pid, start_time, boot_id } = identity;
    Ok(Record { pid, start_time, boot_id, url, port })
}

/// Loopback only; the log is bounded; the store stays over restarts.
fn configuration(options: &Options, accounts: &Accounts) -> String {
    let accounts = accounts.configuration();
    let directory = options.directory.display();
    let port = if options.port == 0 { -1 } else { i32::from(options.port) };
    format!(
        "server_name: \"nex-managed\"\n\
         host: \"127.0.0.1\"\n\
         port: {port}\n\
         jetstream {{ store_dir: \"{directory}/store\" }}\n\
         log_file: \"{directory}/server.log\"\n\
         logfile_size_limit: 10MB\n\
         logfile_max_num: 3\n\
         ports_file_dir: \"{directory}/ports\"\n\
         {accounts}"
    )
}

async fn ready(child: &mut Child, ports: &Path, directory: &Path) -> Result<String, Error> {
    let file = ports.join(format!("nats-server_{}.ports", child.pid()));
    let deadline = Instant::now() + READY_BOUND;
    loop {
        if let Some(url) = read_ports(&file) {
            return Ok(url);
        }
        tokio::select! {
            _exit = child.wait() => {
                return Err(Error::Ended { output: last_words(child, directory).await });
            }
            () = tokio::time::sleep(POLL) => {}
        }
        if Instant::now() >= deadline {
            return Err(Error::NotReady { log: directory.join("server.log") });
        }
    }
}

fn read_ports(file: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    let ports: Ports = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    ports.nats.into_iter().next()
}

/// What the server said before it ended: on standard error, else the last fatal line of its log.
async fn last_words(child: &mut Child, directory: &Path) -> String {
    let mut words = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _partial = stderr.take(4096).read_to_string(&mut words).await;
    }
    if words.trim().is_empty() {
        let log = fs::read_to_string(directory.join("server.log")).unwrap_or_default();
        let fatal = log.lines().rev().find(|line| line.contains("[FTL]")).unwrap_or_default();
        words = fatal.split("[FTL]").last().unwrap_or_default().to_owned();
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
