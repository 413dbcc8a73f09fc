//! The guide's pages, read by a newcomer who types what stands there.
//!
//! 1. A fence with a file's name is that file.
//! 2. In a `console` fence, `$` begins a command; the lines below it are parts of what it prints, in order.
//!    `exit N` is its exit code (0 without); with a `&` at its end it runs until the page's end, and a
//!    line that begins with `&` is what it prints by then.

use nex_testkit::{Output, Process};

use crate::world::{SOON, World};

/// A command and what the page says about it.
struct Step<'a> {
    command: &'a str,
    expected: Vec<&'a str>,
}

#[tokio::test]
async fn the_page_about_functions_can_be_typed() {
    let page = include_str!("../../../../docs/guide/functions.md");
    let world = World::up().await;
    let mut followed: Vec<Process> = Vec::new();
    let mut n_commands = 0;
    for (kind, text) in fences(page) {
        match kind.split_once(' ') {
            Some((_, file)) => drop(world.file(file, text)),
            None if kind == "console" => {
                for step in steps(text) {
                    n_commands += 1;
                    walk(&world, &step, &mut followed).await;
                }
            }
            None => panic!("a fence is neither a file nor commands: {kind}"),
        }
    }
    assert!(n_commands > 15, "{n_commands} commands were found");
    drop(followed);
    world.finish().await;
}

async fn walk(world: &World, step: &Step<'_>, followed: &mut Vec<Process>) {
    let arguments =
        words(step.command.strip_prefix("nex ").expect("commands of the guide are nex"));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Some((&"&", arguments)) = arguments.split_last() {
        followed.push(world.follow(arguments).await);
        return;
    }
    let output = world.nex.run(&arguments).await;
    let code = step.expected.iter().find_map(|line| line.strip_prefix("exit ")).unwrap_or("0");
    assert_eq!(output.code.to_string(), code, "{}: {output}", step.command);
    let mut rest = said(&output);
    for line in step.expected.iter().filter(|line| !line.starts_with("exit ")) {
        if let Some(line) = line.strip_prefix("& ") {
            let process = followed.last_mut().expect("something is followed");
            process.line(SOON, |said| said.contains(line)).await.unwrap();
            continue;
        }
        let Some((_, after)) = rest.split_once(line) else {
            panic!("{} does not print {line:?}: {output}", step.command);
        };
        rest = after.to_owned();
    }
}

fn said(output: &Output) -> String {
    format!("{}\n{}", output.stderr, output.text())
}

/// Kind and text of each fence that has a kind.
fn fences(page: &str) -> Vec<(&str, &str)> {
    let mut parts = page.split("```");
    let mut fences = Vec::new();
    parts.next();
    while let Some(fence) = parts.next() {
        let (kind, text) = fence.split_once('\n').expect("a fence has lines");
        fences.push((kind, text));
        parts.next();
    }
    fences
}

fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push(Step { command, expected: Vec::new() }),
            None => steps.last_mut().expect("a command comes first").expected.push(line),
        }
    }
    steps
}

/// As a shell takes them apart, as far as the guide needs it: single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in command.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().expect("there is one").push(letter),
        }
    }
    words
}
