use super::*;
use crate::gateway::headers::set::tests::every_name;
use proptest::prelude::*;

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    headers
}

fn stripped(lines: &[(&str, &str)]) -> Vec<String> {
    let mut headers = fields(lines);
    strip(&mut headers, &StripSet::new(&every_name()));
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn every_configured_identity_header_is_removed_in_every_spelling() {
    let names = every_name();
    let configured: Vec<&HeaderName> = set_by_gateway(&names).into_iter().flatten().collect();
    assert_eq!(configured.len(), 17, "the test's configuration turns every header on");
    for name in configured {
        let name = name.as_str();
        for spelling in [
            name.to_owned(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replace('-', "."),
            name.replace('-', "~"),
            name.replacen('-', "_", 1),
            name.replacen('-', "|", 1).to_uppercase(),
        ] {
            assert_eq!(stripped(&[(&spelling, "forged"), (&spelling, "again"), ("accept", "*/*")]), ["accept: */*"]);
        }
    }
}

#[test]
fn a_name_of_the_strip_list_and_those_of_other_gateways_are_removed() {
    for name in [
        "x-bank-internal",
        "X_Bank.Internal",
        "Forwarded",
        "X-Forwarded-For",
        "x_forwarded_host",
        "X-Forwarded-Client-Cert",
        "X-Forwarded-Tls-Client-Cert",
        "X-Real-IP",
        "X-SSL-Client-Verify",
        "SSL_CLIENT_S_DN",
        "X-SSL-CERT",
        "Client-Cert",
        "client_cert_chain",
        "Client-Certificate",
        "X-Original-URL",
        "X-HTTP-Method-Override",
        "Proxy",
        "X-Sekisho-Some-Later-Header",
    ] {
        assert_eq!(stripped(&[(name, "forged")]), [""; 0], "{name}");
    }
}

#[test]
fn headers_that_claim_nothing_stay() {
    let harmless = [
        ("accept", "text/html"),
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("x-bank", "kept"),
        ("x-bank-internals", "kept"),
        ("bank-internal", "kept"),
        ("x-requested-with", "XMLHttpRequest"),
        ("client", "kept"),
        ("xx-sekisho-user-id", "kept"),
    ];
    let mut kept = harmless.map(|(name, value)| format!("{name}: {value}"));
    kept.sort();
    assert_eq!(stripped(&harmless), kept);
}

#[test]
fn a_client_cannot_have_a_later_hop_drop_what_the_gateway_sets() {
    for connection in ["close, X-Sekisho-User-Id", "X_SEKISHO_USER_ID,close", "close,,x-bank-internal ,", "\tclose"] {
        assert_eq!(stripped(&[("connection", connection)]), ["connection: close"], "{connection}");
    }
    assert_eq!(stripped(&[("connection", "x-sekisho-user-id"), ("Connection", "forwarded")]), [""; 0]);
    assert_eq!(
        stripped(&[("connection", "keep-alive"), ("connection", "Keep-Alive, Close")]),
        ["connection: keep-alive, close"]
    );
}

#[test]
fn a_field_that_connection_names_is_removed_but_for_framing() {
    let lines = [("te", "trailers"), ("x-hop", "1"), ("content-length", "3"), ("host", "ib"), ("x-end", "1")];
    let with = |connection| {
        let mut lines = lines.to_vec();
        lines.push(("connection", connection));
        stripped(&lines)
    };
    assert_eq!(
        with("TE, x-hop, content-length, host, transfer-encoding"),
        ["content-length: 3", "host: ib", "x-end: 1"]
    );
}

#[test]
fn an_upgrade_to_http_or_tls_is_removed_and_to_websocket_is_not() {
    for upgrade in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.0", "h2c/1", "h3"] {
        assert_eq!(
            stripped(&[
                ("connection", "Upgrade, HTTP2-Settings"),
                ("upgrade", upgrade),
                ("http2-settings", "AAMAAABkAAQAAP__")
            ]),
            [""; 0],
            "{upgrade}"
        );
    }
    assert_eq!(
        stripped(&[("upgrade", "websocket"), ("connection", "keep-alive, Upgrade")]),
        ["connection: keep-alive, upgrade", "upgrade: websocket"]
    );
}

#[test]
fn a_turned_off_header_is_removed_all_the_same() {
    let mut names = every_name();
    names.client_cert_chain = None;
    names.user_id = None;
    let set = StripSet::new(&names);
    assert!(set.contains("Client-Cert-Chain") && set.contains("x_sekisho_user_id"));
}

proptest! {
    #[test]
    fn no_interleaving_of_case_and_separators_survives(
        which in 0_usize..17,
        upper in proptest::collection::vec(any::<bool>(), 64),
        separators in proptest::collection::vec(proptest::sample::select(b"-_.~!#$&'*+^`|".as_slice()), 64),
        in_connection in any::<bool>(),
    ) {
        let mut names = every_name();
        // Names of the operator's own, under no built-in prefix.
        names.contract_id = Some(HeaderName::from_static("ib-contract.no"));
        names.user_id = Some(HeaderName::from_static("user_code"));
        let configured: Vec<&HeaderName> = set_by_gateway(&names).into_iter().flatten().chain(&names.strip).collect();
        let spelling: Vec<u8> = configured[which].as_str().bytes().enumerate().map(|(place, octet)| match octet {
            b'a'..=b'z' if upper[place] => octet.to_ascii_uppercase(),
            octet if octet.is_ascii_alphanumeric() => octet,
            _ => separators[place],
        }).collect();
        let spelling = String::from_utf8(spelling).unwrap();
        let mut headers = fields(&[(&spelling, "forged"), ("accept", "*/*"), (&spelling, "twice")]);
        if in_connection {
            headers.append(CONNECTION, HeaderValue::try_from(format!("close, {spelling}")).unwrap());
        }
        strip(&mut headers, &StripSet::new(&names));
        headers.remove("accept");
        if in_connection {
            prop_assert_eq!(headers.remove("connection").unwrap(), "close");
        }
        prop_assert!(headers.is_empty(), "{:?}", headers);
    }
}
