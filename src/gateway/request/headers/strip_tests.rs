use super::*;
use crate::gateway::request::headers::names::set_by_gateway;
use crate::gateway::request::headers::set::tests::every_name;
use proptest::prelude::*;
use sekisho_config::MESSAGE_FIELDS;

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
    assert_eq!(configured.len(), 18, "the test's configuration turns every header on");
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
            name.replace('-', ""),
            format!("{name}_"),
            format!("_{name}"),
            name.replace('-', "--"),
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
        "X-SekishoX",
        "X-Amzn-Mtls-Clientcert",
        "x_amzn_mtls_clientcert_subject",
        "X-ARR-ClientCert",
        "X-MS-CLIENT-PRINCIPAL",
        "X-MS-Client-Principal-Name",
        "iv-user",
        "WL-Proxy-Client-Cert",
        "$WSCC",
        "$WSRU",
        "Front-End-Https",
        "X-Auth-User",
        "IV_GROUPS",
        "SM_USER",
        "Sm.UserDn",
        "OIDC_CLAIM_sub",
        "Remote-User",
        "X-Remote-Group",
        "X-Client-Verify",
        "X-Client-S-DN",
        "X-Subject-DN",
        "X-TLS-Client-Cert",
        "Tls-Client-Cert",
        "X-WebAuth-User",
        "X-Authenticated-User",
        "X-Envoy-Original-Path",
        "Fastly-Client-IP",
        "X-Azure-ClientIP",
        "X-Host",
        "X-Certificate",
        "X~Sekisho~User~Id",
        "keep-alive",
        "Proxy-Connection",
        "HTTP2-Settings",
    ] {
        assert_eq!(stripped(&[(name, "forged")]), [""; 0], "{name}");
    }
}

#[test]
fn a_name_of_any_length_is_compared_to_its_end() {
    for length in [63, 64, 65, 128] {
        let name = "x-".to_owned() + &"long".repeat(length)[..length - 1];
        let mut names = every_name();
        names.strip = vec![HeaderName::try_from(&*name).unwrap()];
        let set = StripSet::new(&names);
        assert!(set.contains(&name) && set.contains(&name.replace('-', "_")), "{length}");
        let (longer, other) = (format!("{name}z"), format!("{}z", &name[..name.len() - 1]));
        assert!(!set.contains(&longer) && !set.contains(&other) && !set.contains(&name[..name.len() - 1]), "{length}");
        assert!(set.contains(&format!("x-sekisho-{name}")) && set.contains(&format!("sm-{name}")), "{length}");
        assert!(!set.contains(&format!("sm{name}")), "{length}");
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
        ("ivory", "kept"),
        ("sslmode", "kept"),
        ("smart-client", "kept"),
        ("remotely", "kept"),
        ("x-client-version", "kept"),
        ("expect", "100-continue"),
        ("trailer", "x-end"),
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
fn te_says_no_more_than_trailers() {
    assert_eq!(stripped(&[("te", "trailers")]), ["te: trailers"]);
    for te in ["gzip", "trailers, deflate;q=0.5", "chunked"] {
        assert_eq!(stripped(&[("te", te), ("accept", "*/*")]), ["accept: */*"], "{te}");
    }
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
    /// One fold for claims and for what frames a message: a field is left in its own spelling or not at all.
    #[test]
    fn no_look_alike_of_a_field_that_frames_a_message_survives(
        which in 0_usize..MESSAGE_FIELDS.len(),
        upper in proptest::collection::vec(any::<bool>(), 64),
        separators in proptest::collection::vec(proptest::sample::select(vec!["", "-", "_", ".", "~", "--", "'"]), 64),
    ) {
        let own = MESSAGE_FIELDS[which];
        let mut spelling = separators[63].replace('-', "");
        for (place, byte) in own.bytes().enumerate() {
            match byte {
                b'-' => spelling.push_str(separators[place]),
                byte if upper[place] => spelling.push(char::from(byte.to_ascii_uppercase())),
                byte => spelling.push(char::from(byte)),
            }
        }
        spelling.push_str(separators[62]);
        let names = StripSet::new(&every_name());
        if spelling.eq_ignore_ascii_case(own) {
            let stays = !["http2-settings", "keep-alive", "proxy-connection"].contains(&own);
            prop_assert_eq!(names.contains(&spelling), !stays, "{}", spelling);
        } else {
            prop_assert!(names.contains(&spelling), "{} passes for {}", spelling, own);
        }
    }

    #[test]
    fn no_interleaving_of_case_and_separators_survives(
        which in 0_usize..19,
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
