//! The guide's pages, read by a newcomer who types what stands there.
//!
//! 1. A fence with a file's name is that file.
//! 2. In a `console` fence, `$` begins a command; the lines below it are parts of what it prints, in order.
//!    `exit N` is its exit code (0 without); with a `&` at its end it runs until the page's end, and a
//!    line that begins with `&` is what it prints by then.
//! 3. Commands are `nex`, `cc` or `nats`; of the last, the test does itself what the pages need.
//! 4. What is in an `sh`, `json`, `js` or `yaml` fence without a name is for reading.

use async_nats::jetstream::{self, kv, object_store, stream};
use nex_testkit::{Output, Process, example};

use crate::world::{SOON, World};

/// Kinds of fences that are not typed.
const FOR_READING: &[&str] = &["sh", "json", "js", "yaml"];

/// A command and what the page says about it.
struct Step<'a> {
    command: &'a str,
    expected: Vec<&'a str>,
}

#[tokio::test]
async fn the_page_about_functions_can_be_typed() {
    read(include_str!("../../../../docs/guide/functions.md"), 16).await;
}

#[tokio::test]
async fn the_page_about_triggers_can_be_typed() {
    read(include_str!("../../../../docs/guide/triggers.md"), 16).await;
}

#[tokio::test]
async fn the_page_about_host_services_can_be_typed() {
    read(include_str!("../../../../docs/guide/host-services.md"), 6).await;
}

#[tokio::test]
async fn the_page_about_javascript_can_be_typed() {
    read(include_str!("../../../../docs/guide/javascript.md"), 4).await;
}

#[tokio::test]
async fn the_page_about_webassembly_can_be_typed() {
    read(include_str!("../../../../docs/guide/webassembly.md"), 4).await;
}

#[tokio::test]
async fn the_page_about_nexfiles_can_be_typed() {
    read(include_str!("../../../../docs/guide/nexfiles.md"), 12).await;
}

#[tokio::test]
async fn the_page_about_services_can_be_typed() {
    read(include_str!("../../../../docs/guide/services.md"), 6).await;
}

#[tokio::test]
async fn the_page_about_jobs_can_be_typed() {
    read(include_str!("../../../../docs/guide/jobs.md"), 3).await;
}

async fn read(page: &str, least: usize) {
    let world = World::up().await;
    let examples = example("echo.js");
    let examples = examples.strip_suffix("/echo.js").unwrap();
    std::os::unix::fs::symlink(examples, world.nex.work_dir().join("examples")).unwrap();
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
            None => {
                assert!(FOR_READING.contains(&kind), "neither a file nor commands: {kind}\n{text}");
            }
        }
    }
    assert!(n_commands >= least, "{n_commands} commands were found");
    drop(followed);
    world.finish().await;
}

async fn walk(world: &World, step: &Step<'_>, followed: &mut Vec<Process>) {
    let arguments = words(step.command);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.split_first() {
        Some((&"nex", arguments)) => match arguments.split_last() {
            Some((&"&", arguments)) => followed.push(world.follow(arguments).await),
            _ => run(world, step, arguments).await,
        },
        Some((&"cc", arguments)) => compile(world, arguments),
        Some((&"nats", arguments)) => nats(world, arguments).await,
        _ => panic!("commands of the guide are nex, cc and nats: {}", step.command),
    }
    for line in step.expected.iter().filter_map(|line| line.strip_prefix("& ")) {
        let process = followed.last_mut().expect("something is followed");
        process.line(SOON, |said| said.contains(line)).await.unwrap();
    }
}

async fn run(world: &World, step: &Step<'_>, arguments: &[&str]) {
    let output = world.nex.run(arguments).await;
    let code = step.expected.iter().find_map(|line| line.strip_prefix("exit ")).unwrap_or("0");
    assert_eq!(output.code.to_string(), code, "{}: {output}", step.command);
    let mut rest = said(&output);
    let is_printed = |line: &&&str| !line.starts_with("exit ") && !line.starts_with("& ");
    for line in step.expected.iter().filter(is_printed) {
        let Some((_, after)) = rest.split_once(line) else {
            panic!("{} does not print {line:?}: {output}", step.command);
        };
        rest = after.to_owned();
    }
}

fn compile(world: &World, arguments: &[&str]) {
    let mut compiler = std::process::Command::new("cc");
    compiler.args(arguments).current_dir(world.nex.work_dir());
    let built = compiler.output().expect("the tests need a C compiler named cc");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// What the `nats` program does.
async fn nats(world: &World, arguments: &[&str]) {
    let jetstream = jetstream::new(world.client.clone());
    match arguments {
        ["stream", "add", name, "--subjects", subjects, "--defaults"] => {
            let (name, subjects) = ((*name).to_owned(), vec![(*subjects).to_owned()]);
            let config = stream::Config { name, subjects, ..stream::Config::default() };
            drop(jetstream.create_stream(config).await.unwrap());
        }
        ["pub", subject, text] => {
            let (subject, text) = ((*subject).to_owned(), (*text).to_owned());
            world.client.publish(subject, text.into()).await.unwrap();
        }
        ["kv", "add", bucket] => {
            let config = kv::Config { bucket: (*bucket).to_owned(), ..kv::Config::default() };
            drop(jetstream.create_key_value(config).await.unwrap());
        }
        ["kv", "put", bucket, key, value] => {
            let bucket = jetstream.get_key_value(*bucket).await.unwrap();
            bucket.put(*key, (*value).to_owned().into()).await.unwrap();
        }
        ["object", "add", bucket] => {
            let bucket = (*bucket).to_owned();
            let config = object_store::Config { bucket, ..object_store::Config::default() };
            drop(jetstream.create_object_store(config).await.unwrap());
        }
        ["object", "put", bucket, file] => {
            let bytes = std::fs::read(world.nex.work_dir().join(file)).unwrap();
            let bucket = jetstream.get_object_store(*bucket).await.unwrap();
            bucket.put(*file, &mut bytes.as_slice()).await.unwrap();
        }
        _ => panic!("the guide uses nats {arguments:?}, which this test does not know"),
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
