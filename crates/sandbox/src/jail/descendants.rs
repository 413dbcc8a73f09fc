//! Who descends from this process.
//!
//! Owns: walking `/proc`. Never: signals anybody.

use std::collections::BTreeSet;
use std::fs;

use crate::identity::Stat;

/// All of them, zombies too. The caller adopts those that lose their parents, so that none is missed for
/// longer than it takes to look again.
pub(super) fn of_caller() -> Vec<i32> {
    let parents: Vec<(i32, i32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::read(pid)?.parent)))
        .collect();
    let mut tree = BTreeSet::from([std::process::id().cast_signed()]);
    loop {
        let before = tree.len();
        tree.extend(
            parents
                .iter()
                .filter(|(_, it)| tree.contains(it))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if tree.len() == before {
            break;
        }
    }
    tree.remove(&std::process::id().cast_signed());
    tree.into_iter().collect()
}
