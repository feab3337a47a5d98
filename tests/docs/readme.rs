//! The README is short enough to be read, and shows the configuration that the quick start explains.

use crate::page::{self, QUICK_START, block};

const MAX_LINES: usize = 150;
const MAX_CHARACTERS: usize = 200;

#[test]
fn the_readme_has_at_most_150_lines_of_200_characters() {
    let readme = page::read("README.md");
    let lines = readme.lines().count();
    assert!(lines <= MAX_LINES, "{lines} lines: a page below docs is the place for more");
    for (index, line) in readme.lines().enumerate() {
        let characters = line.chars().count();
        assert!(characters <= MAX_CHARACTERS, "line {}: {characters} characters", index + 1);
    }
}

#[test]
fn the_readme_has_the_configuration_of_the_quick_start() {
    assert_eq!(block(&page::read("README.md"), "toml"), block(&page::read(QUICK_START), "toml"));
}
