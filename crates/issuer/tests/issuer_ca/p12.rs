use crate::support::{Hierarchy, fails, points, succeeds, text};
use sekisho_ca::p12::{DeliveredKey, Dialect, P12Error};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const USER: &str = "logid031 A001 20200304153656560435";
const NAME: &str = "Sekisho logid031";

fn legacy(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Aes256Sha256 => "",
        Dialect::TripleDesSha1 => " -legacy",
    }
}

/// Writes `user.p12` and the authorities.
fn write(folder: &Path, kind: DeliveredKey, dialect: Dialect, password: &str) -> Hierarchy {
    let hierarchy = Hierarchy::new(points(1, false));
    let (certificate, key) = hierarchy.user(USER, kind);
    let authorities = [hierarchy.issuing.certificate(), hierarchy.root.certificate()];
    let p12 = key.into_p12(&certificate, &authorities, dialect, NAME, password).unwrap();
    hierarchy.write(folder);
    std::fs::write(folder.join("user.p12"), p12).unwrap();
    hierarchy
}

const ALL: [(DeliveredKey, Dialect); 4] = [
    (DeliveredKey::EcdsaP256, Dialect::Aes256Sha256),
    (DeliveredKey::EcdsaP256, Dialect::TripleDesSha1),
    (DeliveredKey::Rsa2048, Dialect::Aes256Sha256),
    (DeliveredKey::Rsa2048, Dialect::TripleDesSha1),
];

#[test]
fn openssl_imports_every_dialect_with_and_without_a_password() {
    for (kind, dialect) in ALL {
        for password in ["", "1234567890123456"] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            write(folder, kind, dialect, password);
            let legacy = legacy(dialect);
            let shown = succeeds(
                folder,
                &format!("openssl pkcs12 -in user.p12{legacy} -passin pass:{password} -noenc -info -out user.pem"),
            );
            let expected = match dialect {
                Dialect::Aes256Sha256 => "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256",
                Dialect::TripleDesSha1 => "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048",
            };
            assert_eq!(shown.matches(expected).count(), 2, "key and certificates: {shown}");
            let mac = if dialect == Dialect::Aes256Sha256 { "MAC: sha256" } else { "MAC: sha1" };
            assert!(shown.contains(mac), "{shown}");
            let pem = std::fs::read_to_string(folder.join("user.pem")).unwrap();
            assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 3, "leaf, issuing, root");
            assert!(pem.contains("friendlyName: Sekisho logid031\n"), "{pem}");
            succeeds(folder, "openssl verify -purpose sslclient -CAfile root.pem -untrusted issuing.pem user.pem");
            fails(folder, &format!("openssl pkcs12 -in user.p12{legacy} -passin pass:wrong -noenc -noout"));
        }
    }
}

#[test]
fn nss_imports_every_dialect_and_finds_the_certificate_valid() {
    for (kind, dialect) in ALL {
        for password in ["", "1234567890123456"] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            write(folder, kind, dialect, password);
            std::fs::create_dir(folder.join("nss")).unwrap();
            succeeds(folder, "certutil -N -d sql:nss --empty-password");
            let password = if password.is_empty() { "''" } else { password };
            let imported = succeeds(folder, &format!("pk12util -i user.p12 -d sql:nss -W {password} -K ''"));
            assert!(imported.contains("IMPORT SUCCESSFUL"), "{imported}");
            assert_eq!(succeeds(folder, "certutil -K -d sql:nss").matches("< 0>").count(), 1, "one private key");
            // NSS needs the root trusted for client certificates.
            succeeds(folder, "certutil -A -d sql:nss -n trusted-root -t CT,, -i root.pem");
            let listed = succeeds(folder, "certutil -L -d sql:nss");
            let nickname = listed.lines().find(|line| line.trim_end().ends_with("u,u,u")).unwrap();
            let nickname = nickname.rsplit_once("u,u,u").unwrap().0.trim_end();
            let checked = Command::new("certutil")
                .args(["-V", "-d", "sql:nss", "-u", "C", "-n", nickname])
                .current_dir(folder)
                .output()
                .unwrap();
            assert!(text(&checked).contains("certificate is valid"), "{nickname}: {}", text(&checked));
        }
    }
}

#[test]
fn what_was_imported_authenticates_in_a_tls_handshake() {
    for (kind, dialect) in ALL {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, kind, dialect, "");
        let line = format!("openssl pkcs12 -in user.p12{} -passin pass: -noenc -out user.pem", legacy(dialect));
        succeeds(folder, &line);
        succeeds(
            folder,
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout server.key -out server.pem -subj /CN=server",
        );
        let mut server = Command::new("openssl")
            .args("s_server -accept 127.0.0.1:0 -naccept 1 -cert server.pem -key server.key -Verify 3".split(' '))
            .args("-verify_return_error -CAfile root.pem -tls1_3".split(' '))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
        // "ACCEPT 127.0.0.1:40123"
        let accept = lines.find(|line| line.starts_with("ACCEPT ")).unwrap();
        let address = accept.trim_start_matches("ACCEPT ").to_owned();
        let mut client = Command::new("openssl")
            .args([
                "s_client",
                "-connect",
                &address,
                "-cert",
                "user.pem",
                "-key",
                "user.pem",
                "-cert_chain",
                "issuing.pem",
            ])
            .args("-CAfile server.pem -verify_return_error -tls1_3".split(' '))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(b"hello from the user\n").unwrap();
        client.wait().unwrap();
        let heard: Vec<_> = lines.collect();
        server.wait().unwrap();
        let heard = heard.join("\n");
        assert!(heard.contains("hello from the user"), "{kind:?} {dialect:?}\n{heard}");
        assert!(
            heard.contains("CN = logid031 A001 20200304153656560435") || heard.contains("Client certificate"),
            "{heard}"
        );
    }
}

#[test]
fn a_file_is_not_made_of_what_does_not_belong_together() {
    let hierarchy = Hierarchy::new(points(1, false));
    let (certificate, _) = hierarchy.user(USER, DeliveredKey::EcdsaP256);
    let make = |name: &str, password: &str, certificate: Option<&sekisho_pki::certificate::Certificate>| {
        let (own, key) = hierarchy.user(USER, DeliveredKey::EcdsaP256);
        key.into_p12(certificate.unwrap_or(&own), &[], Dialect::Aes256Sha256, name, password).map(|_| ())
    };
    assert_eq!(make(NAME, "", None), Ok(()));
    assert_eq!(make("関所", "", None), Ok(()));
    assert_eq!(make(NAME, "", Some(&certificate)), Err(P12Error::OtherKey));
    assert_eq!(make("", "", None), Err(P12Error::FriendlyName));
    assert_eq!(make("a\nb", "", None), Err(P12Error::FriendlyName));
    assert_eq!(make("😀", "", None), Err(P12Error::FriendlyName));
    assert_eq!(make(NAME, "😀", None), Err(P12Error::Password));
    assert_eq!(make(NAME, &"x".repeat(129), None), Err(P12Error::Password));
}
