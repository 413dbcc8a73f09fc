//! `cargo xtask screenshots`: the pictures of the README, made from real runs.
//!
//! Owns: which moments are shown, and where the pictures are kept. Never: shows what a program did not draw:
//! each picture is a screen as a terminal had it, below the command that was typed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nex_testkit::{Nex, Terminal, example};

use crate::{builds, nats_server};

mod svg;

/// How long a screen may take that comes by itself.
const SOON: Duration = Duration::from_secs(20);
/// Columns and rows of a picture.
const SIZE: (u16, u16) = (100, 24);

/// A function that has something to say.
const ORDERS: &str = r#"export default (subject, payload) => {
  const order = payload.text();
  if (order === "") {
    console.warn("refused: an empty order");
    throw new Error("an order needs something in it");
  }
  console.log("taken:", { order, bytes: payload.length });
  return "thank you";
};
"#;

/// Options of the pictures.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use this `nex` instead of building one
    #[arg(long, value_name = "FILE")]
    nex: Option<PathBuf>,
    /// Where the pictures are written
    #[arg(long, value_name = "FOLDER", default_value = "docs/images")]
    out: PathBuf,
}

/// Starts a node, plays each scene, and writes its picture.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<()> {
    nats_server::ensure(root)?;
    let nex = match &args.nex {
        Some(nex) => {
            nex.canonicalize().with_context(|| format!("there is no {}", nex.display()))?
        }
        None => builds::nex(root)?,
    };
    let service = builds::echo_service(root)?;
    let folder = root.join(&args.out);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let node =
            Nex::managed().binary(nex).arguments(["--node-name", "swift-otter"]).try_up().await?;
        let played = play(&node, &service, &folder).await;
        node.finish().await;
        played
    })
}

async fn play(node: &Nex, service: &Path, folder: &Path) -> anyhow::Result<()> {
    let work = node.work_dir();
    for name in ["echo.js", "greet.mjs", "counter.mjs", "heartbeat.mjs"] {
        std::fs::copy(example(name), work.join(name)).with_context(|| format!("no {name}"))?;
    }
    std::fs::copy(service, work.join("echo-service"))?;

    let run = "run echo.js --on js.echo";
    picture(folder, "run", &[(run, &ended(node, run).await?)])?;

    node.ok(&["run", "heartbeat.mjs", "--on", "every:1s"]).await;
    node.ok(&["run", "counter.mjs", "--on", "count.up"]).await;
    node.ok(&["run", "./echo-service"]).await;
    std::fs::write(work.join("orders.mjs"), ORDERS)?;
    node.ok(&["run", "orders.mjs", "--on", "shop.orders"]).await;
    for payload in ["3 lamps", "a table", "", "12 chairs"] {
        node.run(&["call", "shop.orders", payload]).await;
        node.ok(&["call", "svc.echo", payload]).await;
    }
    logs(node, folder).await?;
    top(node, folder).await?;
    dev(node, folder).await
}

async fn logs(node: &Nex, folder: &Path) -> anyhow::Result<()> {
    let typed = "logs -f --tail 12";
    let mut terminal = node.terminal(&words(typed), SIZE);
    terminal.shows("lines of several workloads", SOON, |screen| n_lines(screen) > 8).await?;
    picture(folder, "logs", &[(typed, &terminal)])?;
    terminal.press("\x03")?;
    terminal.ended(SOON).await?;
    Ok(())
}

/// The screen while two functions are called.
async fn top(node: &Nex, folder: &Path) -> anyhow::Result<()> {
    let mut terminal = node.terminal(&["top", "--interval", "1s"], SIZE);
    let calls = async {
        loop {
            node.ok(&["call", "js.echo", "hello", "--count", "400"]).await;
            node.ok(&["call", "count.up", "1", "--count", "100"]).await;
        }
    };
    let shown = terminal.shows("rates of the function that is called", SOON, |screen| {
        ["echo ", "counter "].iter().all(|name| {
            let line = screen.lines().find(|line| line.starts_with(name));
            line.is_some_and(|line| line.contains("ms ") || line.contains("µs "))
        })
    });
    tokio::select! {
        shown = shown => drop(shown?),
        () = calls => {}
    }
    picture(folder, "top", &[("top", &terminal)])?;
    terminal.press("q")?;
    terminal.ended(SOON).await?;
    Ok(())
}

/// A file that is saved, broken, and mended.
async fn dev(node: &Nex, folder: &Path) -> anyhow::Result<()> {
    let file = node.work_dir().join("hello.mjs");
    let version = |text: &str| {
        format!(
            "export default (subject, payload) => {{\n  console.log('called');\n  return {text};\n}}\n"
        )
    };
    std::fs::write(&file, version("`hello ${payload.text()}`"))?;
    let mut terminal = node.terminal(&["dev", "hello.mjs", "--on", "js.hello"], SIZE);
    terminal.shows("the function is deployed", SOON, |screen| screen.contains("deployed")).await?;
    node.ok(&["call", "js.hello", "world"]).await;
    terminal.shows("its line", SOON, |screen| screen.contains("called")).await?;
    std::fs::write(&file, version("`good day ${payload.text()"))?;
    terminal.shows("the caret", SOON, |screen| screen.contains('^')).await?;
    std::fs::write(&file, version("`good day ${payload.text()}`"))?;
    terminal.shows("the new version", SOON, |screen| screen.contains("version 2 answers")).await?;
    picture(folder, "dev", &[("dev hello.mjs --on js.hello", &terminal)])?;
    terminal.press("q")?;
    terminal.ended(SOON).await?;
    Ok(())
}

/// A command that ends by itself, with its last screen.
async fn ended(node: &Nex, typed: &str) -> anyhow::Result<Terminal> {
    let mut terminal = node.terminal(&words(typed), SIZE);
    terminal.ended(SOON).await?;
    terminal.shows("its output", SOON, |screen| n_lines(screen) > 0).await?;
    Ok(terminal)
}

fn words(typed: &str) -> Vec<&str> {
    typed.split(' ').collect()
}

fn n_lines(screen: &str) -> usize {
    screen.lines().filter(|line| !line.is_empty()).count()
}

fn picture(folder: &Path, name: &str, scenes: &[(&str, &Terminal)]) -> anyhow::Result<()> {
    let mut drawing = svg::Drawing::new(SIZE.0);
    for (typed, terminal) in scenes {
        drawing.typed(&format!("nex {typed}"));
        terminal.look(|screen| drawing.screen(screen));
    }
    let path = folder.join(format!("{name}.svg"));
    std::fs::write(&path, drawing.finish(&format!("nex {name} in a terminal")))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
