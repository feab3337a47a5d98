//! What makes an OCSP answer believed (RFC 6960 sections 3.2 and 4.2.2.2): every one of its parts, and nothing less.

use sekisho_testkit::ocsp as responder;
use sekisho_testkit::revocation as lists;

use lists::{DAY, NOW, TestCa, element, extension};
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use responder::{AnswerBuilder, Says, certificate_id, declined, successful};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::ocsp::{
    Answer, AnswerSigner, CertificateStatus, Declined, IssuerId, NonceEcho, OcspError, Question, verify,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;

const NONCE: [u8; 32] = [0x5a; 32];

struct World {
    ca: TestCa,
    issuer: IssuerId,
    serial: SerialNumber,
}

impl World {
    fn new() -> Self {
        let ca = TestCa::root("ca");
        let issuer = IssuerId::of(&ca.certificate).unwrap();
        Self { ca, issuer, serial: SerialNumber::from_der_content(&[0x12, 0x34]).unwrap() }
    }

    fn question(&self) -> Question<'_> {
        Question { issuer: &self.issuer, serial: &self.serial, nonce: Some(&NONCE) }
    }

    fn id(&self) -> Vec<u8> {
        certificate_id(&self.question().der())
    }

    fn good(&self) -> AnswerBuilder {
        AnswerBuilder::good(&self.id(), &self.ca.certificate, NOW)
    }

    fn read(&self, response: &[u8]) -> Result<Answer, OcspError> {
        verify(response, &self.question(), &self.ca.certificate, NOW)
    }

    fn read_signed(&self, answer: &AnswerBuilder) -> Result<Answer, OcspError> {
        self.read(&answer.sign(&self.ca.key))
    }

    /// A responder with a certificate of `by`.
    fn delegate(by: &TestCa, change: impl FnOnce(&mut rcgen::CertificateParams)) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "responder");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params.serial_number = Some(rcgen::SerialNumber::from(0x77_u64));
        change(&mut params);
        let certificate = params.signed_by(&key, &rcgen::Issuer::from_params(&by.params, &by.key)).unwrap();
        (Certificate::parse(certificate.der()).unwrap(), key)
    }

    fn by_delegate(&self, (certificate, key): &(Certificate, KeyPair)) -> Result<Answer, OcspError> {
        let answer = AnswerBuilder::good(&self.id(), certificate, NOW).with_certificate(certificate);
        self.read(&answer.sign(key))
    }
}

fn is_unauthorised(result: Result<Answer, OcspError>, why: &str) {
    match result {
        Err(OcspError::Unauthorised(told)) => assert!(told.contains(why), "{told} is not {why}"),
        other => panic!("{why}: {other:?}"),
    }
}

#[test]
fn good_revoked_and_unknown_are_read_with_their_times() {
    let world = World::new();
    let fresh_until = NOW.plus_seconds(3600);
    for (says, status) in [
        (Says::Good, CertificateStatus::Good),
        (Says::Unknown, CertificateStatus::Unknown),
        (Says::Revoked(1), CertificateStatus::Revoked { at: NOW, reason: RevocationReason::KeyCompromise }),
        (Says::Revoked(6), CertificateStatus::Revoked { at: NOW, reason: RevocationReason::CertificateHold }),
    ] {
        let expected =
            Answer { status, this_update: NOW, fresh_until, signer: AnswerSigner::Authority, nonce: NonceEcho::Absent };
        assert_eq!(world.read_signed(&world.good().says(says)), Ok(expected));
        let echoed = world.good().says(says).nonce(&NONCE);
        assert_eq!(world.read_signed(&echoed), Ok(Answer { nonce: NonceEcho::Echoed, ..expected }));
    }
}

#[test]
fn every_changed_or_missing_octet_spoils_an_answer() {
    let world = World::new();
    let delegate = World::delegate(&world.ca, |_| {});
    let by_delegate = AnswerBuilder::good(&world.id(), &delegate.0, NOW).with_certificate(&delegate.0).nonce(&NONCE);
    for response in [world.good().nonce(&NONCE).sign(&world.ca.key), by_delegate.sign(&delegate.1)] {
        assert!(world.read(&response).is_ok());
        for position in 0..response.len() {
            assert!(world.read(&response[..position]).is_err(), "cut at {position}");
            for bit in [0x01, 0x20, 0x80] {
                let mut changed = response.clone();
                changed[position] ^= bit;
                assert!(world.read(&changed).is_err(), "bit {bit:#04x} of octet {position}");
            }
        }
        assert!(world.read(&[response.as_slice(), &[0]].concat()).is_err(), "an octet after the end");
    }
}

#[test]
fn only_the_ca_or_whom_it_certified_for_answering_may_answer() {
    let world = World::new();
    // By name and by key.
    let mut by_key = world.good();
    let key_hash = &world.id()[world.id().len() - 4 - 20..][..20].to_vec();
    by_key.responder = element(0xa2, &element(0x04, key_hash));
    assert_eq!(world.read_signed(&by_key).unwrap().signer, AnswerSigner::Authority);
    let serial = SerialNumber::from_der_content(&[0x77]).unwrap();
    let delegate = World::delegate(&world.ca, |_| {});
    assert_eq!(world.by_delegate(&delegate).unwrap().signer, AnswerSigner::Delegate(serial));

    let without = World::delegate(&world.ca, |params| params.extended_key_usages.clear());
    is_unauthorised(world.by_delegate(&without), "no extended key usage OCSPSigning");
    for usage in [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::Any] {
        let other = World::delegate(&world.ca, |params| params.extended_key_usages = vec![usage]);
        is_unauthorised(world.by_delegate(&other), "no extended key usage OCSPSigning");
    }
    let usage = World::delegate(&world.ca, |params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    is_unauthorised(world.by_delegate(&usage), "without digitalSignature");
    let expired = World::delegate(&world.ca, |params| params.not_after = rcgen::date_time_ymd(2026, 11, 21));
    is_unauthorised(world.by_delegate(&expired), "not valid now");
    let early = World::delegate(&world.ca, |params| params.not_before = rcgen::date_time_ymd(2026, 11, 23));
    is_unauthorised(world.by_delegate(&early), "not valid now");
    let namesake = TestCa::root("ca");
    is_unauthorised(world.by_delegate(&World::delegate(&namesake, |_| {})), "not certified by the CA");
    let below = world.ca.below("below");
    is_unauthorised(world.by_delegate(&World::delegate(&below, |_| {})), "not certified by the CA");
    let unknown = World::delegate(&world.ca, |params| {
        let mut critical = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 99], vec![5, 0]);
        critical.set_criticality(true);
        params.custom_extensions.push(critical);
    });
    is_unauthorised(world.by_delegate(&unknown), "critical extension 2.5.29.99");
    // The namesake itself, and a delegate whose certificate did not come along.
    let impostor = AnswerBuilder::good(&world.id(), &namesake.certificate, NOW);
    assert_eq!(world.read(&impostor.sign(&namesake.key)), Err(OcspError::Signature));
    let alone = AnswerBuilder::good(&world.id(), &delegate.0, NOW);
    is_unauthorised(world.read(&alone.sign(&delegate.1)), "no certificate of it came along");
    // Another key than that of the certificate that came along.
    let lent = AnswerBuilder::good(&world.id(), &delegate.0, NOW).with_certificate(&delegate.0);
    assert_eq!(world.read(&lent.sign(&namesake.key)), Err(OcspError::Signature));
    // Far down among others it is not looked for.
    let mut crowded = AnswerBuilder::good(&world.id(), &delegate.0, NOW);
    (0..4).for_each(|_| crowded.certificates.push(namesake.certificate.der().to_vec()));
    crowded = crowded.with_certificate(&delegate.0);
    is_unauthorised(world.read(&crowded.sign(&delegate.1)), "no certificate of it came along");
}

#[test]
fn an_answer_about_another_certificate_says_nothing_of_this_one() {
    let world = World::new();
    let other_serial = SerialNumber::from_der_content(&[0x12, 0x35]).unwrap();
    let other_ca = IssuerId::of(&TestCa::root("ca").certificate).unwrap();
    for question in
        [Question { serial: &other_serial, ..world.question() }, Question { issuer: &other_ca, ..world.question() }]
    {
        let other = certificate_id(&question.der());
        let mut answer = world.good();
        answer.about = vec![(other.clone(), Says::Good)];
        assert_eq!(world.read_signed(&answer), Err(OcspError::OtherCertificate));
        // Beside it, this one is found, whatever is said of the other.
        answer.about = vec![(other, Says::Good), (world.id(), Says::Revoked(4))];
        let status = world.read_signed(&answer).unwrap().status;
        assert_eq!(status, CertificateStatus::Revoked { at: NOW, reason: RevocationReason::Superseded });
    }
    let mut twice = world.good();
    twice.about = vec![(world.id(), Says::Good), (world.id(), Says::Revoked(1))];
    assert_eq!(world.read_signed(&twice), Err(OcspError::Ambiguous));
    twice.about.clear();
    assert_eq!(world.read_signed(&twice), Err(OcspError::OtherCertificate));
}

#[test]
fn an_answer_holds_from_this_update_to_next_update_and_not_a_second_longer() {
    let world = World::new();
    let at = |seconds: i64| NOW.plus_seconds(seconds);
    let read = |from, until: Option<Timestamp>| world.read_signed(&world.good().times(from, until));
    assert_eq!(read(at(-DAY), Some(NOW)).unwrap().fresh_until, NOW);
    assert_eq!(read(at(-DAY), Some(at(-1))), Err(OcspError::Stale(at(-1))));
    assert_eq!(read(at(300), Some(at(DAY))).unwrap().fresh_until, at(DAY), "a clock five minutes ahead");
    assert_eq!(read(at(301), Some(at(DAY))), Err(OcspError::FromTheFuture(at(301))));
    assert_eq!(read(at(200), Some(at(100))), Err(OcspError::Stale(at(100))), "it ends before it begins");
    // Without nextUpdate: a minute, and only if it was just made.
    assert_eq!(read(NOW, None).unwrap().fresh_until, at(60));
    assert_eq!(read(at(-300), None).unwrap().fresh_until, at(60));
    assert_eq!(read(at(-301), None), Err(OcspError::Stale(at(-301))));
    let mut early = world.good();
    early.produced_at = at(301);
    assert_eq!(world.read_signed(&early), Err(OcspError::FromTheFuture(at(301))));
}

#[test]
fn an_answer_for_another_question_is_refused_and_one_without_a_nonce_says_so() {
    let world = World::new();
    for other in [&[0x5b; 32][..], &NONCE[..31], &[]] {
        assert_eq!(world.read_signed(&world.good().nonce(other)), Err(OcspError::Nonce), "{other:x?}");
    }
    let response = world.good().nonce(&NONCE).sign(&world.ca.key);
    let without = Question { nonce: None, ..world.question() };
    assert_eq!(verify(&response, &without, &world.ca.certificate, NOW).unwrap().nonce, NonceEcho::Absent);
}

#[test]
fn critical_extensions_that_are_not_known_spoil_an_answer_and_others_do_not() {
    let world = World::new();
    for (critical, expected) in [(true, Err(OcspError::Extension("2.5.29.99".to_owned()))), (false, Ok(()))] {
        let unknown = extension(lists::UNKNOWN, critical, &[5, 0]);
        let mut of_response = world.good();
        of_response.extensions.clone_from(&unknown);
        assert_eq!(world.read_signed(&of_response).map(drop), expected);
        let mut of_single = world.good();
        of_single.single_extensions = unknown;
        assert_eq!(world.read_signed(&of_single).map(drop), expected);
    }
}

#[test]
fn a_responder_that_declines_says_why_and_nothing_else_is_an_answer() {
    let world = World::new();
    for (code, why) in [
        (1, Declined::MalformedRequest),
        (2, Declined::InternalError),
        (3, Declined::TryLater),
        (5, Declined::SignatureRequired),
        (6, Declined::Unauthorized),
        (4, Declined::Other(4)),
    ] {
        assert_eq!(world.read(&declined(code)), Err(OcspError::Declined(why)));
    }
    for nonsense in
        [&b""[..], b"0", b"<html>", &[0x30, 0x80, 0, 0], &declined(0), &successful(b""), &successful(&[0x30, 0])]
    {
        assert!(matches!(world.read(nonsense), Err(OcspError::Malformed(_))), "{nonsense:x?}");
    }
}

#[test]
fn openssl_understands_the_question_and_is_understood() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("ca.pem"), &world.ca.pem).unwrap();
    std::fs::write(folder.join("ca.key"), world.ca.key.serialize_pem()).unwrap();
    std::fs::write(folder.join("index"), "R\t350101000000Z\t261101120000Z,superseded\t1234\tunknown\t/CN=x\n").unwrap();
    std::fs::write(folder.join("question.der"), world.question().der()).unwrap();
    let shown = std::process::Command::new("openssl")
        .current_dir(folder)
        .args(["ocsp", "-reqin", "question.der", "-req_text", "-index", "index", "-CA", "ca.pem", "-rsigner", "ca.pem"])
        .args(["-rkey", "ca.key", "-nmin", "5", "-respout", "answer.der"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("Serial Number: 1234") && text.contains("OCSP Nonce"), "{shown:?}");
    let response = std::fs::read(folder.join("answer.der")).unwrap();
    let answer = verify(&response, &world.question(), &world.ca.certificate, sekisho_runtime::clock::now()).unwrap();
    let at = Timestamp::from_rfc_3339("2026-11-01T12:00:00Z").unwrap();
    assert_eq!(answer.status, CertificateStatus::Revoked { at, reason: RevocationReason::Superseded });
    assert_eq!((answer.signer, answer.nonce), (AnswerSigner::Authority, NonceEcho::Echoed));
}
