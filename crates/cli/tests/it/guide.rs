//! The guide's pages, read by a newcomer who types what stands there.
//!
//! 1. A fence with a file's name is that file.
//! 2. In a `console` fence, `$` begins a command, which a shell gets; the lines below it are parts of what it
//!    prints, in order, and `…` in them stands for anything. `exit N` is its exit code (0 without).
//! 3. With a `&` at its end a command runs until `kill %N` or the page's end; `wait %N` is for one that ends by
//!    itself. A line that begins with `&` is what it prints by then.
//! 4. `nex up` runs already: its lines are looked for in what the node printed. What `nats` does, the test does.
//! 5. An `sh` fence is commands that no test can type, and says why: `sh not typed: REASON`.
//! 6. Other kinds of fences without a name are for reading; a list of commands in one has no `$`.
//! 7. A page that nobody named here is typed too; and what the pages name is there: files, commands, flags.

mod commands;
mod links;
mod messages;
mod nats;
mod page;
mod typed;

use std::path::PathBuf;

use nex_testkit::root;

use page::Page;

/// Fewer commands than this make no page of the guide.
const LEAST: usize = 2;
/// What is no page to type.
const LIST: &str = "README.md";

macro_rules! pages {
    ($($test:ident: $page:literal,)+) => {
        $(
            #[tokio::test]
            async fn $test() {
                typed::page(&Page::read(&folder().join($page))).await;
            }
        )+

        /// The pages that have a test of their own, so that they are typed side by side.
        const NAMED: &[&str] = &[$($page,)+];
    };
}

pages! {
    artifacts_can_be_typed: "artifacts.md",
    configuration_can_be_typed: "configuration.md",
    dev_can_be_typed: "dev.md",
    functions_can_be_typed: "functions.md",
    getting_started_can_be_typed: "getting-started.md",
    host_services_can_be_typed: "host-services.md",
    javascript_can_be_typed: "javascript.md",
    jobs_can_be_typed: "jobs.md",
    nexfiles_can_be_typed: "nexfiles.md",
    nexlets_can_be_typed: "nexlets.md",
    observability_can_be_typed: "observability.md",
    operating_can_be_typed: "operating.md",
    security_can_be_typed: "security.md",
    services_can_be_typed: "services.md",
    triggers_can_be_typed: "triggers.md",
    troubleshooting_can_be_typed: "troubleshooting.md",
    upgrade_can_be_typed: "upgrade.md",
    webassembly_can_be_typed: "webassembly.md",
}

#[tokio::test]
async fn the_projects_own_page_can_be_typed() {
    typed::page(&Page::read(&root().join(LIST))).await;
}

#[tokio::test]
async fn pages_that_are_not_named_can_be_typed_too() {
    for page in pages() {
        if !NAMED.contains(&page.name.as_str()) {
            typed::page(&page).await;
        }
    }
}

#[test]
fn the_list_names_every_page() {
    let list = Page::read(&folder().join(LIST));
    for page in pages() {
        let link = format!("]({})", page.name);
        assert!(list.text.contains(&link), "docs/guide/{LIST} does not name {}", page.name);
    }
}

/// Every page, and the list of them, and the project's own.
fn all() -> Vec<Page> {
    let lists = [folder().join(LIST), root().join(LIST)];
    pages().into_iter().chain(lists.iter().map(|file| Page::read(file))).collect()
}

fn folder() -> PathBuf {
    root().join("docs/guide")
}

/// Every page but the list of them.
fn pages() -> Vec<Page> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let pages = files.filter(|file| file.extension().is_some_and(|ending| ending == "md"));
    pages.map(|file| Page::read(&file)).filter(|page| page.name != LIST).collect()
}
