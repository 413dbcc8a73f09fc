//! Building a box, seen from its parent: one step per line, and why in this order.
//!
//! Owns: the order, and which walls may be left out where the host lacks them. Never: leaves anything
//! behind when it fails.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Pid, Uid, fchown, getgroups, pipe2, setgroups};

use super::blueprint::{Blueprint, DEFAULT_PIDS, Purpose};
use super::error::{self, StartError};
use super::group::{self, Group, Made};
use super::plan::{Isolation, Limits, Plan, Wall};
use super::recipe::Inherited;
use super::running::{Jail, Parts};
use super::status::{self, Built, Status};
use super::step::{At, Failure, Step};
use super::{bare, ids, kernel, recipe, rules};

/// Builds the box of `plan` and starts its program.
///
/// The caller has one thread: between `clone` and `execve` the child makes ordinary calls. It is not
/// marked as undumpable, since an ordinary user must write the child's id map.
///
/// # Errors
/// When a step is refused. Nothing is left of the box then.
pub fn start(plan: &Plan) -> Result<Jail, StartError> {
    start_without(plan, &[])
}

/// As [`start`], with walls left out that this host has: for tests, which show that it is the wall that
/// refuses an attack.
///
/// # Errors
/// As [`start`].
#[doc(hidden)]
pub fn start_without(plan: &Plan, walls: &[Wall]) -> Result<Jail, StartError> {
    build(plan, Purpose::Run, walls).map(|(jail, _)| jail).map_err(StartError::of)
}

/// The box, and the walls that this host lacks with the reason.
pub(super) fn build(
    plan: &Plan,
    purpose: Purpose,
    without: &[Wall],
) -> Result<(Jail, Vec<(Wall, String)>), Failure> {
    let mut blueprint = Blueprint::new(plan, purpose)?;
    for wall in without {
        blueprint.leave_out(*wall);
    }
    let mut missing = missing_from_the_start(&mut blueprint);
    let program = open_program(&plan.program)?;
    hand_over_credentials(&blueprint).at(Step::Plan)?;
    // Before there is a process, so that nothing runs unlimited.
    let mut made = make_group(plan, without)?;
    limit_processes_where_no_group_does(&mut blueprint, &made);
    // One attempt with all walls; where the host refuses one that may be missing, another without it.
    // Each begins anew, so that no box is half built.
    loop {
        match attempt(&blueprint, &program, made.group.as_ref()) {
            Ok(parts) => {
                blueprint.walls.extend(made.walls);
                missing.extend(made.missing);
                return Ok((Jail::new(parts, &blueprint, made.group, &missing), missing));
            }
            Err(failure) if failure.step == Step::Group && made.group.is_some() => {
                made.give_up(&failure.what).at(Step::Group)?;
                limit_processes_where_no_group_does(&mut blueprint, &made);
            }
            Err(failure) => {
                let Some(wall) = may_be_left_out(&blueprint, &failure) else {
                    made.give_up("").at(Step::Group)?;
                    return Err(failure);
                };
                missing.push((wall, failure.what));
                blueprint.leave_out(wall);
            }
        }
    }
}

/// What is known before anything is tried.
fn missing_from_the_start(blueprint: &mut Blueprint<'_>) -> Vec<(Wall, String)> {
    let mut missing = Vec::new();
    if blueprint.plan.isolation == Isolation::None {
        return missing;
    }
    if !blueprint.is_root {
        let why = format!("programs share the node's uid {}", blueprint.ids.uid);
        missing.push((Wall::OwnUid, why));
    }
    let version = blueprint.landlock_version;
    if blueprint.has(Wall::Ports) && version < rules::PORTS_SINCE {
        missing.push((Wall::Ports, format!("this kernel has version {version} of landlock")));
        blueprint.leave_out(Wall::Ports);
    }
    if blueprint.has(Wall::Landlock) && version == 0 {
        missing.push((Wall::Landlock, "this kernel has none, or it is not switched on".to_owned()));
        blueprint.leave_out(Wall::Landlock);
    }
    missing
}

/// Which wall to try without, after this failure.
fn may_be_left_out(blueprint: &Blueprint<'_>, failure: &Failure) -> Option<Wall> {
    let wall = failure.step.wall().filter(|wall| blueprint.has(*wall))?;
    match wall {
        // Root can mount it where a user namespace cannot, and has a uid for the program instead.
        Wall::Proc if blueprint.is_root && blueprint.has(Wall::UserNamespace) => {
            Some(Wall::UserNamespace)
        }
        Wall::UserNamespace if blueprint.has(Wall::OwnUid) => Some(wall),
        Wall::Proc | Wall::Landlock | Wall::Ports => Some(wall),
        // What is called strict must be: without this wall it would be `default`.
        Wall::NetworkNamespace if blueprint.purpose == Purpose::Run => None,
        _ => blueprint.plan.allow_weak.then_some(wall),
    }
}

fn make_group(plan: &Plan, without: &[Wall]) -> Result<Made, Failure> {
    let limits = Limits {
        memory: plan.limits.memory.filter(|_| !without.contains(&Wall::MemoryLimit)),
        cpu_millis: plan.limits.cpu_millis.filter(|_| !without.contains(&Wall::CpuLimit)),
        pids: Some(plan.limits.pids.unwrap_or(DEFAULT_PIDS))
            .filter(|_| !without.contains(&Wall::PidsLimit)),
        ..Limits::default()
    };
    group::make(&plan.group, &limits).at(Step::Group)
}

/// The best that is left where control groups cannot be made: limits of each process.
fn limit_processes_where_no_group_does(blueprint: &mut Blueprint<'_>, made: &Made) {
    let lacks = |wall| made.missing.iter().any(|(it, _)| *it == wall);
    // Counted by user and namespace; without one of its own other processes of the user would count.
    let is_alone = blueprint.has(Wall::UserNamespace) || blueprint.has(Wall::OwnUid);
    if lacks(Wall::PidsLimit) && is_alone {
        let pids = blueprint.plan.limits.pids.unwrap_or(DEFAULT_PIDS);
        blueprint.limits.processes = Some(u64::from(pids) + 1);
    }
    if lacks(Wall::MemoryLimit) {
        blueprint.limits.data = blueprint.plan.limits.memory;
    }
}

/// Its file, for a box without a root of its own; and early, so that its name stands in the error.
fn open_program(path: &Path) -> Result<OwnedFd, Failure> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path);
    opened.map(OwnedFd::from).on(Step::Plan, &path.display().to_string())
}

/// Files that only the program can read, and not write.
fn hand_over_credentials(blueprint: &Blueprint<'_>) -> io::Result<()> {
    let Some(folder) = blueprint.plan.credentials.as_ref().filter(|_| blueprint.is_root) else {
        return Ok(());
    };
    let gid = Gid::from_raw(blueprint.ids.gid);
    let own = |path: &Path, mode| {
        // Neither a link nor a second name: either could lead to any file of the host.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let about = file.metadata()?;
        if about.is_dir() || (about.is_file() && about.nlink() == 1) {
            fchown(&file, Some(Uid::from_raw(blueprint.ids.uid)), Some(gid))?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        io::Result::Ok(())
    };
    own(folder, 0o500)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            own(&entry.path(), 0o400)?;
        }
    }
    Ok(())
}

/// One child, from its birth to the program's first instruction; or nothing.
fn attempt(
    blueprint: &Blueprint<'_>,
    program: &OwnedFd,
    group: Option<&Group>,
) -> Result<Parts, Failure> {
    let (status, child_status) = status::pair().at(Step::Pipes)?;
    let (stdout, child_stdout) = output(blueprint).at(Step::Pipes)?;
    let (stderr, child_stderr) = output(blueprint).at(Step::Pipes)?;
    let (exit, child_exit) = pipe2(OFlag::O_CLOEXEC).at(Step::Pipes)?;
    let inherited = Inherited {
        status: child_status,
        program: program.try_clone().at(Step::Pipes)?,
        nothing: File::open("/dev/null").at(Step::Pipes)?.into(),
        stdout: child_stdout,
        stderr: child_stderr,
        exit: child_exit,
        doors: group.map_or(Ok(Vec::new()), Group::doors).at(Step::Group)?,
    };
    let (child, is_attached) = give_birth(blueprint, group, &status, &inherited)?;
    let is_attached = is_attached || !inherited.doors.is_empty();
    // Else the pipes would never end.
    drop(inherited);
    let Some(end) = child.end else { return Err(Failure::new(Step::Gate, "no pidfd was given")) };
    let released = release(blueprint, child.pid, group.filter(|_| !is_attached), &status);
    let built = released.and_then(|()| status.built().at(Step::Gate));
    let failure = match built {
        Ok(Built::Running(listener)) => {
            return Ok(Parts { pid: child.pid, end, stdout, stderr, exit, listener });
        }
        Ok(Built::Failed(failure)) | Err(failure) => failure,
        Ok(Built::Silent) => Failure::new(Step::Gate, "the child ended without a word"),
    };
    kernel::signal(end.as_fd(), nix::sys::signal::Signal::SIGKILL);
    let _reaped = waitpid(Pid::from_raw(child.pid), None);
    Err(failure)
}

/// Makes the child; it does not return from here, and waits for [`release`]. Tells whether it was born
/// in its group.
fn give_birth(
    blueprint: &Blueprint<'_>,
    group: Option<&Group>,
    status: &Status,
    inherited: &Inherited,
) -> Result<(kernel::Cloned, bool), Failure> {
    let flags = namespaces(blueprint);
    let birthplace = group.and_then(Group::birthplace);
    // In a box of root's no group of the caller's may remain; they cannot be given up inside.
    let groups = if blueprint.is_root { getgroups().at(Step::Ids)? } else { Vec::new() };
    if !groups.is_empty() {
        setgroups(&[]).at(Step::Ids)?;
    }
    let mut cloned = kernel::clone_process(flags, birthplace);
    let mut is_attached = birthplace.is_some();
    if cloned.is_err() && is_attached {
        // Being born there can be refused where moving is not.
        is_attached = false;
        cloned = kernel::clone_process(flags, None);
    }
    if cloned.as_ref().is_ok_and(|it| it.pid == 0) {
        let _never_returns = kernel::EndsHere;
        status.close_copy();
        if blueprint.plan.isolation == Isolation::None {
            bare::follow(blueprint, inherited);
        }
        recipe::follow(blueprint, inherited);
    }
    if !groups.is_empty() {
        setgroups(&groups).at(Step::Ids)?;
    }
    Ok((cloned.at(refused_namespace(blueprint))?, is_attached))
}

/// What the child waits for.
fn release(
    blueprint: &Blueprint<'_>,
    pid: i32,
    group: Option<&Group>,
    status: &Status,
) -> Result<(), Failure> {
    if blueprint.has(Wall::UserNamespace) {
        ids::map(pid, blueprint).at(Step::IdMap)?;
    }
    if let Some(group) = group {
        group.attach(pid).at(Step::Group)?;
    }
    status.go().at(Step::Gate)
}

/// All in one call: the kernel makes the user namespace first, and it owns the others.
fn namespaces(blueprint: &Blueprint<'_>) -> u64 {
    let of_mounts = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    [
        (Wall::UserNamespace, libc::CLONE_NEWUSER),
        (Wall::MountNamespace, of_mounts),
        (Wall::PidNamespace, libc::CLONE_NEWPID),
        (Wall::NetworkNamespace, libc::CLONE_NEWNET),
    ]
    .into_iter()
    .filter(|(wall, _)| blueprint.has(*wall))
    .fold(0, |flags, (_, flag)| flags | u64::from(flag.cast_unsigned()))
}

/// The kernel does not say which one it refuses. An ordinary user has the others only by the first.
fn refused_namespace(blueprint: &Blueprint<'_>) -> Step {
    [
        (Wall::UserNamespace, Step::UserNamespace),
        (Wall::MountNamespace, Step::MountNamespace),
        (Wall::PidNamespace, Step::PidNamespace),
        (Wall::NetworkNamespace, Step::NetworkNamespace),
    ]
    .into_iter()
    .find(|(wall, _)| blueprint.has(*wall))
    .map_or(Step::Gate, |(_, step)| step)
}

/// A pipe whose end in the box belongs to the program: it may open it again by `/dev/stdout`.
fn output(blueprint: &Blueprint<'_>) -> nix::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    if blueprint.has(Wall::OwnUid) {
        let (uid, gid) = (Uid::from_raw(blueprint.ids.uid), Gid::from_raw(blueprint.ids.gid));
        fchown(&write, Some(uid), Some(gid))?;
    }
    Ok((read, write))
}

/// The sentences for [`Jail::missing`].
pub(super) fn sentences(missing: &[(Wall, String)]) -> Vec<String> {
    let mut told = BTreeSet::new();
    missing
        .iter()
        .filter(|(wall, _)| told.insert(*wall))
        .map(|(wall, why)| error::missing(*wall, why))
        .collect()
}
