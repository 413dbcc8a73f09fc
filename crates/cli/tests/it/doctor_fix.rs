//! `nex doctor --fix`: what is wrong with Nex's own files is put right, and told.
//!
//! 1. Without `--fix` it is named with the command, and nothing changes.
//! 2. A missing state directory, its mode and that of keys, what a server that is gone left, a missing context.
//! 3. What runs is not touched, nor what is not ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nex_testkit::Nex;

use crate::world::seat;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What the doctor says, whatever it thinks of it.
async fn doctor(nex: &Nex, arguments: &[&str]) -> String {
    nex.run(&[&["doctor"], arguments].concat()).await.text()
}

#[tokio::test]
async fn a_missing_state_directory_is_made() {
    let nex = Nex::managed().down();
    let told = doctor(&nex, &[]).await;
    assert!(told.contains("! fixable") && told.contains("nex doctor --fix"), "{told}");
    assert!(!nex.state_dir().exists());
    let told = doctor(&nex, &["--fix"]).await;
    assert!(told.contains("✓ fixed") && told.contains("made, with mode 700"), "{told}");
    assert_eq!(mode(nex.state_dir()), 0o700);
    let told = doctor(&nex, &["--fix"]).await;
    assert!(!told.contains("fixed") && !told.contains("fixable"), "{told}");
}

#[tokio::test]
async fn what_a_server_that_is_gone_left_is_removed() {
    let nex = Nex::managed().down();
    let server = nex.state_dir().join("nats");
    for folder in ["ports", "context", "store"] {
        fs::create_dir_all(server.join(folder)).unwrap();
    }
    set_mode(nex.state_dir(), 0o700);
    // No process of this machine has run since another boot.
    let record = r#"{"pid":1,"start_time":1,"boot_id":"x","url":"nats://127.0.0.1:1","port":1}"#;
    fs::write(server.join("record.json"), record).unwrap();
    fs::write(server.join("context/nex.json"), "{}").unwrap();
    fs::write(server.join("nex.seed"), "seed").unwrap();
    set_mode(&server.join("nex.seed"), 0o644);
    let told = doctor(&nex, &[]).await;
    assert!(told.contains("names a server that runs no more"), "{told}");
    assert!(server.join("record.json").exists());

    let fixed = nex.run(&["doctor", "--fix", "--json"]).await.json();
    let fixed = fixed.as_array().unwrap();
    let fixed: Vec<_> = fixed.iter().filter(|finding| finding["check"] == "fixed").collect();
    assert_eq!(fixed.len(), 2, "{fixed:#?}");
    assert!(fixed.iter().all(|finding| finding["verdict"] == "ok"), "{fixed:#?}");
    for gone in ["record.json", "ports", "context"] {
        assert!(!server.join(gone).exists(), "{gone}");
    }
    assert!(server.join("store").exists() && server.join("nex.seed").exists());
    assert_eq!(mode(&server.join("nex.seed")), 0o600);
}

#[tokio::test]
async fn what_runs_is_mended_without_being_touched() {
    let _seat = seat().await;
    let nex = Nex::up_managed().await;
    let context = nex.state_dir().join("nats/context/nex.json");
    let (written, record) = (fs::read(&context).unwrap(), nex.state_dir().join("nats/record.json"));
    fs::remove_file(&context).unwrap();
    set_mode(nex.state_dir(), 0o755);
    let told = doctor(&nex, &[]).await;
    for says in ["lets others in", "the context of the server", "✗ state"] {
        assert!(told.contains(says), "no {says:?} in {told}");
    }
    let told = nex.ok(&["doctor", "--fix"]).await.text();
    for says in ["mode is now 700", "written again", "✓ state", "✓ nodes"] {
        assert!(told.contains(says), "no {says:?} in {told}");
    }
    assert_eq!((fs::read(&context).unwrap(), mode(nex.state_dir())), (written, 0o700));
    assert!(record.exists());
    assert!(!nex.ok(&["doctor"]).await.text().contains("fixable"));
    nex.finish().await;
}

#[tokio::test]
async fn a_folder_that_no_node_has_used_is_not_closed() {
    let nex = Nex::managed().down();
    let theirs = nex.work_dir().join("theirs");
    fs::create_dir(&theirs).unwrap();
    set_mode(&theirs, 0o755);
    let told = doctor(&nex, &["--fix", "--state-dir", "theirs"]).await;
    assert!(told.contains("✗ state") && !told.contains("✓ fixed"), "{told}");
    assert_eq!(mode(&theirs), 0o755);
}
