//! Finds a `nats-server` that is new enough.
//!
//! Owns: where to look, in which order, and what is passed over. Never: installs one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nex_sandbox::Program;
use tokio::io::AsyncReadExt;

/// Schedules, per-key TTL and what else Nex builds on; older servers are passed over.
pub const MINIMUM_VERSION: (u32, u32) = (2, 12);

/// A usable binary, and those that were passed over on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The binary.
    pub path: PathBuf,
    /// Its version, as it prints it.
    pub version: String,
    /// One line for each older one.
    pub passed_over: Vec<String>,
}

/// No usable binary.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BinaryError {
    #[error("{path} is not a nats-server")]
    Named { path: PathBuf },
    #[error("no nats-server of version 2.12 or newer was found{}", passed(.passed_over))]
    None { passed_over: Vec<String> },
}

/// Looks at `named` alone when it is given, else through `path` (as the variable PATH has it), then in
/// `own_directory`.
///
/// # Errors
/// When the named one does not run, or none is new enough.
pub async fn find(
    named: Option<&Path>,
    path: Option<&OsStr>,
    own_directory: &Path,
) -> Result<Found, BinaryError> {
    if let Some(named) = named {
        let version = version_of(named).await;
        let refused = || BinaryError::Named { path: named.to_owned() };
        let version = version.ok_or_else(refused)?;
        return Ok(Found { path: named.to_owned(), version, passed_over: Vec::new() });
    }
    let mut passed_over = Vec::new();
    let directories = path.map(std::env::split_paths).into_iter().flatten();
    for directory in directories.chain([own_directory.to_owned()]) {
        let candidate = directory.join("nats-server");
        let Some(version) = version_of(&candidate).await else { continue };
        if is_new_enough(&version) {
            return Ok(Found { path: candidate, version, passed_over });
        }
        passed_over.push(format!("{} is {version}, older than 2.12", candidate.display()));
    }
    Err(BinaryError::None { passed_over })
}

fn passed(passed_over: &[String]) -> String {
    passed_over.iter().map(|line| format!("; {line}")).collect()
}

/// `nats-server: v2.15.1` becomes `2.15.1`.
async fn version_of(path: &Path) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    let program = Program { args: vec!["--version".to_owned()], ..Program::new(path) };
    let mut child = program.spawn().ok()?;
    let mut output = String::new();
    let read = async {
        child.stdout.take()?.take(4096).read_to_string(&mut output).await.ok()?;
        child.wait().await.ok()
    };
    tokio::time::timeout(Duration::from_secs(5), read).await.ok()??;
    let (_, version) = output.trim().rsplit_once('v')?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// Whether a server of this version is one that Nex is made for.
#[must_use]
pub fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    (major, minor) >= MINIMUM_VERSION
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fake(directory: &Path, version: &str) {
        let path = directory.join("nats-server");
        std::fs::write(&path, format!("#!/bin/sh\necho nats-server: v{version}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn an_older_one_on_the_path_is_passed_over_with_one_line() {
        let (old, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fake(old.path(), "2.9.10");
        let path = old.path().as_os_str();
        let error = find(None, Some(path), own.path()).await.unwrap_err().to_string();
        assert!(error.contains("2.9.10, older than 2.12"), "{error}");
        fake(own.path(), "2.15.1");
        let found = find(None, Some(path), own.path()).await.unwrap();
        assert_eq!((found.version.as_str(), found.passed_over.len()), ("2.15.1", 1));
    }

    #[tokio::test]
    async fn a_named_one_must_be_a_server() {
        let own = tempfile::tempdir().unwrap();
        assert!(find(Some(Path::new("/bin/true")), None, own.path()).await.is_err());
    }
}
