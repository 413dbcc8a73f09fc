//! Links between the pages, and to what lies beside them, lead somewhere.

use super::page::Page;
use super::{LIST, folder, pages};

#[test]
fn links_lead_somewhere() {
    let list = Page::read(&folder().join(LIST));
    let mut lost = Vec::new();
    for page in pages().into_iter().chain([list]) {
        for link in targets(&page.prose()) {
            let file = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !folder().join(file).exists() {
                lost.push(format!("{}: {link}", page.name));
            }
            if let Some((file, heading)) = link.split_once('#')
                && !has_heading(if file.is_empty() { &page.name } else { file }, heading)
            {
                lost.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(lost.is_empty(), "these links lead nowhere: {lost:#?}");
}

/// What stands in `](…)`.
fn targets(prose: &str) -> Vec<String> {
    let behind = prose.split("](").skip(1);
    behind.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
}

/// Whether a page has a heading that web sites give this name.
fn has_heading(file: &str, name: &str) -> bool {
    let text = std::fs::read_to_string(folder().join(file)).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).any(|anchor| anchor == name)
}

fn anchor(heading: &str) -> String {
    let heading = heading.to_lowercase().replace(' ', "-");
    heading.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}
