//! Authorities from their files, and every way in which these can be wrong.

use crate::support::{Hierarchy, config, placed, write_pem};
use sekisho_ca::key_file::{Passphrase, to_pem};
use sekisho_ca::{FileKey, KeyKind, download};
use sekisho_config::issuer::{AuthorityConfig, PassphraseSource};
use sekisho_config::{ConfigError, Place};
use sekisho_issuer::authorities::Authorities;
use sekisho_runtime::clock;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

const PASSPHRASE: &str = "correct horse battery staple";

/// Encrypting costs a fifth of a second by design, so it is done once.
static FILES: LazyLock<(Hierarchy, String)> = LazyLock::new(|| {
    let hierarchy = Hierarchy::new("Issuing");
    let key = pem(&hierarchy.key);
    (hierarchy, key)
});

fn pem(key: &FileKey) -> String {
    to_pem(key, &Passphrase::new(PASSPHRASE.as_bytes().to_vec()).unwrap()).unwrap()
}

fn secret(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A folder as `sekisho-issuer ca init` leaves it, and its table.
fn right() -> (tempfile::TempDir, AuthorityConfig) {
    let folder = tempfile::tempdir().unwrap();
    let (hierarchy, key) = &*FILES;
    let path = |name: &str| folder.path().join(name);
    write_pem(&path("root.pem"), &hierarchy.root);
    write_pem(&path("issuing.pem"), &hierarchy.issuing);
    let chain: String = [&hierarchy.issuing, &hierarchy.root]
        .iter()
        .map(|certificate| download::pem("CERTIFICATE", certificate.der()))
        .collect();
    std::fs::write(path("chain.pem"), chain).unwrap();
    secret(&path("issuing.key"), key);
    secret(&path("passphrase"), &format!("{PASSPHRASE}\n"));
    let config = config(folder.path(), 1);
    (folder, config)
}

fn load(configs: &[AuthorityConfig]) -> Result<Authorities, Vec<ConfigError>> {
    Authorities::load(configs, clock::now())
}

/// The one error there is, as `key: message` without the folder.
fn error(folder: &Path, configs: &[AuthorityConfig]) -> String {
    let errors = load(configs).map(|_| ()).unwrap_err();
    let lines: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.place.key, error.message)).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!lines[0].contains('\n') && !lines[0].contains(PASSPHRASE), "{lines:?}");
    lines[0].replace(&format!("{}/", folder.display()), "")
}

#[test]
fn the_files_of_sekisho_ca_make_an_authority() {
    let (_folder, config) = right();
    let authorities = load(&[config]).unwrap();
    let authority = authorities.of_profile("hokugin").unwrap();
    assert_eq!(&*authority.name, "hokugin");
    assert!(authorities.of_profile("shinkin").is_none() && authorities.named("shinkin").is_none());
    assert_eq!((authority.chain.len(), authority.chain_without_root().len()), (1, 0), "not itself");
    assert_eq!(authority.chain[0].der(), FILES.0.root.der());
    let points = authority.authority.points();
    assert_eq!(points.ocsp.as_ref().unwrap().as_str(), "http://pki.example.jp/ocsp/hokugin");
    assert!(points.revocation_lists.as_ref().unwrap().has_deltas());
    assert!(!format!("{authorities:?}").contains("FileKey"), "nothing of keys");
}

#[test]
fn the_root_alone_is_a_chain_too_and_a_root_needs_none() {
    let (folder, config) = right();
    std::fs::copy(folder.path().join("root.pem"), folder.path().join("chain.pem")).unwrap();
    assert_eq!(load(&[config]).unwrap().iter().next().unwrap().chain.len(), 1);
}

#[test]
fn what_is_wrong_with_a_key_is_said_at_its_place_and_nothing_of_it() {
    let (folder, config) = right();
    let (key, passphrase) = (config.key.value.clone(), folder.path().join("passphrase"));
    let set_mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let said = |expected: &str| {
        assert_eq!(error(folder.path(), std::slice::from_ref(&config)), expected);
    };
    set_mode(&key, 0o640);
    said("authority[0].key: issuing.key: its mode is 0640: others can read it; make it 0600: chmod 600 issuing.key");
    set_mode(&key, 0o600);
    set_mode(&passphrase, 0o604);
    said(
        "authority[0].passphrase_file: passphrase: its mode is 0604: others can read it; make it 0600: chmod 600 passphrase",
    );
    secret(&passphrase, "another horse battery staple");
    set_mode(&passphrase, 0o600);
    said("authority[0].key: issuing.key: the passphrase is wrong or the file is damaged");
    secret(&passphrase, "short");
    said("authority[0].passphrase_file: passphrase: the passphrase has fewer than 12 octets");
    secret(&passphrase, PASSPHRASE);
    secret(&key, &pem(&FileKey::generate(KeyKind::EcdsaP256).unwrap()));
    said("authority[0].key: issuing.key: the key is not the one of the CA's certificate");
    secret(&key, "nothing");
    said("authority[0].key: issuing.key: it is not one PEM block ENCRYPTED PRIVATE KEY");
    std::fs::remove_file(&key).unwrap();
    said("authority[0].key: issuing.key: cannot be read: No such file or directory (os error 2)");
    std::fs::remove_file(&passphrase).unwrap();
    said("authority[0].passphrase_file: passphrase: cannot be read: No such file or directory (os error 2)");
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let (folder, mut config) = right();
    let source = PassphraseSource::Variable("SEKISHO_TEST_NOT_SET".to_owned());
    config.passphrase = placed(source, "passphrase_variable");
    let expected = "authority[0].passphrase_variable: the environment variable SEKISHO_TEST_NOT_SET is not set";
    assert_eq!(error(folder.path(), &[config]), expected);
}

#[test]
fn a_chain_must_verify_up_to_a_root() {
    let (folder, config) = right();
    let chain = folder.path().join("chain.pem");
    let (other, own) = (Hierarchy::new("Issuing"), &FILES.0);
    let write = |certificates: &[&sekisho_pki::certificate::Certificate]| {
        let text: String = certificates.iter().map(|one| download::pem("CERTIFICATE", one.der())).collect();
        std::fs::write(&chain, text).unwrap();
    };
    let said = || error(folder.path(), std::slice::from_ref(&config));
    // Of the same name, with another key.
    write(&[&other.root]);
    let text = said();
    assert!(text.starts_with("authority[0].chain: chain.pem: CN=Issuing is not signed by the key of"), "{text}");
    write(&[&own.issuing]);
    let text = said();
    assert!(text.contains("the chain ends with CN=Issuing, which is no root"), "{text}");
    write(&[&own.root, &own.root, &own.issuing]);
    let text = said();
    assert!(text.contains("CN=Publication Root is issued by CN=Publication Root, and CN=Issuing follows it"), "{text}");
    let many: Vec<_> = std::iter::repeat_n(&own.root, 12).collect();
    write(&many);
    assert_eq!(said(), "authority[0].chain: chain.pem: it holds 12 certificates; at most 9 belong here");
    std::fs::write(&chain, "").unwrap();
    assert!(said().starts_with("authority[0].chain: chain.pem: "));
}

#[test]
fn a_certificate_not_yet_valid_is_refused_and_one_that_is_over_stops_no_start() {
    let (folder, config) = right();
    let at = |seconds| {
        let errors = Authorities::load(std::slice::from_ref(&config), clock::now().plus_seconds(seconds));
        let message = errors.map(|_| ()).unwrap_err()[0].to_string();
        message.replace(&format!("{}/", folder.path().display()), "")
    };
    // It signs nothing more, and goes on publishing; the other authorities of the configuration must start.
    let over = Authorities::load(std::slice::from_ref(&config), clock::now().plus_seconds(40 * 366 * 86_400));
    assert!(over.is_ok(), "{:?}", over.err());
    let early = at(-3_600);
    assert!(
        early.starts_with("issuer.toml:7: authority[0].certificate: issuing.pem: CN=Issuing is not valid"),
        "{early}"
    );
}

#[test]
fn several_certificates_in_the_certificate_file_are_refused() {
    let (folder, mut config) = right();
    config.certificate.value = folder.path().join("chain.pem");
    let expected = "authority[0].certificate: chain.pem: it holds 2 certificates; at most 1 belong here";
    assert_eq!(error(folder.path(), &[config]), expected);
}

#[test]
fn urls_and_times_that_would_not_work_are_refused() {
    let (folder, right) = right();
    let said = |change: &dyn Fn(&mut AuthorityConfig)| {
        let mut config = right.clone();
        change(&mut config);
        error(folder.path(), &[config])
    };
    let sixteen = std::num::NonZeroU16::new(16).unwrap();
    for (expected, change) in [
        (
            "authority[0].crl_url: ",
            &(|config: &mut AuthorityConfig| config.parts = sixteen) as &dyn Fn(&mut AuthorityConfig),
        ),
        ("authority[0].crl_url: ", &|config: &mut AuthorityConfig| config.crl_url = "https://a/x.crl".to_owned()),
        ("authority[0].delta_url: ", &|config: &mut AuthorityConfig| config.delta_url = Some(config.crl_url.clone())),
        ("authority[0].ocsp_url: ", &|config: &mut AuthorityConfig| config.ocsp_url = Some("ldap://a".to_owned())),
        ("authority[0].ca_issuers_url: ", &|config: &mut AuthorityConfig| config.ca_issuers_url = Some(String::new())),
        ("authority[0].crl_interval: ", &|config: &mut AuthorityConfig| config.crl_interval = config.crl_lifetime),
        ("authority[0].crl_interval: ", &|config: &mut AuthorityConfig| config.crl_interval = Duration::from_millis(1)),
        ("authority[0].ocsp_lifetime: ", &|config: &mut AuthorityConfig| {
            config.ocsp_lifetime = Duration::from_millis(999)
        }),
    ] {
        let text = said(change);
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn two_authorities_share_no_profile_name_or_key() {
    let (folder, first) = right();
    let mut second = first.clone();
    second.profiles = vec![placed("shinkin".into(), "profiles[0]")];
    second.name = "shinkin".into();
    let text = error(folder.path(), &[first.clone(), second.clone()]);
    assert_eq!(text, "authority[0].certificate: authority hokugin has the same name and key");
    // A file that is missing does not hide it.
    second.profiles = first.profiles.clone();
    second.key.value = folder.path().join("nothing");
    let errors = load(&[first, second]).map(|_| ()).unwrap_err();
    let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(messages[1], "profile hokugin is authority hokugin's already");
}

#[test]
fn each_profile_needs_an_authority_and_each_authority_profiles_that_are_there() {
    let (_folder, config) = right();
    let authorities = load(&[config]).unwrap();
    let place = Place { file: "issuer.toml".into(), line: 3, key: "profile".into() };
    assert_eq!(authorities.check_profiles(["hokugin"], &place), Ok(()));
    let lines = |profiles: &[&str]| {
        let errors = authorities.check_profiles(profiles.iter().copied(), &place).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let missing =
        "issuer.toml:3: profile: profile shinkin has no authority; name it in the profiles of one [[authority]]";
    assert_eq!(lines(&["hokugin", "shinkin"]), [missing]);
    assert_eq!(lines(&[]), ["issuer.toml:7: authority[0].profiles[0]: there is no profile hokugin"]);
}

#[test]
fn a_root_signs_no_users_certificates() {
    let (folder, mut config) = right();
    let wanted = sekisho_ca::hierarchy::Wanted {
        name: sekisho_ca::name::Name::new(vec![(sekisho_ca::name::AttributeType::CommonName, "Lone".to_owned())])
            .unwrap(),
        key: KeyKind::EcdsaP384,
        years: 1,
        path_len: 0,
    };
    let root = sekisho_ca::hierarchy::root(&wanted, clock::now()).unwrap();
    write_pem(&config.certificate.value, &root.certificate);
    secret(&config.key.value, &pem(&root.key));
    config.chain.value = config.certificate.value.clone();
    let text = error(folder.path(), std::slice::from_ref(&config));
    assert!(text.starts_with("authority[0].certificate: issuing.pem: CN=Lone is a root"), "{text}");
    // One that only goes on publishing may be one: what it revoked stays revoked.
    config.profiles.clear();
    assert!(load(&[config]).unwrap().iter().next().unwrap().chain.is_empty());
}
