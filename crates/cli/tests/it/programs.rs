//! Static programs as somebody would write them who has never heard of Nex. Built by the machine's C compiler.
//!
//! Owns: the source and its building. Never: runs them outside of a workload.

use nex_testkit::Nex;

/// What it does is its first argument.
const SOURCE: &str = include_str!("programs.c");

/// Builds it in the folder that commands run in, and returns its name.
pub(crate) fn build(nex: &Nex) -> &'static str {
    std::fs::write(nex.work_dir().join("prog.c"), SOURCE).unwrap();
    let built = std::process::Command::new("cc")
        .args(["-static", "-O1", "-o", "prog", "prog.c"])
        .current_dir(nex.work_dir())
        .output()
        .expect("the tests need a C compiler named cc");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::remove_file(nex.work_dir().join("prog.c")).unwrap();
    "prog"
}
