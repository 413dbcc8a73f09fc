//! Built guests are committed beside their sources; this tells when they have drifted apart.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// As `cargo xtask guests` computes it: path and content of each file, sorted by path.
fn digest_of(sources: &Path) -> String {
    let mut files = Vec::new();
    for start in ["Cargo.toml", "Cargo.lock", ".cargo", "src"] {
        collect(&sources.join(start), &mut files);
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let name = file.strip_prefix(sources).unwrap().to_string_lossy().into_owned();
        let content = std::fs::read(&file).unwrap();
        digest.update(format!("{name}\0{}\0", content.len()));
        digest.update(content);
    }
    format!("{:x}", digest.finalize())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_owned());
    } else if let Ok(directory) = std::fs::read_dir(path) {
        for entry in directory {
            collect(&entry.unwrap().path(), files);
        }
    }
}

fn check(sources: &str, recorded: &str) {
    let recorded = std::fs::read_to_string(root().join(recorded)).unwrap();
    assert_eq!(
        recorded.trim(),
        digest_of(&root().join(sources)),
        "{sources} has changed since its guest was built: run `cargo xtask guests`"
    );
}

#[test]
fn guest_binary_matches_its_sources() {
    check("guests/js", "guests/js/nex_js_guest.sources.sha256");
}

#[test]
fn echo_binary_matches_its_sources() {
    check("examples/wasm-echo", "examples/wasm-echo.sources.sha256");
}

#[test]
fn component_binaries_match_their_sources() {
    for name in [
        "component-rust",
        "component-counter",
        "component-services",
        "component-command",
        "component-c",
    ] {
        check(&format!("examples/{name}"), &format!("examples/{name}.sources.sha256"));
    }
}
