//! A shim under test, its folder, and a nexlet's end of its socket.
//!
//! Owns: starting, reading the spool, and that nothing stays behind. Never: asserts what a test is about.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nex_sandbox::jail::{Isolation, Limits, Plan};
use nex_sandbox::{Marker, ProcessIdentity, processes_with};
use nex_shim::{Answer, END_FILE, End, FromShim, Order, SOCKET, SPOOL_FOLDER, ToShim};
use tempfile::TempDir;

pub(crate) const SHIM: &str = env!("CARGO_BIN_EXE_nex-shim");
/// Longer than anything takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A workload's folder, and the shim in it if one was started.
pub(crate) struct Box {
    pub(crate) folder: TempDir,
    marker: String,
}

/// One record of a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) offset: u64,
    pub(crate) time: u64,
    pub(crate) stream: u8,
    pub(crate) text: Vec<u8>,
}

/// A nexlet's end of the socket.
pub(crate) struct Nexlet {
    pub(crate) stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Box {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{}-{number}", std::process::id());
        Self { folder: tempfile::tempdir().unwrap(), marker }
    }

    /// Starts a shim with a shell that runs `script`, and waits for its answer.
    pub(crate) fn start(script: &str) -> Self {
        Self::start_with(script, |_| {})
    }

    pub(crate) fn start_with(script: &str, change: impl FnOnce(&mut Order)) -> Self {
        let new = Self::new();
        let mut order = new.order(script);
        change(&mut order);
        let answer = new.give(&serde_json::to_vec(&order).unwrap());
        assert!(matches!(answer, Some(Answer::Running { .. })), "{answer:?}");
        new
    }

    pub(crate) fn order(&self, script: &str) -> Order {
        let environment = [
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("BOX".to_owned(), self.marker.clone()),
        ];
        let plan = Plan {
            program: "/bin/sh".into(),
            name: "sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            environment: environment.into(),
            directory: self.path().to_owned(),
            isolation: Isolation::None,
            allow_weak: true,
            uid: None,
            limits: Limits::default(),
            group: format!("nex-shim-test-{}", self.marker),
            ports: None,
            mounts: Vec::new(),
            credentials: None,
        };
        Order { version: 1, plan, spool_bytes: 1024 * 1024, relay: None }
    }

    /// Starts a shim with these bytes as its order. `None`: it closed without an answer.
    pub(crate) fn give(&self, order: &[u8]) -> Option<Answer> {
        let mut child = Command::new(SHIM)
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have read enough before the end.
        let _refused = child.stdin.take().unwrap().write_all(order);
        let mut line = String::new();
        let mut answer = BufReader::new(child.stdout.take().unwrap());
        answer.read_line(&mut line).unwrap();
        assert!(child.wait().unwrap().success());
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn connect(&self) -> Nexlet {
        let stream = UnixStream::connect(self.file(SOCKET)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Nexlet { stream, reader }
    }

    /// Connected, and greeted.
    pub(crate) fn nexlet(&self) -> Nexlet {
        let mut nexlet = self.connect();
        nexlet.say(&ToShim::Hello(1));
        let hello = nexlet.hear();
        assert!(matches!(hello, Some(FromShim::Hello { version: 1, .. })), "{hello:?}");
        nexlet
    }

    /// Waits for the end of the program and of the shim.
    pub(crate) fn end(&self) -> End {
        let end = eventually("end.json", || fs::read(self.file(END_FILE)).ok());
        eventually("no shim and no program", || self.processes().is_empty().then_some(()));
        eventually("no socket", || (!self.file(SOCKET).exists()).then_some(()));
        serde_json::from_slice(&end).unwrap()
    }

    /// Of the program; the shim has another environment.
    pub(crate) fn processes(&self) -> Vec<i32> {
        processes_with(&Marker::new("BOX", &self.marker)).into_iter().collect()
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.file(SPOOL_FOLDER)).unwrap();
        let mut segments: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        segments.sort();
        segments
    }

    /// Whole records that are there now.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for segment in self.segments() {
            let start: u64 = segment.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let Ok(bytes) = fs::read(segment) else { continue };
            records.extend(parse(start, &bytes));
        }
        records
    }

    /// All text of one stream.
    pub(crate) fn text(&self, stream: u8) -> Vec<u8> {
        let records = self.records().into_iter().filter(|record| record.stream == stream);
        records.flat_map(|record| record.text).collect()
    }

    /// Waits until the program wrote this.
    pub(crate) fn wait_for_output(&self, text: &str) {
        eventually(text, || {
            let output = self.text(1);
            output.windows(text.len()).any(|window| window == text.as_bytes()).then_some(())
        });
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        let is_gone = || {
            // Again and again, since a test may leave no room for one more nexlet for a moment.
            if let Ok(mut stream) = UnixStream::connect(self.file(SOCKET)) {
                let _gone = stream.write_all(b"hello 1\nkill\n");
            }
            self.processes().is_empty() && !self.file(SOCKET).exists()
        };
        if !std::thread::panicking() {
            eventually("nothing left", || is_gone().then_some(()));
        } else {
            let _left = is_gone();
        }
    }
}

impl Nexlet {
    pub(crate) fn say(&mut self, word: &ToShim) {
        self.stream.write_all(format!("{word}\n").as_bytes()).unwrap();
    }

    /// `None`: the shim closed.
    pub(crate) fn hear(&mut self) -> Option<FromShim> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().parse().unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The first word that fits.
    pub(crate) fn hear_until(&mut self, mut fits: impl FnMut(&FromShim) -> bool) -> FromShim {
        loop {
            let word = self.hear().expect("the shim closed before it said that");
            if fits(&word) {
                return word;
            }
        }
    }
}

fn parse(start: u64, mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut offset = start;
    while let Some((head, rest)) = bytes.split_first_chunk::<13>() {
        let length = u32::from_le_bytes(head[9..].try_into().unwrap()) as usize;
        let Some(text) = rest.get(..length) else { break };
        assert!(head.len() + length <= 16 * 1024, "a record of {length} bytes");
        let newlines = text.iter().filter(|byte| **byte == b'\n').count();
        assert!(newlines == 0 || text.ends_with(b"\n"), "a record of lines and a piece");
        records.push(Record {
            offset,
            time: u64::from_le_bytes(head[..8].try_into().unwrap()),
            stream: head[8],
            text: text.to_vec(),
        });
        offset += 13 + length as u64;
        bytes = &rest[length..];
    }
    records
}

/// Looks until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn is_alive(pid: i32) -> bool {
    ProcessIdentity::of(pid).is_some()
}

pub(crate) fn kill(pid: i32) {
    nex_sandbox::detach::kill_child(pid);
}
