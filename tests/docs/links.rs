//! What a page leads to is there.

use crate::page::{self, root};

/// The anchor that GitHub and mdBook make of a heading.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_of_it() {
    let mut links = 0;
    for path in page::all() {
        let text = page::read(&path);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let from = root().join(&path);
            let led = if file.is_empty() { from } else { from.parent().unwrap().join(file) };
            assert!(led.exists(), "{path}: {target}");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&led).unwrap();
                let found = text.lines().any(|line| line.starts_with('#') && anchor_of(line) == anchor);
                assert!(found, "{path}: {target}");
            }
            links += 1;
        }
    }
    assert!(links > 50, "{links}");
}

/// Pages that no other page leads to are not read.
#[test]
fn every_page_is_linked_from_another() {
    let pages = page::all();
    let mut linked = std::collections::BTreeSet::new();
    for path in &pages {
        let text = page::read(path);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap();
            if let Ok(led) = root().join(path).parent().unwrap().join(file).canonicalize()
                && let Ok(led) = led.strip_prefix(root().canonicalize().unwrap())
                && led.to_str() != Some(path)
            {
                linked.insert(led.to_str().unwrap().to_owned());
            }
        }
    }
    for path in pages.iter().filter(|path| *path != "README.md") {
        assert!(linked.contains(path), "no page links to {path}");
    }
}

/// A path in code type that begins with a folder of the repository.
#[test]
fn every_path_of_the_repository_that_a_page_names_is_there() {
    const FOLDERS: [&str; 7] = ["src/", "crates/", "tests/", "config/", "benches/", "scripts/", ".ci/"];
    let mut named = 0;
    for path in page::all() {
        let text = page::read(&path);
        for word in text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let is_path = FOLDERS.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '{', '*', '…']);
            if is_path {
                let file = word.split("::").next().unwrap();
                assert!(root().join(file).exists(), "{path}: {file}");
                named += 1;
            }
        }
    }
    assert!(named > 30, "{named}");
}
