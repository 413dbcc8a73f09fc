//! `nex explain CODE`: the page about an error code, from inside the binary.
//!
//! Owns: finding the page, and naming the nearest ones of a code that has none. Never: asks a network.

use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::error::{CliError, Kind};
use crate::{complete, ui};

/// Number and text of each page.
const PAGES: &[(u16, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));
/// How many are named instead of one that is not there.
const N_NEAREST: usize = 3;

/// Explain an error code: why it happens, and what to do
///
///   nex explain NEX-212
///   nex explain 212
///   nex explain            lists all codes
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ExplainArgs {
    /// The code, as NEX-212 or 212 [default: all, a line each]
    #[arg(add = complete::codes())]
    code: Option<String>,
}

pub(crate) fn run(globals: &Globals, args: &ExplainArgs) -> Result<(), CliError> {
    let Some(typed) = &args.code else {
        list(globals);
        return Ok(());
    };
    let (number, page) = find(typed).ok_or_else(|| unknown(typed))?;
    if globals.json {
        ui::json(&entry(number, page, true));
    } else {
        ui::line(page.trim_end());
    }
    Ok(())
}

/// Whether there is a page about a code, as an error carries it.
pub(crate) fn has_page(code: &str) -> bool {
    PAGES.iter().any(|(number, _)| format!("NEX-{number}") == code)
}

/// Number and title of every code.
pub(crate) fn titles() -> impl Iterator<Item = (u16, &'static str)> {
    PAGES.iter().map(|(number, page)| (*number, title(page)))
}

fn list(globals: &Globals) {
    if globals.json {
        let all: Vec<_> = PAGES.iter().map(|(number, page)| entry(*number, page, false)).collect();
        ui::json(&all);
        return;
    }
    for (number, page) in PAGES {
        ui::line(format_args!("NEX-{number}  {}", title(page)));
    }
}

fn entry(number: u16, page: &str, is_whole: bool) -> serde_json::Value {
    let code = format!("NEX-{number}");
    match is_whole {
        true => json!({ "code": code, "title": title(page), "page": page }),
        false => json!({ "code": code, "title": title(page) }),
    }
}

/// The first line, without what stands before the colon.
fn title(page: &str) -> &str {
    let first = page.lines().next().unwrap_or_default();
    first.split_once(": ").map_or(first, |(_, title)| title)
}

fn find(typed: &str) -> Option<(u16, &'static str)> {
    let digits = number_of(typed);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| digits.parse().ok()).flatten();
    PAGES.iter().find(|(known, _)| Some(*known) == number).copied()
}

/// What was typed without `NEX`, in whatever case, with or without a dash.
fn number_of(typed: &str) -> &str {
    let typed = typed.trim();
    match typed.get(..3) {
        Some(head) if head.eq_ignore_ascii_case("nex") => {
            typed[3..].trim_start_matches(['-', '_', ' '])
        }
        _ => typed,
    }
}

fn unknown(typed: &str) -> CliError {
    let digits = number_of(typed);
    let apart =
        |number: u16| digits.parse::<u16>().map_or(u16::MAX, |typed| typed.abs_diff(number));
    let mut ranked: Vec<(usize, u16, u16)> = PAGES
        .iter()
        .map(|(known, _)| {
            (strsim::damerau_levenshtein(digits, &known.to_string()), apart(*known), *known)
        })
        .collect();
    ranked.sort_unstable();
    let lines = ranked.iter().take(N_NEAREST).filter_map(|(_, _, number)| {
        let (_, page) = PAGES.iter().find(|(known, _)| known == number)?;
        Some(format!("NEX-{number}  {}", title(page)))
    });
    CliError::new(Kind::NotFound, format!("there is no error code {typed}; the nearest are"))
        .detail(lines.collect::<Vec<_>>().join("\n"))
        .hint("all of them: nex explain")
}

#[cfg(test)]
mod tests {
    use nex_api::Code;

    use super::*;

    #[test]
    fn every_code_has_its_page_and_every_page_its_code() {
        let codes: Vec<String> = Code::ALL.iter().map(ToString::to_string).collect();
        let mut sorted = codes.clone();
        sorted.sort();
        let pages: Vec<String> = PAGES.iter().map(|(number, _)| format!("NEX-{number}")).collect();
        assert_eq!(pages, sorted);
        for (number, page) in PAGES {
            let head = format!("# NEX-{number}: ");
            assert!(page.starts_with(&head), "{head} begins {page}");
            assert!(!title(page).is_empty() && !title(page).starts_with('#'));
        }
        assert!(codes.iter().all(|code| has_page(code)));
        assert!(!has_page("212") && !has_page("NEX-999") && !has_page("\u{1b}"));
    }

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        for typed in ["NEX-212", "nex-212", "212", "Nex212", " 212 ", "nex_212"] {
            assert_eq!(find(typed).map(|(number, _)| number), Some(212), "{typed}");
        }
        for typed in ["", "NEX-", "+212", "212x", "999", "99999999999", "nex", "n€x", "NEX-NEX-212"]
        {
            assert!(find(typed).is_none(), "{typed}");
        }
        let error = unknown("NEX-214");
        assert_eq!(error.kind, Kind::NotFound);
        assert!(error.detail.unwrap().starts_with("NEX-213  "));
        assert!(unknown("2121212121").detail.unwrap().lines().count() == N_NEAREST);
    }
}
