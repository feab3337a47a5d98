//! Every test that a page or the table of requirements names is there.

use crate::page::{self, in_repository, is_generated, root};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    requirement: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    id: String,
    text: String,
    tests: Vec<String>,
}

fn requirements() -> Vec<Requirement> {
    toml::from_str::<Table>(&page::read("tests/requirements.toml")).unwrap().requirement
}

/// Every Rust file of the repository, as a path in it.
static FILES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "crates"] {
        page::collect(&root().join(folder), rust, &mut found);
    }
    found.iter().map(|path: &PathBuf| in_repository(path)).collect()
});

/// The files of tests with that name: below a folder `tests`, or anywhere if the name is a path in the repository.
fn test_files(name: &str) -> Vec<&'static String> {
    let below_tests = format!("tests/{name}");
    let is_it = |path: &&String| {
        let whole = |end: &str| path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        *path == name || whole(&below_tests)
    };
    FILES.iter().filter(is_it).collect()
}

/// Files of tests of the source have that name too: a unit test is named by the end of its file's path.
fn source_files(name: &str) -> Vec<&'static String> {
    let end = format!("/{name}");
    FILES.iter().filter(|path| path.ends_with(&end) || *path == name).collect()
}

/// Returns `true` if that source has a test of that name.
fn has_test(source: &str, name: &str) -> bool {
    let plain = source.contains(&format!("#[test]\nfn {name}() {{"));
    let of_tokio = source.contains(&format!("]\nasync fn {name}() {{")) && source.contains("#[tokio::test");
    // Named in a macro that runs it on both databases.
    let on_both = source.contains(&format!("    {name},\n")) && source.contains(&format!("\nasync fn {name}("));
    // In proptest!.
    let of_property = source.contains(&format!("    #[test]\n    fn {name}("));
    plain || of_tokio || on_both || of_property
}

/// Asserts that there is a test of that name, `FILE::NAME`.
#[track_caller]
pub(crate) fn exists(test: &str) {
    let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("not FILE::NAME: {test}"));
    let files = test_files(file);
    let [file] = files[..] else { panic!("{test} is to name one file of tests: {files:?}") };
    assert!(has_test(&page::read(file), name), "{file} has no test {name}");
}

#[test]
fn every_test_of_a_requirement_is_there() {
    let requirements = requirements();
    assert!(requirements.len() > 50);
    for Requirement { id, text, tests } in &requirements {
        assert!(!tests.is_empty(), "{id}: no test shows: {text}");
        let mut once = BTreeSet::new();
        for test in tests {
            assert!(once.insert(test), "{id}: twice: {test}");
            exists(test);
        }
    }
}

#[test]
fn the_page_of_requirements_is_what_the_table_says() {
    let mut rows = String::from("| id | requirement | tests |\n|---|---|---|\n");
    for Requirement { id, text, tests } in requirements() {
        let tests: Vec<_> = tests.iter().map(|test| format!("`{test}`")).collect();
        rows += &format!("| {id} | {} | {} |\n", text.replace('|', "\\|"), tests.join("<br>"));
    }
    is_generated("docs/assurance/requirements.md", &rows);
}

#[test]
fn every_test_of_the_threat_model_and_of_the_invariants_is_there() {
    let mut named = 0;
    for path in ["docs/assurance/threat-model.md", "docs/assurance/invariants.md"] {
        let text = page::read(path);
        for line in text.lines() {
            let words = line.split('`').skip(1).step_by(2);
            // `::name` is of a file named before it in the line, and so is a name of a module.
            let mut files = BTreeSet::new();
            for word in words {
                let (file, name) = word.split_once("::").unwrap_or((word, ""));
                if file.ends_with(".rs") {
                    let found = [test_files(file), source_files(file)].concat();
                    assert!(!found.is_empty(), "{path}: no file {file}");
                    files.extend(found);
                } else if !file.is_empty() || name.is_empty() {
                    continue;
                }
                let name = name.rsplit("::").next().unwrap();
                if !name.is_empty() {
                    let function = format!("fn {name}(");
                    let found = files.iter().any(|file| page::read(file).contains(&function));
                    assert!(found, "{path}: {files:?} has no {name}");
                }
                named += 1;
            }
        }
    }
    assert!(named > 300, "{named}");
}
