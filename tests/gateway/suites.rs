//! Which cipher suite a handshake agrees on: the gateway's choice, but of a client without AES instructions.

use crate::common::{Setup, openssl_s_client};

/// A version's option, the option of its suites, and AES-128, AES-256 and ChaCha20 in OpenSSL's names.
const VERSIONS: [(&str, &str, [&str; 3]); 2] = [
    ("-tls1_3", "-ciphersuites", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]),
    (
        "-tls1_2",
        "-cipher",
        ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    ),
];

/// The suite that a client gets which offers these in this order.
fn agreed(setup: &Setup, version: &str, option: &str, offered: &[&str]) -> String {
    let arguments = [version, "-ign_eof", "-servername", "ib.localhost", option, &offered.join(":")];
    let request = "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nConnection: close\r\n\r\n";
    let output = openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), &arguments, request);
    assert!(output.stdout.contains("HTTP/1.1 200"), "{output:?}");
    let (_, agreed) = output.stdout.split_once("Cipher is ").unwrap();
    agreed.lines().next().unwrap().to_owned()
}

#[test]
fn the_suite_that_costs_least_is_agreed_on_whatever_the_order_of_a_client_that_has_aes() {
    let setup = Setup::new();
    for (version, option, [aes_128, aes_256, chacha20]) in VERSIONS {
        for offered in [&[aes_256, chacha20, aes_128][..], &[aes_256, aes_128], &[aes_128, aes_256]] {
            assert_eq!(agreed(&setup, version, option, offered), aes_128, "{offered:?}");
        }
    }
}

#[test]
fn a_client_that_wants_chacha20_most_gets_it() {
    let setup = Setup::new();
    for (version, option, [aes_128, aes_256, chacha20]) in VERSIONS {
        assert_eq!(agreed(&setup, version, option, &[chacha20, aes_256, aes_128]), chacha20);
    }
}

#[test]
fn a_client_with_one_suite_gets_it() {
    let setup = Setup::new();
    for (version, option, suites) in VERSIONS {
        for suite in suites {
            assert_eq!(agreed(&setup, version, option, &[suite]), suite);
        }
    }
}
