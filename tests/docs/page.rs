//! The pages themselves: where they are, their blocks, and the parts of them that are made from something else.

use std::path::{Path, PathBuf};

pub(crate) const QUICK_START: &str = "docs/guide/quick-start.md";
pub(crate) const ISSUER: &str = "docs/guide/issuer.md";
pub(crate) const FEED: &str = "docs/revocation/feed.md";

/// Writes the generated parts instead of comparing them.
const WRITE: &str = "SEKISHO_WRITE_DOCS";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file by its path in the repository.
#[track_caller]
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page of the repository, as a path in it.
pub(crate) fn all() -> Vec<String> {
    let top = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = top.filter(|path| is_page(path)).collect();
    found.push(root().join("certs/README.md"));
    collect(&root().join("docs"), is_page, &mut found);
    let mut pages: Vec<_> = found.iter().map(|path| in_repository(path)).collect();
    pages.sort();
    pages
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

pub(crate) fn in_repository(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

/// Adds the files below a folder that are wanted.
pub(crate) fn collect(folder: &Path, wanted: fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, wanted, found);
        } else if wanted(&path) {
            found.push(path);
        }
    }
}

/// Returns the first block of that language.
#[track_caller]
pub(crate) fn block<'a>(text: &'a str, language: &str) -> &'a str {
    blocks(text, language).into_iter().next().unwrap_or_else(|| panic!("no block of {language}"))
}

/// Returns every block of that language.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// Compares what stands on a page between its two marks with what it is generated from, or writes it there.
#[track_caller]
pub(crate) fn is_generated(path: &str, generated: &str) {
    const BEGIN: &str = "<!-- generated: SEKISHO_WRITE_DOCS=1 cargo test --test docs -->\n";
    const END: &str = "<!-- end of generated -->\n";
    let text = read(path);
    let (head, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{path} has no {BEGIN}"));
    let (written, tail) = rest.split_once(END).unwrap_or_else(|| panic!("{path} has no {END}"));
    let generated = format!("\n{}\n\n", generated.trim());
    if written == generated {
        return;
    }
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(root().join(path), [head, BEGIN, &generated, END, tail].concat()).unwrap();
        return;
    }
    let same = written.lines().zip(generated.lines()).take_while(|(one, other)| one == other).count();
    panic!(
        "{path} is not what it is generated from. Write it anew: {WRITE}=1 cargo test --test docs\n\
         page:      {:?}\ngenerated: {:?}",
        written.lines().nth(same),
        generated.lines().nth(same)
    );
}
