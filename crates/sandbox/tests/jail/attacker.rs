//! The program in the box: what a hostile one would try, and what an honest one does.
//!
//! Owns: the attempts; its first argument names one. Exit status 0: it worked. Never: asserts; never
//! tries anything that could harm in the namespaces of whoever started the test.
//!
//! Compiled by the test, statically, by itself: it has nothing but the standard library.

use std::ffi::{CString, c_long};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::process::{Command, ExitCode};
use std::time::Duration;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn fork() -> i32;
    fn _exit(code: i32) -> !;
    fn kill(pid: i32, signal: i32) -> i32;
    fn setsid() -> i32;
    fn signal(number: i32, action: usize) -> usize;
    fn setuid(uid: u32) -> i32;
    fn getuid() -> u32;
    fn waitpid(pid: i32, status: *mut i32, flags: i32) -> i32;
    fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    fn prctl(option: i32, ...) -> i32;
}

#[cfg(target_arch = "x86_64")]
mod nr {
    pub const CLONE: i64 = 56;
    pub const UNSHARE: i64 = 272;
    pub const PTRACE: i64 = 101;
    pub const VM_READ: i64 = 310;
    pub const MOUNT: i64 = 165;
    pub const KEYCTL: i64 = 250;
    pub const BPF: i64 = 321;
    pub const USERFAULTFD: i64 = 323;
    pub const SOCKET: i64 = 41;
    pub const MKNODAT: i64 = 259;
    pub const PERSONALITY: i64 = 135;
}
#[cfg(target_arch = "aarch64")]
mod nr {
    pub const CLONE: i64 = 220;
    pub const UNSHARE: i64 = 97;
    pub const PTRACE: i64 = 117;
    pub const VM_READ: i64 = 270;
    pub const MOUNT: i64 = 40;
    pub const KEYCTL: i64 = 219;
    pub const BPF: i64 = 280;
    pub const USERFAULTFD: i64 = 282;
    pub const SOCKET: i64 = 198;
    pub const MKNODAT: i64 = 33;
    pub const PERSONALITY: i64 = 92;
}
const IO_URING_SETUP: i64 = 425;
const CLONE3: i64 = 435;

const NEW_MOUNTS: i64 = 0x0002_0000;
const NEW_USER: i64 = 0x1000_0000;
const SIGCHLD: i64 = 17;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match attempt(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn attempt(words: &[&str]) -> io::Result<()> {
    match words {
        ["read", path] => fs::read(path).map(drop),
        ["list", path] => fs::read_dir(path).map(drop),
        ["open-for-writing", path] => fs::OpenOptions::new().write(true).open(path).map(drop),
        ["create", path] => fs::write(path, "x"),
        // Signal 0 sends nothing.
        ["see-process", pid] => match check(unsafe { kill(number(pid)?, 0) }.into()) {
            Err(error) if error.raw_os_error() == Some(1) => Ok(()),
            other => other,
        },
        ["signal-process", pid] => check(unsafe { kill(number(pid)?, 0) }.into()),
        ["be-traced"] => call(nr::PTRACE, [0; 4]),
        ["read-memory"] => call(nr::VM_READ, [std::process::id().into(), 0, 0, 0]),
        ["unshare-user"] => call(nr::UNSHARE, [NEW_USER, 0, 0, 0]),
        ["clone-user"] => child(call_for(nr::CLONE, [NEW_USER | SIGCHLD, 0, 0, 0])?),
        ["clone3-user"] => {
            let arguments = [NEW_USER, 0, 0, 0, SIGCHLD, 0, 0, 0];
            child(call_for(CLONE3, [arguments.as_ptr() as i64, 64, 0, 0])?)
        }
        ["mount", outside @ ..] => apart(outside).and_then(|()| mount()),
        ["unshare-and-mount", outside @ ..] => {
            apart(outside)?;
            call(nr::UNSHARE, [NEW_USER | NEW_MOUNTS, 0, 0, 0])?;
            mount()
        }
        ["keyctl"] => call(nr::KEYCTL, [0, -3, 1, 0]),
        ["io-uring"] => {
            let parameters = [0u8; 120];
            call(IO_URING_SETUP, [1, parameters.as_ptr() as i64, 0, 0])
        }
        ["bpf"] => {
            // An array of one element of four bytes.
            let map = [2u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            call(nr::BPF, [0, map.as_ptr() as i64, 72, 0])
        }
        // Only faults of its own: allowed to everybody where the call is.
        ["userfaultfd"] => call(nr::USERFAULTFD, [1, 0, 0, 0]),
        ["packet-socket"] => call(nr::SOCKET, [17, 3, 0, 0]),
        ["vsock"] => call(nr::SOCKET, [40, 1, 0, 0]),
        ["netfilter-socket"] => call(nr::SOCKET, [16, 3, 12, 0]),
        ["personality"] => call(nr::PERSONALITY, [0x0004_0000, 0, 0, 0]),
        ["setuid-0"] => check(unsafe { setuid(0) }.into()),
        ["mknod"] => {
            let path = CString::new("/tmp/device")?;
            call(nr::MKNODAT, [-100, path.as_ptr() as i64, 0o020_666, 0x103])
        }
        ["execute-from", folder] => {
            let copy = format!("{folder}/copy");
            fs::copy("/proc/self/exe", &copy)?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
            ran(Command::new(copy).arg("nothing"))
        }
        ["execute-self"] => ran(Command::new("/proc/self/exe").arg("nothing")),
        ["nothing"] => Ok(()),
        ["abstract-socket", name] => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            std::os::unix::net::UnixStream::connect_addr(&address).map(drop)
        }
        ["bind", port] => TcpListener::bind(("127.0.0.1", port.parse().unwrap())).map(drop),
        ["bind-multipath"] => bind_multipath(),
        ["connect", port] => connect(number(port)?),
        _ => behave(words),
    }
}

/// What is no attempt at getting out.
fn behave(words: &[&str]) -> io::Result<()> {
    match words {
        ["fork-bomb", outside @ ..] => apart(outside).and_then(|()| fork_bomb()),
        ["memory-bomb", outside @ ..] => apart(outside).and_then(|()| memory_bomb()),
        ["fill", path, megabytes] => {
            let mut file = fs::File::create(path)?;
            (0..number(megabytes)?).try_for_each(|_| file.write_all(&vec![1; 1 << 20]))
        }
        ["open-files", number_] => {
            let open = |_| fs::File::open("/dev/null");
            (0..number(number_)?).map(open).collect::<Result<Vec<_>, _>>().map(drop)
        }
        ["listen-unbound"] => {
            unsafe extern "C" {
                fn listen(socket: i32, backlog: i32) -> i32;
            }
            let socket = call_for(nr::SOCKET, [2, 1, 0, 0])?;
            check(unsafe { listen(socket as i32, 1) }.into())
        }
        ["burn"] => burn(),
        ["exit", code] => unsafe { _exit(number(code)?) },
        ["die-of", number_] => {
            unsafe { kill(std::process::id() as i32, number(number_)?) };
            wait_for_ever()
        }
        ["wait"] => say("waiting").and_then(|()| wait_for_ever()),
        ["ignore-and-wait"] => {
            unsafe { signal(SIGTERM, 1) };
            say("waiting").and_then(|()| wait_for_ever())
        }
        ["orphans"] => orphans(),
        ["relay"] => {
            let mut stream = TcpStream::connect(("127.0.0.1", 4222))?;
            stream.write_all(b"PING")?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer)?;
            if &answer == b"PONG" { Ok(()) } else { Err(io::Error::other("another answer")) }
        }
        ["honest", port, credentials] => honest(port, credentials),
        ["environment"] => {
            let mut all: Vec<String> = std::env::vars().map(|(k, v)| format!("{k}={v}")).collect();
            all.sort();
            say(&all.join(" "))
        }
        _ => Err(io::Error::other("no such attempt")),
    }
}

/// Refuses where harm could be done: in the namespaces that the test itself is in.
fn apart(outside: &[&str]) -> io::Result<()> {
    for (kind, of_test) in ["mnt", "pid"].into_iter().zip(outside) {
        let own = fs::read_link(format!("/proc/self/ns/{kind}"))?;
        if own.to_string_lossy() == **of_test {
            say("unsafe")?;
            return Err(io::Error::other(format!("not in a {kind} namespace of its own")));
        }
    }
    if outside.len() == 2 { Ok(()) } else { Err(io::Error::other("which namespaces?")) }
}

fn mount() -> io::Result<()> {
    let (kind, target) = (CString::new("tmpfs")?, CString::new("/tmp")?);
    let (kind, target) = (kind.as_ptr() as i64, target.as_ptr() as i64);
    call(nr::MOUNT, [kind, target, kind, 0])
}

fn bind_multipath() -> io::Result<()> {
    use std::os::fd::{FromRawFd, OwnedFd};
    let socket = call_for(nr::SOCKET, [2, 1, 262, 0])?;
    let socket = unsafe { OwnedFd::from_raw_fd(socket as i32) };
    unsafe extern "C" {
        fn bind(socket: i32, address: *const [u8; 16], length: u32) -> i32;
    }
    let mut address = [0u8; 16];
    address[0] = 2;
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    use std::os::fd::AsRawFd;
    check(unsafe { bind(socket.as_raw_fd(), &address, 16) }.into())
}

fn connect(port: i32) -> io::Result<()> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port as u16));
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).map(drop)
}

/// Twice as many as are allowed.
fn fork_bomb() -> io::Result<()> {
    let mut children = Vec::new();
    let mut result = Ok(());
    for _ in 0..64 {
        match unsafe { fork() } {
            0 => {
                wait_for_ever().ok();
                unsafe { _exit(0) }
            }
            pid if pid < 0 => {
                result = Err(io::Error::last_os_error());
                break;
            }
            pid => children.push(pid),
        }
    }
    for child in children {
        unsafe { kill(child, SIGKILL) };
        unsafe { waitpid(child, std::ptr::null_mut(), 0) };
    }
    result
}

/// Half as much again as is allowed.
fn memory_bomb() -> io::Result<()> {
    let mut all = Vec::new();
    for _ in 0..96 {
        let mut piece: Vec<u8> = Vec::new();
        piece.try_reserve_exact(1 << 20).map_err(io::Error::other)?;
        piece.resize(1 << 20, 1);
        all.push(std::hint::black_box(piece));
    }
    Ok(())
}

/// Says which share of a processor it had, in thousandths.
fn burn() -> io::Result<()> {
    let time = |clock| {
        let mut time = [0; 2];
        unsafe { clock_gettime(clock, &mut time) };
        time[0] * 1_000_000 + time[1] / 1000
    };
    let (wall, cpu) = (time(1), time(2));
    while time(2) - cpu < 200_000 {
        std::hint::black_box(time(0));
    }
    say(&format!("{}", (time(2) - cpu) * 1000 / (time(1) - wall).max(1)))
}

/// Children that leave the session and lose their parents; their pids are said, and the parent waits.
fn orphans() -> io::Result<()> {
    for _ in 0..3 {
        if unsafe { fork() } == 0 {
            unsafe { setsid() };
            if unsafe { fork() } == 0 {
                unsafe { signal(SIGTERM, 1) };
                say("orphan").ok();
                wait_for_ever().ok();
            }
            unsafe { _exit(0) };
        }
    }
    wait_for_ever()
}

fn honest(port: &str, credentials: &str) -> io::Result<()> {
    let step = |what: &str, result: io::Result<()>| {
        result.map_err(|error| io::Error::other(format!("{what}: {error}")))
    };
    let thread = std::thread::spawn(|| ());
    step("thread", thread.join().map_err(|_| io::Error::other("it panicked")))?;
    for folder in ["/tmp", "/home", "/dev/shm"] {
        let (one, two) = (format!("{folder}/one"), format!("{folder}/two"));
        step(folder, fs::write(&one, "x"))?;
        step(folder, fs::rename(&one, &two).and_then(|()| fs::remove_file(&two)))?;
    }
    step("folder", fs::DirBuilder::new().mode(0o700).create("own"))?;
    for path in ["/etc/hosts", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/dev/urandom"] {
        let mut byte = [0];
        step(path, fs::File::open(path).and_then(|mut file| file.read_exact(&mut byte)))?;
    }
    step("credentials", fs::read(credentials).map(drop))?;
    step("its mount", fs::read("/srv/shown").map(drop))?;
    step("its output", fs::OpenOptions::new().write(true).open("/dev/stdout").map(drop))?;
    step("bind", TcpListener::bind(("127.0.0.1", port.parse().unwrap())).map(drop))?;
    step("its own uid", check(unsafe { setuid(getuid()) }.into()))?;
    step("itself", ran(Command::new("/proc/self/exe").arg("nothing")))?;
    let here = std::env::current_dir()?;
    step("directory", same(here.to_str(), Some("/home")))?;
    // PR_GET_NO_NEW_PRIVS
    step("privileges", same(unsafe { prctl(39, 0, 0, 0, 0) }, 1))?;
    step("its name", same(fs::read_to_string("/proc/self/comm")?.trim(), "honest"))?;
    step("parents", same(std::os::unix::process::parent_id(), 1))?;
    let status = fs::read_to_string("/proc/self/status")?;
    let groups = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    step("groups", same(groups.map(str::trim), Some("")))?;
    let open = fs::read_dir("/proc/self/fd")?.count();
    // The three, and the one that lists them.
    step("open files", same(open, 4))
}

fn same<T: PartialEq + std::fmt::Debug>(is: T, should_be: T) -> io::Result<()> {
    if is == should_be { Ok(()) } else { Err(io::Error::other(format!("{is:?} is not {should_be:?}"))) }
}

fn ran(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

fn say(word: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{word}")?;
    out.flush()
}

fn wait_for_ever() -> io::Result<()> {
    loop {
        std::thread::park();
    }
}

fn child(pid: i64) -> io::Result<()> {
    if pid == 0 {
        unsafe { _exit(0) };
    }
    check(unsafe { waitpid(pid as i32, std::ptr::null_mut(), 0) }.into())
}

fn call(number: i64, arguments: [i64; 4]) -> io::Result<()> {
    call_for(number, arguments).map(drop)
}

fn call_for(number: i64, [a, b, c, d]: [i64; 4]) -> io::Result<i64> {
    let answer = unsafe { syscall(number, a, b, c, d, 0i64, 0i64) };
    check(answer).map(|()| answer)
}

fn check(answer: i64) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn number(word: &str) -> io::Result<i32> {
    word.parse().map_err(io::Error::other)
}
