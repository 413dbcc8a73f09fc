//! Where settings come from, and that `nex config` tells.
//!
//! 1. Flags win over `--config`, this over `./config.json`, the user's file, variables, defaults.
//! 2. Flat, nested and camelCase keys; what is unknown is refused with the nearest key.
//! 3. Somebody else's `./config.json` disturbs nothing.
//! 4. `--check` shows the settings instead of running the command.

use nex_testkit::Nex;
use serde_json::{Value, json};

use crate::world::{assert_refused, text};

/// Commands whose home, and with it the user's file, lies in their working folder.
fn alone() -> Nex {
    Nex::managed()
        .environment("XDG_CONFIG_HOME", "config")
        .environment("NEX_NAMESPACE", "by-variable")
        .down()
}

fn write(nex: &Nex, name: &str, content: &impl ToString) {
    let path = nex.work_dir().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content.to_string()).unwrap();
}

/// The value of a setting and who says it.
async fn setting(nex: &Nex, arguments: &[&str], key: &str) -> (Value, String) {
    let shown = nex.ok(&[&["config", "--json"], arguments].concat()).await.json();
    let all = shown["settings"].as_array().unwrap();
    let found = all.iter().find(|setting| setting["key"] == key);
    let found = found.unwrap_or_else(|| panic!("no {key} in {shown:#}"));
    (found["value"].clone(), text(found, "/from"))
}

#[tokio::test]
async fn flags_win_over_files_over_variables_over_defaults() {
    let nex = alone();
    let namespace = async |arguments: &[&str]| setting(&nex, arguments, "namespace").await;
    assert_eq!(namespace(&[]).await, (json!("by-variable"), "variable NEX_NAMESPACE".to_owned()));
    write(&nex, "config/nex/config.json", &json!({"namespace": "by-user", "nexus": "lab"}));
    assert_eq!(namespace(&[]).await.0, "by-user");
    write(&nex, "config.json", &json!({"namespace": "by-folder"}));
    assert_eq!(namespace(&[]).await, (json!("by-folder"), "file config.json".to_owned()));
    write(&nex, "named.json", &json!({"namespace": "by-name"}));
    assert_eq!(namespace(&["--config", "named.json"]).await.0, "by-name");
    let by_flag = namespace(&["--config", "named.json", "-n", "by-flag"]).await;
    assert_eq!(by_flag, (json!("by-flag"), "flag".to_owned()));
    let nexus = setting(&nex, &[], "nexus").await;
    assert_eq!(nexus, (json!("lab"), "file config/nex/config.json".to_owned()));
    assert_eq!(setting(&nex, &[], "auction_ttl").await, (json!("10s"), "default".to_owned()));
    // What is in force is what a command acts in.
    let shown = nex.run(&["ls"]).await.exits(3);
    assert!(shown.stderr.contains("note: settings from ./config.json"), "{shown}");
}

#[tokio::test]
async fn a_server_comes_from_the_same_places_and_is_named_without_its_password() {
    let nex = alone();
    let server = async |arguments: &[&str]| {
        let shown = nex.ok(&[&["config", "--json"], arguments].concat()).await.json();
        assert!(!shown.to_string().contains("secret"), "{shown:#}");
        (text(&shown, "/nats/servers"), text(&shown, "/nats/from"))
    };
    assert_eq!(server(&[]).await, ("nats://127.0.0.1:4222".to_owned(), "default".to_owned()));
    write(
        &nex,
        "config.json",
        &json!({"nats": {"servers": ["nats://me:secret@a:1", "nats://b:2"]}}),
    );
    let by_file = ("nats://a:1,nats://b:2".to_owned(), "file config.json".to_owned());
    assert_eq!(server(&[]).await, by_file);
    let by_flag = ("nats://c:3".to_owned(), "flag --nats-url".to_owned());
    assert_eq!(server(&["--nats.servers", "nats://c:3"]).await, by_flag);
    write(
        &nex,
        "config.json",
        &json!({"nats.password": "secret", "nats.user": "me", "node_seed": "secret"}),
    );
    let password = setting(&nex, &[], "nats.password").await;
    assert_eq!(password.0, "********");
    assert_eq!(setting(&nex, &[], "node_seed").await.0, "********");
}

#[tokio::test]
async fn what_is_unknown_is_refused_and_somebody_elses_file_left_alone() {
    let nex = alone();
    let missing = nex.run(&["nodes", "--config", "nosuch.json"]).await;
    assert_refused(missing, 2, &["cannot read configuration file nosuch.json"], "--config FILE");
    for (content, says) in [
        (r#"{"nats": {"server": "x"}}"#, "did you mean \"nats.servers\"?"),
        (r#"{"namespase": "x"}"#, "did you mean \"namespace\"?"),
        (r#"{"json": "perhaps"}"#, "must be true or false"),
        ("{", "EOF"),
    ] {
        write(&nex, "named.json", &content);
        let refused = nex.run(&["config", "--config", "named.json"]).await;
        assert_refused(refused, 2, &["configuration file named.json", says], "");
    }
    // One key that only Nex has, and a mistake.
    write(&nex, "config.json", &json!({"node_name": "x", "nats.server": "y"}));
    assert_refused(nex.run(&["config"]).await, 2, &["config.json", "nats.servers"], "nex config");
    for foreign in [r#"{"name": "shop", "namespace": "shop", "port": 80}"#, "// not JSON", "[]"] {
        write(&nex, "config.json", &foreign);
        let (value, from) = setting(&nex, &[], "namespace").await;
        assert_eq!((value, from.as_str()), (json!("by-variable"), "variable NEX_NAMESPACE"));
        let shown = nex.ok(&["config"]).await;
        assert!(shown.stderr.contains("note: ./config.json is left alone"), "{shown}");
    }
}

#[tokio::test]
async fn check_shows_the_settings_of_a_command_instead_of_running_it() {
    let nex = alone();
    let shown = nex.ok(&["node", "up", "--nexus", "lab", "--tags", "a=b;c=d", "--check"]).await;
    let says = |line: &str| {
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            shown.text().lines().any(|shown| squeezed(shown) == line),
            "no {line:?} in {shown}"
        );
    };
    says("nexus lab flag");
    says("namespace by-variable variable NEX_NAMESPACE");
    says("servers nats://127.0.0.1:4222");
    assert!(!nex.state_dir().exists(), "nothing was started");
}

#[tokio::test]
async fn go_settings_without_a_meaning_here_are_accepted() {
    let nex = alone();
    let flags = [
        "--disable-upgrade-check",
        "--auto-upgrade",
        "--dev-mode",
        "--logger.short",
        "--logger.with-pid",
        "--logger.timefmt",
        "RFC822",
        "--logger.level",
        "fatal",
    ];
    nex.ok(&[&["config"], &flags[..]].concat()).await;
    write(
        &nex,
        "config.json",
        &json!({"logger": {"short": true, "level": "debug"}, "dev_mode": true}),
    );
    nex.ok(&["config"]).await;
    std::fs::remove_file(nex.work_dir().join("config.json")).unwrap();
    let refused = nex.run(&["node", "up", "--inats-config", "x.conf"]).await;
    assert_refused(refused, 2, &["runs no NATS server inside itself"], "nats-server -c x.conf");
}
