//! Calls of the kernel that have no safe interface elsewhere.
//!
//! Owns: one thin function per call, each with the reason why it is sound. Never: decides when to call.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc::{self, c_long, sock_filter, sock_fprog};
use nix::sys::signal::Signal;

/// Being born in a control group; the C library's constant does not fit its own type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const OPEN_TREE_CLONE: u32 = 1;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// What `mount_setattr` sets on a tree.
pub(super) const READ_ONLY: u64 = 0x1;
pub(super) const NO_SUID: u64 = 0x2;
pub(super) const NO_DEVICES: u64 = 0x4;
pub(super) const NO_EXECUTION: u64 = 0x8;

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// A new process in new namespaces. In the child `pid` is 0 and `end` is `None`.
pub(super) struct Cloned {
    pub(super) pid: i32,
    pub(super) end: Option<OwnedFd>,
}

/// Makes a copy of this process in the namespaces that `flags` tell.
///
/// No handler of the C library runs in the child: the caller has one thread, so that no lock is held.
pub(super) fn clone_process(flags: u64, group: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut end: RawFd = -1;
    // SAFETY: all fields of this structure of numbers may be zero.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags | u64::from(libc::CLONE_PIDFD.unsigned_abs());
    arguments.pidfd = &raw mut end as u64;
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    if let Some(group) = group {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(group.as_raw_fd().unsigned_abs());
    }
    // SAFETY: without a stack of its own the child is a copy, as after `fork`; `end` outlives the call.
    let pid = checked(unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>())
    })?;
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: in the parent the kernel has just opened it for us; nobody else knows of it.
    let end = (pid != 0).then(|| unsafe { OwnedFd::from_raw_fd(end) });
    Ok(Cloned { pid, end })
}

/// A copy of the mount at `path`, attached nowhere, with all that is mounted below.
pub(super) fn open_tree(path: &CStr) -> io::Result<OwnedFd> {
    let flags =
        OPEN_TREE_CLONE | libc::O_CLOEXEC.unsigned_abs() | libc::AT_RECURSIVE.unsigned_abs();
    // SAFETY: the path is terminated and lives until the call returns.
    let opened = checked(unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags)
    })?;
    descriptor(opened)
}

/// Sets attributes on a tree and all below it.
pub(super) fn set_attributes(tree: BorrowedFd<'_>, set: u64) -> io::Result<()> {
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    // SAFETY: the structure is of the length that is given; the kernel only reads it.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}

/// Attaches a tree at `target`.
pub(super) fn attach_tree(tree: BorrowedFd<'_>, target: &CStr) -> io::Result<()> {
    // SAFETY: both paths are terminated and live until the call returns.
    checked(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Makes the working directory the root; the old one lies over it until it is detached.
pub(super) fn pivot_here() -> io::Result<()> {
    let here = c".".as_ptr();
    // SAFETY: a terminated constant.
    checked(unsafe { libc::syscall(libc::SYS_pivot_root, here, here) }).map(drop)
}

/// Empties the three sets of capabilities.
pub(super) fn clear_capabilities() -> io::Result<()> {
    let header = [CAPABILITY_VERSION_3, 0];
    let none = [0u32; 6];
    // SAFETY: the third version of this call reads a header of two words and two times three words.
    checked(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) }).map(drop)
}

/// `prctl` with numbers only.
pub(super) fn control(option: i32, value: u64) -> io::Result<i32> {
    // SAFETY: the options that are used here take numbers, no memory.
    let answer = unsafe { libc::prctl(option, value, 0u64, 0u64, 0u64) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Marks all descriptors from `first` on to be closed when a program is executed.
pub(super) fn close_on_execution(first: u32) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes all descriptors from `first` on.
///
/// The caller uses none of them afterwards and drops no owner of one: it ends by `_exit`.
pub(super) fn close_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

fn close_range(first: u32, flags: u32) -> io::Result<()> {
    // SAFETY: numbers only; see the callers for who owns the descriptors.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) }).map(drop)
}

/// Binds this process, for ever, to a filter of system calls.
pub(super) fn filter_calls(program: &[sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program is of the length that is given; the kernel copies it and writes nothing.
    checked(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    })
    .map(drop)
}

/// Sends a signal to the very process that a pidfd stands for. One that is gone is fine.
pub(super) fn signal(process: BorrowedFd<'_>, signal: Signal) {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: without information on the signal the call reads no memory.
    let _gone = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal as libc::c_int,
            nothing,
            0,
        )
    };
}

/// Executes an open file. Returns only when it fails.
pub(super) fn execute(
    file: BorrowedFd<'_>,
    arguments: &[std::ffi::CString],
    environment: &[std::ffi::CString],
) -> io::Error {
    let pointers = |strings: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|it| it.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer, and they and the strings live until the call returns.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Ends this process without running anything of its parent's.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: ends the process; no memory is touched.
    unsafe { libc::_exit(code) }
}

/// Ends this process when it is dropped: a panic in a child must not run on into its parent's code.
pub(super) struct EndsHere;

impl Drop for EndsHere {
    fn drop(&mut self) {
        leave(1)
    }
}

/// All signals do what they do by default, and none is blocked: a program inherits both.
pub(super) fn default_signals() {
    let last = libc::SIGRTMAX();
    for number in 1..=last {
        // SAFETY: sets a default action; numbers without one are refused, which is fine.
        let _refused = unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    let none = nix::sys::signal::SigSet::empty();
    let _unblocked = none.thread_set_mask();
}

/// The version of landlock that this kernel has; 0 for none.
pub(super) fn landlock_version() -> u32 {
    const VERSION: u32 = 1;
    let nothing = std::ptr::null::<u8>();
    // SAFETY: without a ruleset and with this flag the call reads no memory and only answers.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0usize, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

/// Raises the loopback interface of the network namespace that this process is in.
pub(super) fn raise_loopback(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all fields of this structure may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    // SAFETY: this request reads a structure of this type.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn descriptor(opened: c_long) -> io::Result<OwnedFd> {
    let opened = RawFd::try_from(opened).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it for us; nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

fn checked(answer: c_long) -> io::Result<c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
