//! One file per command: its arguments, what it does, its tests.

pub(crate) mod buckets;
pub(crate) mod call;
pub(crate) mod clone;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod lameduck;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod nexlet;
mod nexlet_check;
pub(crate) mod node;
pub(crate) mod nodes;
pub(crate) mod run;
pub(crate) mod scale;
mod served;
pub(crate) mod stop;
pub(crate) mod up;
mod upgrade;
pub(crate) mod version;
pub(crate) mod workload;
