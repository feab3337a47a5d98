//! The CN of real certificates; `gateway::identity` tests the rule itself.

use crate::pki::{CN, Ca, World, assert_refused};
use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString};
use rcgen::{DnType, DnValue};
use sekisho::gateway::verify::Reason;

fn world_of(root: &Ca, more: &str) -> World {
    let mut world = World::new();
    world.ca("root", root, more, &[]);
    world.trusts(&["root"]);
    world
}

#[test]
fn two_common_names_are_refused_even_if_both_would_match() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf_with(CN, |params| {
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "00000000001 mallory 1635");
    });
    assert_refused(world.verify(&[&leaf.der]), Reason::MalformedIdentity, "has 2 CNs");
}

#[test]
fn a_common_name_is_taken_in_three_string_types_only() {
    let (world, _, issuing) = World::bank();
    let decide = |value: DnValue| {
        let leaf = issuing.leaf_with("", |params| {
            params.distinguished_name.remove(DnType::CommonName);
            params.distinguished_name.push(DnType::CommonName, value);
        });
        world.verify(&[&leaf.der])
    };
    assert!(decide(DnValue::PrintableString(PrintableString::try_from(CN).unwrap())).is_ok());
    assert!(decide(DnValue::Ia5String(Ia5String::try_from(CN).unwrap())).is_ok());
    let bmp = decide(DnValue::BmpString(BmpString::try_from(CN).unwrap()));
    assert_refused(bmp, Reason::MalformedIdentity, "the CN is a BMPString");
    let teletex = decide(DnValue::TeletexString(TeletexString::try_from(CN).unwrap()));
    assert_refused(teletex, Reason::MalformedIdentity, "the CN is a TeletexString");
}

#[test]
fn a_common_name_of_ten_thousand_octets_is_refused_and_its_log_record_is_short() {
    let (world, _, issuing) = World::bank();
    let long = "9".repeat(10_240);
    let result = world.verify(&[&issuing.leaf(&long).der]);
    let refusal = assert_refused(result, Reason::MalformedIdentity, "10240 octets; at most 256");
    assert!(refusal.subject.unwrap().subject.len() < 1100);
}

#[test]
fn a_line_break_in_a_common_name_reaches_neither_identity_nor_log() {
    let (world, _, issuing) = World::bank();
    let result = world.verify(&[&issuing.leaf("00009876543 riyousya 1635\r\nX-Admin: 1").der]);
    let refusal = assert_refused(result, Reason::MalformedIdentity, "U+000D");
    let text = format!("{refusal} {:?}", refusal.subject.as_ref().unwrap().subject);
    assert!(!text.contains(['\r', '\n']), "{text}");
    assert!(refusal.subject.unwrap().subject.contains(r"1635\0D\0AX-Admin"));
}

#[test]
fn a_ca_limited_to_contracts_may_not_speak_for_others() {
    let root = Ca::root("Root");
    let limited = format!("{}\ncontracts = [\"00009000000-00009999999\"]", crate::pki::PATTERN);
    let world = world_of(&root, &limited);
    assert!(world.verify(&[&root.leaf(CN).der]).is_ok());
    let result = world.verify(&[&root.leaf("00019876543 riyousya 1635").der]);
    assert_refused(result, Reason::NotPermitted, "may not issue for contract \"00019876543\"");
}

#[test]
fn a_contract_limit_binds_the_cas_below() {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let mut world = World::new();
    world.ca("root", &root, &format!("{}\ncontracts = [\"00000000001\"]", crate::pki::PATTERN), &[]);
    world.ca("issuing", &issuing, "issued_by = \"root\"\ncontracts = [\"00000000000-99999999999\"]", &[]);
    world.trusts(&["issuing"]);
    assert!(world.verify(&[&issuing.leaf("00000000001 a 1635").der]).is_ok());
    assert_refused(world.verify(&[&issuing.leaf(CN).der]), Reason::NotPermitted, "may not issue");
}

#[test]
fn japanese_names_are_identities_like_others() {
    let root = Ca::root("認証局");
    let world = world_of(&root, r"identity = '(?<contract_id>[0-9]{5}) (?<user_id>\p{Han}+)'");
    let client = world.verify(&[&root.leaf("00001 日本太郎").der]).unwrap();
    assert_eq!(client.identity().user_id(), Some("日本太郎"));
    assert_eq!(client.issuer(), "CN=認証局");
}
