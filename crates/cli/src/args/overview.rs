//! What `nex --help` shows: one screen, from the commands that there are.
//!
//! Owns: which commands stand there with a sentence. Never: leaves one out: what has no sentence is named.

use clap::Command;

/// For a day's work, in the order in which one meets them.
const DAILY: [&str; 16] = [
    "up", "run", "dev", "call", "ls", "nodes", "info", "logs", "events", "top", "stop", "scale",
    "apply", "init", "doctor", "explain",
];
/// Columns of the names below.
const WIDTH: usize = 92;

const OPTIONS: &str = "\
Options of every command (more: nex COMMAND --help):
  -n, --namespace NAME   -s, --nats-url URL   --context NAME   --json   -l, --log-level LEVEL

What a command does, with examples: nex COMMAND --help     Version: nex --version";

/// `command` with an overview in place of the usual help, which does not fit a screen.
pub(super) fn added(command: Command) -> Command {
    let text = text(&command);
    command.override_help(text)
}

fn text(command: &Command) -> String {
    let shown: Vec<&Command> =
        command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let named = |name: &&str| shown.iter().find(|command| command.get_name() == *name).copied();
    let daily: Vec<String> = DAILY.iter().filter_map(named).map(sentence).collect();
    let more = shown.iter().map(|command| command.get_name()).filter(|name| !DAILY.contains(name));
    let lead = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    format!(
        "{lead}\n\nUsage: nex [OPTIONS] <COMMAND>\n\nCommands:\n{}\n\nMore commands:\n{}\n\n{OPTIONS}",
        daily.join("\n"),
        wrapped(more).join("\n"),
    )
}

fn sentence(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    let aliases = match aliases.is_empty() {
        true => String::new(),
        false => format!(" (also: {})", aliases.join(", ")),
    };
    format!("  {:<9} {}{aliases}", command.get_name(), about.trim_end_matches('.'))
}

fn wrapped<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + 2 + name.len() <= WIDTH => {
                line.push_str(", ");
                line.push_str(name);
            }
            _ => lines.push(format!("  {name}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_command_is_on_the_one_screen() {
        let command = Cli::command();
        let text = text(&command);
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let is_named = text.split([' ', ',', '\n']).any(|word| word == name);
            assert!(is_named, "no {name} in:\n{text}");
        }
        assert!((24..=40).contains(&text.lines().count()), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
