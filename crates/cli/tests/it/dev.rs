//! `nex dev`: a file that is worked on.
//!
//! 1. On a terminal: keys call, each save is answered by the new version, a broken file is shown at its line
//!    while the last good version answers, logs and calls of others appear, and `q` removes what was deployed.
//! 2. Without one: one JSON object per happening, until SIGTERM.
//! 3. What ran before in this very version stays; in another one it is replaced.
//! 4. A Nexfile that changes counts as a save, also when it changes the name.
//! 5. What somebody else stopped comes back at the next save.
//! 6. Programs too: a service's end and its new start are told.
//! 7. What cannot begin is refused as `nex run` refuses it.
//! 8. What cannot be removed, since NATS is away, is said to be there still.

use nex_testkit::{Process, Signal, Terminal, eventually};
use serde_json::Value;

use crate::guests::ECHO;
use crate::programs;
use crate::world::{SOON, World, assert_no_responders, assert_refused, text, try_ask};

const ON: [&str; 2] = ["--on", "js.echo"];

/// Tells its version and what it got, and writes that to its log.
fn version(word: &str) -> String {
    format!(
        "(subject, payload) => {{\n  console.log('heard ' + payload.text());\n  \
         return '{word} got ' + payload.text();\n}}\n"
    )
}

/// `nex dev` in a terminal, with the environment of this world's commands.
fn terminal(world: &World, arguments: &[&str]) -> Terminal {
    world.nex.terminal(arguments, (120, 40))
}

async fn shows(terminal: &Terminal, words: &str) -> String {
    let what = format!("the screen shows {words:?}");
    terminal.shows(&what, SOON, |screen| screen.contains(words)).await.unwrap()
}

/// The next happening of that kind.
async fn happening(process: &mut Process, what: &str) -> Value {
    let key = format!("\"what\":\"{what}\"");
    let line = process.line(SOON, |line| line.contains(&key)).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

async fn ended_well(mut process: Process) {
    process.signal(Signal::SIGTERM);
    let status = process.exit(SOON).await.unwrap();
    assert!(status.success(), "{}", process.failure("ended badly"));
}

#[tokio::test]
async fn a_file_is_worked_on_in_a_terminal() {
    let world = World::up().await;
    world.deploy("other.js", ECHO, "js.other").await;
    world.file("echo.js", version("one"));
    let mut dev = terminal(&world, &["dev", "echo.js", ON[0], ON[1]]);
    shows(&dev, "echo deployed as javascript function").await;
    shows(&dev, "c calls echo").await;

    dev.press("c").unwrap();
    shows(&dev, "send to js.echo").await;
    dev.press("hi\r").unwrap();
    shows(&dev, "one got hi").await;
    shows(&dev, "heard hi").await;
    eventually("calls of others are seen", SOON, async || {
        world.ask("js.echo", "there").await;
        let screen = dev.screen();
        if screen.contains("from elsewhere  there") { Ok(()) } else { Err(screen) }
    })
    .await;

    world.file("echo.js", version("two"));
    shows(&dev, "version 2 answers").await;
    dev.press("r").unwrap();
    shows(&dev, "two got there").await;

    world.file("echo.js", "(subject, payload) => {\n  let x = ;\n}\n");
    let screen = shows(&dev, "version 2 goes on").await;
    assert!(screen.contains("echo.js:2:"), "{screen}");
    let lines: Vec<&str> = screen.lines().collect();
    let source = lines.iter().position(|line| line.ends_with("let x = ;")).unwrap();
    assert_eq!(lines[source + 1].trim(), "^", "{screen}");
    assert_eq!(lines[source].rfind(';'), lines[source + 1].rfind('^'), "{screen}");
    assert_eq!(world.ask("js.echo", "x").await.payload, "two got x");

    world.file("echo.js", version("three"));
    shows(&dev, "version 3 answers").await;
    assert_eq!(world.ask("js.echo", "x").await.payload, "three got x");
    dev.press("l").unwrap();
    shows(&dev, "logs are hidden").await;

    dev.press("q").unwrap();
    assert!(dev.ended(SOON).await.unwrap().success(), "{}", dev.screen());
    shows(&dev, "echo stopped").await;
    assert_no_responders(&world.client, "js.echo").await;
    assert_eq!(world.ask("js.other", "still").await.payload, "still");
    drop(dev);
    world.finish().await;
}

#[tokio::test]
async fn without_a_terminal_it_works_until_sigterm() {
    let world = World::up().await;
    world.file("echo.js", "(subject, payload) => { throw new Error('broken on purpose') }\n");
    let mut dev = world.follow(&["dev", "echo.js", ON[0], ON[1], "--json-lines"]).await;
    let first = happening(&mut dev, "deployed").await;
    assert_eq!((text(&first, "/name"), &first["version"]), ("echo".to_owned(), &1.into()));
    let _failed = try_ask(&world.client, "js.echo", b"x".to_vec()).await;
    let logged = happening(&mut dev, "log").await;
    assert!(text(&logged, "/payload/text").contains("broken on purpose"), "{logged:#}");

    world.file("echo.js", "let x = ;\n");
    let refused = happening(&mut dev, "not_deployed").await;
    assert_eq!((&refused["still"], text(&refused, "/code")), (&1.into(), "NEX-210".to_owned()));
    // Back to what runs: nothing to deploy, and that is told.
    world.file("echo.js", "(subject, payload) => { throw new Error('broken on purpose') }\n");
    assert_eq!(happening(&mut dev, "already_running").await["version"], 1);
    // As editors save: another file, renamed.
    world.file("echo.tmp", version("two"));
    let folder = world.nex.work_dir();
    std::fs::rename(folder.join("echo.tmp"), folder.join("echo.js")).unwrap();
    let second = happening(&mut dev, "deployed").await;
    assert_eq!((&second["version"], &second["replaced"]), (&2.into(), &1.into()));
    assert!(second["milliseconds"].as_f64().unwrap() > 0.0, "{second:#}");
    assert_eq!(world.ask("js.echo", "x").await.payload, "two got x");

    ended_well(dev).await;
    assert_no_responders(&world.client, "js.echo").await;
    assert_eq!(world.list().await, Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn what_ran_before_stays_unless_it_was_replaced() {
    let world = World::up().await;
    world.deploy("echo.js", &version("old"), "js.echo").await;
    let mut dev = world.follow(&["dev", "echo.js", ON[0], ON[1], "--json-lines"]).await;
    assert_eq!(happening(&mut dev, "already_running").await["version"], Value::Null);
    ended_well(dev).await;
    assert_eq!(world.ask("js.echo", "x").await.payload, "old got x");

    let mut dev = world.follow(&["dev", "echo.js", ON[0], ON[1], "--json-lines"]).await;
    happening(&mut dev, "already_running").await;
    world.file("echo.js", version("new"));
    assert_eq!(happening(&mut dev, "deployed").await["replaced"], 1);
    assert_eq!(world.ask("js.echo", "x").await.payload, "new got x");
    ended_well(dev).await;
    assert_no_responders(&world.client, "js.echo").await;
    world.finish().await;
}

#[tokio::test]
async fn a_nexfile_that_changes_is_a_save() {
    let world = World::up().await;
    let nexfile = |name: &str, subject: &str| {
        let says = format!("name: {name}\nfile: ./fn.js\ntriggers: [{subject}]\n");
        world.file("Nexfile.yaml", says);
    };
    world.file("fn.js", version("one"));
    nexfile("first", "js.a");
    let mut dev = world.follow(&["dev", "--json-lines"]).await;
    assert_eq!(text(&happening(&mut dev, "deployed").await, "/name"), "first");
    nexfile("first", "js.b");
    happening(&mut dev, "deployed").await;
    assert_eq!(world.ask("js.b", "x").await.payload, "one got x");
    world.file("fn.js", version("two"));
    happening(&mut dev, "deployed").await;
    assert_eq!(world.ask("js.b", "x").await.payload, "two got x");

    nexfile("second", "js.c");
    assert_eq!(text(&happening(&mut dev, "deployed").await, "/name"), "second");
    assert_eq!(text(&happening(&mut dev, "removed").await, "/name"), "first");
    assert_no_responders(&world.client, "js.b").await;
    nexfile("second", "js..c");
    assert_eq!(happening(&mut dev, "not_deployed").await["still"], 4);
    ended_well(dev).await;
    assert_no_responders(&world.client, "js.c").await;
    world.finish().await;
}

#[tokio::test]
async fn what_somebody_else_stopped_comes_back_at_the_next_save() {
    let world = World::up().await;
    world.file("echo.js", version("one"));
    let mut dev = world.follow(&["dev", "echo.js", ON[0], ON[1], "--json-lines"]).await;
    happening(&mut dev, "deployed").await;
    world.nex.ok(&["stop", "echo"]).await;
    assert_eq!(happening(&mut dev, "ended").await["starts_again"], false);
    assert_no_responders(&world.client, "js.echo").await;
    world.file("echo.js", version("one"));
    happening(&mut dev, "deployed").await;
    assert_eq!(world.ask("js.echo", "x").await.payload, "one got x");
    ended_well(dev).await;
    world.finish().await;
}

#[tokio::test]
async fn a_service_is_worked_on_too() {
    let world = World::up().await;
    let program = programs::build(&world.nex);
    let mut dev = world.follow(&["dev", program, "--json-lines", "--", "fail-soon"]).await;
    let first = happening(&mut dev, "deployed").await;
    let kind = (text(&first, "/type"), text(&first, "/lifecycle"));
    assert_eq!(kind, ("native".to_owned(), "service".to_owned()));
    let ended = happening(&mut dev, "ended").await;
    assert_eq!(ended["starts_again"], true, "{ended:#}");
    assert_eq!(text(&happening(&mut dev, "log").await, "/payload/text"), "no luck");
    ended_well(dev).await;
    assert_eq!(world.list().await, Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_begin_is_refused() {
    let world = World::up().await;
    world.file("echo.js", ECHO);
    let refused = world.nex.run(&["dev", "echo.js"]).await;
    assert_refused(refused, 2, &["needs a trigger"], "--on echo");
    let refused = world.nex.run(&["dev", "echo.js", ON[0], ON[1], "--no-replace"]).await;
    assert_refused(refused, 2, &["one more copy at each save"], "--copies");
    let refused = world.nex.run(&["dev", "none.js", ON[0], ON[1]]).await;
    assert_refused(refused, 2, &["cannot read none.js"], "name a file");
    let tags = ["dev", "echo.js", ON[0], ON[1], "--tags", "region=moon"];
    assert_refused(world.nex.run(&tags).await, 5, &["no agents available"], "nex info");
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_removed_is_told() {
    let mut world = World::up().await;
    world.file("echo.js", version("one"));
    let mut dev = world.follow(&["dev", "echo.js", ON[0], ON[1], "--json-lines"]).await;
    happening(&mut dev, "deployed").await;
    world.server.kill().await;
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.exit(SOON).await.unwrap().code(), Some(3), "{}", dev.stderr());
    assert!(dev.stderr().contains("so echo was not removed"), "{}", dev.stderr());
    assert!(dev.stderr().contains("hint: nex stop echo"), "{}", dev.stderr());
    world.server.restart().await;
    world.until_answered("js.echo", "x", "one got x").await;
    world.nex.ok(&["stop", "echo"]).await;
    world.finish().await;
}
