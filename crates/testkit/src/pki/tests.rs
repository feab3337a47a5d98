use super::*;
use sekisho_runtime::clock;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use x509_parser::prelude::FromDer as _;

fn made() -> (tempfile::TempDir, PkiDir) {
    let folder = tempfile::tempdir().unwrap();
    let pki = PkiDir::create(&folder.path().join("dev"), clock::now()).unwrap();
    (folder, pki)
}

/// Runs openssl in the PKI's folder; its output, and whether it was content.
fn openssl(pki: &PkiDir, arguments: &str) -> (bool, String) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(pki.folder()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[test]
fn openssl_agrees_with_what_each_client_is() {
    let (_folder, pki) = made();
    let verify = "verify -CAfile root-ca.pem -untrusted issuing-ca.pem -purpose sslclient -x509_strict \
                  -crl_check_all -CRLfile crl.pem";
    for (client, expected) in [
        ("client-good", "OK"),
        ("client-no-user-id", "OK"),
        ("client-rsa", "OK"),
        ("client-bad-cn", "OK"),
        ("client-expired", "certificate has expired"),
        ("client-not-yet-valid", "certificate is not yet valid"),
        ("client-revoked", "certificate revoked"),
        ("client-other-ca", "certificate signature failure"),
    ] {
        // The impostor's authorityKeyIdentifier names another key: openssl then finds no issuer at all.
        let (content, said) = openssl(&pki, &format!("{verify} {client}.pem"));
        assert_eq!(content, expected == "OK", "{client}: {said}");
        assert!(said.contains(expected) || said.contains("unable to get local issuer"), "{client}: {said}");
    }
}

#[test]
fn a_p12_file_opens_with_the_password_and_with_no_other() {
    let (_folder, pki) = made();
    for client in ["client-good", "client-rsa"] {
        let (content, said) = openssl(&pki, &format!("pkcs12 -in {client}.p12 -passin pass:sekisho -nodes -info"));
        assert!(content && said.contains("BEGIN PRIVATE KEY"), "{said}");
        assert!(said.contains("AES-256-CBC") && said.contains("hmacWithSHA256"), "{said}");
        assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 2, "leaf and issuing CA: {said}");
        assert!(!openssl(&pki, &format!("pkcs12 -in {client}.p12 -passin pass:wrong -nodes")).0);
    }
}

#[test]
fn a_found_pki_is_left_as_it_is_and_an_ending_one_is_made_anew() {
    let (_folder, pki) = made();
    let now = clock::now();
    let serial = pki.serial("client-good").unwrap();
    let (found, how) = PkiDir::ensure(pki.folder(), now).unwrap();
    assert_eq!((how, found.serial("client-good").unwrap()), (Made::Found, serial));
    let (anew, how) = PkiDir::ensure(pki.folder(), now.plus_seconds(364 * DAY)).unwrap();
    assert_eq!(how, Made::Anew);
    assert_ne!(anew.serial("client-good").unwrap(), serial);
}

#[test]
fn a_pki_that_misses_a_file_is_made_anew() {
    let (_folder, pki) = made();
    std::fs::remove_file(pki.path("client-rsa.p12")).unwrap();
    assert_eq!(PkiDir::ensure(pki.folder(), clock::now()).unwrap().1, Made::Anew);
}

#[test]
fn a_list_near_its_end_is_issued_again_with_the_next_number() {
    let (_folder, pki) = made();
    let number = pki.crl_number();
    let (found, how) = PkiDir::ensure(pki.folder(), clock::now().plus_seconds(CRL_LIFETIME - DAY)).unwrap();
    assert_eq!((how, found.crl_number()), (Made::Found, number + 1));
}

#[test]
fn a_folder_with_anything_else_in_it_is_never_written_to() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("root-ca.key"), "a real key").unwrap();
    let refused = PkiDir::ensure(folder.path(), clock::now());
    assert!(matches!(refused, Err(PkiError::NotOurs(_))), "{refused:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(folder.path().join("root-ca.key")).unwrap(), "a real key");
}

#[test]
fn keys_are_for_their_owner_only() {
    let (_folder, pki) = made();
    let mut keys = 0;
    for entry in std::fs::read_dir(pki.folder()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".key") || name.ends_with(".p12") {
            keys += 1;
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
    // 6 CAs, 3 servers and 8 clients have a key; the last two kinds a .p12 as well.
    assert_eq!(keys, 6 + 2 * SERVERS.len() + 2 * CLIENTS.len());
}

#[test]
fn revoking_adds_to_the_list_and_raises_its_number() {
    let (_folder, mut pki) = made();
    let now = clock::now();
    let first = lists(&pki);
    assert_eq!(first, [(1, vec![]), (1, vec![pki.serial("client-revoked").unwrap()])]);
    let good = pki.serial("client-good").unwrap();
    pki.revoke(&[good], now).unwrap();
    // Read back from the disk: the number does not depend on this process.
    let (mut again, _) = PkiDir::ensure(pki.folder(), now).unwrap();
    again.revoke(&[good], now).unwrap();
    let [(_, roots), (number, entries)] = lists(&again).try_into().unwrap();
    assert_eq!((number, roots.len()), (3, 0));
    assert_eq!(entries, [pki.serial("client-revoked").unwrap(), good], "each serial once");
}

#[test]
fn every_certificate_has_a_serial_of_its_own() {
    let (_folder, pki) = made();
    let mut serials: Vec<_> = CLIENTS.iter().map(|client| pki.serial(client.name).unwrap()).collect();
    serials.extend(SERVERS.map(|server| pki.serial(server).unwrap()));
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), CLIENTS.len() + SERVERS.len());
    assert!(serials.iter().all(|serial| serial.as_bytes().len() >= 14), "128 random bits: {serials:?}");
}

/// Number and serials of each list in `crl.pem`.
fn lists(pki: &PkiDir) -> Vec<(u64, Vec<SerialNumber>)> {
    let text = std::fs::read(pki.path("crl.pem")).unwrap();
    x509_parser::pem::Pem::iter_from_buffer(&text)
        .map(|pem| {
            let pem = pem.unwrap();
            let (_, list) = x509_parser::revocation_list::CertificateRevocationList::from_der(&pem.contents).unwrap();
            let number = list.crl_number().unwrap().iter_u64_digits().next().unwrap_or(0);
            let serials = list
                .iter_revoked_certificates()
                .map(|entry| SerialNumber::from_der_content(entry.raw_serial()).unwrap())
                .collect();
            (number, serials)
        })
        .collect()
}
