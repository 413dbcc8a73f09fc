//! Puts the pages of `docs/errors` into the binary, for `nex explain`.
//!
//! Owns: one table of codes and pages, in the order of codes. Never: reads what a page says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let folder = manifest.join("../../docs/errors").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("pages.rs"), table(&folder)?)
}

fn table(folder: &Path) -> io::Result<String> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.strip_prefix("NEX-")?.parse::<u16>().ok());
        pages.extend(number.map(|number| (number, path)));
    }
    pages.sort();
    let mut table = "&[\n".to_owned();
    for (number, path) in pages {
        let path = path.display().to_string();
        let _never = writeln!(table, "    ({number}, include_str!({path:?})),");
    }
    table.push_str("]\n");
    Ok(table)
}
