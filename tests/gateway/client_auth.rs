//! The modes of client authentication, by site (requirement G1): who gets through, and as whom.

use crate::common::{Setup, TlsClient, Version, curl};

/// The demo's two sites (`ib.localhost` refuses by alert, `portal.localhost` by page) in another mode.
fn setup(mode: &str) -> Setup {
    Setup::with(|config| {
        let asked = config.replace("client_auth = \"required\"", &format!("client_auth = \"{mode}\""));
        let line_stays = |line: &&str| {
            let required = line.starts_with("require = ") && (mode == "none" || *line == "require = [\"certificate\"]");
            !(required || mode == "none" && line.starts_with("ca = "))
        };
        asked.lines().filter(line_stays).collect::<Vec<_>>().join("\n")
    })
}

const SITES: [&str; 2] = ["ib.localhost", "portal.localhost"];
const BAD: [&str; 6] = [
    "client-expired",
    "client-not-yet-valid",
    "client-revoked",
    "client-other-ca",
    "client-bad-cn",
    // Not a client's certificate at all.
    "ib.localhost",
];

/// What came of a GET: the status, or none when the handshake failed.
fn status(setup: &Setup, site: &str, client: Option<&str>, version: Version) -> Option<u16> {
    setup.app.forget_requests();
    let answer = TlsClient::new(&setup.pki, client, version).get(&setup.gateway, site, "/echo");
    let status = answer.ok().map(|(response, _)| response.status);
    let reached = setup.app.requests().iter().any(|request| request.target == "/echo");
    assert_eq!(reached, status == Some(200), "{site} {client:?} {version:?}: {status:?}");
    status
}

/// Identity headers of the last request, the reference number and the verdict apart.
fn identity_headers(setup: &Setup) -> Vec<String> {
    let request = setup.app.request_of("/echo");
    let names = request.headers.keys().map(|name| name.as_str().to_owned());
    let identity = |name: &String| name.starts_with("x-sekisho-") || name.starts_with("client-cert");
    let others = ["x-sekisho-verification", "x-sekisho-request-id"];
    names.filter(identity).filter(|name| !others.contains(&name.as_str())).collect()
}

#[test]
fn required_lets_in_the_good_only() {
    let setup = setup("required");
    for version in [Version::Tls12, Version::Tls13] {
        for (site, refused) in SITES.into_iter().zip([None, Some(403)]) {
            assert_eq!(status(&setup, site, Some("client-good"), version), Some(200));
            assert!(identity_headers(&setup).len() >= 10, "{:?}", identity_headers(&setup));
            for client in std::iter::once(None).chain(BAD.map(Some)) {
                assert_eq!(status(&setup, site, client, version), refused, "{site} {client:?} {version:?}");
            }
        }
    }
}

#[test]
fn optional_lets_in_the_good_and_those_without_but_never_a_bad_one_as_somebody_without() {
    let setup = setup("optional");
    for version in [Version::Tls12, Version::Tls13] {
        for (site, refused) in SITES.into_iter().zip([None, Some(403)]) {
            assert_eq!(status(&setup, site, Some("client-good"), version), Some(200));
            assert_eq!(setup.app.request_of("/echo").headers["x-sekisho-verification"], "verified");
            assert_eq!(status(&setup, site, None, version), Some(200), "{site} {version:?}");
            assert_eq!(setup.app.request_of("/echo").headers["x-sekisho-verification"], "none");
            assert_eq!(identity_headers(&setup), [""; 0], "of nobody");
            for client in BAD {
                assert_eq!(status(&setup, site, Some(client), version), refused, "{site} {client} {version:?}");
            }
        }
    }
}

#[test]
fn none_asks_for_no_certificate_and_believes_none() {
    let setup = setup("none");
    for version in [Version::Tls12, Version::Tls13] {
        for site in SITES {
            for client in [None, Some("client-good")].into_iter().chain(BAD.map(Some)) {
                assert_eq!(status(&setup, site, client, version), Some(200), "{site} {client:?}");
                assert_eq!(setup.app.request_of("/echo").headers["x-sekisho-verification"], "none");
                assert_eq!(identity_headers(&setup), [""; 0], "{client:?} was not asked");
            }
        }
    }
}

#[test]
fn a_route_that_requires_a_certificate_tells_who_has_none_in_words_on_an_optional_site() {
    let setup = Setup::with(|config| config.replace("client_auth = \"required\"", "client_auth = \"optional\""));
    for site in SITES {
        for (path, client, reason) in [
            ("/echo", None, Some("no-certificate")),
            ("/users/x", None, Some("no-certificate")),
            ("/echo", Some("client-good"), None),
            ("/users/x", Some("client-no-user-id"), Some("not-permitted")),
            ("/administrators/x", Some("client-good"), Some("not-permitted")),
        ] {
            if site == "portal.localhost" && path != "/echo" {
                // It has no such routes.
                continue;
            }
            let url = setup.gateway.url(site, path);
            let answer = curl(&setup.gateway, &setup.pki, client, &["-H", "Accept: application/json", &url]);
            let Some(reason) = reason else {
                assert_eq!(answer.status(), 200, "{answer:?}");
                continue;
            };
            assert_eq!(answer.status(), 403, "{site} {path} {client:?}: {answer:?}");
            let problem: serde_json::Value = serde_json::from_str(answer.body()).unwrap();
            assert_eq!(problem["type"], format!("urn:sekisho:refusal:{reason}"), "{problem}");
        }
    }
}
