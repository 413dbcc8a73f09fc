//! Beginnings and ends.
//!
//! Owns: what is told of an end, and that nothing outlives it. Never: waits for a time.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use nex_sandbox::Signal;
use nex_sandbox::jail::{self, Isolation, JailExit, Plan, Wall, start, start_without, survey};
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe};

use crate::Test;
use crate::bench::{Bench, Outcome, check, first_line, run, start_and_hear};

pub(crate) const TESTS: &[Test] = &[
    ("exit codes and signals are told", ends_are_told),
    ("a program without a handler ends by SIGTERM", asked_to_stop),
    ("a program that ignores SIGTERM is killed", killed),
    ("killing ends children that left session and parents", orphans),
    ("nothing is left of a box", nothing_left),
    ("nothing is left of a start that failed", nothing_left_of_failures),
    ("a box without walls that it must have is refused", fails_closed),
    ("a box ends with the process that started it, and its group is swept", ends_with_its_keeper),
    ("a survey tells the walls that boxes have", surveyed),
    ("a program without a box has a session and its directory", without_a_box),
];

fn ends_are_told(bench: &Bench) -> Outcome {
    for isolation in [Isolation::Default, Isolation::None] {
        for (words, expected) in [
            (["exit", "0"], by_itself(0)),
            (["exit", "7"], by_itself(7)),
            (["exit", "255"], by_itself(255)),
            (["die-of", "9"], by(Signal::SIGKILL)),
            (["die-of", "6"], by(Signal::SIGABRT)),
            (["die-of", "15"], by(Signal::SIGTERM)),
        ] {
            let mut plan = bench.plan(&words);
            plan.isolation = isolation;
            let ran = run(&plan, &[]).map_err(|error| error.to_string())?;
            check(ran.exit == expected, format!("{isolation:?} {words:?}: {:?}", ran.exit))?;
        }
    }
    Ok(())
}

fn asked_to_stop(bench: &Bench) -> Outcome {
    for isolation in [Isolation::Default, Isolation::Strict, Isolation::None] {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
            let mut plan = bench.plan(&["wait"]);
            plan.isolation = isolation;
            // As under `nohup`, or in the background of a script.
            let was = ignore(signal);
            let (mut jail, _out, _) = start_and_hear(&plan, &[]);
            jail.signal(signal);
            let exit = jail.reap().unwrap();
            restore(signal, was);
            jail.close().unwrap();
            check(exit == by(signal), format!("{isolation:?} {signal}: {exit:?}"))?;
        }
    }
    Ok(())
}

fn killed(bench: &Bench) -> Outcome {
    let (mut jail, mut out, _) = start_and_hear(&bench.plan(&["ignore-and-wait"]), &[]);
    jail.signal(Signal::SIGTERM);
    jail.kill();
    let exit = jail.reap().unwrap();
    is_over(&mut out)?;
    jail.close().unwrap();
    check(exit == by(Signal::SIGKILL), format!("{exit:?}"))
}

fn orphans(bench: &Bench) -> Outcome {
    for (isolation, without) in [
        (Isolation::Default, &[][..]),
        (Isolation::Default, &[Wall::PidNamespace]),
        (Isolation::None, &[]),
    ] {
        let mut plan = bench.plan(&["orphans"]);
        plan.isolation = isolation;
        let (mut jail, mut out, _) = start_and_hear(&plan, without);
        first_line(&mut out);
        first_line(&mut out);
        jail.kill();
        jail.reap().unwrap();
        jail.close().map_err(|error| format!("{isolation:?} without {without:?}: {error}"))?;
        // Each of them has it open.
        is_over(&mut out)?;
        no_child_is_left()?;
    }
    Ok(())
}

fn nothing_left(bench: &Bench) -> Outcome {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let descriptors = n_descriptors();
    for isolation in [Isolation::Default, Isolation::Strict, Isolation::None] {
        let mut plan = bench.plan(&["wait"]);
        plan.isolation = isolation;
        let (jail, out, _) = start_and_hear(&plan, &[]);
        let is_bounded = jail.walls().contains(&Wall::PidsLimit);
        check(groups(&plan).is_empty() != is_bounded, "its groups are not where they should be")?;
        // Not even by forgetting it.
        drop(jail);
        drop(out);
        check(groups(&plan).is_empty(), format!("{isolation:?}: {:?}", groups(&plan)))?;
        no_child_is_left()?;
    }
    check(fs::read_to_string("/proc/self/mountinfo").unwrap() == mounts, "mounts differ")?;
    check(n_descriptors() == descriptors, "descriptors are left")
}

/// What makes a plan one that cannot be started.
type Spoil<'a> = &'a dyn Fn(&mut Plan);

fn nothing_left_of_failures(bench: &Bench) -> Outcome {
    let descriptors = n_descriptors();
    let text = bench.folder.join("shown");
    let program = |program: &Path, plan: &mut Plan| program.clone_into(&mut plan.program);
    for isolation in [Isolation::Default, Isolation::None] {
        let failures: [(&str, Spoil<'_>); 5] = [
            ("execute the program", &|plan| program(&text, plan)),
            ("read the plan", &|plan| program(Path::new("/nowhere"), plan)),
            ("read the plan", &|plan| "a/b".clone_into(&mut plan.name)),
            ("make the control group", &|plan| "../b".clone_into(&mut plan.group)),
            ("read the plan", &|plan| drop(plan.environment.insert("A\0".into(), "b".into()))),
        ];
        for (step, spoil) in failures {
            let mut plan = bench.plan(&["nothing"]);
            plan.isolation = isolation;
            spoil(&mut plan);
            match start(&plan) {
                Ok(_) => return Err(format!("{isolation:?}: it started, and should not: {step}")),
                Err(error) => {
                    let told = error.step == step && error.lacks_wall.is_none();
                    check(told, format!("{isolation:?}: {step}: {error:?}"))?;
                }
            }
            check(groups(&plan).is_empty(), format!("{:?}", groups(&plan)))?;
            no_child_is_left()?;
        }
    }
    check(n_descriptors() == descriptors, "descriptors are left")
}

/// In a user namespace that allows no others, as some hosts do.
fn fails_closed(bench: &Bench) -> Outcome {
    let told = in_a_child(|tell| {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).unwrap();
        fs::write("/proc/self/setgroups", "deny").unwrap();
        fs::write("/proc/self/uid_map", format!("65534 {uid} 1")).unwrap();
        fs::write("/proc/self/gid_map", format!("65534 {gid} 1")).unwrap();
        fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
        let mut plan = bench.plan(&["exit", "3"]);
        let refused = start(&plan).err();
        plan.allow_weak = true;
        let weak = run(&plan, &[]);
        write!(tell, "{refused:?} / {:?}", weak.map(|ran| (ran.exit.code, ran.missing))).unwrap();
    });
    let (refused, weak) = told.split_once(" / ").unwrap_or_default();
    let is_refused = refused.contains("lacks_wall: Some(UserNamespace)")
        && refused.contains("user.max_user_namespaces")
        && refused.contains("--allow-weak-sandbox");
    check(is_refused, format!("refused: {refused}"))?;
    let is_weak = weak.starts_with("Ok((Some(3), ") && weak.contains("no user namespace: ");
    check(is_weak, format!("weak: {weak}"))
}

fn ends_with_its_keeper(bench: &Bench) -> Outcome {
    for isolation in [Isolation::Default, Isolation::None] {
        let mut plan = bench.plan(&["wait"]);
        plan.isolation = isolation;
        let told = in_a_child(|tell| {
            let (jail, _out, _) = start_and_hear(&plan, &[]);
            write!(tell, "{}", jail.pid()).unwrap();
            nix::sys::signal::kill(Pid::this(), Signal::SIGKILL).unwrap();
        });
        // Its parent gone it is ours, and ends by itself.
        let pid = Pid::from_raw(told.parse().map_err(|_| told.clone())?);
        waitpid(pid, None).map_err(|error| format!("{isolation:?}: {error}"))?;
        jail::sweep_group(&plan.group).map_err(|error| error.to_string())?;
        check(groups(&plan).is_empty(), format!("{:?}", groups(&plan)))?;
    }
    Ok(())
}

fn surveyed(bench: &Bench) -> Outcome {
    let found = survey();
    let jail = start(&bench.plan(&["nothing"])).map_err(|error| error.to_string())?;
    let walls = jail.walls().to_vec();
    jail.close().unwrap();
    let all = walls.iter().all(|wall| found.walls.contains(wall));
    check(all, format!("a box has {walls:?}, and the survey {found:?}"))?;
    check(found.walls.contains(&Wall::NetworkNamespace), format!("{found:?}"))?;
    check(found.walls.contains(&Wall::OwnUid) == bench.is_root, format!("{found:?}"))?;
    check(found.walls.len() + found.missing.len() == 13, format!("{found:?}"))?;
    no_child_is_left()
}

fn without_a_box(bench: &Bench) -> Outcome {
    let mut plan = bench.plan(&["read", "/etc/passwd"]);
    plan.isolation = Isolation::None;
    let ran = run(&plan, &[]).map_err(|error| error.to_string())?;
    check(ran.exit.code == Some(0), ran.err)?;
    // Dynamic programs are welcome here.
    plan.program = "/bin/pwd".into();
    plan.args = vec!["-P".to_owned()];
    let ran = run(&plan, &[]).map_err(|error| error.to_string())?;
    let directory = plan.directory.canonicalize().unwrap();
    check(Path::new(ran.out.trim()) == directory, format!("{} {}", ran.out, ran.err))?;
    // A pid namespace's absence is nobody's fault here.
    let wanted = [Wall::PidNamespace, Wall::Seccomp];
    check(!wanted.iter().any(|wall| ran.walls.contains(wall)), format!("{:?}", ran.walls))?;
    drop(start_without(&plan, &[]));
    no_child_is_left()
}

fn by_itself(code: i32) -> JailExit {
    JailExit { code: Some(code), signal: None }
}

fn by(signal: Signal) -> JailExit {
    JailExit { code: None, signal: Some(signal as i32) }
}

/// What the child says before it ends.
fn in_a_child(act: impl FnOnce(&mut File)) -> String {
    let (read, write) = pipe().unwrap();
    // SAFETY: this process has one thread.
    match unsafe { fork().unwrap() } {
        ForkResult::Child => {
            drop(read);
            act(&mut File::from(write));
            // SAFETY: nothing of the parent's is run or flushed.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(write);
            let mut told = String::new();
            File::from(read).read_to_string(&mut told).unwrap();
            waitpid(child, None).unwrap();
            told
        }
    }
}

fn ignore(signal: Signal) -> libc::sighandler_t {
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(signal as i32, libc::SIG_IGN) }
}

fn restore(signal: Signal, was: libc::sighandler_t) {
    // SAFETY: what was there before.
    unsafe { libc::signal(signal as i32, was) };
}

/// Nobody has the other end.
fn is_over(out: &mut File) -> Outcome {
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).map(drop).map_err(|error| error.to_string())
}

fn no_child_is_left() -> Outcome {
    let left = waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    check(left == Err(nix::errno::Errno::ECHILD), format!("a child is left: {left:?}"))
}

fn n_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The folders of its control groups, in whichever hierarchy.
fn groups(plan: &Plan) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name() == plan.group.as_str() {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|it| it.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    found
}
