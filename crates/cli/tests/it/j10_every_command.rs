//! J10, of every command that there is: the list is the binary's own help, so that none can be forgotten.
//!
//! 1. `--help` succeeds, has an example, and fits a hundred columns; `nex --help` fits a screen.
//! 2. A flag with a typing error is 2, and the right one is named.
//! 3. Without a server it is 3, with a hint; what needs none works without.
//! 4. What is not there is 4, with a hint.
//!
//! What to type after a command's name is read off its usage; `MORE` has what a usage does not tell.

use nex_testkit::{Nex, Output};

use crate::guests::ECHO;
use crate::world::{SOON, World, assert_refused};

/// What asks nobody, or tells by itself what is wrong.
const LOCAL: [&str; 9] = [
    "init",
    "explain",
    "schema",
    "config",
    "version",
    "completions",
    "doctor",
    "node upgrade",
    "nexlet check",
];
/// What a person would type besides, where the usage leaves it open.
const MORE: [(&str, &[&str]); 5] = [
    ("run", &["echo.js", "--on", "x"]),
    ("dev", &["echo.js", "--on", "x"]),
    ("logs", &[UNKNOWN]),
    ("explain", &["NEX-999"]),
    ("workload start", &["--start-request", "{}"]),
];
/// Stands for what does not exist.
const UNKNOWN: &str = "no-such-thing";
const NEXFILE: &str = "name: echo\nfile: ./echo.js\ntriggers: [x]\n";

/// A command, as the help has it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) path: Vec<String>,
    help: String,
}

impl Known {
    fn name(&self) -> String {
        self.path.join(" ")
    }

    /// Whether it only has commands of its own.
    fn is_group(&self) -> bool {
        self.help.contains("\nCommands:\n") && !self.help.contains("[COMMAND]")
    }

    fn is_local(&self) -> bool {
        LOCAL.contains(&self.name().as_str())
    }

    fn with<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.path.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    /// What must follow it.
    fn arguments(&self) -> Vec<&'static str> {
        if let Some((_, typed)) = MORE.iter().find(|(name, _)| *name == self.name()) {
            return typed.to_vec();
        }
        let usage = self.help.lines().find_map(|line| line.strip_prefix("Usage: nex "));
        let usage = usage.unwrap_or_else(|| panic!("no usage in {}", self.help));
        let mut is_optional = false;
        let mut typed = Vec::new();
        for word in usage.split(' ').skip(self.path.len()) {
            is_optional |= word.starts_with('[');
            if !is_optional {
                typed.push(typed_for(word));
            }
            is_optional &= !word.trim_end_matches('.').ends_with(']');
        }
        typed
    }
}

/// A word of a usage, as somebody types it.
fn typed_for(word: &str) -> &'static str {
    match word.trim_end_matches('.') {
        "--" => "--",
        "--file" => "--file",
        "--start-request" => "--start-request",
        "<FILE|DIR>" => "Nexfile.yaml",
        "<FILE>" => "echo.js",
        "<N>" => "2",
        "<JSON>" => "{}",
        "<SHELL>" => "bash",
        "<WHAT>" => "nexfile",
        "<PROGRAM>" => "true",
        other => {
            assert!(other.starts_with('<'), "what is {other}?");
            UNKNOWN
        }
    }
}

/// All commands, the inner ones after those that they belong to.
pub(crate) async fn commands(nex: &Nex) -> Vec<Known> {
    let mut found = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let help = help(nex, &path).await;
        let names = listed(&help);
        // The first is looked into first.
        waiting.extend(
            names.iter().rev().map(|name| [&path[..], std::slice::from_ref(name)].concat()),
        );
        if !path.is_empty() {
            found.push(Known { path, help });
        }
    }
    assert!(found.len() > 30, "{found:#?}");
    found
}

async fn help(nex: &Nex, path: &[String]) -> String {
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = nex.ok(&arguments).await;
    assert_eq!(help.stderr, "");
    help.text()
}

/// The names in a help's lists of commands: a line each, or several in one.
fn listed(help: &str) -> Vec<String> {
    let section = |title: &str| {
        let lines = help.lines().skip_while(|line| *line != title).skip(1);
        lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let is_name = |line: &&String| line.starts_with("  ") && !line.starts_with("   ");
    let each = section("Commands:");
    let each = each.iter().filter(is_name).filter_map(|line| line.split_whitespace().next());
    let several = section("More commands:").join(",");
    let names = each.chain(several.split(',').map(str::trim)).filter(|name| !name.is_empty());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn alone() -> Nex {
    Nex::managed().environment("COLUMNS", "100").down()
}

fn write_files(nex: &Nex) {
    std::fs::write(nex.work_dir().join("echo.js"), ECHO).unwrap();
    std::fs::write(nex.work_dir().join("Nexfile.yaml"), NEXFILE).unwrap();
}

#[tokio::test]
async fn j10_every_help_has_an_example_and_fits() {
    let nex = alone();
    for spelling in [&["--help"][..], &["-h"], &["help"]] {
        let screen = nex.ok(spelling).await.text();
        assert!((24..=40).contains(&screen.lines().count()), "not one screen:\n{screen}");
        assert_fits("nex", &screen);
    }
    for command in commands(&nex).await {
        let (name, help) = (command.name(), &command.help);
        assert_fits(&name, help);
        let before_usage = help.split("\nUsage: ").next().unwrap();
        let is_example = |line: &str| line.starts_with("  ") && line.contains("nex ");
        let has_example = before_usage.lines().any(is_example);
        assert!(has_example || command.is_group(), "no example in the help of {name}:\n{help}");
    }
}

fn assert_fits(name: &str, help: &str) {
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "{name}: too wide: {line}");
    }
}

#[tokio::test]
async fn j10_a_flag_with_a_typing_error_is_2_and_the_right_one_is_named() {
    let nex = alone();
    for command in commands(&nex).await.iter().filter(|command| !command.is_group()) {
        let its_own = command.help.lines().filter_map(|line| {
            let flag = line.trim_start().split("--").nth(1)?;
            line.trim_start().starts_with('-').then(|| flag.split([' ', '=']).next())?
        });
        let mut flags: Vec<&str> = its_own.filter(|flag| flag.len() > 4).take(2).collect();
        flags.push("namespace");
        for flag in flags {
            // Two letters change places.
            let (head, tail) = flag.split_at(flag.len() - 2);
            let typed = format!("--{head}{}", tail.chars().rev().collect::<String>());
            if typed.ends_with(flag) {
                continue;
            }
            let wrong = nex.run(&command.with(&[&typed])).await.exits(2);
            assert!(wrong.stdout.is_empty(), "{wrong}");
            assert!(wrong.stderr.contains(&format!("'--{flag}'")), "no --{flag} in {wrong}");
        }
    }
}

#[tokio::test]
async fn j10_without_a_server_every_command_is_3_with_a_hint_or_needs_none() {
    let url = "nats://127.0.0.1:1";
    let nex = Nex::managed().environment("NATS_URL", url).down();
    write_files(&nex);
    let all = commands(&nex).await;
    for command in all.iter().filter(|command| !command.is_group() && !command.is_local()) {
        let typed = command.with(&command.arguments());
        let refused = nex.run(&typed).await;
        if is_for_terminals(&refused) {
            on_a_terminal(&nex, &typed).await;
            continue;
        }
        let refused = refused.exits(3);
        assert!(refused.stderr.contains(url), "{refused}");
        assert!(refused.stderr.lines().any(|line| line.starts_with("hint: ")), "{refused}");
    }
    for (name, code) in [
        ("version", 0),
        ("completions", 0),
        ("schema", 0),
        ("config", 0),
        ("explain", 4),
        ("doctor", 1),
    ] {
        let command = all.iter().find(|command| command.name() == name).unwrap();
        let _told = nex.run(&command.with(&command.arguments())).await.exits(code);
    }
}

/// Whether it said that it needs a terminal.
fn is_for_terminals(output: &Output) -> bool {
    output.code != 3 && output.stderr.contains("terminal") && output.stderr.contains("hint: ")
}

/// It ends there too, and says why.
async fn on_a_terminal(nex: &Nex, typed: &[&str]) {
    let mut terminal = nex.terminal(typed, (100, 30));
    let status = terminal.ended(SOON).await.unwrap();
    assert_eq!(status.exit_code(), 3, "{typed:?}: {}", terminal.screen());
}

#[tokio::test]
async fn j10_what_is_not_there_is_4_with_a_hint_for_every_command_that_takes_it() {
    let world = World::up().await;
    write_files(&world.nex);
    let mut n_asked = 0;
    let all = commands(&world.nex).await;
    for command in all.iter().filter(|command| !command.is_group() && !command.is_local()) {
        let arguments = command.arguments();
        if !arguments.contains(&UNKNOWN) {
            continue;
        }
        let refused = world.nex.run(&command.with(&arguments)).await;
        assert_refused(refused, 4, &[UNKNOWN], "nex ");
        n_asked += 1;
    }
    assert!(n_asked >= 12, "{n_asked} commands take a name");
    world.finish().await;
}
