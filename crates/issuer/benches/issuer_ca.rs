//! What the issuing CA does most: sign a certificate, revoke one of a million, answer OCSP from the cache.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sekisho_ca::certificate::{Purpose, Template};
use sekisho_ca::crl::{DistributionPoints, Due, PartCount, PartIndex, Reason, RevocationRegister, Revoked};
use sekisho_ca::hierarchy::{self, Wanted};
use sekisho_ca::name::{AttributeType, Name};
use sekisho_ca::ocsp::{AnswerCache, CertificateStatus, Responder, Signer, StatusLookup, StatusUnavailable};
use sekisho_ca::p12::{DeliveredKey, UserKey};
use sekisho_ca::validity::{Rounding, Validity};
use sekisho_ca::{Authority, FileKey, KeyKind, PublicationPoints, serial};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::hint::black_box;

const ENTRIES: u32 = 1_000_000;
const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);
const DUE: Due = Due { this_update: NOW, next_update: NOW.plus_seconds(86_400) };

fn name(common_name: &str) -> Name {
    Name::new(vec![(AttributeType::CommonName, common_name.to_owned())]).unwrap()
}

/// An authority and its key once more.
fn authority(parts: u16) -> (Authority, FileKey) {
    let wanted = Wanted { name: name("Bench"), key: KeyKind::EcdsaP256, years: 10, path_len: 0 };
    let made = hierarchy::root(&wanted, NOW).unwrap();
    let key = FileKey::from_pkcs8(&made.key.to_pkcs8().unwrap()).unwrap();
    let part = if parts > 1 { "{part}" } else { "" };
    let (full, delta) = (format!("http://pki.example/full{part}.crl"), format!("http://pki.example/delta{part}.crl"));
    let lists = DistributionPoints::new(&full, Some(&delta), PartCount::new(parts).unwrap()).unwrap();
    let points = PublicationPoints { revocation_lists: Some(lists), ..PublicationPoints::default() };
    (made.into_authority(points).unwrap(), key)
}

fn revoked() -> Revoked {
    let serial = serial::random().unwrap();
    Revoked { serial, at: NOW, reason: Reason::KeyCompromise, not_after: NOW.plus_seconds(31_536_000) }
}

fn certificates(c: &mut Criterion) {
    let (authority, _) = authority(1);
    let key = UserKey::generate(DeliveredKey::EcdsaP256).unwrap();
    let subject = name("logid031 A001 20200304153656560435");
    let validity = Validity::one_year(NOW, Rounding::EndOfDay);
    let template = Template { subject: &subject, validity, purpose: Purpose::Client };
    c.bench_function("issuer_ca/prepare_and_sign_a_certificate", |bencher| {
        bencher.iter(|| {
            let prepared = authority.prepare(serial::random().unwrap(), &template, key.public_key()).unwrap();
            authority.sign(prepared).unwrap()
        });
    });
}

fn lists(c: &mut Criterion) {
    for parts in [1, 64] {
        let (authority, _) = authority(parts);
        let count = PartCount::new(parts).unwrap();
        let mut register = RevocationRegister::new(count);
        (0..ENTRIES).for_each(|_| assert!(register.revoke(&revoked()).is_ok()));
        for part in PartIndex::all(count) {
            let number = register.next_number(part).unwrap();
            drop(register.full(&authority, part, number, DUE).unwrap());
        }
        let group = format!("issuer_ca/1M_in_{parts}_parts");
        // What a revocation costs beside the signature: the entry, and a full list ready to be signed.
        c.bench_function(&format!("{group}/revoke_and_prepare_the_full_list"), |bencher| {
            bencher.iter_batched(
                revoked,
                |entry| {
                    let part = register.revoke(&entry).unwrap();
                    let number = register.next_number(part).unwrap();
                    register.full(&authority, part, number, DUE).unwrap()
                },
                BatchSize::SmallInput,
            );
        });
        c.bench_function(&format!("{group}/revoke_and_sign_the_delta"), |bencher| {
            bencher.iter_batched(
                revoked,
                |entry| {
                    let part = register.revoke(&entry).unwrap();
                    let number = register.next_number(part).unwrap();
                    register.delta(&authority, part, number, DUE).unwrap().sign(&authority).unwrap()
                },
                BatchSize::SmallInput,
            );
        });
        let part = PartIndex::all(count).next().unwrap();
        c.bench_function(&format!("{group}/sign_the_full_list"), |bencher| {
            bencher.iter(|| register.sign_full(&authority, part, DUE).unwrap().der.len());
        });
    }
}

struct Good;

impl StatusLookup for Good {
    fn status(&self, _: &SerialNumber) -> Result<CertificateStatus, StatusUnavailable> {
        Ok(CertificateStatus::Good)
    }
}

/// A request by SHA-1 for one serial number of an authority.
fn request(authority: &Authority) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let sha1 = |octets: &[u8]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
        element(4, digest.as_ref())
    };
    let certificate = authority.certificate();
    // The last 65 octets of the key's encoding are its point.
    let info = certificate.subject_public_key_info();
    let id = [
        &[0x30, 7, 6, 5, 0x2b, 0x0e, 3, 2, 26][..],
        &sha1(certificate.subject().der()),
        &sha1(&info[info.len() - 65..]),
        &[2, 1, 5],
    ];
    (0..5).fold(id.concat(), |content, _| element(0x30, &content))
}

fn ocsp(c: &mut Criterion) {
    let (authority, key) = authority(1);
    let signer = Signer::Authority(Box::new(key));
    let cache = AnswerCache::default();
    let responder = Responder::new(authority.certificate(), signer, 86_400, cache).unwrap();
    let body = request(&authority);
    responder.post(&body, &Good, NOW).unwrap();
    c.bench_function("issuer_ca/ocsp_answer_from_the_cache", |bencher| {
        bencher.iter(|| responder.post(black_box(&body), &Good, NOW).unwrap());
    });
    c.bench_function("issuer_ca/ocsp_answer_signed_anew", |bencher| {
        bencher.iter(|| {
            responder.cache().forget(&SerialNumber::from_der_content(&[5]).unwrap());
            responder.post(black_box(&body), &Good, NOW).unwrap()
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = certificates, lists, ocsp
}
criterion_main!(benches);
