//! The pages use the field's words and plain ones: `docs/glossary.md` and CONTRIBUTING.md's "Written style".

use crate::page;

/// Words that pages do not use, and what to write instead.
const WORDS: &[(&str, &str)] = &[
    ("octet", "byte"),
    ("octets", "bytes"),
    ("nobody", "no client, no user"),
    ("somebody", "a client, a user"),
    ("whoever", "a client that, anyone who"),
    ("whom", "the client, the user"),
    ("told", "reported, notified, received"),
    ("heard", "received"),
    ("let in", "accepted"),
    ("lets in", "accepts"),
    ("sent away", "refused"),
    ("in vain", "without result"),
    ("for want of", "because … is missing"),
    ("unsettled", "pending"),
    ("anew", "again"),
    ("shall", "must"),
    ("revocation list", "CRL"),
    ("revocation lists", "CRLs"),
];

/// Pages whose words come from elsewhere: from the reference configurations, the programs' help, the metrics.
const GENERATED: &[&str] = &[
    "docs/reference/configuration.md",
    "docs/reference/commands.md",
    "docs/reference/metrics.md",
    "docs/reference/api.md",
];

#[test]
fn pages_use_plain_words() {
    for path in page::all().into_iter().filter(|path| !GENERATED.contains(&path.as_str())) {
        let text = page::read(&path);
        let mut in_block = false;
        for (index, line) in text.lines().enumerate() {
            in_block ^= line.trim_start().starts_with("```");
            // Code is as it is.
            let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("` `").to_lowercase();
            if in_block {
                continue;
            }
            for (word, instead) in WORDS {
                assert!(!has_word(&prose, word), "{path}:{}: {word:?}: write {instead}", index + 1);
            }
        }
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let letter = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
        !letter(text[..at].chars().next_back()) && !letter(text[at + word.len()..].chars().next())
    })
}
