//! What must hold of an identity pattern before a CN is read with it: whose certificate it is can be told in one way only.
//!
//! A pattern as `(?<contract_id>[0-9]+)(?<user_id>[0-9a-z]*)` matches `12a` with the contract 1, 12 or none at all as the
//! engine happens to prefer. Two readings of one name are two customers.

use regex_automata::nfa::thompson::{NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use std::collections::HashMap;
use std::fmt;

/// Pairs of states that are looked at. The pattern of the reference configuration has some hundred; one of thirty `\w`
/// some ten thousand.
const MAX_PAIRS: usize = 500_000;

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PatternError {
    /// It does not compile once it is anchored.
    Compile(String),
    /// This CN can be read in two ways.
    Ambiguous(String),
    /// The two captures can hold the same text.
    Nested,
    /// Too many states to tell.
    TooComplex,
}

/// A step without a character: where it leads, and which ends of captures stand there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Arrival {
    state: StateID,
    ends: u8,
}

/// Two readings of the same text, and whether they differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    one: StateID,
    other: StateID,
    differ: bool,
}

/// Checks that these captures of a pattern, matched whole, hold the same whatever way the pattern is read, and that none
/// of them lies in another.
pub(super) fn check(pattern: &str, captures: &[&str]) -> Result<(), PatternError> {
    let automaton = Automaton::new(pattern, captures)?;
    if automaton.has_nested() {
        return Err(PatternError::Nested);
    }
    automaton.check_readings()
}

/// A user ID that is also fixed text of the names without one: with `… (?:(?<user_id>…) )?1635` the user ID `1635`. The
/// gateway refuses it; in another form of CN (`CONTRACT USER`) it would read as no user.
pub(super) fn fixed_user_id(pattern: &regex::Regex) -> Option<String> {
    let whole = regex::Regex::new(&format!(r"\A(?:{})\z", pattern.as_str())).ok()?;
    let automaton = Automaton::new(pattern.as_str(), &["user_id"]).ok()?;
    let without = automaton.shortest_without()?;
    let contract = whole.captures(&without)?.name("contract_id").map_or(0..0, |contract| contract.range());
    let rest = [without.get(..contract.start)?, without.get(contract.end..)?];
    let mut words = rest.into_iter().flat_map(|text| text.split(' ')).filter(|word| !word.is_empty());
    let is_user = |word: &&str| {
        let with = [without.replacen(*word, &format!("{word} {word}"), 1), format!("{word} {without}")];
        let user = |name: &String| whole.captures(name)?.name("user_id").map(|user| user.as_str() == *word);
        with.iter().any(|name| user(name) == Some(true))
    };
    words.find(is_user).map(str::to_owned)
}

struct Automaton {
    nfa: NFA,
    /// The slots of the captures, in pairs of start and end.
    slots: Vec<usize>,
}

impl Automaton {
    fn new(pattern: &str, captures: &[&str]) -> Result<Self, PatternError> {
        let config = NFA::config().which_captures(WhichCaptures::All).shrink(false);
        let nfa = NFA::compiler()
            .configure(config)
            .build(&format!(r"\A(?:{pattern})\z"))
            .map_err(|error| PatternError::Compile(error.to_string()))?;
        let index = |name: &&str| nfa.group_info().to_index(regex_automata::PatternID::ZERO, name);
        let slots = captures.iter().filter_map(index).flat_map(|group| [2 * group, 2 * group + 1]).collect();
        Ok(Self { nfa, slots })
    }

    /// The bit of a slot among [`Arrival::ends`].
    fn bit(&self, slot: usize) -> u8 {
        self.slots.iter().position(|known| *known == slot).map_or(0, |place| 1 << place)
    }

    /// Where a state leads without a character, itself if it takes one.
    fn arrivals(&self, from: StateID) -> Vec<Arrival> {
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        let mut open = vec![Arrival { state: from, ends: 0 }];
        while let Some(arrival) = open.pop() {
            if seen.contains(&arrival) {
                continue;
            }
            seen.push(arrival);
            let mut go = |state: StateID, ends: u8| open.push(Arrival { state, ends: arrival.ends | ends });
            match self.nfa.state(arrival.state) {
                State::Capture { next, slot, .. } => go(*next, self.bit(slot.as_usize())),
                // A look-around is taken to hold: a pattern that needs one to be unambiguous is better written without.
                State::Look { next, .. } => go(*next, 0),
                State::Union { alternates } => alternates.iter().for_each(|next| go(*next, 0)),
                State::BinaryUnion { alt1, alt2 } => [alt1, alt2].into_iter().for_each(|next| go(*next, 0)),
                State::Fail => {}
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Match { .. } => {
                    found.push(arrival);
                }
            }
        }
        found
    }

    /// The ranges of octets that a state takes, each with where it leads.
    fn transitions(&self, state: StateID) -> Vec<(u8, u8, StateID)> {
        match self.nfa.state(state) {
            State::ByteRange { trans } => vec![(trans.start, trans.end, trans.next)],
            State::Sparse(sparse) => {
                sparse.transitions.iter().map(|trans| (trans.start, trans.end, trans.next)).collect()
            }
            State::Dense(dense) => {
                let of = |octet: u8| dense.matches_byte(octet).map(|next| (octet, octet, next));
                (0..=u8::MAX).filter_map(of).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The shortest text that matches without any of the captures; none if there is always one of them, or much to search.
    fn shortest_without(&self) -> Option<String> {
        let start = self.nfa.start_anchored();
        let mut before: HashMap<StateID, Option<(StateID, u8)>> = HashMap::from([(start, None)]);
        let mut open = std::collections::VecDeque::from([start]);
        while let Some(state) = open.pop_front().filter(|_| before.len() < MAX_PAIRS) {
            for arrival in self.arrivals(state).into_iter().filter(|arrival| arrival.ends == 0) {
                if self.is_match(arrival.state) {
                    let (mut octets, mut at) = (Vec::new(), state);
                    while let Some(Some((from, octet))) = before.get(&at) {
                        octets.push(*octet);
                        at = *from;
                    }
                    octets.reverse();
                    return String::from_utf8(octets).ok();
                }
                for (first, last, next) in self.transitions(arrival.state) {
                    before.entry(next).or_insert_with(|| {
                        open.push_back(next);
                        Some((state, shown(first, last)))
                    });
                }
            }
        }
        None
    }

    /// Returns `true` if one of the captures begins where another has begun and not ended.
    fn has_nested(&self) -> bool {
        let mut open = vec![(self.nfa.start_anchored(), 0_u8)];
        let mut seen = std::collections::HashSet::new();
        while let Some((state, inside)) = open.pop() {
            if !seen.insert((state, inside)) {
                continue;
            }
            match self.nfa.state(state) {
                State::Capture { next, slot, .. } => {
                    match self.slots.iter().position(|known| known == &slot.as_usize()) {
                        Some(place) if place.is_multiple_of(2) && inside != 0 => return true,
                        Some(place) if place.is_multiple_of(2) => open.push((*next, inside | (1 << (place / 2)))),
                        Some(place) => open.push((*next, inside & !(1 << (place / 2)))),
                        None => open.push((*next, inside)),
                    }
                }
                State::Look { next, .. } => open.push((*next, inside)),
                State::Union { alternates } => open.extend(alternates.iter().map(|next| (*next, inside))),
                State::BinaryUnion { alt1, alt2 } => open.extend([(*alt1, inside), (*alt2, inside)]),
                _ => open.extend(self.transitions(state).into_iter().map(|(.., next)| (next, inside))),
            }
        }
        false
    }

    /// Follows two readings of every text at once, until both end and differ.
    fn check_readings(&self) -> Result<(), PatternError> {
        let mut known: HashMap<Pair, Option<(Pair, u8)>> = HashMap::new();
        let mut arrivals: HashMap<StateID, Vec<Arrival>> = HashMap::new();
        let mut open = Vec::new();
        let start = Pair { one: self.nfa.start_anchored(), other: self.nfa.start_anchored(), differ: false };
        let mut reached = vec![(start, None)];
        loop {
            while let Some((pair, from)) = reached.pop() {
                for state in [pair.one, pair.other] {
                    arrivals.entry(state).or_insert_with(|| self.arrivals(state));
                }
                let (Some(ones), Some(others)) = (arrivals.get(&pair.one), arrivals.get(&pair.other)) else { continue };
                for (one, other) in ones.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
                    let differ = pair.differ || one.ends != other.ends;
                    let next = Pair { one: one.state, other: other.state, differ };
                    if known.contains_key(&next) {
                        continue;
                    }
                    known.insert(next, from);
                    if differ && self.is_match(next.one) && self.is_match(next.other) {
                        return Err(PatternError::Ambiguous(witness(next, &known)));
                    }
                    open.push(next);
                }
            }
            if known.len() > MAX_PAIRS {
                return Err(PatternError::TooComplex);
            }
            let Some(pair) = open.pop() else { return Ok(()) };
            let others = self.transitions(pair.other);
            for (start, end, one) in self.transitions(pair.one) {
                for (other_start, other_end, other) in &others {
                    let (first, last) = (start.max(*other_start), end.min(*other_end));
                    if first <= last {
                        let next = Pair { one, other: *other, differ: pair.differ };
                        reached.push((next, Some((pair, shown(first, last)))));
                    }
                }
            }
        }
    }

    fn is_match(&self, state: StateID) -> bool {
        matches!(self.nfa.state(state), State::Match { .. })
    }
}

/// An octet of a range that reads well in an example.
fn shown(first: u8, last: u8) -> u8 {
    b"a1A ".iter().copied().find(|octet| (first..=last).contains(octet)).unwrap_or(first)
}

/// The text that leads to a pair.
fn witness(end: Pair, known: &HashMap<Pair, Option<(Pair, u8)>>) -> String {
    let mut octets = Vec::new();
    let mut at = end;
    while let Some(Some((before, octet))) = known.get(&at) {
        octets.push(*octet);
        at = *before;
        if octets.len() > MAX_PAIRS {
            break;
        }
    }
    octets.reverse();
    String::from_utf8_lossy(&octets).into_owned()
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compile(error) => write!(f, "cannot be matched whole: {error}"),
            Self::Ambiguous(name) => write!(
                f,
                "is ambiguous: the CN {name:?} can be read with one contract_id or user_id and with another. Put a \
                 character between them that neither can have, or give them fixed lengths"
            ),
            Self::Nested => f.write_str(
                "has contract_id and user_id in one another, so that one text would be two IDs. Where the CN names no \
                 contract, write user_id alone and contract_in_name = false",
            ),
            Self::TooComplex => f.write_str(
                "has too many states to tell whether a CN can be read in two ways; shorten its repetitions, or write \
                 [A-Za-z0-9] for \\w",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pattern: &str) -> Result<(), PatternError> {
        check(pattern, &["contract_id", "user_id"])
    }

    #[test]
    fn the_products_patterns_can_be_read_in_one_way() {
        for pattern in [
            r"(?<contract_id>[0-9]{11}) (?:(?<user_id>[A-Za-z0-9]+) )?1635",
            r"(?<contract_id>[0-9]{11}) (?:(?<user_id>[A-Za-z0-9]{1,30}) )?1635",
            r"(?<contract_id>[A-Za-z0-9]{1,16}) (?<user_id>[A-Za-z0-9]{1,16})",
            r"(?<user_id>[A-Za-z0-9._@-]{1,30}) A[0-9]{3} [0-9]{20}",
            r"(?<contract_id>\d+) (?<user_id>\w+)",
            r"(?<contract_id>[0-9]{11}) (?<user_id>\p{Han}+|[a-z%]+) 1635",
            r"(?<contract_id>a|ab)-(?<user_id>.*)",
            r"(?<contract_id>[0-9]+)(?<rest>.*)?|(?<contract>x)",
        ] {
            let expected = if pattern.contains("rest") { "a" } else { "" };
            match checked(pattern) {
                Ok(()) => assert_eq!(expected, "", "{pattern}"),
                Err(error) => assert_eq!(expected, "a", "{pattern}: {error}"),
            }
        }
    }

    #[test]
    fn a_name_with_two_readings_is_shown() {
        for (pattern, example) in [
            (r"(?<contract_id>[0-9]+)(?<user_id>[0-9a-z]*)", "1"),
            (r"(?<contract_id>[0-9a-z ]+) (?<user_id>[0-9a-z ]+)", " "),
            (r"(?<contract_id>[0-9]+) ?(?:(?<user_id>[0-9a-z]+) )?1635", "1635"),
            (r"(?<contract_id>[0-9]{2,3})(?<user_id>[0-9]{2,3})", "1"),
            (r"(?:(?<contract_id>[a-z]+)|(?<user_id>[a-z]+))", "a"),
            (r"(?<contract_id>[0-9]{11})( (?<user_id>.+))? 1635", ""),
        ] {
            match checked(pattern) {
                Err(PatternError::Ambiguous(name)) => {
                    assert!(name.contains(example), "{pattern}: {name:?}");
                    let whole = regex::Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap();
                    assert!(whole.is_match(&name), "{pattern}: {name:?}");
                }
                Ok(()) if example.is_empty() => {}
                other => panic!("{pattern}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_user_id_that_is_fixed_text_of_names_without_one_is_found() {
        let found = |pattern: &str| fixed_user_id(&regex::Regex::new(pattern).unwrap());
        let shinkin = r"(?<contract_id>[0-9]{11}) (?:(?<user_id>[A-Za-z0-9]+) )?1635";
        assert_eq!(found(shinkin).as_deref(), Some("1635"));
        assert_eq!(found(&shinkin.replace("[A-Za-z0-9]+", "[a-z]+")), None, "no user ID is 1635");
        assert_eq!(found(r"(?<contract_id>[0-9]{11}) (?<user_id>[A-Za-z0-9]+) 1635"), None, "there is always one");
        assert_eq!(found(r"(?<user_id>[a-z0-9]+) A[0-9]{3}"), None);
        assert_eq!(found(r"(?<contract_id>[0-9]+)(?: (?<user_id>[a-z]+))?"), None);
    }

    #[test]
    fn one_id_in_another_is_two_names_for_one_text() {
        for pattern in [
            r"(?<contract_id>(?<user_id>[a-z]+)) A",
            r"(?<user_id>(?<contract_id>[a-z]+) A)",
            r"(?<contract_id>[0-9]+(?:-(?<user_id>[a-z]+))?)",
        ] {
            assert_eq!(checked(pattern), Err(PatternError::Nested), "{pattern}");
        }
    }
}
