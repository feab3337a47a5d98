use crate::support::{Hierarchy, name, now, points, succeeds, write_pem};
use base64::Engine as _;
use sekisho_ca::crl::Reason;
use sekisho_ca::hierarchy;
use sekisho_ca::ocsp::{
    AnswerCache, CertificateStatus, MAX_CERTIFICATES, Responder, ResponderError, ResponseError, Signer, StatusLookup,
    StatusUnavailable,
};
use sekisho_ca::p12::DeliveredKey;
use sekisho_ca::validity::{Rounding, Validity};
use sekisho_ca::{FileKey, KeyKind};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::serial::SerialNumber;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;

const DAY: u32 = 86_400;

/// Knows some certificates; counts the questions.
#[derive(Default)]
struct Statuses {
    known: RefCell<HashMap<SerialNumber, CertificateStatus>>,
    asked: Cell<u32>,
}

impl Statuses {
    fn set(&self, certificate: &Certificate, status: CertificateStatus) {
        self.known.borrow_mut().insert(certificate.serial(), status);
    }
}

impl StatusLookup for Statuses {
    fn status(&self, serial: &SerialNumber) -> Result<CertificateStatus, StatusUnavailable> {
        self.asked.set(self.asked.get() + 1);
        Ok(self.known.borrow().get(serial).copied().unwrap_or(CertificateStatus::Unknown))
    }
}

struct Down;

impl StatusLookup for Down {
    fn status(&self, _: &SerialNumber) -> Result<CertificateStatus, StatusUnavailable> {
        Err(StatusUnavailable)
    }
}

fn revoked() -> CertificateStatus {
    CertificateStatus::Revoked { at: now().plus_seconds(-60), reason: Reason::KeyCompromise }
}

/// An authority, with its files in a folder for OpenSSL.
fn written() -> (Hierarchy, tempfile::TempDir) {
    let (hierarchy, folder) = (Hierarchy::new(points(1, false)), tempfile::tempdir().unwrap());
    hierarchy.write(folder.path());
    (hierarchy, folder)
}

fn delegated(hierarchy: &Hierarchy) -> Responder {
    let validity = Validity::one_year(now(), Rounding::ToTheSecond);
    let made = hierarchy::ocsp_responder(&name("OCSP"), KeyKind::EcdsaP256, validity, &hierarchy.issuing).unwrap();
    let signer = Signer::Delegate { certificate: made.certificate, key: Box::new(made.key) };
    Responder::new(hierarchy.issuing.certificate(), signer, DAY, AnswerCache::default()).unwrap()
}

/// A request of OpenSSL's about `user.pem`.
fn request(folder: &Path, certificate: &Certificate, options: &str) -> Vec<u8> {
    write_pem(&folder.join("user.pem"), certificate);
    succeeds(folder, &format!("openssl ocsp{options} -issuer issuing.pem -cert user.pem -reqout request.der"));
    std::fs::read(folder.join("request.der")).unwrap()
}

#[test]
fn openssl_accepts_good_revoked_and_unknown_of_both_kinds_of_signer() {
    let (hierarchy, folder) = written();
    let folder = folder.path();
    let itself = Signer::Authority(Box::new(hierarchy.issuing_key()));
    let authority = hierarchy.issuing.certificate();
    let itself = Responder::new(authority, itself, DAY, AnswerCache::default()).unwrap();
    let responders = [delegated(&hierarchy), itself];
    let statuses = Statuses::default();
    let users: Vec<_> = ["good", "revoked", "unknown"]
        .into_iter()
        .map(|status| (status, hierarchy.user(status, DeliveredKey::EcdsaP256).0))
        .collect();
    statuses.set(&users[0].1, CertificateStatus::Good);
    statuses.set(&users[1].1, revoked());
    for (status, certificate) in &users {
        for options in [" -no_nonce", " -no_nonce -sha256", " -nonce", " -nonce -sha256"] {
            let body = request(folder, certificate, options);
            let path = base64::engine::general_purpose::STANDARD.encode(&body);
            let escaped = path.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
            let answers = responders.iter().flat_map(|responder| {
                [responder.post(&body, &statuses, now()), responder.get(&escaped, &statuses, now())]
            });
            for answer in answers.map(Result::unwrap) {
                std::fs::write(folder.join("answer.der"), &answer.der).unwrap();
                // The request is the one that was made: nothing is added to it here.
                let hash = if options.contains("sha256") { " -sha256" } else { "" };
                let shown = succeeds(
                    folder,
                    &format!(
                        "openssl ocsp -no_nonce{hash} -issuer issuing.pem -cert user.pem -reqin request.der -respin answer.der -CAfile root.pem -verify_other issuing.pem -status_age 60 -text"
                    ),
                );
                assert!(shown.contains("Response verify OK"), "{shown}");
                assert!(shown.contains(&format!("user.pem: {status}")), "{status} {options}\n{shown}");
                assert!(!shown.contains("WARNING") || options.contains("no_nonce"), "{shown}");
                assert_eq!(shown.matches("OCSP Nonce:").count(), if options.contains("no_nonce") { 0 } else { 1 });
                assert_eq!(shown.contains("Reason: keyCompromise"), *status == "revoked", "{shown}");
            }
        }
    }
}

#[test]
fn answers_come_from_the_cache_until_they_are_over_or_the_status_changes() {
    let hierarchy = Hierarchy::new(points(1, false));
    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    let responder = delegated(&hierarchy);
    let statuses = Statuses::default();
    let (user, _) = hierarchy.user("a", DeliveredKey::EcdsaP256);
    statuses.set(&user, CertificateStatus::Good);
    let begin = now();
    let body = request(folder.path(), &user, " -no_nonce");
    let first = responder.post(&body, &statuses, begin).unwrap();
    let again = responder.post(&body, &statuses, begin.plus_seconds(i64::from(DAY) - 1)).unwrap();
    assert_eq!((first.clone(), statuses.asked.get()), (again, 1), "the answer is kept");
    responder.post(&body, &statuses, begin.plus_seconds(i64::from(DAY))).unwrap();
    assert_eq!(statuses.asked.get(), 2, "it is over");

    statuses.set(&user, revoked());
    responder.cache().forget(&user.serial());
    let after = responder.post(&body, &statuses, begin.plus_seconds(i64::from(DAY))).unwrap();
    assert_ne!(after.der, first.der);
    std::fs::write(folder.path().join("answer.der"), &after.der).unwrap();
    let shown = succeeds(folder.path(), "openssl ocsp -respin answer.der -noverify -text");
    assert!(shown.contains("Cert Status: revoked"), "{shown}");
}

/// Says that all is good, and is overtaken by a revocation while it does.
struct Overtaken<'a> {
    responder: &'a Responder,
    then: &'a Statuses,
}

impl StatusLookup for Overtaken<'_> {
    fn status(&self, serial: &SerialNumber) -> Result<CertificateStatus, StatusUnavailable> {
        self.then.known.borrow_mut().insert(*serial, revoked());
        self.responder.cache().forget(serial);
        Ok(CertificateStatus::Good)
    }
}

#[test]
fn a_good_that_a_revocation_overtook_is_not_kept() {
    let hierarchy = Hierarchy::new(points(1, false));
    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    let responder = delegated(&hierarchy);
    let (user, _) = hierarchy.user("a", DeliveredKey::EcdsaP256);
    let body = request(folder.path(), &user, " -no_nonce");
    let then = Statuses::default();
    responder.post(&body, &Overtaken { responder: &responder, then: &then }, now()).unwrap();
    assert!(responder.cache().is_empty());
    responder.post(&body, &then, now()).unwrap();
    assert_eq!((then.asked.get(), responder.cache().len()), (1, 1));
}

#[test]
fn serial_numbers_that_do_not_exist_fill_no_cache_and_a_full_one_takes_no_more() {
    let hierarchy = Hierarchy::new(points(1, false));
    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    let validity = Validity::one_year(now(), Rounding::ToTheSecond);
    let made = hierarchy::ocsp_responder(&name("OCSP"), KeyKind::EcdsaP256, validity, &hierarchy.issuing).unwrap();
    let signer = Signer::Delegate { certificate: made.certificate, key: Box::new(made.key) };
    let cache = AnswerCache::with_limit(1);
    let responder = Responder::new(hierarchy.issuing.certificate(), signer, 60, cache).unwrap();
    let statuses = Statuses::default();
    let bodies: Vec<_> = (0..3)
        .map(|_| hierarchy.user("a", DeliveredKey::EcdsaP256).0)
        .map(|user| (request(folder.path(), &user, " -no_nonce"), user))
        .collect();
    bodies.iter().for_each(|(body, _)| drop(responder.post(body, &statuses, now()).unwrap()));
    assert_eq!(responder.cache().len(), 0);
    let begin = now();
    for (body, user) in &bodies {
        statuses.set(user, CertificateStatus::Good);
        responder.post(body, &statuses, begin).unwrap();
    }
    assert_eq!(responder.cache().len(), 1);
    // What will soon be over is renewed before anybody waits; what is over goes.
    let soon = begin.plus_seconds(50);
    assert_eq!(responder.refresh(&statuses, soon, begin.plus_seconds(55), 10), Ok(0), "not yet");
    assert_eq!(responder.refresh(&statuses, soon, begin.plus_seconds(70), 10), Ok(1));
    let asked = statuses.asked.get();
    responder.post(&bodies[0].0, &statuses, begin.plus_seconds(100)).unwrap();
    assert_eq!(statuses.asked.get(), asked, "from the cache");
    assert!(responder.cache().due(begin.plus_seconds(200), begin.plus_seconds(200), 10).is_empty());
    assert!(responder.cache().is_empty());
}

#[test]
fn what_cannot_be_told_is_never_good() {
    let hierarchy = Hierarchy::new(points(1, false));
    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    let (user, _) = hierarchy.user("a", DeliveredKey::EcdsaP256);
    let body = request(folder.path(), &user, " -nonce");
    let responder = delegated(&hierarchy);
    for options in [" -nonce", " -no_nonce"] {
        let body = request(folder.path(), &user, options);
        assert_eq!(responder.post(&body, &Down, now()).unwrap_err(), ResponseError::TryLater);
        // After the delegate's end nothing is signed.
        let late = now().plus_seconds(2 * 366 * i64::from(DAY));
        assert_eq!(responder.post(&body, &Statuses::default(), late).unwrap_err(), ResponseError::InternalError);
    }
    // Another authority of the same name: its key tells.
    let other = Hierarchy::new(points(1, false));
    let responder = delegated(&other);
    assert_eq!(responder.post(&body, &Statuses::default(), now()).unwrap_err(), ResponseError::Unauthorized);
}

#[test]
fn malformed_requests_are_refused_as_such() {
    let (hierarchy, folder) = written();
    let folder = folder.path();
    let responder = delegated(&hierarchy);
    let statuses = Statuses::default();
    let (user, _) = hierarchy.user("a", DeliveredKey::EcdsaP256);
    let good = request(folder, &user, " -nonce");
    let post = |body: &[u8]| responder.post(body, &statuses, now());
    assert!(post(&good).is_ok());
    for length in 0..good.len() {
        assert_eq!(post(&good[..length]).unwrap_err(), ResponseError::MalformedRequest, "{length} octets");
    }
    // Whatever octet is another one: an answer or an error, and no panic.
    for place in 0..good.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = good.clone();
            damaged[place] ^= mask;
            let _ = post(&damaged);
        }
    }
    assert_eq!(post(&[&good[..], &[0]].concat()).unwrap_err(), ResponseError::MalformedRequest);
    assert_eq!(post(&[0x30; 2_049]).unwrap_err(), ResponseError::MalformedRequest);
    let none = [0x30, 4, 0x30, 2, 0x30, 0];
    assert_eq!(post(&none).unwrap_err(), ResponseError::MalformedRequest, "no certificate");
    let sha512 = request(folder, &user, " -sha512");
    assert_eq!(post(&sha512).unwrap_err(), ResponseError::MalformedRequest, "SHA-512");
    for path in ["", "%", "%4", "%zz", "MF&", "ＭＦ", &"A".repeat(9_000)] {
        assert_eq!(responder.get(path, &statuses, now()).unwrap_err(), ResponseError::MalformedRequest, "{path}");
    }
    std::fs::write(folder.join("answer.der"), ResponseError::MalformedRequest.der()).unwrap();
    let shown = crate::support::text(&crate::support::tool(folder, "openssl ocsp -respin answer.der -noverify"));
    assert!(shown.contains("malformedrequest (1)"), "{shown}");
}

/// A request with a nonce of so many octets.
fn with_nonce(octets: usize) -> Vec<u8> {
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        match content.len() {
            short @ 0..128 => [&[tag, short as u8], content].concat(),
            long => [&[tag, 0x82, (long >> 8) as u8, long as u8], content].concat(),
        }
    }
    let wrapped = element(4, &vec![7; octets]);
    // A long form of 128 to 255 has one octet.
    let wrapped = if octets > 127 { [&[4, 0x81, octets as u8][..], &vec![7; octets]].concat() } else { wrapped };
    let value = if wrapped.len() > 127 {
        [&[4, 0x81, wrapped.len() as u8], &wrapped[..]].concat()
    } else {
        element(4, &wrapped)
    };
    [&[6, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 2][..], &value].concat()
}

#[test]
fn nonces_of_1_to_128_octets_are_echoed_and_their_answers_kept_by_nobody() {
    let hierarchy = Hierarchy::new(points(1, false));
    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    let (user, _) = hierarchy.user("a", DeliveredKey::EcdsaP256);
    let plain = request(folder.path(), &user, " -no_nonce");
    let wrap = |tag: u8, content: &[u8]| match content.len() {
        short @ 0..128 => [&[tag, short as u8], content].concat(),
        long @ 128..256 => [&[tag, 0x81, long as u8], content].concat(),
        long => [&[tag, 0x82, (long >> 8) as u8, long as u8], content].concat(),
    };
    let responder = delegated(&hierarchy);
    let statuses = Statuses::default();
    statuses.set(&user, CertificateStatus::Good);
    for (octets, echoed) in [(0, false), (1, true), (32, true), (33, true), (128, true), (129, false)] {
        // plain: SEQUENCE { SEQUENCE { requestList } }
        let list = &plain[4..];
        let extensions = wrap(0xa2, &wrap(0x30, &wrap(0x30, &with_nonce(octets))));
        let body = wrap(0x30, &wrap(0x30, &[list, &extensions].concat()));
        match responder.post(&body, &statuses, now()) {
            Ok(answer) => {
                let nonce = with_nonce(octets);
                assert!(answer.der.windows(nonce.len()).any(|window| window == nonce), "{octets} octets");
                let asked = statuses.asked.get();
                let again = responder.post(&body, &statuses, now()).unwrap();
                assert_eq!((echoed, answer.has_nonce, again.has_nonce), (true, true, true), "{octets} octets");
                assert_eq!(statuses.asked.get(), asked + 1, "it is not kept");
            }
            Err(error) => assert_eq!((error, echoed), (ResponseError::MalformedRequest, false), "{octets} octets"),
        }
    }
    assert!(responder.cache().is_empty());
    let twice = wrap(0xa2, &wrap(0x30, &[wrap(0x30, &with_nonce(8)), wrap(0x30, &with_nonce(8))].concat()));
    let body = wrap(0x30, &wrap(0x30, &[&plain[4..], &twice].concat()));
    assert_eq!(responder.post(&body, &statuses, now()).unwrap_err(), ResponseError::MalformedRequest, "two nonces");
}

#[test]
fn several_certificates_have_one_answer_up_to_a_limit() {
    let (hierarchy, folder) = written();
    let folder = folder.path();
    let responder = delegated(&hierarchy);
    let statuses = Statuses::default();
    let several = |count: usize, options: &str| {
        let serials: Vec<_> = (1..=count).map(|serial| format!(" -serial {serial}")).collect();
        let line = format!("openssl ocsp{options} -issuer issuing.pem{} -reqout several.der", serials.concat());
        succeeds(folder, &line);
        std::fs::read(folder.join("several.der")).unwrap()
    };
    for options in [" -no_nonce", " -nonce", " -no_nonce -sha256", " -nonce -sha256"] {
        for count in [2, MAX_CERTIFICATES] {
            let asked = statuses.asked.get();
            let answer = responder.post(&several(count, options), &statuses, now()).unwrap();
            assert_eq!(statuses.asked.get(), asked + u32::try_from(count).unwrap());
            std::fs::write(folder.join("answer.der"), &answer.der).unwrap();
            let shown = succeeds(folder, "openssl ocsp -respin answer.der -noverify -text");
            assert_eq!(shown.matches("Cert Status: unknown").count(), count, "{shown}");
            assert_eq!(answer.has_nonce, options.starts_with(" -nonce"));
        }
        let more = several(MAX_CERTIFICATES + 1, options);
        assert_eq!(responder.post(&more, &statuses, now()).unwrap_err(), ResponseError::MalformedRequest);
    }
    // With one of another authority among them nothing is told.
    let (user, _) = hierarchy.user("a", DeliveredKey::EcdsaP256);
    statuses.set(&user, CertificateStatus::Good);
    let other = Hierarchy::new(points(1, false));
    write_pem(&folder.join("other.pem"), other.issuing.certificate());
    write_pem(&folder.join("user.pem"), &user);
    succeeds(folder, "openssl ocsp -issuer issuing.pem -cert user.pem -issuer other.pem -serial 5 -reqout mixed.der");
    let mixed = std::fs::read(folder.join("mixed.der")).unwrap();
    assert_eq!(responder.post(&mixed, &statuses, now()).unwrap_err(), ResponseError::Unauthorized);
    assert!(responder.cache().is_empty(), "lists are kept by nobody");
}

#[test]
fn only_a_certificate_for_ocsp_signing_of_the_same_authority_signs_answers() {
    let (hierarchy, other) = (Hierarchy::new(points(1, false)), Hierarchy::new(points(1, false)));
    let build = |certificate: Certificate, key: FileKey, holds| {
        let signer = Signer::Delegate { certificate, key: Box::new(key) };
        let authority = hierarchy.issuing.certificate();
        Responder::new(authority, signer, holds, AnswerCache::default()).map(|_| ())
    };
    let validity = Validity::one_year(now(), Rounding::ToTheSecond);
    let made = |hierarchy: &Hierarchy| {
        hierarchy::ocsp_responder(&name("OCSP"), KeyKind::EcdsaP256, validity, &hierarchy.issuing).unwrap()
    };
    let good = made(&hierarchy);
    assert_eq!(build(good.certificate.clone(), good.key, 60), Ok(()));
    let zero = made(&hierarchy);
    assert_eq!(build(zero.certificate.clone(), zero.key, 0), Err(ResponderError::Holds));
    let foreign = made(&other);
    assert_eq!(build(foreign.certificate.clone(), foreign.key, 60), Err(ResponderError::OtherAuthority));
    assert_eq!(
        build(good.certificate, FileKey::generate(KeyKind::EcdsaP256).unwrap(), 60),
        Err(ResponderError::OtherKey)
    );
    let (user, _) = hierarchy.user("a", DeliveredKey::EcdsaP256);
    let key = FileKey::generate(KeyKind::EcdsaP256).unwrap();
    assert_eq!(build(user, key, 60), Err(ResponderError::Purpose), "a user's certificate");
    let signer = Signer::Authority(Box::new(FileKey::generate(KeyKind::EcdsaP256).unwrap()));
    let wrong = Responder::new(hierarchy.issuing.certificate(), signer, 60, AnswerCache::default());
    assert_eq!(wrong.map(|_| ()), Err(ResponderError::OtherKey));
}
