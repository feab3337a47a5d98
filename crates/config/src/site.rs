//! Reads `[[site]]`.

use super::ca::Authorities;
use super::guidance;
use super::reader::{Document, Item, Section, Unique};
use super::route::{self, Surroundings};
use super::server_name::site_name;
use super::types::{ClientAuth, Place, Pool, RefusalStyle, Site};
use super::values::{boolean, list, name, one_of, placed_path, some_of, text};
use std::sync::Arc;

/// What one site must not share with another.
struct Taken {
    names: Unique,
    server_names: Unique,
    default: Option<Place>,
}

/// `[[site]]`.
pub(super) fn read(
    document: &Document,
    sections: Vec<Section<'_>>,
    authorities: &Authorities,
    pools: &[Pool],
) -> Vec<Site> {
    let mut taken =
        Taken { names: Unique::new("the name of a site"), server_names: Unique::new("a server name"), default: None };
    sections.into_iter().map(|section| read_one(document, section, authorities, pools, &mut taken)).collect()
}

fn read_one(
    document: &Document,
    mut section: Section<'_>,
    authorities: &Authorities,
    pools: &[Pool],
    taken: &mut Taken,
) -> Site {
    let place = section.place.clone();
    let names_advice = "write the names that clients connect to: [\"ib.example.jp\"]";
    let mut fresh = true;
    let server_names = section.required("server_names", names_advice, |item| {
        some_of(item, names_advice, |element| {
            let name = site_name(element)?;
            fresh &= taken.server_names.check(document, &element.place, &name);
            Some(name)
        })
    });
    let client_auth = section.or("client_auth", ClientAuth::Required, client_auth);
    let cas = cas(&mut section, client_auth, authorities);
    let mut patterns = authorities.patterns(&cas.names);
    patterns.unreadable |= !cas.complete;
    if client_auth != ClientAuth::None {
        for ca in &patterns.without {
            let message = format!(
                "lets in clients of {ca:?}, which has no identity pattern; add identity to that CA or one above it"
            );
            document.refuse(&section.place_of("ca"), message);
        }
    }
    let around = Surroundings { pools, client_auth, patterns: &patterns };
    let site = Site {
        name: site_name_or_first(&mut section, if fresh { server_names.first() } else { None }, taken),
        place,
        default: default(&mut section, taken),
        certificate: section.required("certificate", "write the PEM file of the site's chain, leaf first", placed_path),
        key: section.required("key", "write the PEM file of the certificate's private key", placed_path),
        client_auth,
        cas: cas.names,
        refusal: section.or("refusal", RefusalStyle::Alert, refusal),
        portal_url: section.optional("portal_url", portal_url),
        contact: section.section("contact").map(guidance::contact),
        routes: routes(&mut section, &around),
        server_names,
    };
    section.finish();
    site
}

fn site_name_or_first(section: &mut Section<'_>, first: Option<&String>, taken: &mut Taken) -> Arc<str> {
    let place = section.place_of("name");
    let written = section.has("name");
    let site_name = match section.optional("name", name) {
        Some(name) => name,
        None if written => String::new(),
        None => first.cloned().unwrap_or_default(),
    };
    taken.names.check(section.document, &place, &site_name);
    site_name.into()
}

fn default(section: &mut Section<'_>, taken: &mut Taken) -> bool {
    let place = section.place_of("default");
    let default = section.or("default", false, boolean);
    if default {
        if let Some(first) = &taken.default {
            let message =
                format!("the default site is already at line {}; a ClientHello without SNI can go to one", first.line);
            section.document.refuse(&place, message);
        } else {
            taken.default = Some(place);
        }
    }
    default
}

fn client_auth(item: &Item<'_>) -> Option<ClientAuth> {
    let answers = [("required", ClientAuth::Required), ("optional", ClientAuth::Optional), ("none", ClientAuth::None)];
    one_of(item, "a client-auth mode", &answers)
}

fn refusal(item: &Item<'_>) -> Option<RefusalStyle> {
    one_of(item, "a refusal style", &[("alert", RefusalStyle::Alert), ("page", RefusalStyle::Page)])
}

/// A site's `ca` list.
struct Accepted {
    names: Vec<Arc<str>>,
    /// No name of it was wrong.
    complete: bool,
}

/// The CAs whose clients may enter.
fn cas(section: &mut Section<'_>, client_auth: ClientAuth, authorities: &Authorities) -> Accepted {
    let why = "no client could enter; write the names of the CAs whose clients may, or client_auth = \"none\"";
    let place = section.place_of("ca");
    let written = section.has("ca");
    let mut names = Unique::new("in the list");
    let mut complete = written;
    let read = section.optional("ca", |item| {
        let read_name = |element: &Item<'_>| {
            let name = known_ca(element, authorities);
            complete &= name.is_some();
            Some((name?, element.place.clone()))
        };
        if client_auth == ClientAuth::None { list(item, read_name) } else { some_of(item, why, read_name) }
    });
    complete &= read.is_some();
    let read = read.unwrap_or_default();
    for (name, place) in &read {
        names.check(section.document, place, name);
    }
    match (client_auth, written) {
        (ClientAuth::Required | ClientAuth::Optional, false) => {
            section
                .refuse_missing("ca", "write the names of the CAs whose clients may enter, or client_auth = \"none\"");
        }
        (ClientAuth::None, true) => {
            let message = "has no effect with client_auth = \"none\"; remove it or ask for certificates";
            section.document.refuse(&place, message);
        }
        _ => {}
    }
    Accepted { names: read.into_iter().map(|(name, _)| name.into()).collect(), complete }
}

fn known_ca(item: &Item<'_>, authorities: &Authorities) -> Option<String> {
    let name = name(item)?;
    if !authorities.has(&name) {
        item.refuse(format!("{name:?} is not a CA of this file; {}", authorities.advice()));
        return None;
    }
    Some(name)
}

/// An absolute http or https URL that a page may link to.
pub(super) fn portal_url(item: &Item<'_>) -> Option<String> {
    /// What browsers and mail programs still carry.
    const LONGEST_URL: usize = 2_048;
    let url = text(item)?;
    let right = "an absolute URL: \"https://portal.example.jp/\"";
    let parsed = url.parse::<http::Uri>().ok().filter(|_| url.len() <= LONGEST_URL);
    let web = parsed
        .filter(|uri| matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some_and(|h| !h.is_empty()));
    if web.is_none() {
        item.refuse_type("a web address", right);
        return None;
    }
    Some(url)
}

fn routes(section: &mut Section<'_>, around: &Surroundings<'_>) -> Vec<super::types::Route> {
    let written = section.has("route");
    let sections = section.sections("route");
    if !written {
        section.refuse_missing(
            "route",
            "add a [[site.route]] table with path and pool, or nothing can be asked of this site",
        );
    }
    route::read(sections, around)
}
