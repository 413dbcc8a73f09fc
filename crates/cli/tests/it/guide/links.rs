//! Links between the pages, and to what lies beside them, lead somewhere.

use super::all;
use super::page::Page;

#[test]
fn links_lead_somewhere() {
    let mut lost = Vec::new();
    for page in all() {
        for link in targets(&page.prose()) {
            if !link.contains("://") && !leads_somewhere(&page, &link) {
                lost.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(lost.is_empty(), "these links lead nowhere: {lost:#?}");
}

fn leads_somewhere(page: &Page, link: &str) -> bool {
    match link.split_once('#') {
        Some((file, heading)) => has_heading(page, file, heading),
        None => page.folder.join(link).exists(),
    }
}

/// What stands in `](…)`.
fn targets(prose: &str) -> Vec<String> {
    let behind = prose.split("](").skip(1);
    behind.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
}

/// Whether a page has a heading that web sites give this name.
fn has_heading(page: &Page, file: &str, name: &str) -> bool {
    let file = if file.is_empty() { &page.name } else { file };
    let text = std::fs::read_to_string(page.folder.join(file)).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).any(|anchor| anchor == name)
}

fn anchor(heading: &str) -> String {
    let heading = heading.to_lowercase().replace(' ', "-");
    heading.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}
