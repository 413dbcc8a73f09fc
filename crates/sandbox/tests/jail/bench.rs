//! Runs the attacker in boxes and hears what it says.
//!
//! Owns: the folder, the program, plans for it. Never: asserts.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nex_sandbox::jail::{
    Isolation, Jail, JailExit, Limits, Mount, Plan, StartError, UID_BASE, Usage, Wall,
    start_without,
};

pub(crate) type Outcome = Result<(), String>;

/// What boxes are tried with.
pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
    pub(crate) attacker: PathBuf,
    pub(crate) is_root: bool,
    /// Something on the host that listens.
    pub(crate) listener: TcpListener,
    _socket: UnixListener,
    pub(crate) socket_name: String,
    n_boxes: Cell<u32>,
}

/// A program that ended.
pub(crate) struct Ran {
    pub(crate) exit: JailExit,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) usage: Usage,
    pub(crate) missing: Vec<String>,
    pub(crate) walls: Vec<Wall>,
}

impl Bench {
    pub(crate) fn new(folder: &Path, attacker: &Path) -> Self {
        let is_root = nix::unistd::geteuid().is_root();
        let socket_name = format!("nex-jail-{}", std::process::id());
        Self {
            folder: folder.to_owned(),
            attacker: attacker.to_owned(),
            is_root,
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            _socket: listen_on_name(&socket_name),
            socket_name,
            n_boxes: Cell::new(0),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// A fresh folder that belongs to who runs this.
    pub(crate) fn own_folder(&self, name: &str) -> PathBuf {
        let parent = if self.is_root { self.folder.clone() } else { self.folder.join("of-user") };
        let parent = if parent.exists() { parent } else { self.folder.clone() };
        let folder = parent.join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// A port that nobody has a moment ago.
    pub(crate) fn free_port(&self) -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    /// A box with all walls.
    pub(crate) fn plan<S: AsRef<str>>(&self, words: &[S]) -> Plan {
        let n_boxes = self.n_boxes.get();
        self.n_boxes.set(n_boxes + 1);
        Plan {
            program: self.attacker.clone(),
            name: "attacker".to_owned(),
            args: words.iter().map(|it| it.as_ref().to_owned()).collect(),
            environment: [("ONE".to_owned(), "1".to_owned())].into(),
            directory: self.folder.join("work"),
            isolation: Isolation::Default,
            allow_weak: false,
            uid: self.is_root.then_some(UID_BASE + 77),
            limits: Limits { tmp: Some(8 << 20), ..Limits::default() },
            group: format!("nex-jail-test-{}-{n_boxes}", std::process::id()),
            ports: None,
            mounts: vec![Mount { source: self.folder.join("shown"), target: "/srv/shown".into() }],
            credentials: None,
        }
    }

    /// Its mount and pid namespaces, so that the attacker refuses to do harm in them.
    pub(crate) fn namespaces() -> [String; 2] {
        ["mnt", "pid"].map(|kind| {
            fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_str().unwrap().to_owned()
        })
    }
}

/// Runs it to its end, and takes the box away.
pub(crate) fn run(plan: &Plan, without: &[Wall]) -> Result<Ran, StartError> {
    let mut jail = start_without(plan, without)?;
    let out = read(jail.take_stdout().unwrap().into());
    let err = read(jail.take_stderr().unwrap().into());
    let exit = jail.reap().unwrap();
    let usage = jail.usage();
    let missing = jail.missing().to_vec();
    let walls = jail.walls().to_vec();
    jail.close().unwrap();
    Ok(Ran { exit, out, err, usage, missing, walls })
}

/// The first line that it says.
pub(crate) fn first_line(out: &mut File) -> String {
    let mut line = String::new();
    let mut byte = [0];
    while out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(char::from(byte[0]));
    }
    line
}

/// Starts it and waits until it says a word.
pub(crate) fn start_and_hear(plan: &Plan, without: &[Wall]) -> (Jail, File, String) {
    let mut jail = start_without(plan, without).unwrap();
    let mut out = File::from(jail.take_stdout().unwrap());
    let word = first_line(&mut out);
    (jail, out, word)
}

pub(crate) fn check(holds: bool, what: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn read(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn listen_on_name(name: &str) -> UnixListener {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    UnixListener::bind_addr(&address).unwrap()
}
