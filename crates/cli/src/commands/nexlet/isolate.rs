//! What a function nexlet does before it has a second thread: files, helper, walls.
//!
//! Owns: the order, in which nothing is left to do that the walls refuse. Never: loads a guest.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nex_nexlet::SealKey;
use nex_nexlet::variables::Launch;
use nex_runtime::compiler::Compiler;
use nex_sandbox::Lockdown;

use super::{NexletArgs, compiler};
use crate::error::CliError;

/// What stands when the walls do.
#[derive(Debug)]
pub(super) struct Isolated {
    pub(super) key: SealKey,
    pub(super) compiler: Arc<Compiler>,
    /// Bytes that all guests may have together.
    pub(super) max_memory: u64,
}

pub(super) fn isolate(args: &NexletArgs) -> Result<Isolated, CliError> {
    let (compiled, inputs, artifacts) = (args.compiled(), args.inputs(), args.artifacts());
    for folder in [&args.directory, &compiled, &inputs, &artifacts] {
        make(folder)?;
    }
    let key = SealKey::load_or_create(&args.directory.join("xkey.seed"))
        .map_err(|error| CliError::chain(&error))?;
    // It starts programs, so it is started before this process no longer may.
    let compiler = compiler::start(inputs.clone(), compiled.clone())?;
    let mut read = vec![args.directory.clone()];
    read.extend(args.allow_files.iter().cloned());
    read.extend(tls_files());
    // The code cache is not among what it writes: that is the helper's.
    let walls = Lockdown { read, write: vec![artifacts, inputs], network: true };
    let walls = walls.apply().map_err(|error| {
        CliError::chain(&error).hint("functions run behind these walls only; see: nex doctor")
    })?;
    if walls.landlock == nex_sandbox::Landlock::Full {
        tracing::info!(%walls, "locked down");
    } else {
        tracing::warn!(%walls, "locked down as far as this kernel can");
    }
    let max_memory = args.functions_memory.unwrap_or_else(|| ram() / 2);
    Ok(Isolated { key, compiler: Arc::new(compiler), max_memory })
}

/// Bytes of memory that this process may have: the machine's, or less where its group has less.
fn ram() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim();
        let kilobytes: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    });
    // Within a container these are the container's; elsewhere they are missing or without a bound.
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|path| read(path)?.trim().parse::<u64>().ok());
    machine.into_iter().chain(group).min().unwrap_or(u64::MAX)
}

fn make(folder: &Path) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| CliError::other(format!("cannot make {}: {error}", folder.display())))
}

/// Of the connection that the node told it; connections of workloads name the same.
fn tls_files() -> Vec<PathBuf> {
    let Ok(Launch::Local(options)) = Launch::from_variables(std::env::vars_os()) else {
        return Vec::new();
    };
    let connection = options.connection;
    [connection.tls_ca, connection.tls_cert, connection.tls_key]
        .into_iter()
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect()
}
