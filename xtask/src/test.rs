//! `cargo xtask test`: every check and every test, in the order in which failures are cheapest.
//!
//! Owns: the list of steps, their summary and the final count. Never: stops at the first failure, so that one run
//! tells all there is to mend, or hides a test that passes only at the second time: the summary names it.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::{builds, nats_server, tidy};

/// A few tests that fail may be the machine's fault, and are run once more, alone; many are the code's.
const MOST_RERUN: usize = 3;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    /// Names of the failed tests, as `cargo test` takes them.
    names: Vec<String>,
    /// Those that passed when they were run once more.
    flaky: Vec<String>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    error: Option<String>,
}

/// Runs the steps; the last line printed is `N passed, N failed`, the sums over all tests.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let mut tally = Tally::default();
    let mut steps = Vec::new();
    let mut step = |name: &'static str, work: &mut dyn FnMut() -> anyhow::Result<()>| {
        println!("\n==> {name}");
        let start = Instant::now();
        let error = work().err().map(|error| format!("{error:#}"));
        if let Some(error) = &error {
            eprintln!("{name}: {error}");
        }
        steps.push(Step { name, took: start.elapsed(), error });
    };
    let mut programs = Vec::new();

    step("format", &mut || format(root));
    step("clippy", &mut || clippy(root));
    step("tidy", &mut || match tidy::report(root)? {
        0 => Ok(()),
        n_violations => bail!("{n_violations} violations"),
    });
    step("nats-server", &mut || {
        programs.push(("NEX_NATS_SERVER", nats_server::ensure(root)?));
        Ok(())
    });
    step("build nex and the tests", &mut || {
        // One build for both: with the tests' features in, dependencies would else be compiled a second time.
        succeed(builds::cargo(root).args(["test", "--workspace", "--release", "--no-run"]))?;
        programs.push(("NEX_BIN", builds::nex_path(root)));
        Ok(())
    });
    step("build the echo service", &mut || {
        programs.push(("NEX_ECHO_SERVICE", builds::echo_service(root)?));
        Ok(())
    });
    let tests = ["--lib", "--bins", "--tests"];
    step("tests", &mut || run_tests(root, &tests, &programs, &mut tally));
    step("doc tests", &mut || run_tests(root, &["--doc"], &programs, &mut tally));

    let failed = summarise(&steps);
    for name in &tally.flaky {
        println!("  flaky: {name} failed once and passed alone; look into it");
    }
    for name in &tally.names {
        println!("  failed: {name}");
    }
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    Ok(if failed || tally.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn format(root: &Path) -> anyhow::Result<()> {
    succeed(builds::cargo(root).args(["fmt", "--all", "--check"]))?;
    let echo_service = "examples/echo-service/Cargo.toml";
    succeed(builds::cargo(root).args(["fmt", "--check", "--manifest-path", echo_service]))
}

fn clippy(root: &Path) -> anyhow::Result<()> {
    let mut clippy = builds::cargo(root);
    clippy.args(["clippy", "--workspace", "--all-targets", "--release", "--", "-D", "warnings"]);
    succeed(&mut clippy)
}

fn run_tests(
    root: &Path,
    what: &[&str],
    programs: &[(&str, std::path::PathBuf)],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut tests = builds::cargo(root);
    tests.args(["test", "--workspace", "--release", "--no-fail-fast"]).args(what);
    tests.envs(programs.iter().map(|(name, path)| (name, path))).stdout(Stdio::piped());
    if std::io::stdout().is_terminal() {
        tests.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = tests.spawn().context("cannot run cargo test")?;
    let stdout = BufReader::new(child.stdout.take().expect("stdout was piped"));
    for line in stdout.split(b'\n') {
        let line = line.context("cannot read what cargo test prints")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.add(&line);
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    if tally.failed == tally.names.len() as u64 && (1..=MOST_RERUN).contains(&tally.names.len()) {
        return rerun(root, programs, tally);
    }
    bail!("cargo test ended with {status}");
}

/// Runs the failed tests once more, each alone, and counts those that pass as passed and flaky.
fn rerun(
    root: &Path,
    programs: &[(&str, std::path::PathBuf)],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    for name in std::mem::take(&mut tally.names) {
        println!("\n==> once more, alone: {name}");
        let mut test = builds::cargo(root);
        test.args(["test", "--workspace", "--release", "--lib", "--bins", "--tests", "--"]);
        test.args(["--exact", &name]).envs(programs.iter().map(|(name, path)| (name, path)));
        if test.status().context("cannot run cargo test")?.success() {
            (tally.passed, tally.failed) = (tally.passed + 1, tally.failed - 1);
            tally.flaky.push(name);
        } else {
            tally.names.push(name);
        }
    }
    if !tally.names.is_empty() {
        bail!("{} tests failed twice", tally.names.len());
    }
    Ok(())
}

impl Tally {
    /// Counts a line like `test result: ok. 12 passed; 1 failed; …`, which may be coloured.
    fn add(&mut self, line: &str) {
        if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.names.push(name.to_owned());
        }
        if !line.starts_with("test result: ") {
            return;
        }
        let before = |word: &str| {
            let number = line.split(word).next()?.split_whitespace().next_back()?;
            number.parse::<u64>().ok()
        };
        self.passed += before(" passed;").unwrap_or(0);
        self.failed += before(" failed;").unwrap_or(0);
    }
}

/// Prints the table; true when a step failed.
fn summarise(steps: &[Step]) -> bool {
    println!("\n==> summary");
    for step in steps {
        let seconds = step.took.as_secs_f64();
        let verdict = step.error.as_deref().unwrap_or("ok");
        println!("  {:<24} {seconds:>7.1} s  {verdict}", step.name);
    }
    // The table must stand before whatever a caller prints next to another stream.
    let _flushed = std::io::stdout().flush();
    steps.iter().any(|step| step.error.is_some())
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed_with_and_without_colour() {
        let mut tally = Tally::default();
        tally.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        tally.add("test result: \u{1b}[31mFAILED\u{1b}[m. 3 passed; 2 failed; 0 ignored");
        tally.add("99 passed; 99 failed; says a test's own output");
        tally.add("test outage::a_server_comes_back ... FAILED");
        tally.add("test outage::another ... ok");
        assert_eq!((tally.passed, tally.failed), (15, 2));
        assert_eq!(tally.names, ["outage::a_server_comes_back"]);
    }
}
