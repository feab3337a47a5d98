//! A right that ends while it is used (requirements G12, R5, invariant 1): for each cause, every path to the
//! application is closed in both refusal styles, and nobody else is touched.

use crate::common::{
    ClientRequest, Gateway, Http2, Http2Stream, Setup, TestApp, TestPki, TlsClient, TlsConnection, Version, WebSocket,
    alert, wait_until,
};
use rustls::AlertDescription;
use std::io;

/// The sites that lose a client, by refusal style, and the one whose client stays.
pub const ALERT: &str = "ib.localhost";
pub const PAGE: &str = "portal.localhost";
pub const STAYS: &str = "keep.localhost";

/// What a path that is closed looks like.
#[derive(Debug)]
pub struct Closed {
    /// In a handshake of style `alert`.
    pub alert: AlertDescription,
    /// In a page.
    pub reason: &'static str,
}

/// A configuration with these CAs; `sites` are names with `client_auth`.
pub fn configuration(app: &TestApp, cas: &[&str], sites: &[(&str, &str)]) -> String {
    let demo = Setup::configuration(app);
    let (head, _) = demo.split_once("[[ca]]").unwrap();
    let (_, pool) = demo.split_once("[[pool]]").unwrap();
    let (pool, _) = pool.split_once("[[site]]").unwrap();
    let identity = sekisho_testkit::configuration::IDENTITY;
    let mut text = format!("{head}[[pool]]{pool}");
    for ca in cas {
        let (certificate, revocation) = match *ca {
            "root" => ("", r#"{ crl = ["crl.pem"] }"#),
            _ => ("other-", r#""none""#),
        };
        text += &format!(
            "[[ca]]\nname = \"{ca}\"\ncertificate = \"{certificate}root-ca.pem\"\nrevocation = {revocation}\n\n"
        );
        text += &format!(
            "[[ca]]\nname = \"{ca}-issuing\"\nissued_by = \"{ca}\"\ncertificate = \"{certificate}issuing-ca.pem\"\n"
        );
        text += &format!("revocation = {revocation}\nidentity = '{identity}'\n\n");
    }
    for (site, client_auth) in sites {
        let style = if *site == PAGE { "page" } else { "alert" };
        text += &format!("[[site]]\nserver_names = [\"{site}\"]\ncertificate = \"{site}.pem\"\nkey = \"{site}.key\"\n");
        text += &format!("client_auth = \"{client_auth}\"\nrefusal = \"{style}\"\n");
        if *client_auth != "none" {
            text += &format!("ca = {cas:?}\n");
        }
        text += "\n[[site.route]]\npath = \"/\"\npool = \"ib\"\n\n";
    }
    text
}

pub const REQUIRED: [(&str, &str); 3] = [(ALERT, "required"), (PAGE, "required"), (STAYS, "required")];

fn start(cas: &[&str], sites: &[(&str, &str)]) -> Setup {
    let (pki, app) = (TestPki::new(), TestApp::new());
    pki.issue_server(STAYS, &[STAYS], sekisho_runtime::clock::now()).unwrap();
    let gateway = Gateway::start(&pki, &configuration(&app, cas, sites));
    Setup { gateway, app, pki }
}

/// One client's every way in, each open and proven.
pub struct Paths {
    site: &'static str,
    fresh: Vec<TlsClient>,
    with_ticket: Vec<TlsClient>,
    http1: Vec<TlsConnection>,
    http2: Http2,
    web_socket: TlsConnection,
    long_poll: TlsConnection,
    stream_connection: Http2,
    stream: Http2Stream,
}

impl Paths {
    /// Open connections that a [`Paths`] holds: those of site `alert` are all cut, those of `page` that have a request
    /// under way.
    pub const CONNECTIONS: usize = 6;
    /// Of them, those with a request under way.
    pub const BUSY: usize = 3;

    pub fn open(setup: &Setup, client: Option<&str>, site: &'static str) -> Self {
        let gateway = &setup.gateway;
        let client_of = |version| TlsClient::new(&setup.pki, client, version);
        let versions = [Version::Tls12, Version::Tls13];
        let with_ticket = versions.map(|version| {
            let client = client_of(version);
            client.get(gateway, site, "/echo").unwrap();
            let (response, second) = client.get(gateway, site, "/echo").unwrap();
            assert!(second.resumed() && response.status == 200, "{site} {version:?} did not resume");
            client
        });
        let http1 = versions.map(|version| client_of(version).get(gateway, site, "/echo").unwrap().1);
        let mut http2 = Http2::connect(&client_of(Version::Tls13), gateway, site).unwrap();
        assert_eq!(http2.get(site, "/echo").unwrap().0, 200);
        let mut web_socket = WebSocket::open(client_of(Version::Tls13).connect(gateway, site).unwrap(), site);
        assert_eq!(web_socket.echo("open").unwrap(), "open");
        let mut long_poll = client_of(Version::Tls12).connect(gateway, site).unwrap();
        let path = format!("/slow?seconds=600&{site}");
        long_poll.send(format!("GET {path} HTTP/1.1\r\nHost: {site}\r\n\r\n").as_bytes()).unwrap();
        wait_until("the long poll reached the application", || {
            setup.app.requests().iter().any(|request| request.target == path)
        });
        let mut stream_connection = Http2::connect(&client_of(Version::Tls13), gateway, site).unwrap();
        let mut stream = stream_connection.begin(site, "/stream?seconds=600").unwrap();
        assert!(stream.next().unwrap().is_some());
        Self {
            site,
            fresh: versions.map(client_of).into(),
            with_ticket: with_ticket.into(),
            http1: http1.into(),
            http2,
            web_socket: web_socket.into_inner(),
            long_poll,
            stream_connection,
            stream,
        }
    }

    /// What is streaming ends; panics when it does not.
    fn streams_are_cut(&mut self) {
        for connection in [&mut self.web_socket, &mut self.long_poll] {
            connection.read_to_its_end();
        }
        assert!(self.stream.breaks_off(), "{}: the HTTP/2 stream goes on", self.site);
        self.stream_connection.wait_for_its_end();
    }

    /// Nothing is let through any more.
    pub fn are_closed(mut self, setup: &Setup, closed: &Closed) {
        self.streams_are_cut();
        let Self { site, fresh, with_ticket, http1, mut http2, .. } = self;
        for (kind, clients) in [("new", fresh), ("resumed", with_ticket)] {
            for client in clients {
                let what = format!("{site}, {kind} handshake");
                let answer = client.get(&setup.gateway, site, "/echo?after").map(|(answer, _)| answer);
                if site == PAGE {
                    refused_in_words(&what, answer.map(|answer| (answer.status, answer.text())), closed);
                } else {
                    let error = answer.map(|answer| answer.status).unwrap_err();
                    let missing_in_tls12 = closed.alert == AlertDescription::CertificateRequired
                        && alert(&error) == Some(AlertDescription::HandshakeFailure);
                    assert!(alert(&error) == Some(closed.alert) || missing_in_tls12, "{what}: {error:?}");
                }
            }
        }
        for mut connection in http1 {
            let answer = connection.get(site, "/echo?after").map(|answer| (answer.status, answer.text()));
            next_request(&format!("{site}, kept-alive HTTP/1.1"), answer, closed);
        }
        next_request(&format!("{site}, live HTTP/2"), http2.get(site, "/echo?after"), closed);
        let reached: Vec<_> = setup.app.requests().into_iter().filter(|it| it.target.contains("after")).collect();
        assert!(reached.is_empty(), "{site}: {reached:?}");
    }

    /// Everything still works.
    pub fn are_open(mut self, setup: &Setup) {
        let site = self.site;
        for client in self.fresh.iter().chain(&self.with_ticket) {
            assert_eq!(client.get(&setup.gateway, site, "/echo").unwrap().0.status, 200, "{site}");
        }
        for connection in &mut self.http1 {
            assert_eq!(connection.get(site, "/echo").unwrap().status, 200, "{site}");
        }
        assert_eq!(self.http2.get(site, "/echo").unwrap().0, 200, "{site}");
        assert!(self.stream.next().unwrap().is_some(), "{site}");
        // A masked ping of RFC 6455 gets its pong.
        self.web_socket.send(&[0x89, 0x80, 0, 0, 0, 0]).unwrap();
        assert!(self.web_socket.read(&mut [0; 16]).unwrap() > 0, "{site}");
        assert_eq!(self.stream_connection.get(site, "/echo").unwrap().0, 200, "{site}");
    }
}

/// The next request of a connection that was idle: told in words, or the connection is gone.
fn next_request(what: &str, answer: io::Result<(u16, String)>, closed: &Closed) {
    if what.starts_with(PAGE) {
        refused_in_words(what, answer, closed);
    } else {
        assert!(answer.is_err(), "{what}: {answer:?}");
    }
}

fn refused_in_words(what: &str, answer: io::Result<(u16, String)>, closed: &Closed) {
    let (status, body) = answer.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!(status, 403, "{what}: {body}");
    assert!(body.contains(closed.reason), "{what}: no {} in {body}", closed.reason);
}

/// Reloads another configuration and waits for it.
fn reload(setup: &Setup, config: &str) {
    setup.gateway.reload(config);
}

#[test]
fn a_revoked_certificate_is_refused_on_every_path_and_no_other_is_touched() {
    let mut setup = start(&["root"], &REQUIRED);
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    let leaving = [ALERT, PAGE].map(|site| Paths::open(&setup, Some("client-leaving"), site));
    let staying = [ALERT, PAGE].map(|site| Paths::open(&setup, Some("client-good"), site));
    setup.pki.revoke_client("client-leaving");
    let closed = Closed { alert: AlertDescription::CertificateRevoked, reason: "revoked" };
    leaving.into_iter().for_each(|paths| paths.are_closed(&setup, &closed));
    staying.into_iter().for_each(|paths| paths.are_open(&setup));
}

#[test]
fn a_certificate_that_expires_meanwhile_is_refused_on_every_path() {
    let setup = start(&["root"], &REQUIRED);
    let staying = Paths::open(&setup, Some("client-good"), STAYS);
    for site in [ALERT, PAGE] {
        let now = sekisho_runtime::clock::now();
        // Long enough to open every path on a busy machine.
        let request =
            ClientRequest { not_after: now.plus_seconds(8), ..ClientRequest::good("00009876543 ending 1635", now) };
        setup.pki.issue_client("client-ending", &request).unwrap();
        let paths = Paths::open(&setup, Some("client-ending"), site);
        paths.are_closed(&setup, &Closed { alert: AlertDescription::CertificateExpired, reason: "expired" });
    }
    staying.are_open(&setup);
}

#[test]
fn a_ca_that_is_removed_closes_every_path_of_its_clients_and_no_other() {
    let setup = start(&["root", "other"], &REQUIRED);
    let leaving = [ALERT, PAGE].map(|site| Paths::open(&setup, Some("client-good"), site));
    let staying = [ALERT, PAGE].map(|site| Paths::open(&setup, Some("client-other-ca"), site));
    reload(&setup, &configuration(&setup.app, &["other"], &REQUIRED));
    let closed = Closed { alert: AlertDescription::UnknownCA, reason: "unknown-ca" };
    leaving.into_iter().for_each(|paths| paths.are_closed(&setup, &closed));
    for paths in staying {
        // The policy is another: their tickets are not accepted, but everything else goes on.
        paths.are_open(&setup);
    }
}

#[test]
fn a_site_that_is_removed_closes_every_path_and_no_other_sites() {
    let setup = start(&["root"], &REQUIRED);
    let leaving = [ALERT, PAGE].map(|site| Paths::open(&setup, Some("client-good"), site));
    let staying = Paths::open(&setup, Some("client-good"), STAYS);
    reload(&setup, &configuration(&setup.app, &["root"], &REQUIRED[2..]));
    for mut paths in leaving {
        paths.streams_are_cut();
        for client in paths.fresh.iter().chain(&paths.with_ticket) {
            let error = client.get(&setup.gateway, paths.site, "/echo?after").map(|it| it.0.status).unwrap_err();
            assert_eq!(alert(&error), Some(AlertDescription::UnrecognisedName), "{}: {error:?}", paths.site);
        }
        for connection in &mut paths.http1 {
            assert!(connection.get(paths.site, "/echo?after").is_err(), "{}", paths.site);
        }
        assert!(paths.http2.get(paths.site, "/echo?after").is_err(), "{}", paths.site);
    }
    assert!(setup.app.requests().iter().all(|request| !request.target.contains("after")));
    staying.are_open(&setup);
}

#[test]
fn a_site_that_comes_to_require_a_certificate_closes_every_path_of_those_without() {
    for before in ["optional", "none"] {
        let sites = |client_auth| [(ALERT, client_auth), (PAGE, client_auth), (STAYS, "optional")];
        let setup = start(&["root"], &sites(before));
        let leaving = [ALERT, PAGE].map(|site| Paths::open(&setup, None, site));
        let staying = [Paths::open(&setup, None, STAYS), Paths::open(&setup, Some("client-good"), STAYS)];
        reload(&setup, &configuration(&setup.app, &["root"], &sites("required")));
        let closed = Closed { alert: AlertDescription::CertificateRequired, reason: "no-certificate" };
        leaving.into_iter().for_each(|paths| paths.are_closed(&setup, &closed));
        staying.into_iter().for_each(|paths| paths.are_open(&setup));
    }
}
