//! `nex explain`: the page of an error code, without a network.
//!
//! 1. However a code is typed, its page is printed; with `--json` as a document.
//! 2. A code that is not there is 4, with the nearest ones.
//! 3. Without a code all are listed.
//! 4. An error that carries a code names the command.

use nex_testkit::{Nex, root};

use crate::world::{World, assert_refused};

#[tokio::test]
async fn the_page_is_printed_however_the_code_is_typed() {
    let nex = Nex::managed().down();
    let page = std::fs::read_to_string(root().join("docs/errors/NEX-212.md")).unwrap();
    for typed in ["NEX-212", "nex-212", "212"] {
        assert_eq!(nex.ok(&["explain", typed]).await.text().trim_end(), page.trim_end());
    }
    let json = nex.ok(&["explain", "212", "--json"]).await.json();
    assert_eq!(json["code"], "NEX-212");
    assert_eq!(json["title"], "the trigger's subject is on the deny list");
    assert_eq!(json["page"], page);
}

#[tokio::test]
async fn an_unknown_code_is_4_with_the_nearest_ones() {
    let nex = Nex::managed().down();
    let refused = nex.run(&["explain", "NEX-214"]).await;
    assert_refused(refused, 4, &["no error code NEX-214", "NEX-213  "], "nex explain");
    let refused = nex.run(&["explain", "nonsense"]).await;
    assert_refused(refused, 4, &["no error code nonsense", "NEX-"], "nex explain");
}

#[tokio::test]
async fn without_a_code_all_are_listed() {
    let nex = Nex::managed().down();
    let n_pages = std::fs::read_dir(root().join("docs/errors")).unwrap().count();
    let listed = nex.ok(&["explain"]).await.text();
    assert_eq!(listed.lines().count(), n_pages, "{listed}");
    assert!(listed.starts_with("NEX-100  the request is not the message"), "{listed}");
    let json = nex.ok(&["explain", "--json"]).await.json();
    assert_eq!(json.as_array().map(Vec::len), Some(n_pages));
}

#[tokio::test]
async fn an_error_with_a_code_names_the_command() {
    let world = World::up().await;
    world.file("bad.js", "(subject, payload) => {\n");
    let refused = world.nex.run(&["run", "bad.js", "--on", "never"]).await.exits(1);
    let last = refused.stderr.lines().last();
    assert_eq!(last, Some("more: nex explain NEX-210"), "{refused}");
    world.finish().await;
}
