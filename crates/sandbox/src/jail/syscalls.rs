//! Seccomp: which system calls a program in a box can make.
//!
//! Owns: the list, in groups, with the reason for each. Never: kills for a call that is not on it: it
//! fails with EPERM, since runtimes probe and fall back.
//!
//! A list of what is allowed, unlike that of processes which run guests: here the code is a stranger's
//! from its first instruction. What is not named cannot be made, and so neither can what kernels add.

use std::collections::BTreeMap;

use nix::libc::{self, sock_filter};

use super::filter::{self, Fate, Rule, Test};

/// Calls from here on did not exist when this list was written.
const UNKNOWN: u32 = 463;

/// Whatever the arguments.
const ALLOWED: &[&[i64]] = &[
    // Reading and writing what is open.
    &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_pread64,
        libc::SYS_pwrite64,
        libc::SYS_preadv,
        libc::SYS_pwritev,
        libc::SYS_preadv2,
        libc::SYS_pwritev2,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_close_range,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_fcntl,
        libc::SYS_flock,
        libc::SYS_sendfile,
        libc::SYS_copy_file_range,
        libc::SYS_splice,
        libc::SYS_tee,
        libc::SYS_vmsplice,
        libc::SYS_readahead,
        libc::SYS_fadvise64,
        libc::SYS_pipe2,
    ],
    // Files: which ones is for the root, landlock and the file system's own rights to say.
    &[
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_newfstatat,
        libc::SYS_fstat,
        libc::SYS_statx,
        libc::SYS_statfs,
        libc::SYS_fstatfs,
        libc::SYS_getdents64,
        libc::SYS_getcwd,
        libc::SYS_chdir,
        libc::SYS_fchdir,
        libc::SYS_readlinkat,
        libc::SYS_mkdirat,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_truncate,
        libc::SYS_ftruncate,
        libc::SYS_fallocate,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_sync_file_range,
        libc::SYS_syncfs,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchmodat2,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_umask,
        libc::SYS_getxattr,
        libc::SYS_lgetxattr,
        libc::SYS_fgetxattr,
        libc::SYS_listxattr,
        libc::SYS_llistxattr,
        libc::SYS_flistxattr,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
        libc::SYS_inotify_init1,
        libc::SYS_inotify_add_watch,
        libc::SYS_inotify_rm_watch,
        libc::SYS_memfd_create,
    ],
    // Memory, its own.
    &[
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_pkey_mprotect,
        libc::SYS_pkey_alloc,
        libc::SYS_pkey_free,
        libc::SYS_madvise,
        libc::SYS_mincore,
        libc::SYS_msync,
        libc::SYS_mlock,
        libc::SYS_mlock2,
        libc::SYS_munlock,
        libc::SYS_mlockall,
        libc::SYS_munlockall,
        libc::SYS_membarrier,
        libc::SYS_mseal,
    ],
    // Waiting.
    &[
        libc::SYS_ppoll,
        libc::SYS_pselect6,
        libc::SYS_epoll_create1,
        libc::SYS_epoll_ctl,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_eventfd2,
        libc::SYS_signalfd4,
        libc::SYS_timerfd_create,
        libc::SYS_timerfd_settime,
        libc::SYS_timerfd_gettime,
        libc::SYS_futex,
        libc::SYS_futex_waitv,
        libc::SYS_set_robust_list,
        libc::SYS_get_robust_list,
        libc::SYS_restart_syscall,
        libc::SYS_io_setup,
        libc::SYS_io_destroy,
        libc::SYS_io_submit,
        libc::SYS_io_cancel,
        libc::SYS_io_getevents,
    ],
    // Time: read, never set.
    &[
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_times,
        libc::SYS_getitimer,
        libc::SYS_setitimer,
        libc::SYS_timer_create,
        libc::SYS_timer_settime,
        libc::SYS_timer_gettime,
        libc::SYS_timer_getoverrun,
        libc::SYS_timer_delete,
    ],
    // Sockets that exist; which ones can be made is a rule below.
    &[
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_connect,
        libc::SYS_shutdown,
        libc::SYS_getsockname,
        libc::SYS_getpeername,
        libc::SYS_getsockopt,
        libc::SYS_setsockopt,
        libc::SYS_sendto,
        libc::SYS_recvfrom,
        libc::SYS_sendmsg,
        libc::SYS_recvmsg,
        libc::SYS_sendmmsg,
        libc::SYS_recvmmsg,
    ],
    // Its own processes: the pid namespace bounds which ones it can name.
    &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_wait4,
        libc::SYS_waitid,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_tgkill,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigpending,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigsuspend,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_sigaltstack,
        libc::SYS_set_tid_address,
        libc::SYS_rseq,
        libc::SYS_setpgid,
        libc::SYS_getpgid,
        libc::SYS_setsid,
        libc::SYS_getsid,
        libc::SYS_prctl,
    ],
    // Who and what it is.
    &[
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_gettid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_getresuid,
        libc::SYS_getresgid,
        libc::SYS_getgroups,
        libc::SYS_capget,
        libc::SYS_uname,
        libc::SYS_sysinfo,
        libc::SYS_getcpu,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
    ],
    // To itself again: programs that drop privileges do so. Without capabilities it leads nowhere else.
    &[
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_setgroups,
        libc::SYS_capset,
    ],
    // Limits and scheduling, only ever downwards without capabilities.
    &[
        libc::SYS_prlimit64,
        libc::SYS_getrlimit,
        libc::SYS_setrlimit,
        libc::SYS_getpriority,
        libc::SYS_setpriority,
        libc::SYS_ioprio_get,
        libc::SYS_ioprio_set,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_getattr,
        libc::SYS_sched_setattr,
        libc::SYS_sched_getparam,
        libc::SYS_sched_setparam,
        libc::SYS_sched_getscheduler,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_get_priority_max,
        libc::SYS_sched_get_priority_min,
        libc::SYS_sched_rr_get_interval,
    ],
    // Shared memory and queues of System V, in an ipc namespace of the box's own.
    &[
        libc::SYS_shmget,
        libc::SYS_shmat,
        libc::SYS_shmdt,
        libc::SYS_shmctl,
        libc::SYS_semget,
        libc::SYS_semop,
        libc::SYS_semtimedop,
        libc::SYS_semctl,
        libc::SYS_msgget,
        libc::SYS_msgsnd,
        libc::SYS_msgrcv,
        libc::SYS_msgctl,
    ],
    // Bounding itself further.
    &[
        libc::SYS_seccomp,
        libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_add_rule,
        libc::SYS_landlock_restrict_self,
    ],
];

/// The old forms of calls above, which this architecture alone has.
#[cfg(target_arch = "x86_64")]
const OF_ARCHITECTURE: &[i64] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_access,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_getdents,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_signalfd,
    libc::SYS_inotify_init,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_getpgrp,
    libc::SYS_alarm,
    libc::SYS_pause,
    libc::SYS_time,
    // Where its thread-local memory lies.
    libc::SYS_arch_prctl,
];

#[cfg(not(target_arch = "x86_64"))]
const OF_ARCHITECTURE: &[i64] = &[libc::SYS_renameat];

/// The filter for programs in a box.
pub(super) fn program() -> Vec<sock_filter> {
    let all = ALLOWED.iter().copied().flatten().chain(OF_ARCHITECTURE);
    let mut fates: BTreeMap<u32, Fate> = all.map(|call| (number(*call), Fate::Allowed)).collect();
    for (call, rule) in [
        (libc::SYS_clone, without_namespaces()),
        (libc::SYS_socket, known_sockets()),
        (libc::SYS_socketpair, pairs()),
        (libc::SYS_ioctl, no_typing()),
        (libc::SYS_personality, known_personalities()),
    ] {
        fates.insert(number(call), Fate::AllowedIf(rule));
    }
    // Its flags lie in memory, where a filter cannot look. C libraries fall back to `clone`.
    fates.insert(number(libc::SYS_clone3), Fate::Refused(libc::ENOSYS));
    filter::program(&fates, UNKNOWN)
}

/// A process or a thread, but no namespace: capabilities in one open much of the kernel.
fn without_namespaces() -> Rule {
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    vec![vec![Test::Lacks(0, namespaces.cast_unsigned())]]
}

/// Unix; TCP and UDP by name, since multipath TCP would pass landlock's rules on ports; and the netlink
/// that tells the machine's addresses, which Go and C libraries ask.
fn known_sockets() -> Rule {
    let kind = |it: i32| Test::IsWithout(1, flags(), it.cast_unsigned());
    let domain = |it: i32| Test::Is(0, it.cast_unsigned());
    let protocol = |it: i32| Test::Is(2, it.cast_unsigned());
    let mut rule = pairs();
    for family in [libc::AF_INET, libc::AF_INET6] {
        rule.push(vec![domain(family), kind(libc::SOCK_STREAM), protocol(0)]);
        rule.push(vec![domain(family), kind(libc::SOCK_STREAM), protocol(libc::IPPROTO_TCP)]);
        rule.push(vec![domain(family), kind(libc::SOCK_DGRAM), protocol(0)]);
        rule.push(vec![domain(family), kind(libc::SOCK_DGRAM), protocol(libc::IPPROTO_UDP)]);
    }
    for raw_or_not in [libc::SOCK_RAW, libc::SOCK_DGRAM] {
        let route = protocol(libc::NETLINK_ROUTE);
        rule.push(vec![domain(libc::AF_NETLINK), kind(raw_or_not), route]);
    }
    rule
}

fn pairs() -> Rule {
    [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET]
        .map(|kind| {
            let domain = Test::Is(0, libc::AF_UNIX.cast_unsigned());
            vec![domain, Test::IsWithout(1, flags(), kind.cast_unsigned())]
        })
        .into()
}

fn flags() -> u32 {
    (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).cast_unsigned()
}

/// TIOCSTI and TIOCLINUX type into a terminal; every other request is its device's own matter.
fn no_typing() -> Rule {
    let typing: [u32; 2] = [0x5412, 0x541c];
    vec![typing.map(|request| Test::IsNot(1, request)).into()]
}

/// Those that read the current one, or ask for what every program has anyway.
fn known_personalities() -> Rule {
    [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(|it| vec![Test::Is(0, it)]).into()
}

fn number(call: i64) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}
