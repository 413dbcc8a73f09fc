//! A plan made ready: everything that can be prepared before there is a child.
//!
//! Owns: checking the plan, the strings and the filter that the child uses, and which walls are built.
//! Never: changes anything on the host.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::path::{Component, Path};

use nix::libc::sock_filter;
use nix::unistd::{getegid, geteuid};

use super::plan::{Isolation, Plan, Wall};
use super::step::{At, Failure, Step};
use super::{kernel, syscalls};

/// Bytes of `/tmp`, `/home` and `/dev/shm` together, where the plan tells none.
const DEFAULT_TMP: u64 = 64 << 20;
/// Processes and threads, where the plan tells none.
pub(super) const DEFAULT_PIDS: u32 = 512;
/// Open files, where the plan tells none.
const DEFAULT_FILES: u32 = 1024;
/// Host paths that a program may see.
const MOST_MOUNTS: usize = 64;
/// The uid and gid that a program sees, where there is a user namespace.
pub(super) const INSIDE_ID: u32 = 1000;
/// Where no host path may be shown: the box's own parts.
const OWN_PARTS: [&str; 5] = ["/app", "/proc", "/dev", "/sys", "/run/nex"];

/// The host's ids of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// What the program may use by rlimits; `None`: what the caller may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ProcessLimits {
    /// Open files, until the program asks for more.
    pub(super) files: u64,
    /// The most that it can ask for.
    pub(super) most_files: Option<u64>,
    /// Where no control group counts processes.
    pub(super) processes: Option<u64>,
    /// Where no control group counts memory; of each process.
    pub(super) data: Option<u64>,
}

/// Whether the program is executed in the end, or the box was only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Run,
    Try,
}

pub(super) struct Blueprint<'a> {
    pub(super) plan: &'a Plan,
    pub(super) purpose: Purpose,
    /// The walls to build.
    pub(super) walls: BTreeSet<Wall>,
    pub(super) ids: Ids,
    pub(super) is_root: bool,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    pub(super) filter: Vec<sock_filter>,
    pub(super) landlock_version: u32,
    pub(super) limits: ProcessLimits,
}

impl<'a> Blueprint<'a> {
    pub(super) fn new(plan: &'a Plan, purpose: Purpose) -> Result<Self, Failure> {
        check(plan)?;
        let is_root = geteuid().is_root();
        let ids = match plan.uid {
            Some(uid) if is_root => Ids { uid, gid: uid },
            None if is_root && plan.isolation != Isolation::None => {
                let what = "a program in a box needs a uid of its own when its caller is root";
                return Err(Failure::new(Step::Plan, what));
            }
            _ => Ids { uid: geteuid().as_raw(), gid: getegid().as_raw() },
        };
        let walls = wanted(plan, is_root);
        let filter = if walls.contains(&Wall::Seccomp) { syscalls::program() } else { Vec::new() };
        let arguments = [&plan.name].into_iter().chain(&plan.args);
        let environment = plan.environment.iter().map(|(key, value)| format!("{key}={value}"));
        let files = u64::from(plan.limits.files.unwrap_or(DEFAULT_FILES));
        Ok(Self {
            plan,
            purpose,
            walls,
            ids,
            is_root,
            arguments: arguments
                .map(|it| CString::new(it.as_str()))
                .collect::<Result<_, _>>()
                .at(Step::Plan)?,
            environment: environment.map(CString::new).collect::<Result<_, _>>().at(Step::Plan)?,
            filter,
            landlock_version: kernel::landlock_version(),
            limits: ProcessLimits {
                files,
                // What was asked for is meant; what was not is a habit, which servers raise.
                most_files: plan.limits.files.map(u64::from),
                ..ProcessLimits::default()
            },
        })
    }

    pub(super) fn has(&self, wall: Wall) -> bool {
        self.walls.contains(&wall)
    }

    /// Without this wall, and without those that mean nothing without it.
    pub(super) fn leave_out(&mut self, wall: Wall) {
        self.walls.remove(&wall);
        match wall {
            // The host's /proc would show everybody, and a new one can only be mounted for pids of its own.
            Wall::MountNamespace | Wall::PidNamespace => {
                self.walls.remove(&Wall::Proc);
            }
            Wall::Landlock => {
                self.walls.remove(&Wall::Ports);
            }
            Wall::Seccomp => self.filter.clear(),
            _ => {}
        }
    }

    pub(super) fn tmp_bytes(&self) -> u64 {
        self.plan.limits.tmp.unwrap_or(DEFAULT_TMP)
    }
}

/// The walls that this plan asks for, groups apart.
fn wanted(plan: &Plan, is_root: bool) -> BTreeSet<Wall> {
    if plan.isolation == Isolation::None {
        let own = is_root && plan.uid.is_some();
        return if own { [Wall::OwnUid].into() } else { BTreeSet::new() };
    }
    let mut walls = BTreeSet::from([
        Wall::UserNamespace,
        Wall::MountNamespace,
        Wall::PidNamespace,
        Wall::Proc,
        Wall::NoNewPrivileges,
        Wall::Seccomp,
        Wall::Landlock,
    ]);
    if is_root {
        walls.insert(Wall::OwnUid);
    }
    if plan.isolation == Isolation::Strict {
        walls.insert(Wall::NetworkNamespace);
    }
    if plan.ports.is_some() {
        walls.insert(Wall::Ports);
    }
    walls
}

fn check(plan: &Plan) -> Result<(), Failure> {
    let refuse = |what: String| Err(Failure::new(Step::Plan, what));
    if !is_file_name(&plan.name) {
        return refuse(format!("{:?} cannot be a program's name: it is no file name", plan.name));
    }
    if let Some(key) = plan.environment.keys().find(|key| key.is_empty() || key.contains('=')) {
        return refuse(format!("{key:?} cannot be a variable's name"));
    }
    if plan.mounts.len() > MOST_MOUNTS {
        return refuse(format!("{} mounts are more than {MOST_MOUNTS}", plan.mounts.len()));
    }
    for mount in &plan.mounts {
        if !is_plain(&mount.target) || !is_plain(&mount.source) {
            let (source, target) = (mount.source.display(), mount.target.display());
            return refuse(format!("mount {source} at {target}: not an absolute, plain path"));
        }
        let target = &mount.target;
        let is_own = |part: &str| target.starts_with(part) || Path::new(part).starts_with(target);
        if let Some(part) = OWN_PARTS.into_iter().find(|part| is_own(part)) {
            let target = target.display();
            return refuse(format!("nothing can be mounted at {target}: {part} is the box's own"));
        }
    }
    Ok(())
}

fn is_file_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.contains(['/', '\0']) && ![".", ".."].contains(&name)
}

fn is_plain(path: &Path) -> bool {
    let mut components = path.components();
    components.next() == Some(Component::RootDir)
        && components.all(|it| matches!(it, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jail::plan::{Limits, Mount};

    fn plan(name: &str, target: &str) -> Plan {
        Plan {
            program: "/nowhere".into(),
            name: name.to_owned(),
            args: Vec::new(),
            environment: [].into(),
            directory: "/".into(),
            isolation: Isolation::Default,
            allow_weak: false,
            uid: Some(1),
            limits: Limits::default(),
            group: "g".to_owned(),
            ports: None,
            mounts: vec![Mount { source: "/srv".into(), target: target.into() }],
            credentials: None,
        }
    }

    #[test]
    fn names_and_targets_stay_inside_the_box() {
        assert!(check(&plan("echo", "/srv/data")).is_ok());
        for name in ["", ".", "..", "a/b", "a\0b"] {
            assert!(check(&plan(name, "/srv")).is_err(), "{name:?}");
        }
        for target in ["/", "srv", "/srv/../app", "/app", "/app/x", "/proc/x", "/dev", "/run"] {
            assert!(check(&plan("echo", target)).is_err(), "{target}");
        }
    }
}
