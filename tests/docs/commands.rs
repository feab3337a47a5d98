//! Every command of a page is run by a test, or stands here with the reason why not.

use crate::page::{self, blocks};
use crate::tests_named::exists;
use std::collections::BTreeSet;

enum Shown {
    /// By a test that takes the command from the page.
    Run(&'static str),
    /// By a test that does the same with files and addresses of its own.
    Alike(&'static str),
    /// By none.
    Not(&'static str),
}

use Shown::{Alike, Not, Run};

/// Page, beginning of its commands, and what shows that they are right.
const COMMANDS: &[(&str, &str, Shown)] = &[
    ("README.md", "make demo", Alike("demo.rs::every_line_of_the_demo_answers_as_the_demo_says")),
    ("README.md", "make test", Not("it is what runs the tests")),
    ("README.md", "sekisho check ", Run("docs_example.rs::the_commands_of_the_guides_do_what_the_guides_say")),
    ("README.md", "sekisho gateway ", Alike("docs_example.rs::what_the_guides_issuer_issues_the_guides_gateway_reads")),
    ("docs/guide/quick-start.md", "make demo", Alike("demo.rs::every_line_of_the_demo_answers_as_the_demo_says")),
    ("docs/guide/quick-start.md", "make test", Not("it is what runs the tests")),
    ("docs/guide/quick-start.md", "make release", Not("it builds everything twice, which takes a quarter of an hour")),
    (
        "docs/guide/quick-start.md",
        "sekisho gateway ",
        Alike("docs_example.rs::what_the_guides_issuer_issues_the_guides_gateway_reads"),
    ),
    (
        "docs/guide/quick-start.md",
        "sekisho ",
        Run("docs_example.rs::the_commands_of_the_guides_do_what_the_guides_say"),
    ),
    ("docs/guide/quick-start.md", "curl ", Run("docs_example.rs::the_commands_of_the_guides_do_what_the_guides_say")),
    (
        "docs/guide/issuer.md",
        "sekisho-issuer serve --config issuer.toml &",
        Alike("docs_example.rs::what_the_guides_issuer_issues_the_guides_gateway_reads"),
    ),
    ("docs/guide/issuer.md", "curl ", Alike("docs_example.rs::what_the_guides_issuer_issues_the_guides_gateway_reads")),
    ("docs/guide/issuer.md", "", Run("docs_example.rs::what_the_guides_issuer_issues_the_guides_gateway_reads")),
    ("docs/guide/rotation.md", "", Run("docs_example.rs::the_commands_of_the_guides_do_what_the_guides_say")),
    ("docs/revocation/block-list.md", "", Run("docs_example.rs::the_commands_of_the_guides_do_what_the_guides_say")),
    (
        "docs/revocation/feed.md",
        "",
        Run("docs/configurations.rs::the_lines_of_the_issuer_make_what_its_configuration_names"),
    ),
    (
        "docs/guide/backup-and-restore.md",
        "sekisho-issuer store reconcile ",
        Alike("issuer_feed/rehearsal.rs::a_restored_sqlite_store_is_brought_back_as_the_guide_says"),
    ),
    (
        "docs/guide/backup-and-restore.md",
        "",
        Alike("issuer_feed/rehearsal.rs::a_restored_sqlite_store_is_brought_back_as_the_guide_says"),
    ),
];

#[test]
fn every_command_of_a_page_is_run_by_a_test_or_excepted_with_its_reason() {
    let mut used = BTreeSet::new();
    for path in page::all() {
        let text = page::read(&path);
        for line in blocks(&text, "sh").into_iter().flat_map(commands) {
            let entry = COMMANDS.iter().position(|(page, begin, _)| *page == path && line.starts_with(begin));
            used.insert(entry.unwrap_or_else(|| panic!("{path}: no test runs, and no reason excepts: {line}")));
        }
    }
    for (index, (page, begin, shown)) in COMMANDS.iter().enumerate() {
        assert!(used.contains(&index), "{page} has no command {begin}");
        match shown {
            Run(test) | Alike(test) => exists(test),
            Not(reason) => assert!(reason.len() > 10, "{reason}"),
        }
    }
}

/// The commands of a block, further lines joined, without comments.
fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn every_target_of_make_that_a_page_names_is_one() {
    let makefile = page::read("Makefile");
    let mut named = 0;
    for path in page::all() {
        for words in page::read(&path).split("`make ").skip(1) {
            let target = words.split('`').next().unwrap().split(' ').next().unwrap();
            let found = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
            assert!(found, "{path}: make {target}");
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}
