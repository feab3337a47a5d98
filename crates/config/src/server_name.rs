//! Names of servers: those that sites answer to, and those that upstreams must have.

use super::reader::{Item, show};
use std::net::IpAddr;

/// A site's server name, lower case: a DNS name, or one whose whole first label is `*`.
pub(super) fn site_name(item: &Item<'_>) -> Option<String> {
    let name = lower_case(item)?;
    let fixed = name.strip_prefix("*.").unwrap_or(&name);
    if name.starts_with("*.") && !fixed.contains('.') {
        item.refuse(format!(
            "{} would answer for a whole top-level domain; write at least \"*.example.jp\"",
            show(item.value)
        ));
        return None;
    }
    check(item, fixed).then_some(name)
}

/// The name of an upstream: a DNS name or an IP address.
pub(super) fn upstream_name(item: &Item<'_>) -> Option<String> {
    let name = lower_case(item)?;
    (name.parse::<IpAddr>().is_ok() || check(item, &name)).then_some(name)
}

fn lower_case(item: &Item<'_>) -> Option<String> {
    let name = item.as_str().filter(|name| !name.is_empty());
    if name.is_none() {
        item.refuse_type("a server name", "a DNS name in quotes: \"ib.example.jp\"");
    }
    name.map(str::to_ascii_lowercase)
}

/// Checks a DNS name as SNI carries it (RFC 6066 section 3): A-labels, no trailing dot, no address.
fn check(item: &Item<'_>, name: &str) -> bool {
    let shown = show(item.value);
    let wrong = if name.parse::<IpAddr>().is_ok() {
        "is an IP address, which SNI cannot carry (RFC 6066); write a DNS name"
    } else if name.ends_with('.') {
        "ends with a dot; write it without"
    } else if name.contains(':') {
        "has a port; write the name alone"
    } else if !name.is_ascii() {
        "is not ASCII; write it as A-labels (\"xn--…\")"
    } else if name.len() > 253 || !name.split('.').all(is_label) {
        "is not a DNS name; write letters, digits and hyphens between dots, \"*\" only as the whole first label"
    } else {
        return true;
    };
    item.refuse(format!("{shown} {wrong}"));
    false
}

/// RFC 1123 section 2.1, and the underscore that some internal zones have.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
