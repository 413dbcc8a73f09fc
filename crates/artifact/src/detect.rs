//! Tells what a file is from its bytes.
//!
//! Owns: the order of questions, and a sentence for each file that is nothing Nex runs. Never: parses
//! JavaScript (whether it is a module or a script is found by whoever compiles it).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use wasmparser::Parser;

use crate::elf::{self, ElfFacts, ElfRefusal};

/// Enough for the first bytes, and the first line of a script.
const HEAD: u64 = 4096;
/// No function may be as long.
const LONGEST_TEXT: u64 = 64 << 20;

/// What [`detect`] found.
pub type Detected = Result<Kind, Refusal>;

/// A file that Nex can run, or knows well enough to refuse further on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JavaScript, or text that is taken for it.
    JavaScript,
    /// TypeScript, by its file name only; `.tsx` too, which is refused where it holds JSX.
    TypeScript,
    /// A WebAssembly core module.
    WasmModule,
    /// A WebAssembly component.
    WasmComponent,
    /// WebAssembly as text; module or component.
    Wat,
    /// A static program of this machine.
    Elf(ElfFacts),
}

/// Why a file is nothing that Nex runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Refusal {
    #[error("the file is empty")]
    Empty,
    #[error(
        "the file is a script for {interpreter}: Nex runs JavaScript, WebAssembly and static programs"
    )]
    Script { interpreter: String },
    #[error("the file cannot be run: {0}")]
    Program(#[from] ElfRefusal),
    #[error("the file is a program for {system}: Nex runs programs for Linux")]
    OtherSystem { system: &'static str },
    #[error("the file is WebAssembly of a version that Nex does not know")]
    WasmVersion,
    #[error("the file is {language}: Nex runs JavaScript, WebAssembly and static programs")]
    Source { language: &'static str },
    #[error("the file is neither text nor a program that Nex knows")]
    Unknown,
    #[error("the file is no program, and longer than any text that Nex runs")]
    LongText,
}

/// Tells the kind of a whole file. Its name matters only where bytes cannot tell.
///
/// # Errors
/// When it is nothing that Nex runs.
pub fn detect(bytes: &[u8], file_name: Option<&str>) -> Detected {
    match bytes {
        [] => Err(Refusal::Empty),
        [b'#', b'!', rest @ ..] => script(rest),
        [b'M', b'Z', ..] => Err(Refusal::OtherSystem { system: "Windows" }),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => {
            Err(Refusal::OtherSystem { system: "macOS" })
        }
        [0, b'a', b's', b'm', ..] => wasm(bytes),
        _ if elf::is_elf(bytes) => Ok(Kind::Elf(elf::check_static(bytes)?)),
        _ => text(bytes, file_name),
    }
}

/// Tells the kind of a file that is read as far as that needs: programs are never whole in memory.
///
/// # Errors
/// Outside, when the file cannot be read; inside, as [`detect`].
pub fn detect_file(path: &Path) -> io::Result<Detected> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut bytes)?;
    if elf::is_elf(&bytes) {
        return Ok(elf::check_static_file(path)?.map(Kind::Elf).map_err(Refusal::Program));
    }
    // Only text is told by all of it.
    if !matches!(bytes.as_slice(), [0, ..] | [b'#', b'!', ..] | [b'M', b'Z', ..]) {
        file.take(LONGEST_TEXT).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST_TEXT {
            return Ok(Err(Refusal::LongText));
        }
    }
    Ok(detect(&bytes, path.file_name().and_then(|name| name.to_str())))
}

/// A `#!` line that names a JavaScript engine is a comment in JavaScript itself.
fn script(rest: &[u8]) -> Detected {
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let mut name = file_stem(words.next().unwrap_or_default());
    if name == "env" {
        name = words.find(|word| !word.starts_with('-')).map_or(name, file_stem);
    }
    match name {
        "node" | "deno" | "bun" | "qjs" => Ok(Kind::JavaScript),
        _ => {
            let shown = |c: char| if c.is_control() { '?' } else { c };
            let interpreter: String = name.chars().take(64).map(shown).collect();
            let is_nameless = interpreter.is_empty();
            let nobody = || "an interpreter that it does not name".to_owned();
            Err(Refusal::Script { interpreter: if is_nameless { nobody() } else { interpreter } })
        }
    }
}

fn wasm(bytes: &[u8]) -> Detected {
    if Parser::is_core_wasm(bytes) {
        return Ok(Kind::WasmModule);
    }
    if Parser::is_component(bytes) {
        return Ok(Kind::WasmComponent);
    }
    Err(Refusal::WasmVersion)
}

fn text(bytes: &[u8], file_name: Option<&str>) -> Detected {
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(Refusal::Unknown) };
    let is_binary = |c: char| c.is_control() && !c.is_ascii_whitespace() && c != '\u{b}';
    if text.chars().any(is_binary) {
        return Err(Refusal::Unknown);
    }
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err(Refusal::Empty);
    }
    if is_wat(text) {
        return Ok(Kind::Wat);
    }
    match file_name.map(extension).unwrap_or_default().as_str() {
        "ts" | "mts" | "cts" | "tsx" => Ok(Kind::TypeScript),
        "wat" => Ok(Kind::Wat),
        "py" => Err(Refusal::Source { language: "Python" }),
        "sh" | "bash" => Err(Refusal::Script { interpreter: "sh".to_owned() }),
        "rb" => Err(Refusal::Source { language: "Ruby" }),
        "go" => Err(Refusal::Source { language: "Go source" }),
        "rs" => Err(Refusal::Source { language: "Rust source" }),
        "c" | "h" => Err(Refusal::Source { language: "C source" }),
        "json" => Err(Refusal::Source { language: "JSON" }),
        "yaml" | "yml" => Err(Refusal::Source { language: "YAML" }),
        "toml" => Err(Refusal::Source { language: "TOML" }),
        "html" => Err(Refusal::Source { language: "HTML" }),
        _ => Ok(Kind::JavaScript),
    }
}

/// Whether the first word, after white space and comments, opens a module or component.
fn is_wat(text: &str) -> bool {
    let Some(rest) = skip_wat_comments(text.trim_start_matches('\u{feff}')).strip_prefix('(')
    else {
        return false;
    };
    let rest = skip_wat_comments(rest);
    // `(module.exports = …)` is JavaScript.
    let ends_word = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ';' | '"' | '$');
    let word = rest.split(ends_word).next().unwrap_or_default();
    matches!(word, "module" | "component")
}

fn skip_wat_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(line) = rest.strip_prefix(";;") {
            line.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(block) = rest.strip_prefix("(;") {
            after_block(block)
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

/// What follows a block comment, which may hold others; nothing when it is not closed.
fn after_block(block: &str) -> &str {
    let mut depth = 1;
    let mut pairs = block.as_bytes().windows(2).enumerate();
    while let Some((at, pair)) = pairs.next() {
        match pair {
            b"(;" => depth += 1,
            b";)" => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return block.get(at + 2..).unwrap_or_default();
        }
        pairs.next();
    }
    ""
}

fn file_stem(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn extension(file_name: &str) -> String {
    let extension = Path::new(file_name).extension().and_then(|e| e.to_str()).unwrap_or_default();
    extension.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_tell_before_names() {
        let module = b"\0asm\x01\0\0\0";
        let component = b"\0asm\x0d\0\x01\0";
        for (bytes, name, kind) in [
            (module.as_slice(), Some("x.js"), Kind::WasmModule),
            (component, None, Kind::WasmComponent),
            (b"(module)", Some("x.js"), Kind::Wat),
            (b";; hello\n(; a (; nested ;) ;)\n ( component $x)", None, Kind::Wat),
            (b"export default () => 1", None, Kind::JavaScript),
            (b"#!/usr/bin/env node\n1", None, Kind::JavaScript),
            (b"(module.exports = 1)", Some("x.cjs"), Kind::JavaScript),
            (b"let x: number", Some("a.b.TS"), Kind::TypeScript),
            (b"let x: number", None, Kind::JavaScript),
            ("\u{feff}let a = 'é'".as_bytes(), Some("x"), Kind::JavaScript),
        ] {
            assert_eq!(detect(bytes, name), Ok(kind), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_nex_does_not_run_is_refused_by_its_name() {
        for (bytes, name, says) in [
            (b"".as_slice(), None, "empty"),
            (b" \n", None, "empty"),
            (b"#!/bin/sh\necho", None, "script for sh"),
            (b"#!/usr/bin/env -S python3 -u\n", None, "script for python3"),
            (b"#!\n", None, "an interpreter that it does not name"),
            (b"print(1)", Some("x.py"), "Python"),
            (b"\xff\xfe\x00", None, "neither text"),
            (b"a\0b", Some("x.js"), "neither text"),
            (b"MZ\x90\0", None, "Windows"),
            (b"\xcf\xfa\xed\xfe\x07\0", None, "macOS"),
            (b"\0asm\x02\0\0\0", None, "version"),
            (b"\x7fELF\x02", None, "truncated"),
        ] {
            let refusal = detect(bytes, name).unwrap_err().to_string();
            assert!(refusal.contains(says), "{refusal}");
        }
    }

    #[test]
    fn a_file_is_told_as_its_bytes_are() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("// {}\nexport default () => 1", "x".repeat(10_000));
        for (name, bytes) in [
            ("a.js", long.as_bytes()),
            ("a.ts", b"let x: number"),
            ("a.wasm", b"\0asm\x01\0\0\0"),
            ("late.js", &[long.as_bytes(), b"\0"].concat()),
            ("empty", b""),
            ("script", b"#!/bin/sh\necho"),
            ("elf", b"\x7fELF\x02"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(detect_file(&path).unwrap(), detect(bytes, Some(name)), "{name}");
        }
        assert!(detect_file(&folder.path().join("gone")).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = detect(&bytes, None);
        }

        #[test]
        fn any_wat_like_text_has_an_answer(text in "[(;) a-z\n]{0,40}") {
            let _either = detect(text.as_bytes(), Some("x.js"));
        }
    }
}
