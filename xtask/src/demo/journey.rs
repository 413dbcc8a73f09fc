//! The steps of the demo, top to bottom.
//!
//! Owns: the story. Never: how a step is run and printed; that is `stage`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::stage::Stage;
use super::typed;

/// The exit code of `nex call` when nobody listens.
const NOBODY_THERE: i32 = 4;
const SUBJECTS: [&str; 4] = ["js.echo", "greet", "wasm.echo", "svc.echo"];
const NAMES: [&str; 4] = ["echo", "greet", "wasm-echo", "echo-service"];

/// Shows everything; stops before the end when `keep` is set. The first unexpected answer is an error.
pub(super) async fn show(stage: &mut Stage, echo_service: &Path, keep: bool) -> anyhow::Result<()> {
    stage.open().await?;
    functions(stage).await?;
    service(stage, echo_service).await?;
    overview(stage).await?;
    if keep {
        return Ok(());
    }
    stop(stage).await?;
    stage.say("Ctrl-C, or SIGTERM as here, ends everything that nex up started.");
    stage.close().await?;
    stage.checked("it ended with exit code 0, and no process is left");
    Ok(())
}

async fn functions(stage: &mut Stage) -> anyhow::Result<()> {
    stage.say("A JavaScript function: one line, no build, no SDK. It listens on a subject.");
    stage.run(&["run", "examples/echo.js", "--on", "js.echo"]).await?;
    stage.say("Call it by its name. Any NATS client may do the same with a request to js.echo.");
    stage.answers(&["call", "echo", "hello"], "hello").await?;

    stage.say("An ES module with an async handler, on a subject of its own; JSON in, JSON out.");
    stage.run(&["run", "examples/greet.mjs", "--on", "greet"]).await?;
    let greeting = r#"{"greeting":"Hello, Ada!","subject":"greet"}"#;
    stage.answers(&["call", "greet", r#"{"name":"Ada"}"#], greeting).await?;

    stage.say("A WebAssembly command: payload on stdin, subject as argument, stdout is the reply.");
    stage.run(&["run", "examples/wasm-echo.wasm", "--on", "wasm.echo"]).await?;
    stage.answers(&["call", "wasm.echo", "hello"], "hellowasm.echo").await
}

async fn service(stage: &mut Stage, echo_service: &Path) -> anyhow::Result<()> {
    stage.say("A service: an ordinary static program that connects to NATS and stays, deployed unchanged..");
    let file = typed(echo_service, stage.root())?;
    stage.run(&["run", &file]).await?;
    stage.say("Follow its output, from another terminal, while it is called.");
    let mut logs = stage.follow(&["logs", "echo-service", "-f"])?;
    // A service answers as soon as it has connected, which is its own affair.
    stage.until_it_answers(&["call", "svc.echo", "hello"], "hello").await?;
    let line = logs.line(Duration::from_secs(10), |line| line.contains("echoed 5 bytes")).await;
    let line = line.context("the service's line did not come through `nex logs -f`")?;
    stage.show_line("nex logs echo-service -f", &line);
    Ok(())
}

async fn overview(stage: &mut Stage) -> anyhow::Result<()> {
    stage.say("What runs now:");
    let list = stage.run(&["ls"]).await?;
    for name in NAMES {
        ensure!(list.contains(name), "`nex ls` does not show {name}:\n{list}");
    }
    stage.checked("all four are listed");
    stage.say("And where:");
    let nodes = stage.run(&["nodes"]).await?;
    ensure!(!nodes.trim().is_empty(), "`nex nodes` shows nothing");
    Ok(())
}

async fn stop(stage: &mut Stage) -> anyhow::Result<()> {
    stage.say("Stop them all; from then on nobody listens on their subjects.");
    let mut command = vec!["stop"];
    command.extend(NAMES);
    stage.run(&command).await?;
    for subject in SUBJECTS {
        stage.exits(&["call", subject, "hello"], NOBODY_THERE).await?;
    }
    let list = stage.run(&["ls"]).await?;
    for name in NAMES {
        ensure!(!list.contains(name), "`nex ls` still shows {name}:\n{list}");
    }
    stage.checked("none is listed");
    Ok(())
}
