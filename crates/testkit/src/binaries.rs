//! Where the programs are that tests start: nats-server, `nex`, the examples.
//!
//! Owns: the order in which places are looked at. Never: installs or builds anything; `cargo xtask` does.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// The oldest nats-server that Nex is tested with, as major and minor version.
pub const OLDEST_NATS_SERVER: (u32, u32) = (2, 12);

/// The root of the workspace: of the one that cargo runs us in, else of the one that this was built in.
#[must_use]
pub fn root() -> PathBuf {
    let at_run_time = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let folders = at_run_time.into_iter().chain([PathBuf::from(env!("CARGO_MANIFEST_DIR"))]);
    let mut roots = folders.filter_map(|folder| {
        let root = folder.ancestors().find(|folder| folder.join("crates/testkit").is_dir());
        root.map(Path::to_owned)
    });
    roots.next().expect("the workspace that this was built in is still there")
}

/// The absolute path of a file in `examples/`, as text for a command line.
#[must_use]
pub fn example(file: &str) -> String {
    root().join("examples").join(file).display().to_string()
}

/// The `nex` binary under test: `NEX_BIN`, else the release build.
///
/// # Errors
/// When there is none, with the command that makes one.
pub fn nex_binary() -> Result<PathBuf, Failure> {
    built("NEX_BIN", "target/release/nex")
}

/// The static echo service of the examples: `NEX_ECHO_SERVICE`, else where `cargo xtask test` builds it.
///
/// # Errors
/// When there is none, with the command that makes one.
pub fn echo_service() -> Result<PathBuf, Failure> {
    built("NEX_ECHO_SERVICE", "target/examples/echo-service")
}

/// The static job of the examples that counts words, which is built beside the echo service.
///
/// # Errors
/// When there is none, with the command that makes one.
pub fn word_count() -> Result<PathBuf, Failure> {
    let program = echo_service()?.with_file_name("word-count");
    if program.is_file() {
        return Ok(program);
    }
    let path = program.display();
    Err(Failure::new(format!("{path} is not there; `cargo xtask test` builds it")))
}

/// The nexlet of the examples: `NEX_TICKER_NEXLET`, else where `cargo xtask test` builds it.
///
/// # Errors
/// When there is none, with the command that makes one.
pub fn ticker_nexlet() -> Result<PathBuf, Failure> {
    built("NEX_TICKER_NEXLET", "target/release/examples/ticker-nexlet")
}

/// A Python interpreter itself, not a shell script that looks for one; none on a machine without Python.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let say = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3").args(say).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

/// A nats-server that is new enough: `NEX_NATS_SERVER`, then PATH, then the project's own folder.
/// Each that is too old is passed over, and told to `passed_over` in one sentence.
///
/// # Errors
/// When none is found.
pub fn find_nats_server(mut passed_over: impl FnMut(&str)) -> Result<PathBuf, Failure> {
    let given = std::env::var_os("NEX_NATS_SERVER").filter(|path| !path.is_empty());
    if let Some(path) = given.map(PathBuf::from) {
        nats_server_version(&path)?;
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    for candidate in on_path.chain([root().join(".nex/bin/nats-server")]) {
        if !candidate.is_file() {
            continue;
        }
        match nats_server_version(&candidate) {
            Ok((major, minor)) if (major, minor) >= OLDEST_NATS_SERVER => return Ok(candidate),
            Ok((major, minor)) => passed_over(&format!(
                "{} is version {major}.{minor}, older than {}.{}: passed over",
                candidate.display(),
                OLDEST_NATS_SERVER.0,
                OLDEST_NATS_SERVER.1,
            )),
            Err(failure) => passed_over(&format!("{failure}: passed over")),
        }
    }
    Err(Failure::new("no nats-server found; run `cargo xtask test` once, which installs one"))
}

/// Asks a nats-server binary for its major and minor version.
///
/// # Errors
/// When it cannot be run or says something else.
pub fn nats_server_version(binary: &Path) -> Result<(u32, u32), Failure> {
    let output = Command::new(binary).arg("--version").output().map_err(|error| {
        Failure::new(format!("cannot run the nats-server {}: {error}", binary.display()))
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse_version(&text).ok_or_else(|| {
        Failure::new(format!("{} does not look like a nats-server: {text:?}", binary.display()))
    })
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let numbers = text.trim().rsplit_once('v')?.1;
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn built(variable: &str, below_root: &str) -> Result<PathBuf, Failure> {
    let path = match std::env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => root().join(below_root),
    };
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(Failure::new(format!(
        "{path} is not there; `cargo xtask test` builds it ({variable} names another)"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_server_s_own_words() {
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.9.10"), Some((2, 9)));
        assert_eq!(parse_version("nats-server version unknown"), None);
    }

    #[test]
    fn a_missing_build_names_the_command_that_makes_it() {
        let failure = built("NEX_NO_SUCH_VARIABLE", "no/such/file").unwrap_err();
        assert!(failure.to_string().contains("cargo xtask test"), "{failure}");
    }
}
