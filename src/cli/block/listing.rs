//! The lists of several gateways as one, and where they differ.

use super::client::Answer;
use sekisho_trust::blocks::Written;
use std::collections::BTreeMap;

/// Each block once with the gateways that lack it, then the gateways that did not answer; and whether every gateway
/// answered and all say the same.
pub(super) fn of(answers: &[Answer]) -> (String, bool) {
    let mut text = String::new();
    let mut alike = true;
    // By when it was added, then by its number; who has it.
    let mut blocks: BTreeMap<(String, String), (Written, Vec<&str>)> = BTreeMap::new();
    let mut answered = Vec::new();
    for Answer { gateway, outcome } in answers {
        let read = outcome.clone().and_then(|list| {
            serde_json::from_value::<Vec<Written>>(list["blocks"].clone()).map_err(|error| error.to_string())
        });
        match read {
            Ok(list) => {
                answered.push(gateway.as_str());
                for block in list {
                    let id = block.id.clone().unwrap_or_default();
                    match blocks.iter_mut().find(|((_, known), _)| *known == id) {
                        Some((_, (_, holders))) => holders.push(gateway),
                        None => {
                            let key = (block.added.clone().unwrap_or_default(), id);
                            blocks.insert(key, (block, vec![gateway]));
                        }
                    }
                }
            }
            Err(why) => {
                alike = false;
                text += &format!("{gateway}: FAILED: {why}\n");
            }
        }
    }
    for ((added, id), (block, holders)) in &blocks {
        let until = block.expires.as_deref().map_or_else(String::new, |expires| format!(" until {expires}"));
        text += &format!("{id}  {}  since {added}{until}  by {}: {}\n", target(block), block.by, block.reason);
        let lacking: Vec<_> = answered.iter().filter(|gateway| !holders.contains(gateway)).copied().collect();
        if !lacking.is_empty() {
            alike = false;
            text += &format!("{id}  NOT ON {}\n", lacking.join(", "));
        }
    }
    text += &format!("{} blocks on {} of {} gateways\n", blocks.len(), answered.len(), answers.len());
    (text, alike)
}

fn target(block: &Written) -> String {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
    match (&block.serial, &block.fingerprint, &block.user) {
        (Some(serial), _, _) => format!("serial {serial} of CA {}", known(&block.ca)),
        (_, Some(fingerprint), _) => format!("certificate {fingerprint}"),
        (_, _, Some(user)) => format!("user {user} of contract {}", known(&block.contract)),
        _ => format!("contract {}", known(&block.contract)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_list_of_several_tells_who_lacks_what_and_who_did_not_answer() {
        let ann = json!({"id": "00000000000000aa", "contract": "1", "user": "ann", "reason": "lost laptop",
            "by": "desk", "added": "2026-11-22T00:00:00Z", "expires": "2026-11-23T00:00:00Z"});
        let serial = json!({"id": "00000000000000bb", "serial": "80ff", "ca": "issuing", "authority": "00",
            "reason": "stolen", "by": "desk", "added": "2026-11-21T00:00:00Z"});
        let answer = |gateway: &str, outcome| Answer { gateway: gateway.to_owned(), outcome };
        let both = json!({"blocks": [serial, ann]});
        let (text, alike) = of(&[answer("http://a", Ok(both.clone())), answer("http://b", Ok(both.clone()))]);
        assert!(alike);
        let lines = "00000000000000bb  serial 80ff of CA issuing  since 2026-11-21T00:00:00Z  by desk: stolen\n\
            00000000000000aa  user ann of contract 1  since 2026-11-22T00:00:00Z until 2026-11-23T00:00:00Z  by desk: lost laptop\n";
        assert_eq!(text, format!("{lines}2 blocks on 2 of 2 gateways\n"));
        let one = json!({"blocks": [serial]});
        let (text, alike) = of(&[answer("http://a", Ok(both.clone())), answer("http://b", Ok(one))]);
        assert!(!alike);
        assert!(text.contains("\n00000000000000aa  NOT ON http://b\n"), "{text}");
        let (text, alike) = of(&[answer("http://a", Ok(both)), answer("http://b", Err("timed out".into()))]);
        assert!(!alike);
        assert!(text.starts_with("http://b: FAILED: timed out\n") && text.ends_with("2 blocks on 1 of 2 gateways\n"));
    }
}
