//! Reads `[[site.route]]`.

use super::ca::{CERTIFICATE, Patterns, known_names};
use super::reader::{Item, Section, show};
use super::types::{ClientAuth, Place, Pool, Requirement, Route};
use super::values::{choices, duration, list, name, placed};
use http::Method;
use std::time::Duration;

/// What a route may refer to.
pub(super) struct Surroundings<'s> {
    pub(super) pools: &'s [Pool],
    pub(super) client_auth: ClientAuth,
    pub(super) patterns: &'s Patterns,
}

/// `[[site.route]]` of one site.
pub(super) fn read(sections: Vec<Section<'_>>, around: &Surroundings<'_>) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::with_capacity(sections.len());
    for section in sections {
        let document = section.document;
        let path_place = section.place_of("path");
        let route = read_one(section, around);
        if let Some(earlier) = routes.iter().find(|earlier| overlap(earlier, &route)) {
            let message = format!(
                "{:?} with these methods is already a route at line {}; a request must have one route",
                route.path, earlier.place.line
            );
            document.refuse(&path_place, message);
        }
        routes.push(route);
    }
    routes
}

fn read_one(mut section: Section<'_>, around: &Surroundings<'_>) -> Route {
    let route = Route {
        place: section.place.clone(),
        path: section.required("path", "write the prefix of the paths it is for: \"/\"", route_path),
        methods: section.or("methods", Vec::new(), |item| list(item, method)),
        pool: section.required("pool", "write the name of a [[pool]]", |item| pool(item, around.pools)).into(),
        require: section.or("require", Vec::new(), |item| requirements(item, around)),
        // A day is the longest long poll; beyond it a stuck upstream is never noticed.
        timeout: section
            .optional("timeout", |item| duration(item, Duration::from_millis(1)..=Duration::from_secs(86_400))),
        // For the answer to one's own revocation or renewal, and not a way on for who is revoked.
        finish: section.optional("finish", |item| duration(item, Duration::from_millis(100)..=Duration::from_secs(10))),
    };
    section.finish();
    route
}

/// Whether some request would have both routes.
fn overlap(one: &Route, other: &Route) -> bool {
    let methods = one.methods.is_empty()
        || other.methods.is_empty()
        || one.methods.iter().any(|method| other.methods.contains(method));
    // An empty path stands for one that was wrong.
    methods && one.path == other.path && !one.path.is_empty()
}

/// A path that a request line can have, with a query or without: what a health check asks for.
pub(super) fn request_path(item: &Item<'_>) -> Option<String> {
    let Some(path) = item.as_str() else {
        item.refuse_type("a path", "it in quotes: \"/\"");
        return None;
    };
    let wrong = if !path.starts_with('/') {
        "does not start with \"/\""
    } else if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        "has a character that no request line has; write visible ASCII without \"#\""
    } else {
        return Some(path.to_owned());
    };
    item.refuse(format!("{} {wrong}", show(item.value)));
    None
}

/// A prefix of whole segments, compared with the decoded path of a request, which has none of what is refused here.
fn route_path(item: &Item<'_>) -> Option<String> {
    let path = request_path(item)?;
    let wrong = if path.contains('?') {
        "has a query; write the path alone"
    } else if path.contains(['%', '\\', ';']) {
        "has \"%\", \"\\\" or \";\"; routes are compared with decoded paths without parameters"
    } else if path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..") {
        "has an empty, \".\" or \"..\" segment, with which every request is refused"
    } else if path.len() > 1 && path.ends_with('/') {
        "ends with \"/\"; leave that out, a prefix is for itself and all below it"
    } else {
        return Some(path);
    };
    item.refuse(format!("{} {wrong}", show(item.value)));
    None
}

fn method(item: &Item<'_>) -> Option<Method> {
    let Some(text) = item.as_str() else {
        item.refuse_type("a method", "\"GET\", \"POST\", …");
        return None;
    };
    let Some(method) = Method::from_bytes(text.as_bytes()).ok().filter(|method| method.as_str().len() <= 32) else {
        item.refuse_type("a method", "\"GET\", \"POST\", …");
        return None;
    };
    if method == Method::CONNECT {
        item.refuse("\"CONNECT\" asks for a tunnel, which this gateway never makes; remove it");
        return None;
    }
    if method == Method::TRACE {
        item.refuse("\"TRACE\" would show a client what the gateway tells the application of it; remove it");
        return None;
    }
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        item.refuse(format!(
            "{text:?} is not in upper case, and methods are case-sensitive; write {:?}",
            text.to_ascii_uppercase()
        ));
        return None;
    }
    Some(method)
}

fn pool(item: &Item<'_>, pools: &[Pool]) -> Option<String> {
    let name = name(item)?;
    if !pools.iter().any(|pool| *pool.name == *name) {
        let advice = known_names(pools.iter().map(|pool| pool.name.as_ref()), "[[pool]]");
        item.refuse(format!("{name:?} is not a pool of this file; {advice}"));
        return None;
    }
    Some(name)
}

fn requirements(item: &Item<'_>, around: &Surroundings<'_>) -> Option<Vec<Requirement>> {
    if around.client_auth == ClientAuth::None {
        item.refuse("needs a certificate, and this site has client_auth = \"none\"; remove it or ask for certificates");
        return None;
    }
    let terms = list(item, |term| Some((requirement(term, around)?, term.place.clone())))?;
    for (index, (term, place)) in terms.iter().enumerate() {
        if let Some(message) = clash(term, terms.get(..index).unwrap_or_default()) {
            item.document.refuse(place, message);
        }
    }
    Some(terms.into_iter().map(|(term, _)| term).collect())
}

/// What is wrong with a term after the earlier ones.
fn clash(term: &Requirement, earlier: &[(Requirement, Place)]) -> Option<String> {
    let opposite = match term {
        Requirement::Certificate => None,
        Requirement::Has(name) => Some(Requirement::HasNot(name.clone())),
        Requirement::HasNot(name) => Some(Requirement::Has(name.clone())),
    };
    let among = |wanted: &Requirement| earlier.iter().any(|(known, _)| known == wanted);
    if among(term) {
        return Some("is there twice; remove one".to_owned());
    }
    opposite.filter(among).map(|_| "contradicts an earlier term, so that nobody could enter; remove one".to_owned())
}

fn requirement(item: &Item<'_>, around: &Surroundings<'_>) -> Option<Requirement> {
    let Some(text) = item.as_str() else {
        item.refuse_type("a requirement", "\"certificate\", \"user_id\" or \"!user_id\"");
        return None;
    };
    if text == CERTIFICATE {
        return Some(Requirement::Certificate);
    }
    let capture = text.strip_prefix('!').unwrap_or(text);
    let producible = around.patterns.captures.iter().any(|known| known == capture);
    if !producible && !around.patterns.unreadable {
        let terms = around.patterns.captures.iter().map(String::as_str).chain([CERTIFICATE]);
        let right = format!("{}, or \"!\" before a capture", choices(terms));
        item.refuse(format!(
            "{} is not a capture of any identity pattern of this site's CAs; write {right}",
            show(item.value)
        ));
        return None;
    }
    let capture = placed(item, capture.to_owned()).value;
    Some(if text.starts_with('!') { Requirement::HasNot(capture) } else { Requirement::Has(capture) })
}
