//! The recipe of a box, seen from inside: one step per line, and why in this order.
//!
//! Owns: the order. Never: does a step itself; each has a file or a function of its own. Nothing here
//! runs before the parent has mapped the ids and set the limits, and nothing of it is left when it fails:
//! the process ends, and its namespaces with it.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::blueprint::{Blueprint, ProcessLimits, Purpose};
use super::plan::Wall;
use super::status::Status;
use super::step::{At, Failure, Step};
use super::{group, ids, init, kernel, mounts, network, rules};

/// What the child inherits of its parent, besides the blueprint.
pub(super) struct Inherited {
    pub(super) status: Status,
    pub(super) program: OwnedFd,
    pub(super) nothing: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) exit: OwnedFd,
    /// Of the control group, where it is joined from inside.
    pub(super) doors: Vec<File>,
}

/// Builds the box around this process and becomes its program.
pub(super) fn follow(blueprint: &Blueprint<'_>, inherited: &Inherited) -> ! {
    let Err(failure) = build(blueprint, inherited);
    inherited.status.failed(&failure);
    kernel::leave(1)
}

fn build(blueprint: &Blueprint<'_>, inherited: &Inherited) -> Result<Infallible, Failure> {
    // Before the parent says so this process has no ids that mean anything, and no limits.
    inherited.status.wait().at(Step::Gate)?;
    // Before anything that could use more than is allowed.
    group::join(&inherited.doors).at(Step::Group)?;
    // What is made here is seen by another uid later, whatever the caller's mask is.
    umask(Mode::from_bits_truncate(0o022));
    if blueprint.has(Wall::MountNamespace) {
        // First of all mounts: else the others would show on the host.
        mounts::make_private().at(Step::PrivateMounts)?;
        // As the caller's uid: the program's folder is closed to every other.
        let trees = mounts::open_trees(blueprint)?;
        let texts = mounts::Texts::read(blueprint);
        // Before any file is made: one of a uid that the namespace does not know is refused.
        take_ids(blueprint)?;
        mounts::build_root(blueprint, &trees, &texts)?;
        if blueprint.has(Wall::Proc) {
            mounts::mount_proc().at(Step::Proc)?;
        }
        mounts::enter_root().at(Step::Pivot)?;
    } else {
        take_ids(blueprint)?;
    }
    if blueprint.has(Wall::MountNamespace) {
        // After the parent has put it into its group: that one is the root which the box sees.
        unshare(CloneFlags::CLONE_NEWCGROUP).at(Step::GroupNamespace)?;
        // A name of its own, not the host's.
        let name = blueprint.plan.name.as_bytes();
        // As long as the kernel takes it.
        let name = OsStr::from_bytes(&name[..name.len().min(64)]);
        nix::unistd::sethostname(name).at(Step::Hostname)?;
    }
    if blueprint.has(Wall::NetworkNamespace) {
        // While there is still the capability to raise the interface.
        let listener = network::listener().at(Step::Listener)?;
        inherited.status.listener(&listener).at(Step::Listener)?;
    }
    // Last of what needs capabilities.
    ids::give_up_privileges(blueprint).at(Step::Privileges)?;
    // After the change of ids, which clears it; and then ask whether the parent died before it.
    die_with_parent(inherited).at(Step::Gate)?;
    // The paths are those of the new root. Before seccomp, so that its calls need no place in the list.
    if blueprint.has(Wall::Landlock) {
        rules::bind(blueprint, inherited.program.as_fd())
            .map_err(|error| Failure::new(Step::Landlock, error))?;
    }
    enter_directory(blueprint)?;
    // From here there are two: the first process, as bounded as this one, and the program's.
    if !blueprint.has(Wall::PidNamespace) {
        kernel::control(libc::PR_SET_CHILD_SUBREAPER, 1).at(Step::Init)?;
    }
    init::split_off(&inherited.exit, &blueprint.filter).at(Step::Init)?;
    if !blueprint.has(Wall::PidNamespace) {
        let kill = u64::from((Signal::SIGKILL as i32).unsigned_abs());
        kernel::control(libc::PR_SET_PDEATHSIG, kill).at(Step::Init)?;
    }
    connect(inherited).at(Step::Output)?;
    // Late, since the steps above open more files than a program may be allowed.
    set_limits(blueprint.limits).at(Step::Limits)?;
    // The very last: every step above makes calls that it refuses.
    if !blueprint.filter.is_empty() {
        kernel::filter_calls(&blueprint.filter).at(Step::Seccomp)?;
    }
    execute(blueprint, inherited)
}

/// In a user namespace now; without one only when nothing needs root any more.
fn take_ids(blueprint: &Blueprint<'_>) -> Result<(), Failure> {
    if blueprint.has(Wall::UserNamespace) {
        ids::become_mapped().at(Step::Ids)?;
    }
    Ok(())
}

/// What each process may use.
pub(super) fn set_limits(limits: ProcessLimits) -> nix::Result<()> {
    // A core file would hold the program's secrets.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = limits.most_files.unwrap_or(most).min(most);
    setrlimit(Resource::RLIMIT_NOFILE, limits.files.min(most), most)?;
    for (resource, wanted) in
        [(Resource::RLIMIT_NPROC, limits.processes), (Resource::RLIMIT_DATA, limits.data)]
    {
        let Some(wanted) = wanted else { continue };
        // As much as the caller may have, where that is less.
        let (_, most) = getrlimit(resource)?;
        setrlimit(resource, wanted.min(most), wanted.min(most))?;
    }
    Ok(())
}

fn die_with_parent(inherited: &Inherited) -> io::Result<()> {
    kernel::control(libc::PR_SET_PDEATHSIG, u64::from((Signal::SIGKILL as i32).unsigned_abs()))?;
    inherited.status.alive()
}

fn enter_directory(blueprint: &Blueprint<'_>) -> Result<(), Failure> {
    let own = blueprint.has(Wall::MountNamespace);
    let directory = if own { Path::new("/home") } else { &blueprint.plan.directory };
    std::env::set_current_dir(directory).on(Step::Directory, &directory.display().to_string())
}

/// Standard input gives nothing; nothing else that the caller has open is open to the program.
pub(super) fn connect(inherited: &Inherited) -> io::Result<()> {
    dup2_stdin(&inherited.nothing)?;
    dup2_stdout(&inherited.stdout)?;
    dup2_stderr(&inherited.stderr)?;
    kernel::close_on_execution(3)
}

fn execute(blueprint: &Blueprint<'_>, inherited: &Inherited) -> Result<Infallible, Failure> {
    if blueprint.purpose == Purpose::Try {
        kernel::leave(0);
    }
    let (arguments, environment) = (&blueprint.arguments, &blueprint.environment);
    if blueprint.has(Wall::MountNamespace) {
        let path = CString::new(format!("/app/{}", blueprint.plan.name)).at(Step::Execute)?;
        nix::unistd::execve(&path, arguments, environment).on(Step::Execute, &blueprint.plan.name)
    } else {
        // Its path may lead through folders that this uid cannot enter.
        let error = kernel::execute(inherited.program.as_fd(), arguments, environment);
        Err(error).on(Step::Execute, &blueprint.plan.name)
    }
}
