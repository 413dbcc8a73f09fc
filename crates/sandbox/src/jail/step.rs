//! The steps of the recipe, and how one that failed is told from inside the box to its parent.
//!
//! Owns: the names, the wall that each step builds, the bytes of a failure. Never: builds anything.

use std::io;

use super::plan::Wall;

/// A step of the recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Plan,
    Pipes,
    Group,
    UserNamespace,
    MountNamespace,
    PidNamespace,
    NetworkNamespace,
    IdMap,
    Gate,
    PrivateMounts,
    OpenTrees,
    Ids,
    Root,
    Proc,
    Pivot,
    GroupNamespace,
    Listener,
    Hostname,
    Limits,
    Privileges,
    Landlock,
    Init,
    Output,
    Seccomp,
    Directory,
    Execute,
}

/// By number, as it comes out of the box.
const STEPS: [Step; 26] = [
    Step::Plan,
    Step::Pipes,
    Step::Group,
    Step::UserNamespace,
    Step::MountNamespace,
    Step::PidNamespace,
    Step::NetworkNamespace,
    Step::IdMap,
    Step::Gate,
    Step::PrivateMounts,
    Step::OpenTrees,
    Step::Ids,
    Step::Root,
    Step::Proc,
    Step::Pivot,
    Step::GroupNamespace,
    Step::Listener,
    Step::Hostname,
    Step::Limits,
    Step::Privileges,
    Step::Landlock,
    Step::Init,
    Step::Output,
    Step::Seccomp,
    Step::Directory,
    Step::Execute,
];

impl Step {
    /// As users see it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plan => "read the plan",
            Self::Pipes => "make the pipes",
            Self::Group => "make the control group",
            Self::UserNamespace => "make a user namespace",
            Self::MountNamespace => "make a mount namespace",
            Self::PidNamespace => "make a pid namespace",
            Self::NetworkNamespace => "make a network namespace",
            Self::IdMap => "map the ids",
            Self::Gate => "wait for the parent",
            Self::PrivateMounts => "make the mounts private",
            Self::OpenTrees => "open what the box shows",
            Self::Ids => "take the ids",
            Self::Root => "make the root",
            Self::Proc => "mount /proc",
            Self::Pivot => "change the root",
            Self::GroupNamespace => "make a cgroup namespace",
            Self::Listener => "listen for NATS",
            Self::Hostname => "set the host name",
            Self::Limits => "set the limits",
            Self::Privileges => "give up privileges",
            Self::Landlock => "bound the files",
            Self::Init => "start the first process",
            Self::Output => "connect the output",
            Self::Seccomp => "filter the system calls",
            Self::Directory => "enter the working directory",
            Self::Execute => "execute the program",
        }
    }

    /// The wall that does not stand when this step was refused by the host.
    pub(super) fn wall(self) -> Option<Wall> {
        Some(match self {
            Self::UserNamespace | Self::IdMap => Wall::UserNamespace,
            Self::MountNamespace | Self::PrivateMounts | Self::Pivot => Wall::MountNamespace,
            Self::PidNamespace => Wall::PidNamespace,
            Self::NetworkNamespace => Wall::NetworkNamespace,
            Self::Proc => Wall::Proc,
            Self::Privileges => Wall::NoNewPrivileges,
            Self::Landlock => Wall::Landlock,
            Self::Seccomp => Wall::Seccomp,
            _ => return None,
        })
    }
}

/// A step that failed, on what, and what the kernel said.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) what: String,
}

impl Failure {
    pub(super) fn new(step: Step, what: impl Into<String>) -> Self {
        Self { step, what: what.into() }
    }

    /// For the pipe to the parent; the length is bounded by what may stand in a plan.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.step as u8];
        bytes.extend(self.what.bytes().take(2000));
        bytes
    }

    /// From the pipe. What is strange is told as a failure of the gate.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let (number, what) = bytes.split_first().unwrap_or((&u8::MAX, &[]));
        let step = STEPS.get(usize::from(*number)).copied().unwrap_or(Step::Gate);
        Self { step, what: String::from_utf8_lossy(what).into_owned() }
    }
}

/// Adds the step to what a call answered.
pub(super) trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
    fn on(self, step: Step, what: &str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step, error.into().to_string()))
    }

    fn on(self, step: Step, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step, format!("{what}: {}", error.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_out_of_the_box_as_it_went_in() {
        for (number, step) in STEPS.into_iter().enumerate() {
            assert_eq!(usize::from(step as u8), number);
            let out = Failure::from_bytes(&Failure::new(step, "what").to_bytes());
            assert_eq!((out.step, out.what.as_str()), (step, "what"));
        }
        assert_eq!(Failure::from_bytes(&[]).step, Step::Gate);
    }
}
