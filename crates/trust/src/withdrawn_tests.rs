use super::*;
use crate::policy::ListPolicy;
use crate::revoked::RevokedIndex;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, Issuer,
    KeyPair, RevokedCertParams,
};
use sekisho_pki::crl::CertificateList;

fn serial(number: u32) -> SerialNumber {
    SerialNumber::from_der_content(&[&[1][..], &number.to_be_bytes()].concat()).unwrap()
}

fn book(serials: &[u32]) -> WithdrawnBook {
    let revoked = Revoked { at: Timestamp::from_unix(1_790_000_040), reason: RevocationReason::KeyCompromise };
    let entries = serials.iter().map(|number| (serial(*number), revoked)).collect();
    [(AuthorityKey::from_bytes([7; 32]), Withdrawn::of(entries))].into()
}

#[test]
fn what_was_kept_reads_back_and_an_operator_takes_one_back_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    assert!(read(&state).unwrap().is_empty(), "nothing was ever kept");
    write(&state, &book(&[3, 1, 2])).unwrap();
    let found = read(&state).unwrap();
    let (key, withdrawn) = found.first_key_value().unwrap();
    assert_eq!(*key, AuthorityKey::from_bytes([7; 32]));
    assert!(withdrawn.is_same(&book(&[1, 2, 3])[key]), "{withdrawn:?}");
    let text = fs::read_to_string(path(&state)).unwrap();
    let line = format!("{} {} 1790000040 keyCompromise\n", "07".repeat(32), "0100000002");
    fs::write(path(&state), text.replace(&line, "")).unwrap();
    let withdrawn = &read(&state).unwrap()[key];
    assert!(withdrawn.get(&serial(2)).is_none() && withdrawn.get(&serial(1)).is_some() && withdrawn.len() == 2);
}

#[test]
fn a_file_that_cannot_be_relied_on_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &book(&[1])).unwrap();
    let text = fs::read_to_string(path(folder.path())).unwrap();
    for (spoiled, why) in [
        (text.trim_end().to_owned(), "ends in the middle of a line"),
        (text.replace("keyCompromise", "because"), "line 4 is not an issuer, a serial, a time and a reason"),
        (text.replace("0707", "07"), "line 4 "),
        (format!("{text}x\n"), "line 5 "),
    ] {
        fs::write(path(folder.path()), spoiled).unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

/// A CRL in force, of all certificates or of these distribution points.
fn in_force(points: &[&str], serials: &[u32]) -> InForce {
    let now = time::OffsetDateTime::now_utc();
    let revoked = |number: &u32| RevokedCertParams {
        serial_number: serial(*number).as_bytes().to_vec().into(),
        revocation_time: now,
        reason_code: Some(rcgen::RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let uris = points.iter().map(|point| (*point).to_owned()).collect();
    let point = CrlIssuingDistributionPoint { distribution_point: CrlDistributionPoint { uris }, scope: None };
    let parameters = CertificateRevocationListParams {
        this_update: now,
        next_update: now + time::Duration::DAY,
        crl_number: 1.into(),
        issuing_distribution_point: (!points.is_empty()).then_some(point),
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let mut issuer = CertificateParams::new(Vec::<String>::new()).unwrap();
    issuer.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let crl = parameters.signed_by(&Issuer::from_params(&issuer, &key)).unwrap();
    let crl = CertificateList::parse(crl.der()).unwrap();
    let list = RevocationList {
        header: crl.header().clone(),
        number: None,
        signer: AuthorityKey::from_bytes([7; 32]),
        file: "x.crl".into(),
        content: Content::Index(RevokedIndex::build(&crl).unwrap()),
    };
    let next_update = list.header.this_update.plus_seconds(86_400);
    InForce { list: Arc::new(list), delta: None, outdated_by: None, next_update, says: Says::Good }
}

fn before(lists: Vec<InForce>) -> RevocationLists {
    RevocationLists::new(ListPolicy::default(), lists, Vec::new())
}

fn numbers(withdrawn: &Withdrawn) -> Vec<SerialNumber> {
    withdrawn.iter().map(|(serial, _)| *serial).collect()
}

const MAX: usize = 3;

#[test]
fn as_many_as_may_be_are_kept_one_by_one_and_one_more_keeps_the_crl_that_had_them() {
    let old = before(vec![in_force(&[], &[1, 2, 3])]);
    let compared = compare(Some(&old), &Withdrawn::default(), &[in_force(&[], &[])], MAX);
    assert_eq!(numbers(&compared.withdrawn), [1, 2, 3].map(serial));
    assert!(compared.new == 3 && compared.retained.is_empty() && compared.too_many.is_none());
    // What is known already takes of the room.
    let known = compared.withdrawn;
    let old = before(vec![in_force(&[], &[4])]);
    let new = in_force(&[], &[]);
    let compared = compare(Some(&old), &known, std::slice::from_ref(&new), MAX);
    assert!(compared.withdrawn.is_same(&known) && compared.new == 0 && compared.too_many.is_none());
    let [retained] = &compared.retained[..] else { panic!("{:?}", compared.retained) };
    assert!(retained.says == Says::Retained && retained.revoked(&serial(4)).is_some());
    // It stays whatever comes, and a second one has no place, whichever the comparison comes to first.
    for lists in [[in_force(&[], &[5]), retained.retained()], [retained.retained(), in_force(&[], &[5])]] {
        let compared = compare(Some(&before(lists.into())), &known, std::slice::from_ref(&new), MAX);
        assert!(compared.withdrawn.is_same(&known));
        assert!(compared.retained.iter().any(|one| one.revoked(&serial(4)).is_some()));
        let too_many = compared.too_many.expect("the second one is told");
        assert!(too_many.revoked(&serial(5)).is_some());
    }
}

/// Where there is no room for one more: nothing is lost that a CRL which stays in force revokes.
#[test]
fn what_a_retained_crl_revokes_closes_nobody_and_takes_no_room() {
    let known = book(&[1, 2, 3]).remove(&AuthorityKey::from_bytes([7; 32])).unwrap();
    let retained = in_force(&[], &[4, 5]).retained();
    let new = in_force(&[], &[]);
    let compared = |serials: &[u32], known: &Withdrawn| {
        let old = before(vec![in_force(&[], serials), retained.retained()]);
        compare(Some(&old), known, std::slice::from_ref(&new), MAX)
    };
    let one = compared(&[4, 5], &known);
    assert!(one.too_many.is_none() && one.withdrawn.is_same(&known) && one.new == 0, "{:?}", one.too_many);
    assert!(compared(&[4, 6], &known).too_many.is_some());
    assert_eq!(numbers(&compared(&[4, 6], &Withdrawn::default()).withdrawn), [serial(6)]);
}

#[test]
fn a_serial_that_moved_to_the_crl_of_another_point_is_withdrawn_and_one_that_all_are_asked_by_is_not() {
    let (one, two) = ("http://crl.example.jp/1.crl", "http://crl.example.jp/2.crl");
    let old = before(vec![in_force(&[one], &[1]), in_force(&[two], &[])]);
    let withdrawn = |after: &[InForce]| numbers(&compare(Some(&old), &Withdrawn::default(), after, MAX).withdrawn);
    assert_eq!(withdrawn(&[in_force(&[one], &[]), in_force(&[two], &[1])]), [serial(1)]);
    assert_eq!(withdrawn(&[in_force(&[one], &[]), in_force(&[], &[1])]), []);
    assert_eq!(withdrawn(&[in_force(&[one], &[]), in_force(&[two, one], &[1])]), []);
    // A certificate of the CRL of both points may name either.
    let old = before(vec![in_force(&[one, two], &[1])]);
    let withdrawn = |after: &[InForce]| numbers(&compare(Some(&old), &Withdrawn::default(), after, MAX).withdrawn);
    assert_eq!(withdrawn(&[in_force(&[one], &[1]), in_force(&[two], &[])]), [serial(1)]);
    // And one of the CRL of all may name none.
    let old = before(vec![in_force(&[], &[1])]);
    let compared = compare(Some(&old), &Withdrawn::default(), &[in_force(&[], &[]), in_force(&[one], &[1])], MAX);
    assert_eq!(numbers(&compared.withdrawn), [serial(1)]);
    // What was withdrawn so is not forgotten at the next comparison.
    let compared = compare(None, &compared.withdrawn, &[in_force(&[], &[]), in_force(&[one], &[1])], MAX);
    assert_eq!(numbers(&compared.withdrawn), [serial(1)]);
}
