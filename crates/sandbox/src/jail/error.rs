//! Why a box could not be built, and what to change.
//!
//! Owns: the words for operators. Never: decides whether a wall may be missing (`start`).

use std::fmt;
use std::fs;

use super::plan::Wall;
use super::step::{Failure, Step};

/// A box that could not be built; nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    /// Which step of the recipe.
    pub step: &'static str,
    /// What the kernel said, and what to change.
    pub message: String,
    /// A wall that this host does not offer, when that is why.
    pub lacks_wall: Option<Wall>,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.step, self.message)
    }
}

impl std::error::Error for StartError {}

impl StartError {
    pub(super) fn of(failure: Failure) -> Self {
        let lacks_wall = failure.step.wall();
        let message = match lacks_wall {
            Some(Wall::NetworkNamespace) => {
                let advice = advice(Wall::NetworkNamespace);
                format!("{}; {advice}, or use sandbox `default`", failure.what)
            }
            Some(wall) => format!(
                "{}; {}, or let programs run without this wall with --allow-weak-sandbox",
                failure.what,
                advice(wall)
            ),
            None if failure.step == Step::Execute => {
                format!("{}; is it a static executable for this machine?", failure.what)
            }
            None => failure.what,
        };
        Self { step: failure.step.name(), message, lacks_wall }
    }
}

/// The name that users know a wall by.
pub(super) fn name(wall: Wall) -> &'static str {
    match wall {
        Wall::UserNamespace => "user namespace",
        Wall::MountNamespace => "a root of its own",
        Wall::PidNamespace => "pid namespace",
        Wall::NetworkNamespace => "network namespace",
        Wall::Proc => "/proc",
        Wall::OwnUid => "a uid of its own",
        Wall::NoNewPrivileges => "no new privileges",
        Wall::Seccomp => "filtered system calls",
        Wall::Landlock => "landlock",
        Wall::Ports => "bounded ports",
        Wall::MemoryLimit => "memory limit",
        Wall::CpuLimit => "cpu limit",
        Wall::PidsLimit => "limit of processes",
    }
}

/// A sentence on a wall that is left out.
pub(super) fn missing(wall: Wall, why: &str) -> String {
    format!("no {}: {why}; {}", name(wall), advice(wall))
}

/// What to change so that the wall can be built.
pub(super) fn advice(wall: Wall) -> String {
    let text = match wall {
        Wall::UserNamespace
        | Wall::MountNamespace
        | Wall::PidNamespace
        | Wall::NetworkNamespace => return namespaces(),
        Wall::Proc => {
            "this host masks its /proc, as container runtimes do: run the node outside of the \
             container, or with its /proc unmasked"
        }
        Wall::OwnUid => "run the node as root to give each program a uid that no other has",
        Wall::NoNewPrivileges => "run the node with CAP_SETPCAP or as an ordinary user",
        Wall::Seccomp => "use a kernel with CONFIG_SECCOMP_FILTER",
        Wall::Landlock => {
            "use Linux 5.13 or newer with landlock among its security modules (boot option `lsm=`)"
        }
        Wall::Ports => "use Linux 6.7 or newer with landlock",
        Wall::MemoryLimit | Wall::CpuLimit | Wall::PidsLimit => {
            "run the node as root or in a delegated control group (`Delegate=yes`)"
        }
    };
    text.to_owned()
}

/// Which of the known switches forbids namespaces here.
fn namespaces() -> String {
    let is =
        |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    let (clone, most, apparmor) = (
        "kernel.unprivileged_userns_clone",
        "user.max_user_namespaces",
        "kernel.apparmor_restrict_unprivileged_userns",
    );
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return format!("set the sysctl {clone}=1");
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return format!("set the sysctl {most} to some thousands");
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return format!(
            "give nex an AppArmor profile with `userns,`, or set the sysctl {apparmor}=0"
        );
    }
    "allow namespaces: in a container its runtime must permit clone, unshare and mount (the profiles \
     of seccomp and AppArmor); elsewhere see the sysctl user.max_user_namespaces"
        .to_owned()
}
