use crate::support::{fails, succeeds};
use sekisho_ca::key::SigningKey as _;
use sekisho_ca::key_file::{self, KeyFileError, Passphrase};
use sekisho_ca::{FileKey, KeyKind};
use sekisho_runtime::process::secret_file::SecretFileError;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const PASSPHRASE: &str = "correct horse battery staple";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.into()).unwrap()
}

fn write(path: &Path, content: &str, mode: u32) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_file_is_read_by_openssl_and_one_of_openssl_is_read_here() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384] {
        let key = FileKey::generate(kind).unwrap();
        let pem = key_file::to_pem(&key, &passphrase(PASSPHRASE)).unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        write(&folder.path().join("ca.key"), &pem, 0o600);
        write(&folder.path().join("passphrase"), PASSPHRASE, 0o600);
        write(&folder.path().join("passphrase-again"), PASSPHRASE, 0o600);
        succeeds(folder.path(), "openssl pkey -in ca.key -passin file:passphrase -pubout -outform DER -out ca.pub");
        assert_eq!(std::fs::read(folder.path().join("ca.pub")).unwrap(), key.public_key_info());
        let read = key_file::load(&folder.path().join("ca.key"), &passphrase(PASSPHRASE)).unwrap();
        assert_eq!(read.public_key_info(), key.public_key_info());

        succeeds(
            folder.path(),
            "openssl pkcs8 -topk8 -in ca.key -passin file:passphrase -v2 aes256 -v2prf hmacWithSHA256 -iter 100000 -out other.key -passout file:passphrase-again",
        );
        std::fs::set_permissions(folder.path().join("other.key"), Permissions::from_mode(0o400)).unwrap();
        let other = key_file::load(&folder.path().join("other.key"), &passphrase(PASSPHRASE)).unwrap();
        assert_eq!(other.public_key_info(), key.public_key_info());
    }
    write(&folder.path().join("wrong"), "another passphrase", 0o600);
    fails(folder.path(), "openssl pkey -in ca.key -passin file:wrong -noout");
}

#[test]
fn a_key_file_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.key");
    let pem = key_file::to_pem(&FileKey::generate(KeyKind::EcdsaP256).unwrap(), &passphrase(PASSPHRASE)).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777] {
        write(&path, &pem, mode);
        let refused = key_file::load(&path, &passphrase(PASSPHRASE)).unwrap_err();
        assert!(
            matches!(refused, KeyFileError::File(SecretFileError::TooOpen { mode: found, .. }) if found == mode),
            "{mode:o}: {refused}"
        );
        let secret = folder.path().join("passphrase");
        write(&secret, PASSPHRASE, mode);
        assert!(
            matches!(Passphrase::from_file(&secret).unwrap_err(), KeyFileError::File(SecretFileError::TooOpen { .. })),
            "{mode:o}"
        );
    }
    for mode in [0o600, 0o400] {
        write(&path, &pem, mode);
        key_file::load(&path, &passphrase(PASSPHRASE)).unwrap();
    }
}

#[test]
fn what_is_not_a_well_encrypted_key_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.key");
    let load = |content: &str, text: &str| {
        write(&path, content, 0o600);
        let refused = key_file::load(&path, &passphrase(text)).unwrap_err();
        assert!(!refused.to_string().contains('\n') && !refused.to_string().contains(text), "{refused}");
        refused
    };
    let pem = key_file::to_pem(&FileKey::generate(KeyKind::EcdsaP256).unwrap(), &passphrase(PASSPHRASE)).unwrap();
    assert!(matches!(load(&pem, "another passphrase"), KeyFileError::WrongPassphrase));
    assert!(matches!(load("", PASSPHRASE), KeyFileError::NotEncryptedPem));
    assert!(matches!(load(&pem.replace("ENCRYPTED ", ""), PASSPHRASE), KeyFileError::NotEncryptedPem));
    assert!(matches!(load(&(pem.clone() + &pem), PASSPHRASE), KeyFileError::NotEncryptedPem));
    assert!(matches!(load(&"x".repeat(20_000), PASSPHRASE), KeyFileError::File(SecretFileError::TooLong { .. })));
    let missing = key_file::load(&folder.path().join("none"), &passphrase(PASSPHRASE)).unwrap_err();
    assert!(matches!(missing, KeyFileError::File(SecretFileError::Unreadable(_))));

    write(&folder.path().join("passphrase"), PASSPHRASE, 0o600);
    write(&folder.path().join("passphrase-again"), PASSPHRASE, 0o600);
    write(&folder.path().join("good.key"), &pem, 0o600);
    for (options, expected) in [
        ("-v2 aes256 -v2prf hmacWithSHA256 -iter 2048", "iterations"),
        ("-v2 aes256 -v2prf hmacWithSHA1 -iter 100000", "PBES2"),
        ("-v2 aes128 -v2prf hmacWithSHA256 -iter 100000", "PBES2"),
        ("-v2 des3 -v2prf hmacWithSHA256 -iter 100000", "PBES2"),
        ("-v1 PBE-SHA1-3DES -iter 100000", "PBES2"),
        ("-scrypt", "PBES2"),
    ] {
        succeeds(
            folder.path(),
            &format!(
                "openssl pkcs8 -topk8 -in good.key -passin file:passphrase -out weak.key -passout file:passphrase-again {options}"
            ),
        );
        let weak = std::fs::read_to_string(folder.path().join("weak.key")).unwrap();
        let refused = load(&weak, PASSPHRASE);
        assert!(refused.to_string().contains(expected), "{options}: {refused}");
    }
}

#[test]
fn passphrases_are_long_and_never_shown() {
    assert!(matches!(Passphrase::new(b"short".to_vec()), Err(KeyFileError::ShortPassphrase)));
    assert!(matches!(Passphrase::new(b"eleven char\r\n\n".to_vec()), Err(KeyFileError::ShortPassphrase)));
    assert!(!format!("{:?}", passphrase(PASSPHRASE)).contains("horse"));
    assert!(matches!(Passphrase::from_variable("SEKISHO_NO_SUCH_VARIABLE"), Err(KeyFileError::NoVariable(_))));
}
