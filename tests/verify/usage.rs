//! Usage: what each certificate may be used for.

use crate::pki::{CN, Ca, PATTERN, World, assert_refused, ca_params, leaf_params};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use sekisho::gateway::verify::{Reason, Refusal, VerifiedClient};

fn leaf_that(change: impl FnOnce(&mut CertificateParams)) -> Result<VerifiedClient, Refusal> {
    let (world, _, issuing) = World::bank();
    world.verify(&[&issuing.leaf_with(CN, change).der, &issuing.der])
}

/// A presented intermediate that differs from the configured issuing CA in what `change` does.
fn intermediate_that(change: impl FnOnce(&mut CertificateParams)) -> Result<VerifiedClient, Refusal> {
    let (world, root, _) = World::bank();
    let middle = root.below_with("Middle", change);
    world.verify(&[&middle.leaf(CN).der, &middle.der])
}

#[test]
fn a_leaf_without_digital_signature_is_refused() {
    let result = leaf_that(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    assert_refused(result, Reason::WrongUsage, "a keyUsage without digitalSignature");
}

#[test]
fn a_leaf_without_key_usage_is_not_restricted() {
    assert!(leaf_that(|params| params.key_usages.clear()).is_ok());
}

#[test]
fn a_server_certificate_is_refused() {
    let result = leaf_that(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_refused(result, Reason::WrongUsage, "an extKeyUsage without clientAuth");
}

#[test]
fn any_extended_key_usage_does_not_make_a_client() {
    let result = leaf_that(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
    assert_refused(result, Reason::WrongUsage, "an extKeyUsage without clientAuth");
}

#[test]
fn a_leaf_without_extended_key_usage_is_not_restricted() {
    assert!(leaf_that(|params| params.extended_key_usages.clear()).is_ok());
}

#[test]
fn an_empty_extended_key_usage_is_not_an_absent_one() {
    let empty = || CustomExtension::from_oid_content(&[2, 5, 29, 37], vec![0x30, 0x00]);
    let refusal = leaf_that(|params| {
        params.extended_key_usages.clear();
        params.custom_extensions.push(empty());
    })
    .expect_err("it must be refused");
    assert!(matches!(refusal.reason, Reason::WrongUsage | Reason::BadCertificate), "{refusal}");
}

#[test]
fn a_ca_certificate_cannot_be_a_client() {
    let (world, _, issuing) = World::bank();
    assert_refused(world.verify(&[&issuing.der]), Reason::WrongUsage, "is the certificate of a CA");
    let ca_with_a_cn = issuing.certify(
        {
            let mut params = leaf_params(CN);
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params
        },
        KeyPair::generate().unwrap(),
    );
    assert_refused(world.verify(&[&ca_with_a_cn.der]), Reason::WrongUsage, "is the certificate of a CA");
}

#[test]
fn a_ca_without_key_cert_sign_is_refused() {
    let result = intermediate_that(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert_refused(result, Reason::WrongUsage, "a keyUsage without keyCertSign");
}

#[test]
fn a_ca_for_servers_only_is_refused() {
    let result = intermediate_that(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_refused(result, Reason::WrongUsage, "a CA with an extKeyUsage without clientAuth");
}

#[test]
fn a_ca_may_be_for_any_usage() {
    let root = Ca::root("Root");
    let issuing = root.below_with("Issuing", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
    let mut world = World::new();
    world.ca("root", &root, PATTERN, &[]);
    world.ca("issuing", &issuing, "issued_by = \"root\"", &[]);
    world.trusts(&["root"]);
    assert!(world.verify(&[&issuing.leaf(CN).der]).is_ok());
}

#[test]
fn an_unknown_critical_extension_is_refused_on_a_leaf_and_on_a_ca() {
    let unknown = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 392, 9999, 1], vec![0x05, 0x00]);
        extension.set_criticality(critical);
        move |params: &mut CertificateParams| params.custom_extensions.push(extension)
    };
    let evidence = "has the unknown critical extension 1.2.392.9999.1";
    assert_refused(leaf_that(unknown(true)), Reason::BadCertificate, evidence);
    assert_refused(intermediate_that(unknown(true)), Reason::BadCertificate, evidence);
    assert!(leaf_that(unknown(false)).is_ok());
}

#[test]
fn what_belongs_to_cas_alone_is_refused_on_a_leaf() {
    let signs = leaf_that(|params| params.key_usages.push(KeyUsagePurpose::KeyCertSign));
    assert_refused(signs, Reason::WrongUsage, "keyCertSign and is no CA");
    let constraints = &[0x30, 0x07, 0xa0, 0x05, 0x30, 0x03, 0x82, 0x01, b'a'];
    let constrains = leaf_that(|params| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 30], constraints.to_vec()));
    });
    assert_refused(constrains, Reason::WrongUsage, "nameConstraints and is no CA");
}

#[test]
fn a_serial_number_is_positive() {
    for serial in [&[0][..], &[0x80], &[0xff, 0x01]] {
        // rcgen writes every serial as positive: the octets are changed in the certificate and it is signed anew.
        let (world, _, issuing) = World::bank();
        let leaf = issuing.leaf_with(CN, |params| params.serial_number = Some(vec![0x55; serial.len()].into()));
        let der = resigned(&leaf.der, serial, &issuing);
        assert_refused(world.verify(&[&der]), Reason::BadCertificate, "which is not positive");
    }
}

/// The certificate with these octets as its serial number, which has one octet fifty-five for each of them.
fn resigned(der: &[u8], serial: &[u8], ca: &Ca) -> rustls::pki_types::CertificateDer<'static> {
    use rcgen::SigningKey as _;
    let (_, parsed) = x509_parser::parse_x509_certificate(der).unwrap();
    let mut signed = parsed.tbs_certificate.as_ref().to_vec();
    let header = [0x02, u8::try_from(serial.len()).unwrap()];
    let place =
        signed.windows(2 + serial.len()).position(|at| at[..2] == header && at[2..].iter().all(|octet| *octet == 0x55));
    signed[place.unwrap() + 2..][..serial.len()].copy_from_slice(serial);
    let element = |tag: u8, content: &[u8]| match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => [&[tag, length], content].concat(),
        _ => [&[tag, 0x82], &u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat(),
    };
    // ecdsa-with-SHA256.
    let algorithm = element(0x30, &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
    let signature = element(0x03, &[&[0], &ca.key.sign(&signed).unwrap()[..]].concat());
    element(0x30, &[signed, algorithm, signature].concat()).into()
}

#[test]
fn an_extension_that_is_there_twice_is_refused() {
    let again = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![0x03, 0x02, 0x07, 0x80]);
    let result = leaf_that(|params| params.custom_extensions.push(again));
    assert_refused(result, Reason::BadCertificate, "extension 2.5.29.15 is there twice");
}

#[test]
fn an_unreadable_key_usage_does_not_read_as_absent() {
    let garbage = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![0x04, 0x00]);
    let result = leaf_that(|params| {
        params.key_usages.clear();
        params.custom_extensions.push(garbage);
    });
    assert_refused(result, Reason::BadCertificate, "extension 2.5.29.15 cannot be read");
}

#[test]
fn the_test_cas_are_what_they_seem() {
    assert!(ca_params("x").key_usages.contains(&KeyUsagePurpose::KeyCertSign));
    assert!(intermediate_that(|_| {}).is_err_and(|refusal| refusal.reason == Reason::RevocationUnavailable));
}
