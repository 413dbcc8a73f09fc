//! The memory that Nex adds for each service.
//!
//! Owns: reading shares of memory, and the growth by many services. Never: counts a program's own.

use std::fs;

use nex_testkit::{Entry, Nex};

use super::super::table::Row;
use super::crowd::{self, SHIM};
use super::{Bench, progress};

/// Shim and the box's first process.
const TARGET_MB: f64 = 0.5;

/// With many services, the share of each in what runs beside and around it.
pub(super) async fn of_services(bench: &Bench<'_>, nex: &Nex) -> anyhow::Result<Vec<Row>> {
    let n = bench.amounts.n_for_memory;
    progress(&format!("memory of {n} services"));
    let before = Shares::read(nex);
    let ids = crowd::start(bench, n, "memory").await?;
    let after = Shares::read(nex);
    crowd::stop(bench, nex, &ids).await?;
    let each = |bytes: f64| bytes / n as f64 / 1e6;
    let beside = each(after.shims - before.shims);
    let in_all = beside + each(after.nexlet - before.nexlet) + each(after.node - before.node);
    Ok(vec![
        Row::new(&format!("shim and init of each of {n}, MB PSS"), vec![beside]).below(TARGET_MB),
        Row::new("the same with what node and nexlets grew by, MB PSS", vec![in_all])
            .below(TARGET_MB),
    ])
}

/// Bytes, each page divided by the number of processes that have it.
struct Shares {
    shims: f64,
    nexlet: f64,
    node: f64,
}

impl Shares {
    fn read(nex: &Nex) -> Self {
        let processes = nex.processes();
        let sum = |is_meant: &dyn Fn(&Entry) -> bool| {
            processes.iter().filter(|entry| is_meant(entry)).map(|entry| share(entry.pid)).sum()
        };
        let node = nex.id();
        Self {
            // The init of a box is forked from its shim, and has its command line.
            shims: sum(&|entry| entry.command.contains(SHIM)),
            nexlet: sum(&|entry| entry.command.contains("nexlet native")),
            node: sum(&|entry| entry.pid == node),
        }
    }
}

/// 0 when it has ended meanwhile.
fn share(pid: i32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1024.0
}
