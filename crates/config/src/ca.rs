//! Reads `[[ca]]`, and checks how the CAs stand to each other.

use super::guidance;
use super::ocsp;
use super::point::point_place;
use super::reader::{Document, Item, Section, Unique};
use super::types::{
    AnchorExpiry, Ca, CaState, ContractRange, Followed, Placed, RevocationSource, RevocationSources, WhenStale,
    WithoutNumber,
};
use super::values::{boolean, choices, duration, name, one_of, placed, placed_path, some_of};
use regex::{Regex, RegexBuilder};
use std::sync::Arc;
use std::time::Duration;

/// The capture of the contract (契約者ID), which every identity pattern has unless contract_in_name = false.
pub(super) const CONTRACT_ID: &str = "contract_id";

/// The capture of the user within the contract (利用者ID), or of a login ID that is unique in the bank.
const USER_ID: &str = "user_id";

/// The term of a route's `require` that is not the name of a capture.
pub(super) const CERTIFICATE: &str = "certificate";

/// Compiled size of an identity pattern: 64 times what the pattern of the reference configuration needs, while nested
/// repetitions, which would make each new chain slow to verify, need megabytes.
const PATTERN_BYTES: usize = 1 << 20;

const MINUTE: Duration = Duration::from_secs(60);

/// Beyond a month a list is not late but gone; `"open"` says that in so many words.
const LONGEST_GRACE: Duration = Duration::from_secs(31 * 86_400);

/// Every `[[ca]]`, and what sites may ask of them.
pub(super) struct Authorities {
    pub(super) cas: Vec<Ca>,
    drafts: Vec<Draft>,
    /// Every name and every issued_by is right, so that conclusions may be drawn from the tree they make.
    sound: bool,
}

/// What a [`Ca`] does not keep.
struct Draft {
    issued_by: Option<Placed<Arc<str>>>,
    /// Written, though perhaps wrong: nothing follows from its absence then.
    identity_written: bool,
}

/// The patterns that certificates below some CAs may match.
pub(super) struct Patterns {
    /// Names of all named captures, each once.
    pub(super) captures: Vec<String>,
    /// Names of CAs that issue to clients and have no pattern.
    pub(super) without: Vec<Arc<str>>,
    /// A pattern is wrong, so that nothing follows from a capture's absence.
    pub(super) unreadable: bool,
}

/// `[[ca]]`.
pub(super) fn read(document: &Document, sections: Vec<Section<'_>>) -> Authorities {
    let mut names = Unique::new("the name of a CA");
    let mut sound = true;
    let read_one = |section| read_one(section, &mut names, &mut sound);
    let (cas, drafts): (Vec<Ca>, Vec<Draft>) = sections.into_iter().map(read_one).unzip();
    let mut authorities = Authorities { cas, drafts, sound };
    authorities.sound &= authorities.check_issuers(document);
    authorities
}

fn read_one(mut section: Section<'_>, names: &mut Unique, sound: &mut bool) -> (Ca, Draft) {
    let place = section.place.clone();
    let ca_name = section.required("name", "write a short name for sites, logs and metrics", |item| {
        let name = name(item)?;
        *sound &= names.check(item.document, &item.place, &name);
        Some(name)
    });
    *sound &= !ca_name.is_empty();
    let certificate = section.required("certificate", "write the path of the CA's PEM certificate", placed_path);
    let issued_by = section.optional("issued_by", |item| Some(placed::<Arc<str>>(item, name(item)?.into())));
    // A CA whose revocation is not stated is an error: absent is not empty (requirement R4).
    if !section.has("revocation") {
        section.refuse_missing(
            "revocation",
            "write where its revocation list is, { crl = [\"crl.pem\"] }, or \"none\" if its certificates are never revoked",
        );
    }
    let stand_in = RevocationSource::From(RevocationSources::default());
    let revocation = section.optional("revocation", revocation).unwrap_or(stand_in);
    let state = section.or("state", CaState::Active, ca_state);
    let anchor_expiry_place = section.place_of("anchor_expiry");
    let anchor_expiry = section.or("anchor_expiry", AnchorExpiry::Check, anchor_expiry);
    if anchor_expiry == AnchorExpiry::Ignore && issued_by.is_some() {
        let message = "is only for trust anchors, and this CA is issued_by another; remove it";
        section.document.refuse(&anchor_expiry_place, message);
    }
    let identity_written = section.has("identity");
    let identity = section.optional("identity", pattern);
    let contract_place = section.place_of("contract_in_name");
    let contract_in_name = section.or("contract_in_name", true, boolean);
    if !contract_in_name && !identity_written {
        section.document.refuse(&contract_place, "is about the pattern in identity, which this CA has not; remove it");
    }
    if let Some(pattern) = &identity {
        check_pattern(section.document, pattern, contract_in_name);
    }
    let contracts_place = section.place_of("contracts");
    let contracts = section.optional("contracts", |item| {
        some_of(item, "no contract could enter; leave the key out to admit any", contract_range)
    });
    if contracts.is_some() && !contract_in_name {
        let message =
            "limits contracts, and with contract_in_name = false no CN names one: nobody could enter; remove it";
        section.document.refuse(&contracts_place, message);
    }
    let guidance = guidance::of_ca(&mut section);
    section.finish();
    let issued_by_name = issued_by.as_ref().map(|above| above.value.clone());
    let ca = Ca {
        name: ca_name.into(),
        place,
        certificate,
        issued_by: issued_by_name,
        state,
        revocation,
        anchor_expiry,
        identity,
        contracts,
        guidance,
    };
    (ca, Draft { issued_by, identity_written })
}

impl Ca {
    /// A user ID that is refused, since the CN of a client without a user has the same text in its place.
    pub fn fixed_user_id(&self) -> Option<String> {
        self.identity.as_ref().and_then(|pattern| super::pattern::fixed_user_id(&pattern.value))
    }
}

impl Authorities {
    /// Whether a CA of this name is configured.
    pub(super) fn has(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// `write "a" or "b"`, for a reference to a CA that is not there.
    pub(super) fn advice(&self) -> String {
        known_names(self.cas.iter().map(|ca| ca.name.as_ref()), "[[ca]]")
    }

    /// The patterns of the certificates that clients below these CAs may have.
    pub(super) fn patterns(&self, accepted: &[Arc<str>]) -> Patterns {
        let mut patterns = Patterns { captures: Vec::new(), without: Vec::new(), unreadable: !self.sound };
        if !self.sound {
            return patterns;
        }
        for (index, ca) in self.cas.iter().enumerate() {
            let mut line = self.line_up(index);
            if !line.any(|above| self.cas.get(above).is_some_and(|above| accepted.contains(&above.name))) {
                continue;
            }
            let written = self.line_up(index).find(|above| self.drafts.get(*above).is_some_and(|d| d.identity_written));
            match written.map(|above| self.cas.get(above).and_then(|ca| ca.identity.as_ref())) {
                Some(Some(pattern)) => {
                    for capture in pattern.value.capture_names().flatten() {
                        if !patterns.captures.iter().any(|known| known == capture) {
                            patterns.captures.push(capture.to_owned());
                        }
                    }
                }
                Some(None) => patterns.unreadable = true,
                // A CA with others below it may issue to these alone; verification refuses a client of its own.
                None if self.issues_to_cas(&ca.name) => {}
                None => patterns.without.push(ca.name.clone()),
            }
        }
        patterns
    }

    /// Records what is wrong with each `issued_by`; whether nothing is.
    fn check_issuers(&self, document: &Document) -> bool {
        let mut sound = true;
        for (index, draft) in self.drafts.iter().enumerate() {
            let (Some(above), Some(ca)) = (&draft.issued_by, self.cas.get(index)) else { continue };
            let message = if above.value == ca.name {
                "names the CA itself; leave issued_by out of a trust anchor".to_owned()
            } else if !self.has(&above.value) {
                format!("{:?} is not a CA of this file; {}", above.value, self.advice())
            } else if let Some(circle) = self.circle_from(index) {
                format!("goes in a circle: {circle}; the topmost CA has no issued_by")
            } else {
                continue;
            };
            document.refuse(&above.place, message);
            sound = false;
        }
        sound
    }

    /// The circle a CA is in, told once: from the member that comes first in the file.
    fn circle_from(&self, start: usize) -> Option<String> {
        let line: Vec<usize> = self.line_up(start).collect();
        let last = *line.last()?;
        let closes = self.above(last) == Some(start) && line.iter().all(|member| *member >= start);
        let names = line.iter().chain([&start]).filter_map(|member| self.cas.get(*member));
        closes.then(|| names.map(|ca| ca.name.as_ref()).collect::<Vec<_>>().join(" -> "))
    }

    /// A CA and those above it, nearest first; stops where a circle would begin again.
    fn line_up(&self, index: usize) -> impl Iterator<Item = usize> {
        let mut seen = vec![index];
        while let Some(above) = seen.last().and_then(|last| self.above(*last)).filter(|above| !seen.contains(above)) {
            seen.push(above);
        }
        seen.into_iter()
    }

    fn above(&self, index: usize) -> Option<usize> {
        self.position(self.cas.get(index)?.issued_by.as_ref()?)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.cas.iter().position(|ca| !name.is_empty() && ca.name.as_ref() == name)
    }

    fn issues_to_cas(&self, name: &str) -> bool {
        self.cas.iter().any(|ca| ca.issued_by.as_deref() == Some(name))
    }
}

/// `write "a" or "b"`, or where to begin when there is nothing to name.
pub(super) fn known_names<'t>(names: impl Iterator<Item = &'t str>, table: &str) -> String {
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        format!("add a {table} table of that name")
    } else {
        format!("write {}", choices(names.into_iter()))
    }
}

/// `revocation = "none"` or `{ crl = […], feed = true, … }`.
fn revocation(item: &Item<'_>) -> Option<RevocationSource> {
    const NEVER: &str = "write revocation = \"none\" if nothing is ever revoked";
    if item.as_str() == Some("none") {
        return Some(RevocationSource::None);
    }
    let Some(mut section) = item.section() else {
        item.refuse_type("a revocation source", "{ crl = [\"crl.pem\"] } or \"none\"");
        return None;
    };
    let sources = RevocationSources {
        files: section.optional("crl", |item| some_of(item, NEVER, placed_path)).unwrap_or_default(),
        urls: section.optional("crl_urls", |item| some_of(item, NEVER, url)).unwrap_or_default(),
        points: section.optional("distribution_points", |item| some_of(item, NEVER, point_place)).unwrap_or_default(),
        ocsp: section.section("ocsp").map(ocsp::ocsp).map(Box::new),
        feed: section.or("feed", Followed::No, followed),
        when_stale: section.or("when_stale", WhenStale::Closed, when_stale),
        without_number: section.or("without_number", WithoutNumber::Refuse, without_number),
        without_next_update: section.optional("without_next_update", |item| duration(item, MINUTE..=LONGEST_GRACE)),
    };
    let has_lists = !(sources.files.is_empty() && sources.urls.is_empty() && sources.points.is_empty());
    if !has_lists
        && sources.ocsp.is_none()
        && !["crl", "crl_urls", "distribution_points"].iter().any(|key| section.has(key))
    {
        section.refuse_missing(
            "crl",
            "write the list's PEM or DER file, or a folder of them: crl = [\"crl.pem\"], or another source of lists",
        );
    }
    section.finish();
    Some(RevocationSource::From(sources))
}

/// An `http://` or `https://` URL.
pub(super) fn url(item: &Item<'_>) -> Option<Placed<String>> {
    let is_url = |text: &&str| {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let Some(text) = item.as_str().filter(is_url) else {
        item.refuse_type("a URL", "\"http://crl.example.jp/ca.crl\"");
        return None;
    };
    Some(placed(item, text.to_owned()))
}

fn followed(item: &Item<'_>) -> Option<Followed> {
    boolean(item).map(|is_followed| if is_followed { Followed::Yes } else { Followed::No })
}

fn without_number(item: &Item<'_>) -> Option<WithoutNumber> {
    let answers = [("refuse", WithoutNumber::Refuse), ("accept", WithoutNumber::Accept)];
    one_of(item, "what becomes of a list without CRLNumber", &answers)
}

fn ca_state(item: &Item<'_>) -> Option<CaState> {
    one_of(item, "the state of a CA", &[("active", CaState::Active), ("draining", CaState::Draining)])
}

/// `"closed"`, `"open"`, `"report-only"` or `{ grace = "6h" }`.
fn when_stale(item: &Item<'_>) -> Option<WhenStale> {
    match item.as_str() {
        Some("closed") => return Some(WhenStale::Closed),
        Some("open") => return Some(WhenStale::Open),
        Some("report-only") => return Some(WhenStale::ReportOnly),
        _ => {}
    }
    let Some(mut section) = item.section() else {
        item.refuse_type("a policy for a stale list", "\"closed\", { grace = \"6h\" }, \"open\" or \"report-only\"");
        return None;
    };
    let grace = section.required("grace", "write how long a stale list still serves: { grace = \"6h\" }", |item| {
        duration(item, Duration::from_secs(1)..=LONGEST_GRACE)
    });
    section.finish();
    Some(WhenStale::Grace(grace))
}

fn anchor_expiry(item: &Item<'_>) -> Option<AnchorExpiry> {
    let answers = [("check", AnchorExpiry::Check), ("ignore", AnchorExpiry::Ignore)];
    one_of(item, "a policy for an expired trust anchor", &answers)
}

/// A pattern for the whole CN.
fn pattern(item: &Item<'_>) -> Option<Placed<Regex>> {
    let Some(text) = item.as_str() else {
        item.refuse_type("a pattern", "a regular expression in single quotes: '(?<contract_id>[0-9]{11})'");
        return None;
    };
    let regex = match RegexBuilder::new(text).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build() {
        Ok(regex) => regex,
        Err(error) => {
            item.refuse(format!("is not a regular expression: {}", in_one_line(&error)));
            return None;
        }
    };
    if regex.capture_names().flatten().any(|name| name == CERTIFICATE) {
        item.refuse("has a capture named certificate, which means the client certificate itself in require; rename it");
        return None;
    }
    Some(placed(item, regex))
}

/// Checks that a pattern says whose certificate it is, and in one way only.
fn check_pattern(document: &Document, pattern: &Placed<Regex>, contract_in_name: bool) {
    let has = |capture: &str| pattern.value.capture_names().flatten().any(|name| name == capture);
    let message = match (contract_in_name, has(CONTRACT_ID), has(USER_ID)) {
        (true, false, _) => {
            "has no capture contract_id; write (?<contract_id>…) around the contract ID (契約者ID), or \
                             contract_in_name = false if the CN has a login ID only, which is unique in the bank"
                .to_owned()
        }
        (false, true, _) => {
            "has a capture contract_id, and contract_in_name = false says that no CN names a contract; \
                             remove one of the two"
                .to_owned()
        }
        (false, false, false) => {
            "has no capture user_id; write (?<user_id>…) around the login ID, the only thing that tells clients apart"
                .to_owned()
        }
        _ => match super::pattern::check(pattern.value.as_str(), &[CONTRACT_ID, USER_ID]) {
            Ok(()) => return,
            Err(error) => error.to_string(),
        },
    };
    document.refuse(&pattern.place, message);
}

/// The `regex` crate draws the pattern and a caret over several lines; its last line says what is wrong.
fn in_one_line(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            format!(
                "it would take more than {} KiB compiled; shorten its repetitions, or write [A-Za-z0-9] for \\w",
                PATTERN_BYTES / 1024
            )
        }
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        }
    }
}

/// `"00000000001-00000999999"` or one contract ID.
fn contract_range(item: &Item<'_>) -> Option<ContractRange> {
    let right = "one contract ID, or first-last of the same length: \"00000000001-00000999999\"";
    let Some(text) = item.as_str() else {
        item.refuse_type("a contract range", right);
        return None;
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_id(first) || !is_id(last) {
        item.refuse_type("a contract range", right);
        return None;
    }
    if first.len() != last.len() {
        let (one, other) = (first.len(), last.len());
        item.refuse(format!(
            "{text:?} has ends of {one} and {other} characters; contract IDs compare as text of equal length"
        ));
        return None;
    }
    if first > last {
        item.refuse(format!("{text:?} is reversed and would admit no contract; write \"{last}-{first}\""));
        return None;
    }
    Some(ContractRange { first: first.to_owned(), last: last.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_pattern_needs_a_64th_of_the_room_at_most() {
        let pattern = r"(?<contract_id>[0-9]{11}) (?:(?<user_id>[A-Za-z0-9]+) )?1635";
        assert!(include_str!("../../../config/sekisho.toml").contains(pattern));
        assert!(RegexBuilder::new(pattern).size_limit(PATTERN_BYTES / 64).build().is_ok());
    }
}
