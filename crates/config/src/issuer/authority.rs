//! Reads `[[authority]]`.

use super::defaults;
use super::types::{AuthorityConfig, PassphraseSource};
use crate::reader::{Document, Item, Section, Unique};
use crate::types::Placed;
use crate::values::{boolean, duration, integer, list, name, path, placed, placed_path, text};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// What URLs of lists in parts have in them.
const PART: &str = "{part}";

/// What one authority must not share with another.
struct Taken {
    names: Unique,
    profiles: Unique,
    urls: Unique,
}

/// `[[authority]]`.
pub(super) fn read(document: &Document, root: &mut Section<'_>) -> Vec<AuthorityConfig> {
    if !root.has("authority") {
        root.refuse_missing("authority", "add an [[authority]] table for each CA; sekisho-issuer ca init makes one");
    }
    let mut taken = Taken {
        names: Unique::new("the name of an authority"),
        profiles: Unique::new("a profile of an authority"),
        urls: Unique::new("the URL of a list"),
    };
    root.sections("authority").into_iter().map(|section| read_one(document, section, &mut taken)).collect()
}

fn read_one(document: &Document, mut section: Section<'_>, taken: &mut Taken) -> AuthorityConfig {
    let place = section.place.clone();
    let authority_name = section.required("name", "write a short name; it stands in URLs and never changes", |item| {
        let name = name(item)?;
        taken.names.check(document, &item.place, &name);
        Some(name)
    });
    let parts = section.or("parts", defaults::PARTS, |item| integer(item, 1..=1_024_u16).and_then(NonZeroU16::new));
    let mut list_url = |item: &Item<'_>| {
        let url = public_url(item)?;
        if url.contains(PART) != (parts.get() > 1) {
            item.refuse(format!("{url:?}: {PART} belongs in the URLs of lists in parts, and only there"));
            return None;
        }
        taken.urls.check(document, &item.place, &url);
        Some(url)
    };
    let crl_url = section.required(
        "crl_url",
        "write where clients fetch its list: \"http://crl.example.jp/crl/NAME/0.crl\"",
        &mut list_url,
    );
    let delta_url = section.optional("delta_url", &mut list_url);
    let profiles = section.required("profiles", "write the names of the profiles it signs for", |item| {
        // None: the predecessor of another, which goes on publishing until its last certificate has ended.
        list(item, |element| {
            let name = name(element)?;
            taken.profiles.check(document, &element.place, &name);
            Some(placed::<Arc<str>>(element, name.into()))
        })
    });
    let (crl_lifetime, crl_interval) = times(&mut section);
    let authority = AuthorityConfig {
        name: authority_name.into(),
        profiles,
        certificate: section.required("certificate", "write the path of the CA's PEM certificate", placed_path),
        chain: section.required(
            "chain",
            "write the PEM file of the CAs above it, the root last (chain.pem of sekisho-issuer ca)",
            placed_path,
        ),
        key: section.required("key", "write the path of the CA's encrypted private key", placed_path),
        passphrase: passphrase(&mut section),
        crl_url,
        delta_url,
        parts,
        ocsp_url: section.optional("ocsp_url", plain_url),
        ca_issuers_url: section.optional("ca_issuers_url", plain_url),
        publish_folder: section.optional("publish_folder", placed_path),
        crl_lifetime,
        crl_interval,
        ocsp_lifetime: section.or("ocsp_lifetime", defaults::OCSP_LIFETIME, |item| {
            // Below a minute clocks that differ make answers old before they come.
            duration(item, Duration::from_secs(60)..=7 * DAY)
        }),
        ocsp_nonces: section.or("ocsp_nonces", defaults::OCSP_NONCES, boolean),
        place,
    };
    section.finish();
    authority
}

/// `crl_lifetime` and `crl_interval`.
fn times(section: &mut Section<'_>) -> (Duration, Duration) {
    let minute = Duration::from_secs(60);
    // Ten days: what public CAs may at most (CA/Browser Forum Baseline Requirements section 4.9.7).
    let lifetime = section.or("crl_lifetime", defaults::CRL_LIFETIME, |item| duration(item, minute..=10 * DAY));
    let interval =
        section.or("crl_interval", defaults::CRL_INTERVAL, |item| duration(item, Duration::from_secs(1)..=DAY));
    if interval * 2 > lifetime {
        let message = "is more than half of crl_lifetime; one list that fails to come would leave none in force";
        section.document.refuse(&section.place_of("crl_interval"), message);
    }
    (lifetime, interval)
}

/// `passphrase_file` or `passphrase_variable`.
fn passphrase(section: &mut Section<'_>) -> Placed<PassphraseSource> {
    let file = section.optional("passphrase_file", |item| Some(placed(item, PassphraseSource::File(path(item)?))));
    let variable = section.optional("passphrase_variable", |item| {
        let variable = text(item)?;
        if variable.contains('=') {
            item.refuse_type("the name of an environment variable", "\"SEKISHO_CA_PASSPHRASE\"");
            return None;
        }
        Some(placed(item, PassphraseSource::Variable(variable)))
    });
    match (section.has("passphrase_file"), section.has("passphrase_variable")) {
        (false, false) => {
            section.refuse_missing("passphrase_file", "write a file of mode 0600, or passphrase_variable");
        }
        (true, true) => {
            let message = "stands beside passphrase_file; keep one";
            section.document.refuse(&section.place_of("passphrase_variable"), message);
        }
        _ => {}
    }
    let stand_in = || Placed { value: PassphraseSource::Variable(String::new()), place: section.place.clone() };
    file.or(variable).unwrap_or_else(stand_in)
}

/// A URL that goes into certificates, of one thing.
fn plain_url(item: &Item<'_>) -> Option<String> {
    let url = public_url(item)?;
    if url.contains(['{', '}']) {
        item.refuse(format!("{url:?} has a brace in it"));
        return None;
    }
    Some(url)
}

/// A URL that goes into certificates: `http`, because fetching a list must not need another certificate's status
/// (RFC 5280 section 8). The authority itself checks the rest.
fn public_url(item: &Item<'_>) -> Option<String> {
    let url = text(item)?;
    let host = url.strip_prefix("http://").unwrap_or_default().split('/').next().unwrap_or_default();
    if host.is_empty() || url.contains(char::is_whitespace) || !url.is_ascii() {
        item.refuse_type("an http:// URL", "where clients reach public_listen: \"http://crl.example.jp/…\"");
        return None;
    }
    Some(url)
}
