//! The tables of the pages have what the code has.

use crate::configurations::shortest;
use crate::page;
use sekisho::gateway::verify::Reason;

#[test]
fn every_refusal_reason_has_its_row() {
    let page = page::read("docs/guide/refusals.md");
    for reason in Reason::ALL {
        assert_eq!(page.matches(&format!("\n| `{}` |", reason.as_str())).count(), 1, "{}", reason.as_str());
    }
}

#[test]
fn every_header_has_its_row() {
    let (page, names) = (page::read("docs/reference/headers.md"), shortest().headers);
    for name in [
        names.contract_id,
        names.user_id,
        names.common_name,
        names.serial,
        names.issuer,
        names.not_before,
        names.not_after,
        names.days_left,
        names.fingerprint,
        names.verification,
        names.resumed,
        names.authenticated_at,
        names.client_cert,
        names.assertion,
        names.ca_draining,
        names.request_id,
    ] {
        let name = name.expect("on by default");
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    assert_eq!(names.client_cert_chain, None, "the page says that it is off by default");
}

#[test]
fn every_metric_that_a_page_names_is_in_the_reference() {
    let reference = page::read("docs/reference/metrics.md");
    let name = regex::Regex::new(r"`(sekisho_[a-z_]+)").unwrap();
    let mut named = 0;
    // The change log also has the names of before.
    for path in page::all().into_iter().filter(|path| path != "CHANGELOG.md") {
        let text = page::read(&path);
        for found in name.captures_iter(&text).map(|found| found.get(1).unwrap().as_str()) {
            assert!(reference.contains(&format!("`{found}`")), "{path}: {found}");
            named += 1;
        }
    }
    assert!(named > 80, "{named}");
}
