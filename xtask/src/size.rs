//! `cargo xtask size`: what a binary is made of, by section and by crate.
//!
//! Owns: the reading of ELF sections and symbols, and whose a symbol is. Never: measures what a build could save;
//! docs/decisions/0012-binary-size.md does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

use crate::builds;

const MOST_CRATES: usize = 40;
const STANDARD: [&str; 4] = ["core", "alloc", "std", "hashbrown"];
const NOT_RUST: &str = "(C and assembler)";

/// Options of the look.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary; the release build of `nex` if left out
    binary: Option<PathBuf>,
}

pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<()> {
    let path = args.binary.clone().unwrap_or_else(|| builds::nex_path(root));
    let bytes = std::fs::read(&path)
        .with_context(|| format!("cannot read {}: build it, or name another", path.display()))?;
    println!("{} ({} in all)\n", path.display(), Megabytes(bytes.len() as u64));
    println!("{}", sections(&bytes)?);
    print!("{}", crates(&bytes)?);
    Ok(())
}

/// Sizes in the file, the largest first.
#[derive(Debug)]
pub(crate) struct Sections(Vec<(String, u64)>);

/// What lies in a section takes place in the file; what is only zeroes does not.
pub(crate) fn sections(bytes: &[u8]) -> anyhow::Result<Sections> {
    let file = object::File::parse(bytes).context("this is no ELF file")?;
    let mut sections: Vec<(String, u64)> = file
        .sections()
        .filter_map(|section| {
            let (_, size) = section.file_range()?;
            Some((section.name().unwrap_or("?").to_owned(), size))
        })
        .collect();
    sections.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    Ok(Sections(sections))
}

impl Sections {
    /// The five largest, in one line.
    pub(crate) fn brief(&self) -> String {
        let largest = self.0.iter().take(5);
        let parts: Vec<String> =
            largest.map(|(name, size)| format!("{name} {}", Megabytes(*size))).collect();
        parts.join(", ")
    }
}

impl fmt::Display for Sections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:>10}", "section", "size")?;
        for (name, size) in self.0.iter().filter(|(_, size)| *size >= 10_000) {
            writeln!(f, "{name:<24} {:>10}", Megabytes(*size).to_string())?;
        }
        Ok(())
    }
}

/// Code by crate; nothing in a file whose symbols were taken away.
#[derive(Debug)]
struct Crates(Vec<(String, Share)>);

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    bytes: u64,
    n_functions: u64,
}

fn crates(bytes: &[u8]) -> anyhow::Result<Crates> {
    let file = object::File::parse(bytes).context("this is no ELF file")?;
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.size() > 0) {
        let section = symbol.section_index().and_then(|idx| file.section_by_index(idx).ok());
        if section.is_none_or(|section| section.kind() != SectionKind::Text) {
            continue;
        }
        let owner = owner(symbol.name().unwrap_or_default());
        let share = shares.entry(owner.to_owned()).or_default();
        share.bytes += symbol.size();
        share.n_functions += 1;
    }
    let mut shares: Vec<(String, Share)> = shares.into_iter().collect();
    shares.sort_by_key(|(_, share)| std::cmp::Reverse(share.bytes));
    Ok(Crates(shares))
}

impl fmt::Display for Crates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "Its symbols were taken away, so that no crate can be told.");
        }
        writeln!(f, "{:<34} {:>10} {:>10}", "crate whose types it is about", "code", "functions")?;
        for (name, share) in self.0.iter().take(MOST_CRATES) {
            let size = Megabytes(share.bytes).to_string();
            writeln!(f, "{name:<34} {size:>10} {:>10}", share.n_functions)?;
        }
        let rest: u64 = self.0.iter().skip(MOST_CRATES).map(|(_, share)| share.bytes).sum();
        writeln!(f, "{:<34} {:>10}", "all others", Megabytes(rest).to_string())
    }
}

/// The first crate in a symbol that is not the standard library: `drop_in_place` of a type belongs to the type's.
fn owner(symbol: &str) -> &str {
    let named = match (symbol.strip_prefix("_R"), symbol.strip_prefix("_ZN")) {
        (Some(rest), _) => crate_roots(rest),
        (None, Some(rest)) => path_heads(rest),
        (None, None) => Vec::new(),
    };
    let own = named.iter().find(|name| !STANDARD.contains(name));
    own.or(named.first()).copied().unwrap_or(NOT_RUST)
}

/// Of the mangling that rustc has now: `C`, a disambiguator, and the name with its length.
fn crate_roots(mangled: &str) -> Vec<&str> {
    let places = mangled.match_indices('C').map(|(at, _)| &mangled[at + 1..]);
    let roots = places.filter_map(|rest| {
        let hash = rest.strip_prefix('s')?;
        let (hash, name) = hash.split_once('_')?;
        let is_hash = hash.chars().all(|c| c.is_ascii_alphanumeric());
        let (length, name) = number(name)?;
        let name = name.strip_prefix('_').unwrap_or(name).get(..length)?;
        (is_hash && !name.is_empty()).then_some(name)
    });
    roots.collect()
}

/// Of the older mangling: names with their lengths, in which `$LT$` and others stand for marks and `..` for `::`.
fn path_heads(mut mangled: &str) -> Vec<&str> {
    let mut heads = Vec::new();
    while let Some((length, rest)) = number(mangled) {
        let (Some(name), Some(behind)) = (rest.get(..length), rest.get(length..)) else { break };
        if heads.is_empty() && !name.contains('$') {
            heads.push(name);
        }
        let paths = name.split('$').filter_map(|part| part.split_once(".."));
        heads.extend(paths.map(|(head, _)| head.trim_start_matches('_')));
        mangled = behind;
    }
    // What follows a closing mark has no head.
    heads.retain(|head| !head.is_empty());
    heads
}

/// The number that a text begins with, and what follows.
fn number(text: &str) -> Option<(usize, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((text.get(..digits)?.parse().ok()?, text.get(digits..)?))
}

/// Bytes as a person reads them.
struct Megabytes(u64);

impl fmt::Display for Megabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} MB", self.0 as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_the_crate_s_whose_types_it_is_about() {
        assert_eq!(owner("_RNvNtCs8ihSEMWa6I4_4core3fmt5write"), "core");
        assert_eq!(
            owner("_RINvNtCs8ihSEMWa6I4_4core3ptr13drop_in_placeNtCs1a_10jsonschema9ValidatorE"),
            "jsonschema"
        );
        assert_eq!(owner("_ZN4core3ptr13drop_in_place17h0123456789abcdefE"), "core");
        let drops = "_ZN4core3ptr38drop_in_place$LT$jsonschema..Error$GT$17h0123456789abcdefE";
        assert_eq!(owner(drops), "jsonschema");
        let shows =
            "_ZN49_$LT$$RF$T$u20$as$u20$oxc_ast..ast..Statement$GT$3fmt17h0123456789abcdefE";
        assert_eq!(owner(shows), "oxc_ast");
        assert_eq!(owner("ring_core_0_17_14__ecp_nistz256_mul_mont"), NOT_RUST);
    }

    #[test]
    fn this_test_is_made_of_code_and_its_crates_are_told() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(sections(&bytes).unwrap().to_string().contains(".text"));
        let crates = crates(&bytes).unwrap();
        assert!(crates.0.iter().any(|(name, share)| name == "xtask" && share.n_functions > 1));
        assert!(sections(b"no such file").is_err());
    }
}
