//! Compiles the programs of the tests, once. Never: runs them.

#![expect(clippy::disallowed_methods, reason = "a compiler is a plain process of the test")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

struct Compiled {
    folder: TempDir,
}

/// The folder with `static` and `dynamic`, made from the same source.
pub(crate) fn folder() -> PathBuf {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        compile(&folder, "static", &["-static"]);
        compile(&folder, "dynamic", &[]);
        Compiled { folder }
    });
    compiled.folder.path().to_owned()
}

fn compile(folder: &TempDir, name: &str, flags: &[&str]) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/programs/program.c");
    let output = folder.path().join(name);
    let done = Command::new("cc").args(flags).arg("-o").arg(&output).arg(source).output();
    let done = done.expect("the tests need a C compiler named cc");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
