use crate::support::{name, succeeds};
use sekisho_ca::public_key::WeakKey;
use sekisho_ca::request::{MAX_REQUEST_BYTES, ProvenRequest, RequestError};
use sekisho_pki::signature::SignatureError;
use std::path::Path;

/// A request made by OpenSSL.
fn request(folder: &Path, key: &str, options: &str) -> Vec<u8> {
    succeeds(folder, &format!("openssl genpkey -quiet -out key.pem {key}"));
    succeeds(folder, &format!("openssl req -new -key key.pem -out request.pem {options}"));
    std::fs::read(folder.join("request.pem")).unwrap()
}

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

fn der(pem: &[u8]) -> Vec<u8> {
    use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject as _};
    CertificateSigningRequestDer::from_pem_slice(pem).unwrap().to_vec()
}

#[test]
fn requests_with_strong_keys_are_proven_and_their_subject_names_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    for (key, options) in [
        (P256, "-subj /CN=user1 -sha256"),
        (P256, "-subj /O=whatever -sha512"),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "-subj / -sha384"),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-subj /CN=user1"),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "-subj /CN=user1 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
        ),
        ("-algorithm ED25519", "-subj /CN=user1"),
    ] {
        let pem = request(folder.path(), key, options);
        let proven = ProvenRequest::from_pem(&pem).unwrap_or_else(|error| panic!("{key} {options}: {error}"));
        let again = ProvenRequest::from_der(&der(&pem)).unwrap();
        let fingerprint = proven.key_for(&name("user1")).unwrap().fingerprint();
        assert_eq!(again.key_for(&name("user1")).unwrap().fingerprint(), fingerprint, "one key, one fingerprint");
    }
}

/// keytool and certreq write the label of old; mail programs and people put text and marks before it.
#[test]
fn a_request_is_read_with_its_old_label_and_whatever_stands_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let pem = String::from_utf8(request(folder.path(), P256, "-subj /CN=user1")).unwrap();
    let old = pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    let text = "Certificate Request:\n    Data:\n        Version: 1 (0x0)\n";
    for request in [
        old.clone(),
        format!("\u{feff}{pem}"),
        format!("\u{feff}{old}"),
        format!("{text}{pem}"),
        format!("\u{feff}{text}{old}\nyours sincerely\n"),
        pem.replace('\n', "\r\n"),
    ] {
        ProvenRequest::from_pem(request.as_bytes()).unwrap_or_else(|error| panic!("{error}: {request}"));
    }
    // What it is instead is told.
    let certificate = pem.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    let end = pem.find("-----END").unwrap();
    for (request, reason) in [
        (certificate.as_str(), "it is PEM of a CERTIFICATE, not of a CERTIFICATE REQUEST"),
        (&format!("{pem}{old}"), "there are several certification requests in it"),
        (&pem[..end], "the request is not whole PEM of a CERTIFICATE REQUEST"),
        ("-----BEGIN <script>-----", "the request is not whole PEM of a CERTIFICATE REQUEST"),
    ] {
        assert_eq!(ProvenRequest::from_pem(request.as_bytes()).unwrap_err().to_string(), reason);
    }
}

#[test]
fn a_request_in_somebody_elses_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for subject in ["/CN=user2", "/CN=user1/CN=user2", "/CN=user1 ", "/CN=User1", "/O=x/CN=user1x"] {
        succeeds(folder.path(), &format!("openssl genpkey -quiet -out key.pem {P256}"));
        let made = std::process::Command::new("openssl")
            .args(["req", "-new", "-key", "key.pem", "-out", "request.pem", "-subj", subject])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success());
        let proven = ProvenRequest::from_pem(&std::fs::read(folder.path().join("request.pem")).unwrap()).unwrap();
        assert_eq!(proven.key_for(&name("user1")).unwrap_err(), RequestError::NamesAnother, "{subject}");
    }
}

#[test]
fn weak_keys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (key, expected) in [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:1024", WeakKey::RsaBits(1024)),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:4104", WeakKey::RsaBits(4104)),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3", WeakKey::RsaExponent),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", WeakKey::Curve),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", WeakKey::Curve),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-224", WeakKey::Curve),
        ("-algorithm ED448", WeakKey::Algorithm),
    ] {
        let pem = request(folder.path(), key, "-subj /CN=user1");
        assert_eq!(ProvenRequest::from_pem(&pem).unwrap_err(), RequestError::Key(expected), "{key}");
    }
}

#[test]
fn sha_1_and_pss_with_sha_1_prove_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for key in [P256, "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"] {
        let pem = request(folder.path(), key, "-subj /CN=user1 -sha1");
        let refused = ProvenRequest::from_pem(&pem).unwrap_err();
        assert!(matches!(refused, RequestError::Proof(SignatureError::Algorithm(_))), "{refused:?}");
    }
}

#[test]
fn possession_of_the_key_is_not_taken_on_trust() {
    let folder = tempfile::tempdir().unwrap();
    let good = der(&request(folder.path(), P256, "-subj /CN=user1"));
    // Somebody else's key in a request of one's own: every octet of what is signed counts.
    let other = der(&request(folder.path(), P256, "-subj /CN=user1"));
    let marker = [0x03, 0x42, 0x00, 0x04];
    let place = |der: &[u8]| der.windows(4).position(|window| window == marker).unwrap() + 4;
    let mut stolen = good.clone();
    stolen[place(&good)..place(&good) + 64].copy_from_slice(&other[place(&other)..place(&other) + 64]);
    assert_eq!(ProvenRequest::from_der(&stolen).unwrap_err(), RequestError::Proof(SignatureError::Invalid));

    let subject = good.windows(5).position(|window| window == b"user1").unwrap();
    let mut renamed = good.clone();
    renamed[subject] = b'v';
    assert_eq!(ProvenRequest::from_der(&renamed).unwrap_err(), RequestError::Proof(SignatureError::Invalid));
}

#[test]
fn no_octets_make_the_reader_stumble() {
    let folder = tempfile::tempdir().unwrap();
    let good = der(&request(folder.path(), P256, "-subj /CN=user1"));
    for length in 0..good.len() {
        assert!(ProvenRequest::from_der(&good[..length]).is_err(), "{length} octets");
    }
    // Every other octet in every place: refused, each of them, but for the unsigned form of the outer wrapping.
    for place in 0..good.len() {
        let mut damaged = good.clone();
        damaged[place] ^= 0x55;
        assert!(ProvenRequest::from_der(&damaged).is_err(), "octet {place}");
    }
    let long = vec![0x30; MAX_REQUEST_BYTES + 1];
    assert_eq!(ProvenRequest::from_der(&long).unwrap_err(), RequestError::TooLong(MAX_REQUEST_BYTES + 1));
    assert_eq!(ProvenRequest::from_pem(b"hello").unwrap_err(), RequestError::Pem);
}
