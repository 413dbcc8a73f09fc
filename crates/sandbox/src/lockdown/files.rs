//! Landlock: which files a locked process can still open.
//!
//! Owns: the paths that every process needs, with the reason for each. Never: hides what `stat` tells;
//! landlock has no word for that.

use std::fmt;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::libc;

use super::Lockdown;

/// The newest rights that are asked for; an older kernel gives what it has.
const RIGHTS: ABI = ABI::V6;

/// Asks for the version instead of making a ruleset.
const VERSION: u32 = 1;

/// How much of landlock the kernel enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// All that was asked for.
    Full,
    /// An older one: files are bounded, signals or listening perhaps not.
    Partial,
    /// None: files are those of the user.
    Missing,
}

impl Landlock {
    /// What this machine's kernel offers, without binding anything.
    #[must_use]
    pub fn offered() -> Self {
        // SAFETY: without a ruleset and with this flag the call reads no memory and only answers with
        // a version; neither the C library nor the landlock crate has an interface to it.
        let version = unsafe {
            let nothing = std::ptr::null::<u8>();
            libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0usize, VERSION)
        };
        match version {
            version if version >= RIGHTS as libc::c_long => Self::Full,
            1.. => Self::Partial,
            _ => Self::Missing,
        }
    }
}

impl fmt::Display for Landlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "own files only (landlock)",
            Self::Partial => "own files only (an older landlock: signals not bounded)",
            Self::Missing => "files not bounded (this kernel has no landlock)",
        })
    }
}

/// Read by every locked process.
const ALWAYS: &[&str] = &[
    // Its own state: the engine reads which pages were written. Others' secrets under /proc are
    // kept by the kernel's check of who may trace whom, which landlock tightens.
    "/proc/self",
    // How many processors and how much memory it may use.
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    // Schedules in time zones.
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
];

/// Read by one that looks up names and speaks TLS.
const NETWORK: &[&str] = &[
    // Looking up names: what the C library reads, and the libraries that it loads for it.
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    // Where /etc/resolv.conf leads to, and is replaced.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    // Whom TLS trusts.
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Binds this thread and those that it starts.
pub(super) fn bound(needs: &Lockdown) -> Result<Landlock, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RIGHTS))?
        // Nothing of ours listens: triggers come over a connection that we open.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?
        .no_new_privs(true);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let network = if needs.network { NETWORK } else { &[] };
    for path in ALWAYS.iter().chain(network).map(Path::new) {
        rules = allow(rules, path, read)?;
    }
    for path in &needs.read {
        rules = allow(rules, path, read)?;
    }
    // No devices, links or sockets: files and folders are all that is kept there.
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    for path in &needs.write {
        rules = allow(rules, path, write)?;
    }
    rules = allow(rules, Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?;
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Full,
        RulesetStatus::PartiallyEnforced => Landlock::Partial,
        RulesetStatus::NotEnforced => Landlock::Missing,
    })
}

/// A path that is not there cannot be allowed, and need not be.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(file) = PathFd::new(path) else { return Ok(rules) };
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(RIGHTS) };
    rules.add_rule(PathBeneath::new(file, rights))
}
