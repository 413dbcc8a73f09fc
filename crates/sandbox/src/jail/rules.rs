//! Landlock: files, ports, signals and abstract sockets, a second time.
//!
//! Owns: the paths that a program in a box needs, with the reason for each. Never: hides what `stat`
//! tells; the root of the box does.

use std::error::Error;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::blueprint::Blueprint;
use super::plan::Wall;

/// The newest rights that are asked for; an older kernel gives what it has.
const RIGHTS: ABI = ABI::V6;
/// The first version that bounds ports.
pub(super) const PORTS_SINCE: u32 = 4;

/// Read where there is no root of its own: names, TLS, time, its own state and what it runs on.
const OF_HOST: &[&str] = &[
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/run/systemd/resolve",
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/usr/share/ca-certificates",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
];

/// The library's errors are of many types; what they say is told to the parent.
type Answer<T> = Result<T, Box<dyn Error>>;

/// Binds this process and all that it starts.
pub(super) fn bind(blueprint: &Blueprint<'_>, program: BorrowedFd<'_>) -> Result<(), String> {
    match bound(blueprint, program) {
        Ok(RulesetStatus::NotEnforced) => Err("this kernel enforces nothing of it".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn bound(blueprint: &Blueprint<'_>, program: BorrowedFd<'_>) -> Answer<RulesetStatus> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RIGHTS))?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    let ports = blueprint.plan.ports.as_ref().filter(|_| blueprint.has(Wall::Ports));
    if ports.is_some() {
        ruleset = ruleset.handle_access(AccessNet::BindTcp)?;
    }
    let mut rules = ruleset.create()?.no_new_privs(false);
    // Port 0 stands for any: it would be a way around the others.
    for port in ports.into_iter().flatten().filter(|port| **port != 0) {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    rules = if blueprint.has(Wall::MountNamespace) {
        in_own_root(rules)?
    } else {
        on_host(rules, blueprint, program)?
    };
    Ok(rules.restrict_self()?.ruleset)
}

/// The root holds only what may be read; what is left to say is what may be executed and written.
fn in_own_root(rules: RulesetCreated) -> Answer<RulesetCreated> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let rules = allow(rules, Path::new("/"), read)?;
    let rules = allow(rules, Path::new("/app"), read | AccessFs::Execute)?;
    // Its own state: the name of a thread, how it is killed when memory is short.
    let rules = allow(rules, Path::new("/proc"), read | AccessFs::WriteFile)?;
    let rules = allow(rules, Path::new("/dev"), read | AccessFs::WriteFile)?;
    let rules =
        allow(rules, Path::new("/dev/tty"), read | AccessFs::WriteFile | AccessFs::IoctlDev)?;
    ["/tmp", "/home", "/dev/shm"]
        .into_iter()
        .try_fold(rules, |rules, path| allow(rules, Path::new(path), kept()))
}

/// Without a root of its own landlock alone says what is read.
fn on_host(
    mut rules: RulesetCreated,
    blueprint: &Blueprint<'_>,
    program: BorrowedFd<'_>,
) -> Answer<RulesetCreated> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let execute = AccessFs::ReadFile | AccessFs::Execute;
    rules = rules.add_rule(PathBeneath::new(program, execute))?;
    let mounts = blueprint.plan.mounts.iter().map(|it| it.source.clone());
    let paths = OF_HOST.iter().map(PathBuf::from).chain(mounts);
    for path in paths.chain(blueprint.plan.credentials.clone()) {
        rules = allow(rules, &path, read)?;
    }
    rules = allow(rules, Path::new("/dev/null"), read | AccessFs::WriteFile)?;
    allow(rules, &blueprint.plan.directory, kept())
}

/// Files, folders, links and sockets are made, written and removed; no devices, and nothing is executed.
fn kept() -> BitFlags<AccessFs> {
    AccessFs::from_all(RIGHTS)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev)
}

/// A path that is not there cannot be allowed, and need not be.
fn allow(rules: RulesetCreated, path: &Path, rights: BitFlags<AccessFs>) -> Answer<RulesetCreated> {
    if !path.exists() {
        return Ok(rules);
    }
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(RIGHTS) };
    Ok(rules.add_rule(PathBeneath::new(PathFd::new(path)?, rights))?)
}
