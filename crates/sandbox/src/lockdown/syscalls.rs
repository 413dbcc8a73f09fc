//! Seccomp: which system calls a locked process can still make.
//!
//! Owns: the groups that are refused, with the reason for each. Never: kills; a refused call fails with
//! EPERM, since libraries probe.
//!
//! A list of what is refused and not of what is allowed: an engine, an async runtime and a C library
//! change the calls they make with every version, and a call that is missing would show as a function
//! that fails on one kernel. What matters is that nothing on it is needed by any of them.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused whatever the arguments.
const REFUSED: &[&[i64]] = &[
    // Other programs: a guest that broke out would start one.
    &[libc::SYS_execve, libc::SYS_execveat],
    // Reading or steering other processes, and comparing kernel objects of theirs.
    &[
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_process_mrelease,
        libc::SYS_kcmp,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_tkill,
    ],
    // Another view of the file system, or of everything.
    &[
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_quotactl,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_fanotify_init,
    ],
    // Code in the kernel.
    &[
        libc::SYS_bpf,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
    ],
    // Parts of the kernel with a history of holes that nothing here uses.
    &[
        libc::SYS_userfaultfd,
        libc::SYS_perf_event_open,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_vmsplice,
        libc::SYS_personality,
        libc::SYS_acct,
        libc::SYS_syslog,
    ],
    // System V shared memory and queues: a way to other processes that landlock does not see.
    &[libc::SYS_shmget, libc::SYS_shmat, libc::SYS_msgget, libc::SYS_semget, libc::SYS_mq_open],
    // Being somebody else, and the machine's clock and name.
    &[
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setgroups,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_capset,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_mknodat,
    ],
    // Nothing here listens.
    &[libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4],
];

/// Calls of this architecture alone.
#[cfg(target_arch = "x86_64")]
const OF_ARCHITECTURE: &[i64] = &[
    // Further processes, in their old forms.
    libc::SYS_fork,
    libc::SYS_vfork,
    // Ports, the old way to a module, device nodes.
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_mknod,
];

#[cfg(not(target_arch = "x86_64"))]
const OF_ARCHITECTURE: &[i64] = &[];

/// Binds this thread and those that it starts.
pub(super) fn bound(network: bool) -> Result<(), seccompiler::Error> {
    let mut refused: Rules = REFUSED
        .iter()
        .copied()
        .flatten()
        .chain(OF_ARCHITECTURE)
        .map(|n| (*n, Vec::new()))
        .collect();
    refused.insert(libc::SYS_clone, vec![no_thread()?]);
    refused.insert(libc::SYS_socket, if network { strange_sockets()? } else { Vec::new() });
    // Signals to others: the node of the same user among them. The last wall where landlock is old.
    let own = u64::from(std::process::id());
    refused.insert(libc::SYS_kill, vec![when(&[(0, SeccompCmpOp::Ne, own)])?]);
    refused.insert(libc::SYS_tgkill, vec![when(&[(0, SeccompCmpOp::Ne, own)])?]);
    // TIOCSTI and TIOCLINUX type into a terminal that was left open.
    let typing = [0x5412, 0x541c].map(|request| when(&[(1, SeccompCmpOp::Eq, request)]));
    refused.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    install(refused, libc::EPERM)?;
    // Its flags lie in memory, where a filter cannot look. The C library falls back to `clone`.
    install(Rules::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

fn install(rules: Rules, errno: i32) -> Result<(), seccompiler::Error> {
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let program: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?;
    apply_filter(&program)
}

/// A `clone` that makes a process instead of a thread.
fn no_thread() -> Result<SeccompRule, seccompiler::BackendError> {
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    SeccompRule::new(vec![SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(thread),
        0,
    )?])
}

/// All but what names are looked up with and NATS and HTTP run over.
fn strange_sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let domain = |it: i32| u64::from(it.unsigned_abs());
    let [unix, inet, inet6, netlink] =
        [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(domain);
    let other = [unix, inet, inet6, netlink].map(|known| (0, SeccompCmpOp::Ne, known));
    // The C library asks the kernel for its addresses; the other protocols configure it.
    let strange_netlink = [(0, SeccompCmpOp::Eq, netlink), (2, SeccompCmpOp::Ne, 0)];
    Ok(vec![when(&other)?, when(&strange_netlink)?])
}

/// All of the comparisons (argument, how, with what) hold.
fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = |(argument, how, value): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, how.clone(), *value)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}
