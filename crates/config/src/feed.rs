//! Reads `[gateway.feed]`, and checks that it and the CAs that follow it go together.

use super::ca::Authorities;
use super::defaults;
use super::reader::{Document, Item, Section};
use super::types::{Feed, Followed, Place, Placed, RevocationSource};
use super::values::{duration, placed, placed_path, some_of};
use std::time::Duration;

/// `lost_after` at least: a second between two looks at live connections, and a heartbeat or two.
const SHORTEST_LOST: Duration = Duration::from_secs(1);
/// At most: beyond an hour a feed that is lost is not worth the name.
const LONGEST_LOST: Duration = Duration::from_secs(3_600);

/// `[gateway.feed]`.
pub(super) fn read(mut section: Section<'_>) -> Feed {
    let urls = "write the API of each issuer node: [\"https://issuer-1.example.jp:8445\"]";
    let keys = "write the public key of the issuer's [feed] key_file: [\"feed.pub.pem\"]";
    let feed = Feed {
        urls: section.required("urls", urls, |item| some_of(item, urls, url)),
        ca: section.required("ca", "write the PEM file of the CAs of the issuers' server certificates", placed_path),
        certificate: section.required(
            "certificate",
            "write the PEM chain of the certificate by which the issuers know this gateway",
            placed_path,
        ),
        key: section.required("key", "write the PEM private key of certificate", placed_path),
        public_keys: section.required("public_key_files", keys, |item| some_of(item, keys, placed_path)),
        lost_after: section
            .or("lost_after", defaults::FEED_LOST_AFTER, |item| duration(item, SHORTEST_LOST..=LONGEST_LOST)),
    };
    section.finish();
    feed
}

/// Refuses a feed that nobody follows, and a CA that follows none, or has no lists for the feed to go on from.
pub(super) fn check(document: &Document, feed: Option<&Feed>, authorities: &Authorities) {
    let mut is_followed = false;
    for ca in &authorities.cas {
        let RevocationSource::From(sources) = &ca.revocation else { continue };
        if sources.feed == Followed::No {
            continue;
        }
        is_followed = true;
        let place = Place { key: format!("{}.revocation.feed", ca.place.key), ..ca.place.clone() };
        if feed.is_none() {
            document.refuse(&place, "needs [gateway.feed], which says where the issuer's feed is");
        }
        if sources.files.is_empty() && sources.urls.is_empty() && sources.points.is_empty() {
            document.refuse(&place, "goes on from the CA's published lists; add crl, crl_urls or distribution_points");
        }
    }
    // One without addresses has been told of that already.
    if let Some(url) = feed.and_then(|feed| feed.urls.first())
        && !is_followed
    {
        let place = Place { key: "gateway.feed".to_owned(), ..url.place.clone() };
        document.refuse(&place, "is followed by no CA; write feed = true into the revocation of those it tells of");
    }
}

/// `https://host[:port][/path]`, without a slash at its end.
fn url(item: &Item<'_>) -> Option<Placed<String>> {
    let is_url = |text: &&str| {
        text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']))
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\\\"<>^`{|}".contains(&byte))
    };
    let Some(text) = item.as_str().filter(is_url) else {
        item.refuse_type("the https:// address of an issuer", "\"https://issuer-1.example.jp:8445\"");
        return None;
    };
    Some(placed(item, text.trim_end_matches('/').to_owned()))
}
