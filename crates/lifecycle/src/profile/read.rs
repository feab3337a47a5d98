//! From a document to a profile: which keys each table has.

use super::states::{ShownState, StateLabels};
use super::types::*;
use super::{consistency, permits, template::Template};
use sekisho_config::reader::{Document, Item, Section, Unique};
use sekisho_config::values;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Seconds in a day.
const DAY: u64 = 86_400;

/// Reads the whole file and checks that its parts agree.
pub(super) fn profile<'d>(document: &'d Document, mut root: Section<'d>) -> Profile {
    let name = root.required("name", "write a short name: name = \"example\"", values::name);
    let product = root.required("product", LABEL, label);
    let proof_lifetime = must(&mut root, "proof_lifetime", "write \"5m\"", 0, |item| seconds(item, 1..=3600));
    let roles = roles(document, &mut root);
    let states = states(&mut root);
    let screens = screens(document, &mut root);
    let matrix = permits::read(document, &mut root, &roles, &screens);
    let profile = Profile {
        name: name.into(),
        product,
        proof_lifetime,
        identifiers: identifiers(root.section_or_defaults("identifiers")),
        acquisition: acquisition(root.section_or_defaults("acquisition")),
        old_certificate: reissue(root.section_or_defaults("reissue")),
        renewal: root.section("renewal").map(renewal),
        tries: tries(root.section_or_defaults("tries")),
        certificate: certificate(root.section_or_defaults("certificate")),
        notices: notices(root.section_or_defaults("notices")),
        delivery: delivery(root.section_or_defaults("delivery")),
        feature_off: contract(root.section_or_defaults("contract")),
        roles,
        states,
        screens,
        matrix,
    };
    consistency::check(document, &root, &profile);
    root.finish();
    profile
}

const LABEL: &str = "write { ja = \"…\", en = \"…\" }";

/// `{ ja = "…", en = "…" }`.
pub(super) fn label(item: &Item<'_>) -> Option<Label> {
    let Some(mut section) = item.section() else {
        item.refuse_type("a label", "{ ja = \"…\", en = \"…\" }");
        return None;
    };
    let label = Label {
        ja: section.required("ja", "write the Japanese text", values::text),
        en: section.required("en", "write the English text", values::text),
    };
    section.finish();
    Some(label)
}

/// As [`Section::required`], for types without a default: `stand_in` is what stands there after an error.
pub(super) fn must<'d, T>(
    section: &mut Section<'d>,
    key: &'static str,
    advice: &str,
    stand_in: T,
    read: impl FnOnce(&Item<'d>) -> Option<T>,
) -> T {
    let value = section.optional(key, read);
    if !section.has(key) {
        section.refuse_missing(key, advice);
    }
    value.unwrap_or(stand_in)
}

/// A word that must be there.
fn word<T: Copy>(section: &mut Section<'_>, key: &'static str, what: &str, answers: &[(&str, T)], stand_in: T) -> T {
    let advice = format!("write {}", values::choices(answers.iter().map(|(word, _)| *word)));
    must(section, key, &advice, stand_in, |item| values::one_of(item, what, answers))
}

/// A whole number that must be there.
fn number<T>(section: &mut Section<'_>, key: &'static str, range: RangeInclusive<T>, stand_in: T) -> T
where
    T: TryFrom<i128> + PartialOrd + std::fmt::Display,
{
    let advice = format!("write {} to {}", range.start(), range.end());
    must(section, key, &advice, stand_in, |item| values::integer(item, range))
}

fn seconds(item: &Item<'_>, range: RangeInclusive<u64>) -> Option<i64> {
    let range = Duration::from_secs(*range.start())..=Duration::from_secs(*range.end());
    let duration = values::duration(item, range)?;
    if duration.subsec_nanos() != 0 {
        item.refuse("is not whole seconds; write a number of s, m, h or d");
        return None;
    }
    i64::try_from(duration.as_secs()).ok()
}

fn roles(document: &Document, root: &mut Section<'_>) -> Vec<Role> {
    if !root.has("role") {
        root.refuse_missing("role", "add a [[role]] table for each role a user may have");
    }
    let mut unique = Unique::new("a role");
    let mut roles = Vec::new();
    for mut section in root.sections("role") {
        let place = section.place_of("name");
        let name = section.required("name", "write a short name: name = \"master\"", values::name);
        if name == permits::STAFF {
            document.refuse(&place, "\"staff\" is the bank's own desk in every profile; choose another name");
        }
        let fresh = unique.check(document, &place, &name);
        let label = section.required("label", LABEL, label);
        let common_name = section.optional("common_name", template);
        let place = section.place_of("common_name");
        section.finish();
        if fresh {
            roles.push(Role { name: RoleName(name.into()), label, common_name, place });
        }
    }
    roles
}

fn states(root: &mut Section<'_>) -> StateLabels {
    let mut section = root.section_or_defaults("states");
    let labels = ShownState::ALL.map(|(key, _)| section.required(key, LABEL, label));
    section.finish();
    StateLabels(labels)
}

fn screens(document: &Document, root: &mut Section<'_>) -> Vec<Screen> {
    let mut unique = Unique::new("a screen");
    let mut screens = Vec::new();
    for mut section in root.sections("screen") {
        let place = section.place_of("id");
        let id = section.required("id", "write the screen's id: id = \"BRSK018\"", values::name);
        unique.check(document, &place, &id);
        let label = section.required("label", LABEL, label);
        section.finish();
        screens.push(Screen { id: id.into(), label });
    }
    screens
}

fn identifiers(mut section: Section<'_>) -> Identifiers {
    const ADVICE: &str = "write { least = 1, most = 20, characters = \"digits\" }";
    let stand_in = IdentifierRule { least: 1, most: 1, characters: Characters::Digits };
    let mut unique = UniqueIn::default();
    let contract_id = must(&mut section, "contract_id", ADVICE, stand_in, |item| identifier(item, None));
    let user_id = must(&mut section, "user_id", ADVICE, stand_in, |item| identifier(item, Some(&mut unique)));
    section.finish();
    Identifiers { contract_id, user_id, unique }
}

fn identifier(item: &Item<'_>, unique: Option<&mut UniqueIn>) -> Option<IdentifierRule> {
    let Some(mut section) = item.section() else {
        item.refuse_type("a rule for an identifier", "{ least = 1, most = 20, characters = \"digits\" }");
        return None;
    };
    if let Some(unique) = unique {
        let among = [("contract", UniqueIn::Contract), ("profile", UniqueIn::Profile)];
        let what = "the users among whom an ID is given once";
        *unique = section.optional("unique", |item| values::one_of(item, what, &among)).unwrap_or_default();
    }
    let words = [
        ("digits", Characters::Digits),
        ("letters-and-digits", Characters::LettersAndDigits),
        ("login-id", Characters::LoginId),
    ];
    let least = number(&mut section, "least", 1..=64, 1);
    let rule = IdentifierRule {
        least,
        most: number(&mut section, "most", 1..=64, least),
        characters: word(&mut section, "characters", "a set of characters", &words, Characters::Digits),
    };
    if rule.least > rule.most {
        item.refuse(format!("has least = {} above most = {}", rule.least, rule.most));
    }
    section.finish();
    Some(rule)
}

fn acquisition(mut section: Section<'_>) -> Acquisition {
    let opens = [("by-offer", Opens::ByOffer), ("by-user", Opens::ByUser)];
    let rules =
        [("always", OneTimePasswordRule::Always), ("when-contract-uses", OneTimePasswordRule::WhenContractUses)];
    let interrupted = [("reissue", Interrupted::Reissue), ("retry", Interrupted::Retry)];
    let acquisition = Acquisition {
        opens: word(&mut section, "opens", "what opens an acquisition", &opens, Opens::ByOffer),
        one_time_password: word(&mut section, "one_time_password", "a rule", &rules, OneTimePasswordRule::Always),
        interrupted: word(&mut section, "interrupted", "a remedy", &interrupted, Interrupted::Reissue),
        deadline: must(&mut section, "deadline", "write \"30d\"", 1, |item| seconds(item, 60..=366 * DAY)),
        secret: section.section("secret").map(secret),
    };
    section.finish();
    acquisition
}

fn secret(mut section: Section<'_>) -> AcquisitionSecret {
    let deliveries =
        [("operator-screen", SecretDelivery::OperatorScreen), ("registered-mail", SecretDelivery::RegisteredMail)];
    let what = "a way to the user";
    let secret = AcquisitionSecret {
        label: section.required("label", LABEL, label),
        // Below 12 digits a few thousand users' offers could be guessed at large.
        digits: number(&mut section, "digits", 12..=32, 16),
        repeat_for: must(&mut section, "repeat_for", "write \"10m\"", 0, |item| seconds(item, 0..=3600)),
        from_screen: word(&mut section, "from_screen", what, &deliveries, SecretDelivery::RegisteredMail),
        from_staff: word(&mut section, "from_staff", what, &deliveries, SecretDelivery::RegisteredMail),
    };
    section.finish();
    secret
}

fn reissue(mut section: Section<'_>) -> OldCertificate {
    let words = [
        ("revoked-at-once", OldCertificate::RevokedAtOnce),
        ("revoked-when-replaced", OldCertificate::RevokedWhenReplaced),
    ];
    let old = word(&mut section, "old_certificate", "a moment", &words, OldCertificate::RevokedAtOnce);
    section.finish();
    old
}

fn renewal(mut section: Section<'_>) -> Renewal {
    let renewal = Renewal { window_days: number(&mut section, "window_days", 1..=3660, 1) };
    section.finish();
    renewal
}

fn tries(mut section: Section<'_>) -> Tries {
    const ADVICE: &str = "write { most = 5, window = \"never\", locked_for = \"unlocked\" }";
    let stand_in = TryLimit { most: 1, window: None, locked_for: None };
    let mut limit = |key| must(&mut section, key, ADVICE, stand_in, try_limit);
    let tries = Tries { user: limit("user"), contract: limit("contract"), address: limit("address") };
    section.finish();
    tries
}

fn try_limit(item: &Item<'_>) -> Option<TryLimit> {
    let Some(mut section) = item.section() else {
        item.refuse_type("a limit", "{ most = 5, window = \"never\", locked_for = \"unlocked\" }");
        return None;
    };
    let mut time_or = |key, otherwise: &str| {
        let advice = format!("write a duration or {otherwise:?}");
        must(&mut section, key, &advice, None, |item| match item.as_str() {
            Some(text) if text == otherwise => Some(None),
            _ => seconds(item, 1..=366 * DAY).map(Some),
        })
    };
    let (window, locked_for) = (time_or("window", "never"), time_or("locked_for", "unlocked"));
    let limit = TryLimit { most: number(&mut section, "most", 1..=1_000_000, 1), window, locked_for };
    section.finish();
    Some(limit)
}

fn certificate(mut section: Section<'_>) -> CertificateRule {
    let rounding = [("to-the-second", Rounding::Second), ("end-of-day-utc", Rounding::EndOfDayUtc)];
    let advice = "write a template: \"{contract_id} {user_id}\"";
    let rule = CertificateRule {
        years: number(&mut section, "years", 1..=5, 1),
        rounding: word(&mut section, "expiry", "a rounding", &rounding, Rounding::Second),
        common_name: section.required("common_name", advice, template),
        organizational_unit: section.optional("organizational_unit", template),
        organization: section.optional("organization", template),
        issue_number_width: number(&mut section, "issue_number_width", 1..=9, 1),
    };
    section.finish();
    rule
}

fn template(item: &Item<'_>) -> Option<Template> {
    let text = values::text(item)?;
    Template::parse(&text).map_err(|wrong| item.refuse(wrong)).ok()
}

fn notices(mut section: Section<'_>) -> Notices {
    let events = [
        ("issued", NoticeEvent::Issued),
        ("reissued", NoticeEvent::Reissued),
        ("revoked", NoticeEvent::Revoked),
        ("locked", NoticeEvent::Locked),
    ];
    let advice = "write the days, the most first: [40]";
    let notices = Notices {
        before_expiry_days: section.required("before_expiry_days", advice, |item| {
            values::some_of(item, "nobody would be told", |element| values::integer(element, 1..=3660_u16))
        }),
        on: section.required("on", "write the events: [\"issued\", \"reissued\", \"revoked\"]", |item| {
            values::list(item, |element| values::one_of(element, "an event", &events))
        }),
    };
    let falls = notices.before_expiry_days.windows(2).all(|pair| matches!(pair, [more, less] if more > less));
    if !falls {
        let place = section.place_of("before_expiry_days");
        section.document.refuse(&place, "is no ladder; write the days from the most to the fewest, each once");
    }
    section.finish();
    notices
}

fn delivery(mut section: Section<'_>) -> Delivery {
    let ways = [("csr", KeyDelivery::Csr), ("p12", KeyDelivery::P12)];
    let dialects = [("aes-256-sha-256", P12Dialect::Aes256Sha256), ("3des-sha-1", P12Dialect::TripleDesSha1)];
    let passwords = [("required", P12Password::Required), ("may-be-empty", P12Password::MayBeEmpty)];
    let delivery = Delivery {
        keys: section.required("keys", "write [\"csr\"], [\"p12\"] or both", |item| {
            values::some_of(item, "no certificate could be acquired", |way| values::one_of(way, "a way", &ways))
        }),
        p12_name: section.required("p12_name", "write the file's name: \"certificate.p12\"", p12_name),
        p12_dialect: word(&mut section, "p12_dialect", "a dialect", &dialects, P12Dialect::Aes256Sha256),
        p12_password: word(&mut section, "p12_password", "a rule", &passwords, P12Password::Required),
    };
    section.finish();
    delivery
}

/// It stands in a Content-Disposition header and on the user's disk.
fn p12_name(item: &Item<'_>) -> Option<String> {
    let name = values::name(item)?;
    let fits = name.ends_with(".p12") && !name.starts_with('.');
    if !fits {
        item.refuse(format!("{name:?} is not the name of a .p12 file; write \"certificate.p12\""));
    }
    fits.then_some(name)
}

fn contract(mut section: Section<'_>) -> FeatureOff {
    let words = [("revokes", FeatureOff::Revokes), ("keeps", FeatureOff::Keeps)];
    let off = word(&mut section, "feature_off", "what becomes of certificates", &words, FeatureOff::Revokes);
    section.finish();
    off
}

/// A shared copy of a declared screen's id.
pub(super) fn declared<'s>(screens: &'s [Screen], id: &str) -> Option<&'s Arc<str>> {
    screens.iter().map(|screen| &screen.id).find(|known| ***known == *id)
}
