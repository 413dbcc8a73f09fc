//! Commands that the pages only mention, with their flags, are those that the binary has.

use std::collections::BTreeMap;
use std::process::Command;

use nex_testkit::nex_binary;

use super::all;
use super::page::Page;

#[test]
fn commands_and_flags_that_are_mentioned_are_there() {
    let mut helps = Helps::default();
    let mut wrong = Vec::new();
    for page in all() {
        for mentioned in mentions(&page) {
            if let Err(why) = helps.check(&mentioned) {
                wrong.push(format!("{}: {mentioned}: {why}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Commands of `nex` between backticks, and in fences, but for those that are said to be missing.
fn mentions(page: &Page) -> Vec<String> {
    let prose = page.prose();
    let paragraphs = prose.split("\n\n").filter(|text| !text.contains("roadmap.md"));
    let prose = paragraphs.collect::<Vec<_>>().join("\n\n");
    let spans = prose.split('`').skip(1).step_by(2);
    let lines = page.command_lines().into_iter().map(str::to_owned);
    let all = spans.map(|span| span.replace('\n', " ")).chain(lines);
    all.filter(|text| text.starts_with("nex ")).collect()
}

/// What each command says about itself, asked once.
#[derive(Default)]
struct Helps(BTreeMap<Vec<String>, Option<String>>);

impl Helps {
    fn check(&mut self, mentioned: &str) -> Result<(), String> {
        let words = mentioned.split_whitespace().skip(1);
        let words: Vec<&str> = words.take_while(|word| !["--", "#", "|"].contains(word)).collect();
        let is_name = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let names: Vec<&str> = words
            .iter()
            .take(2)
            .take_while(is_name)
            .take_while(|w| !w.starts_with('-'))
            .copied()
            .collect();
        let Some(first) = names.first() else { return Ok(()) };
        let help = self.help(&[first]).ok_or("there is no such command")?;
        let help = match (help.contains("\nCommands:\n"), names.get(1)) {
            (true, Some(second)) => {
                self.help(&[first, second]).ok_or("there is no such command")?
            }
            _ => help,
        };
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            let flag = flag.split(['=', ']', ',']).next().unwrap_or_default();
            let is_there =
                help.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|w| w == flag);
            if !is_there && flag != "--help" {
                return Err(format!("it has no {flag}"));
            }
        }
        Ok(())
    }

    fn help(&mut self, names: &[&str]) -> Option<String> {
        let key = names.iter().map(|name| (*name).to_owned()).collect();
        let asked = self.0.entry(key).or_insert_with(|| {
            let mut nex = Command::new(nex_binary().unwrap());
            let output = nex.args(names).arg("--help").output().unwrap();
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        });
        asked.clone()
    }
}
