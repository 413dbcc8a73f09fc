//! A program without a box: the host's root, ids and network.
//!
//! Owns: what such a program is still given: a session, default signals, limits, the death of its parent.
//! Never: bounds what it reads.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;

use nix::libc;
use nix::sys::signal::Signal;

use super::blueprint::Blueprint;
use super::plan::Wall;
use super::recipe::{Inherited, connect, set_limits};
use super::step::{At, Failure, Step};
use super::{group, ids, kernel};

/// Becomes the program.
pub(super) fn follow(blueprint: &Blueprint<'_>, inherited: &Inherited) -> ! {
    let Err(failure) = build(blueprint, inherited);
    inherited.status.failed(&failure);
    kernel::leave(1)
}

fn build(blueprint: &Blueprint<'_>, inherited: &Inherited) -> Result<Infallible, Failure> {
    // Before the parent says so there are no limits.
    inherited.status.wait().at(Step::Gate)?;
    group::join(&inherited.doors).at(Step::Group)?;
    // The caller may block or ignore signals; a program asked to stop by one must not inherit that.
    kernel::default_signals();
    nix::unistd::setsid().at(Step::Init)?;
    set_limits(blueprint.limits).at(Step::Limits)?;
    let directory = &blueprint.plan.directory;
    std::env::set_current_dir(directory).on(Step::Directory, &directory.display().to_string())?;
    if blueprint.has(Wall::OwnUid) {
        ids::become_user(blueprint.ids.uid, blueprint.ids.gid).at(Step::Ids)?;
    }
    // After the change of ids, which clears it.
    die_with_parent(inherited).at(Step::Gate)?;
    connect(inherited).at(Step::Output)?;
    let (arguments, environment) = (&blueprint.arguments, &blueprint.environment);
    let error = kernel::execute(inherited.program.as_fd(), arguments, environment);
    Err(error).on(Step::Execute, &blueprint.plan.name)
}

fn die_with_parent(inherited: &Inherited) -> io::Result<()> {
    kernel::control(libc::PR_SET_PDEATHSIG, u64::from((Signal::SIGKILL as i32).unsigned_abs()))?;
    inherited.status.alive()
}
