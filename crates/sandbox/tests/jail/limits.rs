//! Limits: that they hold, and that it is told when they were reached.
//!
//! Owns: what is tried against each. Never: measures time; a share of a processor is what the program had
//! of it, and other load only makes it smaller.

use nex_sandbox::jail::{Plan, Wall};

use crate::Test;
use crate::bench::{Bench, Outcome, Ran, check, run, start_and_hear};

pub(crate) const TESTS: &[Test] = &[
    ("a program that used up its processes is told so", out_of_processes),
    ("a program that used up its memory is told so", out_of_memory),
    ("a program has no more of the processor than it may", share_of_processor),
    ("what is written to /tmp and /dev/shm has one bound", bound_of_tmp),
    ("a program has no more open files than it may", open_files),
    ("what a box uses is counted", usage),
];

fn out_of_processes(bench: &Bench) -> Outcome {
    let mut plan = bench.plan(&harmful("fork-bomb"));
    plan.limits.pids = Some(32);
    let ran = ran(&plan)?;
    check(ran.exit.code == Some(1), format!("{:?}", ran.exit))?;
    if lacks(&ran, Wall::PidsLimit) {
        return Ok(());
    }
    check(ran.usage.out_of_pids && !ran.usage.out_of_memory, format!("{:?}", ran.usage))
}

fn out_of_memory(bench: &Bench) -> Outcome {
    let mut plan = bench.plan(&harmful("memory-bomb"));
    plan.limits.memory = Some(64 << 20);
    let ran = ran(&plan)?;
    if lacks(&ran, Wall::MemoryLimit) {
        // By the limit of each process: it is told by the allocation, not by the kernel.
        return check(ran.exit.code == Some(1), format!("{:?}", ran.exit));
    }
    let told = (ran.exit.signal, ran.usage.out_of_memory, ran.usage.out_of_pids);
    check(told == (Some(9), true, false), format!("{told:?}"))?;
    let peak = ran.usage.memory_peak.unwrap_or_default();
    check((32 << 20..=64 << 20).contains(&peak), format!("the most was {peak}"))
}

fn share_of_processor(bench: &Bench) -> Outcome {
    let mut plan = bench.plan(&["burn"]);
    plan.limits.cpu_millis = Some(200);
    let ran = ran(&plan)?;
    if lacks(&ran, Wall::CpuLimit) {
        println!("  skipped: no group bounds the processor here");
        return Ok(());
    }
    let share: u64 = ran.out.trim().parse().map_err(|_| format!("{:?} {}", ran.out, ran.err))?;
    check(share < 600, format!("it had {share} thousandths, and should have 200"))
}

fn bound_of_tmp(bench: &Bench) -> Outcome {
    for (bound, megabytes, fits) in [(8, "7", true), (8, "9", false), (16, "9", true)] {
        for folder in ["/tmp", "/home", "/dev/shm"] {
            let mut plan = bench.plan(&["fill", &format!("{folder}/file"), megabytes]);
            plan.limits.tmp = Some(bound << 20);
            let ran = ran(&plan)?;
            let what = format!("{megabytes} of {bound} MB in {folder}: {}", ran.err);
            check((ran.exit.code == Some(0)) == fits, what)?;
        }
    }
    Ok(())
}

fn open_files(bench: &Bench) -> Outcome {
    for (most, fits) in [(Some(20), false), (None, true)] {
        let mut plan = bench.plan(&["open-files", "30"]);
        plan.limits.files = most;
        let ran = ran(&plan)?;
        check((ran.exit.code == Some(0)) == fits, format!("{most:?}: {}", ran.err))?;
    }
    Ok(())
}

fn usage(bench: &Bench) -> Outcome {
    let (jail, _out, _) = start_and_hear(&bench.plan(&["wait"]), &[]);
    let usage = jail.usage();
    let is_counted = jail.walls().contains(&Wall::PidsLimit);
    jail.close().unwrap();
    // The box's first process and the program; where no group counts, `/proc` does, in hundredths of a second.
    let is_told = usage.pids == Some(2) && usage.memory > Some(0) && usage.cpu_micros.is_some();
    check(is_told, format!("{usage:?}"))?;
    check(usage.cpu_micros > Some(0) || !is_counted, format!("{usage:?}"))
}

fn ran(plan: &Plan) -> Result<Ran, String> {
    run(plan, &[]).map_err(|error| error.to_string())
}

/// Whether this host could not build it.
fn lacks(ran: &Ran, wall: Wall) -> bool {
    !ran.walls.contains(&wall)
}

fn harmful(word: &str) -> Vec<String> {
    let [mounts, pids] = Bench::namespaces();
    vec![word.to_owned(), mounts, pids]
}
