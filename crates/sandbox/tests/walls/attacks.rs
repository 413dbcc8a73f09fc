//! What somebody would try who broke out of WebAssembly.
//!
//! Owns: the attempts, each harmless where it succeeds. Never: asserts; it says what the kernel said.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::libc;

/// Name, and what is tried.
pub(crate) type Attack = (&'static str, fn(&Path) -> io::Result<()>);

/// All of these must be refused inside the walls, and work outside of them.
pub(crate) const ATTACKS: &[Attack] = &[
    ("start a program", |_| exec(c"/bin/true")),
    ("start a program out of memory", |_| exec_from_memory()),
    ("fork", |_| child(unsafe { libc::fork() })),
    ("make a process by clone", |_| clone(libc::SIGCHLD)),
    ("make a process by clone3", |_| clone3()),
    ("be traced", |_| call(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0])),
    ("read the memory of a process", |_| call(libc::SYS_process_vm_readv, [own_pid(), 0, 0, 0])),
    ("leave a namespace", |_| call(libc::SYS_unshare, [libc::CLONE_FILES.into(), 0, 0, 0])),
    ("ask for a key ring", |_| call(libc::SYS_keyctl, [0, -3, 1, 0])),
    ("change the root", |_| call(libc::SYS_chroot, [c"/".as_ptr() as i64, 0, 0, 0])),
    ("set the user", |_| call(libc::SYS_setuid, [i64::from(unsafe { libc::getuid() }), 0, 0, 0])),
    ("share memory by name", |_| call(libc::SYS_shmget, [0, 4096, 0o1600, 0])),
    ("open a strange socket", |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT)
    }),
    ("listen", |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    ("signal its parent", |_| call(libc::SYS_kill, [parent(), 0, 0, 0])),
    ("read a file of others", |folder| fs::read(folder.join("outside/secret")).map(drop)),
    ("list a folder of others", |folder| fs::read_dir(folder.join("outside")).map(drop)),
    ("read the passwords", |_| fs::read("/etc/shadow").map(drop)),
    ("read a parent's environment", |_| fs::read(format!("/proc/{}/environ", parent())).map(drop)),
    ("write outside", |folder| fs::write(folder.join("outside/new"), "x")),
    ("write what it may read", |folder| fs::write(folder.join("readable/code"), "x")),
    ("make a link to a file of others", |folder| {
        std::os::unix::fs::symlink(folder.join("outside/secret"), folder.join("own/link"))
    }),
];

/// What must go on working inside.
pub(crate) const WORK: &[Attack] = &[
    ("start a thread", |_| {
        std::thread::spawn(|| ()).join().map_err(|_| io::Error::other("it panicked"))
    }),
    ("write its own file, and rename it", |folder| {
        fs::write(folder.join("own/one"), "x")?;
        fs::rename(folder.join("own/one"), folder.join("own/two"))?;
        fs::remove_file(folder.join("own/two"))
    }),
    ("read what it may", |folder| fs::read(folder.join("readable/code")).map(drop)),
    ("look up a name", |_| std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 1)).map(drop)),
    ("open sockets", |_| {
        UnixStream::pair().map(drop)?;
        socket(libc::AF_INET, libc::SOCK_STREAM, 0)
    }),
    ("make memory executable", |_| executable_memory()),
    ("look at its own state", |_| fs::read("/proc/self/status").map(drop)),
    ("cut a file that it was given open", |_| {
        // Standard output is a file that lies outside of its own folder.
        fs::File::from(std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?).set_len(0)
    }),
];

fn call(number: libc::c_long, a: [i64; 4]) -> io::Result<()> {
    // SAFETY: none of the calls above is given memory of ours to write to.
    result(unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], 0i64, 0i64) })
}

fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<()> {
    call(libc::SYS_socket, [domain.into(), kind.into(), protocol.into(), 0])
}

fn exec(path: &std::ffi::CStr) -> io::Result<()> {
    let arguments = [path.as_ptr(), std::ptr::null()];
    // SAFETY: both are null-terminated and live until the call returns, which it does only when it fails.
    result(unsafe { libc::execv(path.as_ptr(), arguments.as_ptr()) }.into())
}

fn exec_from_memory() -> io::Result<()> {
    // SAFETY: the strings are null-terminated constants.
    let memory = unsafe { libc::memfd_create(c"x".as_ptr(), 0) };
    result(memory.into())?;
    fs::copy("/bin/true", format!("/proc/self/fd/{memory}"))
        .or_else(|_| fs::copy("/proc/self/exe", "/dev/null"))
        .map(drop)
        .or(Ok::<(), io::Error>(()))?;
    let arguments = [c"x".as_ptr(), std::ptr::null::<libc::c_char>()];
    let none = [std::ptr::null::<libc::c_char>()];
    // SAFETY: as in `exec`.
    result(unsafe {
        libc::syscall(
            libc::SYS_execveat,
            memory,
            c"".as_ptr(),
            arguments.as_ptr(),
            none.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    })
}

fn clone(flags: i32) -> io::Result<()> {
    // SAFETY: without a stack of its own the child is a copy, as after `fork`.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) };
    child(i32::try_from(pid).unwrap_or(-1))
}

fn clone3() -> io::Result<()> {
    // The signal that tells its end stands fifth of eight.
    let arguments = [0u64, 0, 0, 0, u64::from(libc::SIGCHLD.unsigned_abs()), 0, 0, 0];
    // SAFETY: as in `clone`; the structure is of the length that is given.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    child(i32::try_from(pid).unwrap_or(-1))
}

/// The child ends at once, and is reaped.
fn child(pid: i32) -> io::Result<()> {
    if pid == 0 {
        // SAFETY: nothing of the parent's is run or flushed.
        unsafe { libc::_exit(0) };
    }
    result(pid.into())?;
    // SAFETY: a null status is allowed.
    result(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }.into())
}

fn executable_memory() -> io::Result<()> {
    let (all, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping that nothing else knows of; it is never run.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), 4096, all, flags, -1, 0) };
    // SAFETY: likewise.
    result(unsafe { libc::mprotect(memory, 4096, libc::PROT_READ | libc::PROT_EXEC) }.into())
}

fn own_pid() -> i64 {
    std::process::id().into()
}

fn parent() -> i64 {
    std::os::unix::process::parent_id().into()
}

fn result(returned: libc::c_long) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
