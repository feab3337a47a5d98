use super::keep::Room;
use super::*;

fn name(number: u16, is_retained: bool) -> Name {
    let mut identity = [0; 32];
    identity[..2].copy_from_slice(&number.to_be_bytes());
    Name { ca: AuthorityKey::from_bytes([7; 32]), identity, is_retained }
}

#[test]
fn a_name_says_what_it_was_made_of_and_another_one_is_none() {
    for name in [name(1, false), name(2, true)] {
        let file = name.file([9; 8]);
        assert_eq!(Name::parse(file.strip_suffix(CRL).unwrap()), Some((name, [9; 8])));
        let stem = file.strip_suffix(CRL).unwrap();
        for other in [&stem[1..], &stem[..stem.len() - 1], &format!("{stem}-00"), &stem.replace('7', "x")] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}

#[test]
fn a_file_that_goes_while_the_folder_is_read_was_not_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name(1, false).file([9; 8])), "x").unwrap();
    let entry = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(Kept::of(&entry).unwrap().map(|kept| kept.octets), Some(1));
    fs::remove_file(entry.path()).unwrap();
    assert!(Kept::of(&entry).unwrap().is_none());
}

#[test]
fn as_many_crls_as_may_be_are_kept_and_no_more_in_number_and_octets() {
    let folder = tempfile::tempdir().unwrap();
    let last = LastInForce::at(&Placed { value: folder.path().to_owned(), ..Placed::default() });
    fs::create_dir(last.folder()).unwrap();
    let make = |number: u16| fs::File::create(last.folder().join(name(number, false).file([9; 8]))).unwrap();
    let count = u16::try_from(MAX_FILES).unwrap();
    for number in 1..count {
        make(number);
    }
    let full = Room::beside(&last.files().unwrap()).take(1);
    assert!(full.is_ok());
    make(0);
    let full = Room::beside(&last.files().unwrap()).take(1).unwrap_err();
    assert!(full.contains("4096 CRLs") && full.contains("remove those of CAs"), "{full}");
    make(count);
    assert!(last.files().err().unwrap().contains("more than 4096 CRLs"));
    let mut room = Room::beside(&[]);
    assert!(room.take(MAX_OCTETS).is_ok() && room.take(1).is_err());
}
