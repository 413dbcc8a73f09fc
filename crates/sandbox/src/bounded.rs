//! Short-lived helpers of a process that may start none itself once it is locked down.
//!
//! Owns: starting a helper that ends with its owner, and running one program within bounds of memory
//! and time. Never: knows what they work on.
//!
//! Both are given an empty environment: what a process was told in secret stays with it.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

/// More of what a bounded program says is not kept.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// A helper process. It is killed when the thread that started it ends, so start it on one that
/// lives as long as the process.
#[derive(Debug)]
pub struct Helper(Child);

impl Helper {
    /// Starts `path`; the two ends become its standard input and standard output, its log is ours.
    ///
    /// # Errors
    /// What the kernel says: not found, not executable, no memory.
    pub fn start(path: &PathBuf, args: &[String], ends: [OwnedFd; 2]) -> io::Result<Self> {
        let [input, output] = ends;
        let mut command = command(path, args);
        command.stdin(input).stdout(output).stderr(Stdio::inherit());
        // SAFETY: as in `run`, without the limits.
        unsafe { command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)) };
        command.spawn().map(Self)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

/// What a program may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes that it may write to, files that it maps left out.
    pub memory: u64,
    /// From its start to its end.
    pub time: Duration,
    /// Steps down in the order of processes; 0 is as ourselves, 19 the lowest.
    pub nice: i32,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With success.
    Done,
    /// Without; it said why on its standard output.
    Failed(String),
    /// At its bound of time.
    TooSlow,
    /// At its bound of memory.
    TooLarge,
    /// By a signal that neither bound explains.
    Killed(i32),
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB and {} s", self.memory >> 20, self.time.as_secs())
    }
}

/// Runs `path` to its end, and waits for it. It is killed when the calling thread ends.
///
/// # Errors
/// Where the kernel starts no process.
pub fn run_bounded(path: &PathBuf, args: &[String], bounds: Bounds) -> io::Result<Ended> {
    let (answer, theirs) = UnixStream::pair()?;
    let mut command = command(path, args);
    command.stdin(Stdio::null()).stdout(OwnedFd::from(theirs)).stderr(Stdio::null());
    let (memory, seconds, nice) = (bounds.memory, bounds.time.as_secs().max(1), bounds.nice);
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: prctl, setrlimit and
    // setpriority are plain system calls, nothing is allocated, and errno is turned into an io::Error
    // without allocating. There is no safe interface to either before exec.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
            // Address space also counts what is only reserved, such as stacks and arenas of threads.
            setrlimit(Resource::RLIMIT_AS, memory.saturating_mul(4), memory.saturating_mul(4))?;
            setrlimit(Resource::RLIMIT_DATA, memory, memory)?;
            // All its threads together; the wall clock below is what usually ends it.
            let cpu = seconds.saturating_mul(4);
            setrlimit(Resource::RLIMIT_CPU, cpu, cpu + 1)?;
            nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, nice);
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    // The command holds their end too, and the answer would never be over.
    drop(command);
    let (said, in_time) = read_until(answer, Instant::now() + bounds.time);
    if !in_time {
        child.kill()?;
    }
    let status = child.wait()?;
    Ok(if in_time { ended(status, said) } else { Ended::TooSlow })
}

fn ended(status: ExitStatus, said: String) -> Ended {
    match status.signal().and_then(|signal| Signal::try_from(signal).ok()) {
        None if status.success() => Ended::Done,
        None => Ended::Failed(said),
        Some(Signal::SIGXCPU) => Ended::TooSlow,
        // Rust aborts where an allocation fails; a stack that cannot grow is a segmentation fault.
        Some(Signal::SIGABRT | Signal::SIGSEGV | Signal::SIGBUS) => Ended::TooLarge,
        // The hard limit of processor time, or the system for want of memory.
        Some(signal) => Ended::Killed(signal as i32),
    }
}

/// Reads to the end, which comes when the program has ended; false when `deadline` came first.
fn read_until(mut answer: UnixStream, deadline: Instant) -> (String, bool) {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || answer.set_read_timeout(Some(left)).is_err() {
            return (String::new(), false);
        }
        match answer.read(&mut buffer) {
            Ok(0) => return (String::from_utf8_lossy(&said).into_owned(), true),
            Ok(n) if (said.len() as u64) < LONGEST_ANSWER => said.extend_from_slice(&buffer[..n]),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (String::new(), false),
        }
    }
}

fn command(path: &PathBuf, args: &[String]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "this is the crate that starts processes")]
    let mut command = Command::new(path);
    command.args(args).env_clear();
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { memory: 256 << 20, time: Duration::from_secs(20), nice: 0 };

    fn shell(script: &str, bounds: Bounds) -> Ended {
        run_bounded(&PathBuf::from("/bin/sh"), &["-c".to_owned(), script.to_owned()], bounds)
            .unwrap()
    }

    #[test]
    fn it_is_told_how_a_program_ended_and_what_it_said() {
        assert_eq!(shell("exit 0", BOUNDS), Ended::Done);
        assert_eq!(shell("echo why; exit 3", BOUNDS), Ended::Failed("why\n".to_owned()));
        assert_eq!(shell("kill -ABRT $$", BOUNDS), Ended::TooLarge);
        assert_eq!(shell("kill -TERM $$", BOUNDS), Ended::Killed(15));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let bounds = Bounds { time: Duration::from_secs(1), ..BOUNDS };
        assert_eq!(shell("while :; do :; done", bounds), Ended::TooSlow);
    }

    #[test]
    fn memory_is_bounded_and_the_environment_empty() {
        let script = "x=12345678; while :; do x=$x$x || exit 9; done";
        assert_ne!(shell(script, Bounds { memory: 32 << 20, ..BOUNDS }), Ended::TooSlow);
        assert_eq!(shell("test -z \"$HOME$CARGO_PKG_NAME\"", BOUNDS), Ended::Done);
    }
}
