//! What is in the archive: the program, and what somebody needs who has nothing else.
//!
//! Owns: the list, and the place of each. Never: reads what is not committed, but for the program itself.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::archive::Entry;
use super::program::Program;
use super::unit;

/// Files of the repository, and what they are called in the archive.
const FILES: [(&str, &str); 5] = [
    ("LICENSE", "LICENSE"),
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("examples/echo.js", "examples/echo.js"),
    (UNIT, "nex.service"),
];
const UNIT: &str = "docs/nex.service";

/// Where shells look for each, below the folder that is made for them.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "completions/nex.bash"),
    ("fish", "completions/nex.fish"),
    ("zsh", "completions/_nex"),
];

/// All entries, below one folder that has the archive's name.
pub(super) fn entries(root: &Path, program: &Program, name: &str) -> anyhow::Result<Vec<Entry>> {
    let entry = |path: &str, mode, bytes| Entry { path: format!("{name}/{path}"), mode, bytes };
    let mut entries = vec![entry("nex", 0o755, program.bytes.clone())];
    for (from, to) in FILES {
        let bytes = fs::read(root.join(from)).with_context(|| format!("cannot read {from}"))?;
        if from == UNIT {
            let text = std::str::from_utf8(&bytes).with_context(|| format!("{from} is no text"))?;
            unit::check(text).with_context(|| format!("{from} would not do"))?;
        }
        entries.push(entry(to, 0o644, bytes));
    }
    for (shell, to) in COMPLETIONS {
        entries.push(entry(to, 0o644, program.ask(&["completions", shell])?));
    }
    Ok(entries)
}
