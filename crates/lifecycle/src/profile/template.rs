//! Templates of name attributes: `{contract_id} {user_id} 1635`.

use super::types::Identifiers;
use sekisho_pki::time::Timestamp;
use std::fmt::Write as _;

/// Characters that X.520 allows in a CN, O or OU (ub-common-name and its like, RFC 5280 appendix A).
pub const LONGEST_ATTRIBUTE: usize = 64;

/// Digits of `{issued_at}`: year, month, day, hour, minute, second and microseconds, in Japan.
const ISSUED_AT_DIGITS: usize = 20;

/// Seconds by which Japan is ahead of UTC; it has had no other offset since 1951.
const JAPAN: i64 = 9 * 3600;

/// A text with placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    ContractId,
    UserId,
    IssueNumber,
    IssuedAt,
}

/// What stands between the braces.
const PLACEHOLDERS: [(&str, Piece); 4] = [
    ("contract_id", Piece::ContractId),
    ("user_id", Piece::UserId),
    ("issue_number", Piece::IssueNumber),
    ("issued_at", Piece::IssuedAt),
];

/// What the placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct TemplateValues<'a> {
    /// `{contract_id}`.
    pub contract_id: &'a str,
    /// `{user_id}`, which some products call login ID.
    pub user_id: &'a str,
    /// `{issue_number}`, and its width.
    pub issue_number: (u32, u8),
    /// `{issued_at}`: the second and, below it, microseconds.
    pub issued_at: (Timestamp, u32),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence that says what is wrong: an unknown placeholder, a brace alone.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("has a { without its }".to_owned());
            };
            let Some((_, piece)) = PLACEHOLDERS.iter().find(|(known, _)| *known == name) else {
                let known = PLACEHOLDERS.map(|(known, _)| format!("{{{known}}}")).join(", ");
                return Err(format!("has the unknown placeholder {{{name}}}; the placeholders are {known}"));
            };
            push_text(&mut pieces, before)?;
            pieces.push(piece.clone());
            rest = after;
        }
        push_text(&mut pieces, rest)?;
        Ok(Self(pieces))
    }

    /// Characters of the longest text this can become.
    pub(super) fn longest(&self, identifiers: &Identifiers, issue_number_width: u8) -> usize {
        let longest = |piece: &Piece| match piece {
            Piece::Text(text) => text.chars().count(),
            Piece::ContractId => usize::from(identifiers.contract_id.most),
            Piece::UserId => usize::from(identifiers.user_id.most),
            Piece::IssueNumber => usize::from(issue_number_width),
            Piece::IssuedAt => ISSUED_AT_DIGITS,
        };
        self.0.iter().map(longest).sum()
    }

    /// Its parts, in their order.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Returns `true` if this placeholder is in it.
    pub(super) fn has(&self, wanted: &Piece) -> bool {
        self.0.contains(wanted)
    }

    /// The text for one certificate.
    pub fn render(&self, values: &TemplateValues<'_>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::ContractId => text.push_str(values.contract_id),
                Piece::UserId => text.push_str(values.user_id),
                Piece::IssueNumber => {
                    let (number, width) = values.issue_number;
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{number:0width$}", width = usize::from(width));
                }
                Piece::IssuedAt => {
                    let (second, microseconds) = values.issued_at;
                    let japan = second.plus_seconds(JAPAN).to_string();
                    text.extend(japan.chars().filter(char::is_ascii_digit));
                    let _ = write!(text, "{microseconds:06}");
                }
            }
        }
        text
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) -> Result<(), String> {
    if text.contains('}') {
        return Err("has a } without its {".to_owned());
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_names_of_the_seeds_come_out_as_printed_there() {
        let values = TemplateValues {
            contract_id: "00009876543",
            user_id: "riyousya",
            issue_number: (1, 3),
            // 2020-03-04 15:36:56 in Japan.
            issued_at: (Timestamp::from_rfc_3339("2020-03-04T06:36:56Z").unwrap(), 560_435),
        };
        let render = |template: &str, values| Template::parse(template).unwrap().render(&values);
        assert_eq!(render("{contract_id} {user_id} 1635", values), "00009876543 riyousya 1635");
        let values = TemplateValues { user_id: "logid031", ..values };
        assert_eq!(render("{user_id} A{issue_number} {issued_at}", values), "logid031 A001 20200304153656560435");
    }

    #[test]
    fn braces_alone_and_unknown_placeholders_are_refused() {
        assert_eq!(Template::parse("{contract_id"), Err("has a { without its }".to_owned()));
        assert_eq!(Template::parse("contract_id}"), Err("has a } without its {".to_owned()));
        assert_eq!(Template::parse("{contract_id}} 1"), Err("has a } without its {".to_owned()));
        assert_eq!(
            Template::parse("{Contract_ID}"),
            Err("has the unknown placeholder {Contract_ID}; the placeholders are \
                 {contract_id}, {user_id}, {issue_number}, {issued_at}"
                .to_owned())
        );
    }
}
