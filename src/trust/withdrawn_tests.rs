use super::*;

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
