//! What is tried from inside a box.
//!
//! Owns: each attempt with the walls that refuse it. Never: says how to attack; that is in `attacker.rs`.

use nex_sandbox::jail::{Isolation, Plan, UID_BASE, Wall};

use crate::Test;
use crate::bench::{Bench, Outcome, Ran, check, run};

pub(crate) const TESTS: &[Test] = &[
    ("each attack is refused, and each of its walls refuses it alone", every_attack),
    ("what no wall can be taken from is refused", refused_anyway),
    ("an honest program finds what it needs", an_honest_program),
    ("the environment is what was given", the_environment),
    ("a strict box reaches its listener and nothing else", strict),
];

/// An attempt, and the walls that refuse it; without all of them it works.
struct Attack {
    name: &'static str,
    words: fn(&Bench) -> Vec<String>,
    /// For a box that root makes; `None`: root's boxes cannot try it.
    of_root: Option<&'static [Wall]>,
    /// For a box that an ordinary user makes.
    of_user: Option<&'static [Wall]>,
    ask: fn(&mut Plan),
    /// Some kernels lack it, or keep it for root, so that it fails without walls too.
    may_lack: bool,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "read a file of the host that everybody may read",
        words: |bench| words(&["read", &bench.path("outside")]),
        ..both(&[Wall::MountNamespace, Wall::Landlock])
    },
    Attack {
        name: "read the passwords",
        words: |_| words(&["read", "/etc/shadow"]),
        ..root(&[Wall::MountNamespace, Wall::Landlock, Wall::OwnUid])
    },
    Attack {
        name: "list root's home",
        words: |_| words(&["list", "/root"]),
        ..root(&[Wall::MountNamespace, Wall::Landlock, Wall::OwnUid])
    },
    Attack {
        name: "list the host's devices in /sys",
        words: |_| words(&["list", "/sys/class"]),
        ..both(&[Wall::MountNamespace, Wall::Landlock])
    },
    Attack {
        name: "open a setting of the kernel for writing",
        words: |_| words(&["open-for-writing", "/proc/sys/kernel/hostname"]),
        ..root(&[Wall::MountNamespace, Wall::Landlock, Wall::OwnUid])
    },
    Attack {
        name: "open a device of the host",
        words: |_| words(&["open-for-writing", "/dev/kmsg"]),
        ..root(&[Wall::MountNamespace, Wall::Landlock, Wall::OwnUid])
    },
    Attack {
        name: "see a process of the host",
        words: |_| words(&["see-process", &std::process::id().to_string()]),
        ..both(&[Wall::PidNamespace])
    },
    Attack {
        name: "signal a process of the host",
        words: |_| words(&["signal-process", &std::process::id().to_string()]),
        of_root: Some(&[Wall::PidNamespace, Wall::Landlock, Wall::OwnUid]),
        ..both(&[Wall::PidNamespace, Wall::Landlock])
    },
    Attack { name: "be traced", words: |_| words(&["be-traced"]), ..both(&[Wall::Seccomp]) },
    Attack {
        name: "read memory by process id",
        words: |_| words(&["read-memory"]),
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "mount",
        words: |_| harmful("mount"),
        ..root(&[
            Wall::Seccomp,
            Wall::Landlock,
            Wall::NoNewPrivileges,
            Wall::UserNamespace,
            Wall::OwnUid,
        ])
    },
    Attack {
        name: "mount in a user namespace of its own",
        words: |_| harmful("unshare-and-mount"),
        ..both(&[Wall::Seccomp, Wall::Landlock])
    },
    Attack {
        name: "make a user namespace by unshare",
        words: |_| words(&["unshare-user"]),
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "make a user namespace by clone",
        words: |_| words(&["clone-user"]),
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "make a user namespace by clone3",
        words: |_| words(&["clone3-user"]),
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "use a key ring",
        words: |_| words(&["keyctl"]),
        may_lack: true,
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "use io_uring",
        words: |_| words(&["io-uring"]),
        may_lack: true,
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "use bpf",
        words: |_| words(&["bpf"]),
        of_root: Some(&[Wall::Seccomp, Wall::NoNewPrivileges, Wall::UserNamespace, Wall::OwnUid]),
        may_lack: true,
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "catch page faults",
        words: |_| words(&["userfaultfd"]),
        may_lack: true,
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "open a vsock",
        words: |_| words(&["vsock"]),
        may_lack: true,
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "speak to netfilter",
        words: |_| words(&["netfilter-socket"]),
        may_lack: true,
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "have addresses in one place",
        words: |_| words(&["personality"]),
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "execute what it wrote",
        words: |_| words(&["execute-from", "/tmp"]),
        ..both(&[Wall::Landlock])
    },
    Attack {
        name: "connect to an abstract socket of the host",
        words: |bench| words(&["abstract-socket", &bench.socket_name]),
        ..both(&[Wall::Landlock])
    },
    Attack {
        name: "listen on a port that was not asked for",
        words: |bench| words(&["bind", &bench.free_port().to_string()]),
        ask: |plan| plan.ports = Some(vec![1]),
        ..both(&[Wall::Ports])
    },
    Attack {
        name: "listen on any port",
        words: |_| words(&["bind", "0"]),
        ask: |plan| plan.ports = Some(vec![0, 1]),
        ..both(&[Wall::Ports])
    },
    Attack {
        name: "listen by multipath TCP, which landlock does not bound",
        words: |_| words(&["bind-multipath"]),
        may_lack: true,
        ask: |plan| plan.ports = Some(vec![1]),
        ..both(&[Wall::Seccomp])
    },
    Attack {
        name: "connect to the host from a strict box",
        words: |bench| words(&["connect", &bench.port().to_string()]),
        ask: |plan| plan.isolation = Isolation::Strict,
        ..both(&[Wall::NetworkNamespace])
    },
    Attack {
        name: "become root",
        words: |_| words(&["setuid-0"]),
        ..root(&[Wall::UserNamespace, Wall::OwnUid])
    },
    Attack {
        name: "make a device",
        words: |_| words(&["mknod"]),
        ..root(&[
            Wall::Seccomp,
            Wall::Landlock,
            Wall::NoNewPrivileges,
            Wall::UserNamespace,
            Wall::OwnUid,
        ])
    },
    Attack {
        name: "have more processes than it may",
        words: |_| harmful("fork-bomb"),
        ask: |plan| plan.limits.pids = Some(32),
        ..both(&[Wall::PidsLimit])
    },
    Attack {
        name: "have more memory than it may",
        words: |_| harmful("memory-bomb"),
        ask: |plan| plan.limits.memory = Some(64 << 20),
        ..both(&[Wall::MemoryLimit])
    },
];

const fn both(walls: &'static [Wall]) -> Attack {
    Attack { of_user: Some(walls), ..root(walls) }
}

/// One that means something only where root makes the box.
const fn root(walls: &'static [Wall]) -> Attack {
    Attack {
        name: "",
        words: |_| Vec::new(),
        of_root: Some(walls),
        of_user: None,
        ask: |_| (),
        may_lack: false,
    }
}

fn every_attack(bench: &Bench) -> Outcome {
    let mut failures = Vec::new();
    for attack in ATTACKS {
        let walls = if bench.is_root { attack.of_root } else { attack.of_user };
        let Some(walls) = walls else { continue };
        match tried(bench, attack, walls) {
            Ok(None) => println!("  cannot {}", attack.name),
            Ok(Some(why)) => println!("  skipped: {}: {why}", attack.name),
            Err(what) => failures.push(format!("{}: {what}", attack.name)),
        }
    }
    check(failures.is_empty(), failures.join("\n"))
}

/// Says why when the machine refuses it without walls too.
fn tried(bench: &Bench, attack: &Attack, walls: &[Wall]) -> Result<Option<String>, String> {
    let ran = attempt(bench, attack, &[])?;
    check(ran.exit.code != Some(0), "it worked in the whole box")?;
    for kept in walls {
        let others: Vec<Wall> = walls.iter().copied().filter(|wall| wall != kept).collect();
        let ran = attempt(bench, attack, &others)?;
        check(ran.exit.code != Some(0), format!("{kept:?} alone did not refuse it"))?;
    }
    let ran = attempt(bench, attack, walls)?;
    check(!ran.out.contains("unsafe"), "it was tried where it could do harm")?;
    if ran.exit.code == Some(0) {
        return Ok(None);
    }
    if attack.may_lack {
        return Ok(Some(format!("refused without walls too: {}", ran.err.trim())));
    }
    Err(format!("it is refused without {walls:?} too: {:?} {}", ran.exit, ran.err))
}

fn attempt(bench: &Bench, attack: &Attack, without: &[Wall]) -> Result<Ran, String> {
    let mut plan = bench.plan(&(attack.words)(bench));
    (attack.ask)(&mut plan);
    run(&plan, without).map_err(|error| format!("without {without:?}: {error}"))
}

fn refused_anyway(bench: &Bench) -> Outcome {
    let own_program = "/app/attacker";
    for attempt in [
        &["create", "/new"][..],
        &["create", "/etc/new"],
        &["create", "/srv/shown"],
        &["open-for-writing", own_program],
        &["open-for-writing", "/etc/hosts"],
        &["setuid-0"],
        &["packet-socket"],
        &["read", "/proc/kcore"],
        &["list", "/proc/sys"],
        &["list", "/sys"],
        &["open-for-writing", "/proc/sysrq-trigger"],
        &["execute-from", "/home"],
        &["execute-from", "/dev/shm"],
        &["fill", "/tmp/file", "9"],
        &["fill", "/dev/shm/file", "9"],
    ] {
        let ran = run(&bench.plan(attempt), &[]).map_err(|error| error.to_string())?;
        check(ran.exit.code == Some(1), format!("{attempt:?}: {:?}", ran.exit))?;
    }
    Ok(())
}

fn an_honest_program(bench: &Bench) -> Outcome {
    let port = bench.free_port();
    let folder = bench.own_folder("credentials");
    std::fs::write(folder.join("nats.creds"), "secret").unwrap();
    let mut plan = bench.plan(&["honest", &port.to_string(), "/run/nex/nats.creds"]);
    plan.name = "honest".to_owned();
    plan.ports = Some(vec![port]);
    plan.credentials = Some(folder.clone());
    if bench.is_root {
        // Closed to everybody but the node, as the store of artifacts is.
        let store = bench.own_folder("store");
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&store, closed).unwrap();
        plan.program = store.join("program");
        std::fs::hard_link(&bench.attacker, &plan.program).unwrap();
    }
    let ran = run(&plan, &[]).map_err(|error| error.to_string())?;
    check(ran.exit.code == Some(0), ran.err)?;
    if bench.is_root {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(folder.join("nats.creds")).unwrap();
        let owned = (file.uid(), file.mode() & 0o777);
        check(owned == (UID_BASE + 77, 0o400), format!("credentials are {owned:?}"))?;
    }
    Ok(())
}

fn the_environment(bench: &Bench) -> Outcome {
    let ran = run(&bench.plan(&["environment"]), &[]).map_err(|error| error.to_string())?;
    check(ran.out == "ONE=1\n", format!("{:?}", ran.out))
}

fn strict(bench: &Bench) -> Outcome {
    use std::io::{Read, Write};
    let mut plan = bench.plan(&["relay"]);
    plan.isolation = Isolation::Strict;
    let mut jail = nex_sandbox::jail::start(&plan).map_err(|error| error.to_string())?;
    let listener = jail.take_listener().ok_or("no listener was handed out")?;
    let (mut stream, _) = std::net::TcpListener::from(listener).accept().unwrap();
    let mut asked = [0; 4];
    stream.read_exact(&mut asked).unwrap();
    stream.write_all(b"PONG").unwrap();
    let exit = jail.reap().unwrap();
    jail.close().unwrap();
    check(&asked == b"PING" && exit.code == Some(0), format!("{asked:?} {exit:?}"))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&it| it.to_owned()).collect()
}

/// Refuses to do anything in the namespaces of this test.
fn harmful(word: &str) -> Vec<String> {
    let [mounts, pids] = Bench::namespaces();
    words(&[word, &mounts, &pids])
}
