//! Nexfiles with several workloads: `nex apply`, `nex diff`, `nex delete`.
//!
//! 1. What is not there is created; the second time there is nothing to do.
//! 2. What differs is told by its keys and replaced; what does not is left alone.
//! 3. `--dry-run` and `nex diff` do nothing, upload nothing; `nex diff` is 1 when something differs.
//! 4. What is wrong with any of the files is said before the first workload starts.
//! 5. `nex delete` stops what the file names, and nothing else.
//! 6. `nex run` finds a Nexfile by any of its names, and refuses one with several workloads.

use async_nats::jetstream;
use serde_json::json;

use crate::guests::ECHO;
use crate::world::{World, assert_no_responders, assert_refused, text};

const THREE: &str = "\
environment: {STAGE: lab}
workloads:
- {file: ./echo.js, triggers: [t.echo]}
- {name: twin, file: ./echo.js, triggers: [t.twin], limits: {timeout: 2s}}
- {name: stage, file: ./stage.js, triggers: [t.stage]}
";
const STAGE: &str = "export default (s, p, ctx) => ctx.env.STAGE\n";

async fn world() -> World {
    let world = World::up().await;
    world.file("echo.js", ECHO);
    world.file("stage.js", STAGE);
    world.file("Nexfile.yaml", THREE);
    world
}

#[tokio::test]
async fn what_differs_is_replaced_and_the_rest_is_left_alone() {
    let world = world().await;
    let applied = world.nex.ok(&["apply", "-f", "Nexfile.yaml"]).await.text();
    for says in [
        "+ echo   javascript function\n",
        "+ twin   javascript function\n",
        "✓ stage deployed as javascript function",
        "✓ 3 created, 0 changed, 0 as it was\n",
    ] {
        assert!(applied.contains(says), "no {says:?} in {applied}");
    }
    assert_eq!(world.ask("t.stage", "").await.payload, "lab");
    assert_eq!(world.ask("t.twin", "x").await.payload, "x");
    let ids = world.ids().await;

    let again = world.nex.ok(&["apply", "-f", "."]).await.text();
    assert_eq!(again, "= echo\n= twin\n= stage\n✓ nothing to do\n");
    assert_eq!(world.nex.ok(&["diff", "-f", "."]).await.text(), "= echo\n= twin\n= stage\n");
    assert_eq!(world.ids().await, ids);

    // A secret, a limit, the file: the keys are told, not the values.
    let changed = THREE.replace("STAGE: lab", "STAGE: top-secret").replace("2s", "3s");
    world.file("Nexfile.yaml", changed);
    let differs = world.nex.run(&["diff", "-f", "Nexfile.yaml"]).await.exits(1);
    let expected = "~ echo   environment.STAGE\n~ twin   environment.STAGE, limits.timeout\n\
                    ~ stage  environment.STAGE\n";
    assert_eq!(differs.text(), expected);
    assert!(differs.stderr.contains("3 of 3 workloads differ from what runs"), "{differs}");
    assert!(differs.stderr.contains("hint: make it so: nex apply -f Nexfile.yaml"), "{differs}");
    world.nex.ok(&["apply", "-f", "Nexfile.yaml"]).await;
    assert_eq!(world.ask("t.stage", "").await.payload, "top-secret");

    let before = world.ids().await;
    world.file("stage.js", "export default () => 'new'\n");
    let applied = world.nex.ok(&["apply", "-f", ".", "--json"]).await.json();
    assert_eq!(applied["plan"][2], json!({"name": "stage", "change": "change", "keys": ["file"]}));
    assert_eq!(applied["plan"][0]["change"], "same");
    assert_eq!(applied["done"].as_array().map(Vec::len), Some(1));
    assert_eq!(applied["done"][0]["replaced"], 1);
    assert_eq!(world.ask("t.stage", "").await.payload, "new");
    let kept = world.ids().await.iter().filter(|id| before.contains(id)).count();
    assert_eq!(kept, 2, "the other two were left alone");
    world.finish().await;
}

#[tokio::test]
async fn a_dry_run_and_a_diff_do_nothing() {
    let world = world().await;
    let shown = world.nex.ok(&["apply", "-f", ".", "--dry-run"]).await.text();
    assert!(shown.ends_with("would create 3, change 0, leave 0 as it is\n"), "{shown}");
    let differs = world.nex.run(&["diff", "-f", ".", "--json"]).await.exits(1).json();
    assert_eq!(differs["differs"], true);
    assert_eq!(differs["plan"][0], json!({"name": "echo", "change": "create", "keys": []}));
    assert!(world.list().await.is_empty());
    let jetstream = jetstream::new(world.client.clone());
    assert!(jetstream.get_stream("OBJ_NEXCLIFILES").await.is_err(), "nothing was uploaded");
    world.finish().await;
}

#[tokio::test]
async fn copies_and_artifacts_that_are_there_already_count_too() {
    let world = world().await;
    world.nex.ok(&["run", "echo.js", "--on", "t.echo", "--name", "first"]).await;
    world.nex.ok(&["stop", "first"]).await;
    let there = "type: javascript\nlifecycle: function\nworkloads:\n- name: there\n  copies: 2\n  \
                 start_request: {uri: 'nats://NEXCLIFILES/first', triggers: [t.there]}\n";
    world.file("there.yaml", there);
    world.nex.ok(&["apply", "-f", "there.yaml"]).await;
    assert_eq!(world.ids().await.len(), 2);
    let again = world.nex.ok(&["apply", "-f", "there.yaml"]).await.text();
    assert_eq!(again, "= there\n✓ nothing to do\n");
    world.file("there.yaml", there.replace("copies: 2", "copies: 3"));
    let applied = world.nex.ok(&["apply", "-f", "there.yaml"]).await.text();
    assert!(applied.starts_with("~ there  copies\n"), "{applied}");
    assert_eq!(world.ids().await.len(), 3);

    world.file("there.yaml", there.replace("t.there", "t.elsewhere"));
    let differs = world.nex.run(&["diff", "-f", "there.yaml"]).await.exits(1);
    assert_eq!(differs.text(), "~ there  triggers, copies\n");
    world.finish().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_before_the_first_starts() {
    let world = world().await;
    for (nexfile, code, says) in [
        (format!("{THREE}- {{file: ./gone.js, triggers: [t.gone]}}\n"), 2, "gone.js"),
        (format!("{THREE}- {{file: ./echo.js}}\n"), 2, "two workloads are called echo"),
        (format!("{THREE}- {{name: mute, file: ./echo.js}}\n"), 2, "needs a trigger"),
        (format!("{THREE}- {{start_request: {{uri: 'data:,x'}}}}\n"), 2, "a workload has no name"),
        (THREE.replace("file: ./stage.js", "fiel: ./stage.js"), 2, "did you mean \"file\"?"),
    ] {
        world.file("Nexfile.yaml", nexfile);
        let refused = world.nex.run(&["apply", "-f", "."]).await;
        assert_refused(refused, code, &[says], "");
    }
    assert!(world.list().await.is_empty());

    // What only a node can know ends it there; what was done stays.
    world.file("Nexfile.yaml", THREE.replace("t.twin", "'$SYS.twin'"));
    let refused = world.nex.run(&["apply", "-f", "."]).await.exits(1);
    assert!(refused.stderr.contains("error: twin: a function may not listen on"), "{refused}");
    let names: Vec<String> = world.list().await.iter().map(|w| text(w, "/name")).collect();
    assert_eq!(names, ["echo"]);
    world.file("Nexfile.yaml", THREE);
    let applied = world.nex.ok(&["apply", "-f", "."]).await.text();
    assert!(applied.contains("✓ 2 created, 0 changed, 1 as it was\n"), "{applied}");
    world.finish().await;
}

#[tokio::test]
async fn delete_stops_what_the_file_names() {
    let world = world().await;
    world.nex.ok(&["apply", "-f", "."]).await;
    world.nex.ok(&["run", "echo.js", "--on", "t.other", "--name", "other"]).await;
    world.nex.ok(&["stop", "twin"]).await;
    // The files that it uploaded need not be there any more.
    std::fs::remove_file(world.nex.work_dir().join("stage.js")).unwrap();
    let deleted = world.nex.ok(&["delete", "-f", "."]).await.text();
    assert_eq!(deleted, "- echo\n= twin  is not there\n- stage\n✓ 2 workloads stopped\n");
    assert_no_responders(&world.client, "t.echo").await;
    assert_eq!(world.ask("t.other", "x").await.payload, "x");
    let again = world.nex.ok(&["delete", "-f", "."]).await.text();
    assert!(again.ends_with("✓ nothing to do\n"), "{again}");
    let json = world.nex.ok(&["delete", "-f", ".", "--json"]).await.json();
    assert_eq!(json[0], json!({"name": "echo", "stopped": 0}));
    world.finish().await;
}

#[tokio::test]
async fn nex_run_finds_a_nexfile_by_any_of_its_names() {
    let world = World::up().await;
    for (idx, name) in
        ["nexfile.yaml", "Nexfile.json", "Nexfile.yaml", "Nexfile"].iter().enumerate()
    {
        world.file("echo.js", ECHO);
        let nexfile = json!({"name": format!("echo{idx}"), "file": "echo.js", "triggers": [format!("t.{idx}")]});
        world.file(name, nexfile.to_string());
        let ran = world.nex.ok(&["run"]).await.text();
        assert!(ran.contains(&format!("✓ echo{idx} deployed")), "{name}: {ran}");
    }
    world.file("Nexfile", THREE);
    for arguments in [&["run"][..], &["run", "Nexfile"], &["workload", "start"]] {
        let refused = world.nex.run(arguments).await;
        assert_refused(refused, 2, &["Nexfile names 3 workloads"], "nex apply -f ");
    }
    let schema = world.nex.ok(&["schema", "nexfile"]).await.json();
    assert_eq!(schema["properties"]["workloads"]["type"], "array");
    world.finish().await;
}
