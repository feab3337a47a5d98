//! Trust from files: what is wrong with them, and that a reload never makes things worse (requirements G10, R2, R4).

use sekisho_testkit::revocation;

use revocation::*;
use sekisho_config::{AnchorExpiry, Ca, ConfigError, Place, Placed, RevocationSource, RevocationSources};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_trust::*;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A folder with CA files and lists, and the configuration that names them.
struct Files {
    folder: TempDir,
    cas: Vec<Ca>,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), cas: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> &Self {
        // As tools should: a new file in the place of the old.
        let new = self.path(".new");
        fs::write(&new, contents).unwrap();
        fs::rename(new, self.path(name)).unwrap();
        self
    }

    /// Configures a CA whose certificate is `<name>.pem`.
    fn ca(mut self, name: &str, issued_by: Option<&str>, crl: Option<&str>) -> Self {
        let index = self.cas.len();
        let place =
            |key: &str| Place { file: "sekisho.toml".into(), line: 10 * (index + 1), key: format!("ca[{index}]{key}") };
        let revocation = crl.map_or(RevocationSource::None, |crl| {
            RevocationSource::From(RevocationSources {
                files: vec![Placed { value: self.path(crl), place: place(".revocation.crl[0]") }],
                ..RevocationSources::default()
            })
        });
        self.cas.push(Ca {
            name: name.into(),
            place: place(""),
            certificate: Placed { value: self.path(&format!("{name}.pem")), place: place(".certificate") },
            issued_by: issued_by.map(Arc::from),
            state: Default::default(),
            revocation,
            anchor_expiry: AnchorExpiry::Check,
            identity: None,
            contracts: None,
            guidance: Default::default(),
        });
        self
    }

    fn load(&self, previous: Option<&TrustSnapshot>) -> Result<LoadOutcome, Vec<ConfigError>> {
        load(&self.cas, previous, NOW)
    }

    /// As a start of a gateway whose state folder is here.
    fn restart(&self) -> Result<LoadOutcome, Vec<ConfigError>> {
        let withdrawn = withdrawn::read(&self.path("state")).unwrap();
        let remembered = Remembered { kept: None, withdrawn: &withdrawn, last: Some(&self.last()) };
        load_remembering(&self.cas, remembered, None, NOW)
    }

    /// Keeps what a gateway would.
    fn keep(&self, loaded: &LoadOutcome) {
        withdrawn::write(&self.path("state"), &loaded.snapshot.withdrawn()).unwrap();
        let keeping = self.last().keep(&loaded.snapshot);
        assert!(keeping.is_whole(), "{keeping:?}");
    }

    fn last(&self) -> LastInForce {
        LastInForce::at(&Placed { value: self.path("state"), ..Placed::default() })
    }

    /// Each error as `key: message`, without the folder.
    fn errors(&self, previous: Option<&TrustSnapshot>) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let errors = self.load(previous).unwrap_err();
        errors.iter().map(|error| format!("{}: {}", error.place.key, error.message.replace(&folder, ""))).collect()
    }
}

fn one_ca(ca: &TestCa) -> Files {
    let files = Files::new().ca("a", None, Some("a.crl"));
    files.write("a.pem", &ca.pem);
    files
}

fn kinds(outcome: &LoadOutcome) -> Vec<AlarmKind> {
    outcome.alarms.iter().map(|alarm| alarm.kind).collect()
}

fn number(outcome: &LoadOutcome) -> Option<String> {
    outcome.snapshot.status(NOW)[0].crl_number.clone()
}

fn is_revoked(outcome: &LoadOutcome, ca: &TestCa, serial: u8) -> bool {
    let serial = SerialNumber::from_der_content(&[serial]).unwrap();
    let status = outcome.snapshot.revocation(&Question::client(&ca.certificate.authority_key(), &serial), NOW);
    matches!(status, RevocationStatus::Revoked { .. })
}

const SAY_NONE: &str = "(a CA without lists must say revocation = \"none\")";

#[test]
fn lists_are_read_as_der_as_pem_and_several_from_one_file_or_folder() {
    let ca = TestCa::root("A");
    let (one, two) = (ca.list().number(1), ca.list().number(2).this_update(NOW).revoke(&[5]));
    let der = one_ca(&ca);
    der.write("a.crl", two.sign());
    assert!(is_revoked(&der.load(None).unwrap(), &ca, 5));
    let pem = one_ca(&ca);
    pem.write("a.crl", [one.pem(), two.pem()].concat());
    let loaded = pem.load(None).unwrap();
    assert_eq!((number(&loaded), kinds(&loaded)), (Some("2".to_owned()), vec![]));

    let folder = Files::new().ca("a", None, Some("lists"));
    folder.write("a.pem", &ca.pem);
    fs::create_dir_all(folder.path("lists/below")).unwrap();
    folder.write("lists/2", two.sign()).write("lists/1.pem", one.pem()).write("lists/.hidden", "garbage");
    let loaded = folder.load(None).unwrap();
    assert_eq!((number(&loaded), kinds(&loaded)), (Some("2".to_owned()), vec![]));
}

#[test]
fn wrong_ca_files_are_named_with_key_and_path_all_at_once() {
    let (a, b) = (TestCa::root("A"), TestCa::root("B"));
    let mut files = Files::new();
    for name in ["missing", "empty", "garbage", "two", "broken", "folder", "right"] {
        files = files.ca(name, None, None);
    }
    files
        .write("empty.pem", "")
        .write("garbage.pem", "garbage")
        .write("two.pem", [a.pem.as_str(), &b.pem].concat())
        .write("broken.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
        .write("right.pem", &a.pem);
    fs::create_dir(files.path("folder.pem")).unwrap();
    let errors = files.errors(None);
    assert_eq!(errors.len(), 6, "{errors:#?}");
    for (error, expected) in errors.iter().zip([
        "ca[0].certificate: missing.pem: No such file or directory",
        "ca[1].certificate: empty.pem: it is empty",
        "ca[2].certificate: garbage.pem: there is no PEM certificate in it",
        "ca[3].certificate: two.pem: it holds 2 certificates; each CA has its own file with one",
        "ca[4].certificate: broken.pem: it is not a DER certificate",
        "ca[5].certificate: folder.pem: it is not a file",
    ]) {
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}

#[test]
fn a_ca_under_the_wrong_issuer_or_twice_is_refused() {
    let (root, other) = (TestCa::root("R"), TestCa::root("R"));
    let files = Files::new().ca("r", None, None).ca("i", Some("r"), None).ca("s", None, None);
    files.write("r.pem", &other.pem).write("i.pem", root.below("I").pem).write("s.pem", &other.pem);
    assert_eq!(
        files.errors(None),
        [
            "ca[1].certificate: i.pem: it was not issued by r: the signature is not the issuer's",
            "ca[2].certificate: s.pem: the CA r has the same name and key already",
        ]
    );
}

#[test]
fn at_start_a_source_without_a_list_is_an_error_that_names_key_and_file() {
    let (ca, twin) = (TestCa::root("A"), TestCa::root("A"));
    let error = |contents: Option<Vec<u8>>| {
        let files = one_ca(&ca);
        if let Some(contents) = contents {
            files.write("a.crl", contents);
        }
        let mut errors = files.errors(None);
        assert_eq!(errors.len(), 1, "{errors:#?}");
        errors.remove(0)
    };
    let expect =
        |why: &str| format!("ca[0].revocation.crl[0]: a.crl: no complete revocation list of ca a: {why} {SAY_NONE}");
    assert_eq!(error(None), expect("No such file or directory (os error 2)"));
    assert_eq!(error(Some(vec![])), expect("it is empty"));
    assert_eq!(error(Some(b"garbage".to_vec())), expect("there is no revocation list in it, PEM or DER"));
    assert_eq!(error(Some(twin.list().sign())), expect("the signature is not the issuer's"));
    assert_eq!(
        error(Some(TestCa::root("B").list().sign())),
        expect("it was issued by CN=B, which is no configured CA")
    );
    assert_eq!(
        error(Some(ca.list().this_update(NOW.plus_seconds(400)).sign())),
        expect("its thisUpdate 2026-11-22T00:06:40Z lies in the future: it is 2026-11-22T00:00:00Z")
    );
    let cut = ca.list().sign();
    assert_eq!(
        error(Some(cut[..cut.len() - 1].to_vec())),
        expect("not a revocation list: the octets end inside CertificateList")
    );
    let delta = error(Some(ca.list().number(2).delta(1).sign()));
    assert!(delta.contains("it builds on a list that did not come (number 1 or later)"), "{delta}");
    let without_number = error(Some(ca.list().number(None).sign()));
    assert!(without_number.contains("it has no CRLNumber"), "{without_number}");
    let without_end = error(Some(ca.list().next_update(None).sign()));
    assert!(without_end.contains("it has no nextUpdate"), "{without_end}");
}

#[test]
fn an_empty_folder_is_no_list() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    fs::create_dir(files.path("a.crl")).unwrap();
    assert_eq!(
        files.errors(None),
        [format!(
            "ca[0].revocation.crl[0]: a.crl: no complete revocation list of ca a: the folder is empty {SAY_NONE}"
        )]
    );
}

#[test]
fn a_list_in_another_cas_file_does_not_count() {
    let (a, b) = (TestCa::root("A"), TestCa::root("B"));
    let files = Files::new().ca("a", None, Some("a.crl")).ca("b", None, Some("b.crl"));
    files.write("a.pem", &a.pem).write("b.pem", &b.pem);
    files.write("a.crl", a.list().sign()).write("b.crl", a.list().number(9).sign());
    let why = "it is the list of a, which does not name this file as a source";
    assert_eq!(
        files.errors(None),
        [format!("ca[1].revocation.crl[0]: b.crl: no complete revocation list of ca b: {why} {SAY_NONE}")]
    );
}

#[test]
fn on_reload_a_bad_file_leaves_the_old_list_in_force_and_alarms() {
    let (ca, twin) = (TestCa::root("A"), TestCa::root("A"));
    let files = one_ca(&ca);
    files.write("a.crl", ca.list().number(5).revoke(&[5]).sign());
    let first = files.load(None).unwrap();
    assert_eq!(first.alarms, []);
    let next = ca.list().number(6).revoke(&[5]).sign();
    let bad: [(Vec<u8>, AlarmKind); 5] = [
        (vec![], AlarmKind::Unreadable),
        (b"garbage".to_vec(), AlarmKind::Malformed),
        (next[..next.len() / 2].to_vec(), AlarmKind::Malformed),
        (twin.list().number(6).sign(), AlarmKind::BadSignature),
        (ca.list().number(6).this_update(NOW.plus_seconds(DAY / 2)).sign(), AlarmKind::FromTheFuture),
    ];
    for (contents, kind) in bad {
        files.write("a.crl", contents);
        let loaded = files.load(Some(&first.snapshot)).unwrap();
        assert_eq!(kinds(&loaded), [kind, AlarmKind::Missing]);
        assert_eq!(number(&loaded).as_deref(), Some("5"), "{kind:?}");
        assert!(is_revoked(&loaded, &ca, 5), "{kind:?}");
        assert_eq!(loaded.alarms[0].file.as_ref(), files.path("a.crl").to_str().unwrap());
    }
    files.write("a.crl", ca.list().number(4).sign());
    assert_eq!(kinds(&files.load(Some(&first.snapshot)).unwrap()), [AlarmKind::RolledBack]);
    fs::remove_file(files.path("a.crl")).unwrap();
    let loaded = files.load(Some(&first.snapshot)).unwrap();
    assert_eq!(kinds(&loaded), [AlarmKind::Unreadable, AlarmKind::Missing]);
    assert!(is_revoked(&loaded, &ca, 5));
    files.write("a.crl", next);
    let loaded = files.load(Some(&first.snapshot)).unwrap();
    assert_eq!((number(&loaded), kinds(&loaded)), (Some("6".to_owned()), vec![]));
}

#[test]
fn a_ca_that_is_new_at_a_reload_needs_a_list_too() {
    let (a, b) = (TestCa::root("A"), TestCa::root("B"));
    let files = one_ca(&a);
    files.write("a.crl", a.list().sign());
    let first = files.load(None).unwrap();
    let files = files.ca("b", None, Some("b.crl"));
    files.write("b.pem", &b.pem);
    assert_eq!(files.errors(Some(&first.snapshot)).len(), 1);
}

#[test]
fn a_reload_sees_a_new_list_and_does_not_read_an_unchanged_one_again() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    files.write("a.crl", ca.list().number(5).revoke(&[5]).sign());
    // Later than the file's change, as a settled file is.
    let later = Timestamp::from_unix(sekisho_runtime::clock::now().unix() + 60);
    let in_force = |snapshot: &TrustSnapshot| match snapshot.authorities()[0].revocation() {
        Revocation::Lists(lists) => Arc::clone(lists.in_force().unwrap()),
        Revocation::NotChecked => panic!("it has a list"),
    };
    let first = load(&files.cas, None, later).unwrap().snapshot;
    let again = load(&files.cas, Some(&first), later).unwrap().snapshot;
    assert!(Arc::ptr_eq(&in_force(&first), &in_force(&again)), "the same list, not one like it");
    files.write("a.crl", ca.list().number(6).sign());
    let third = load(&files.cas, Some(&again), later).unwrap().snapshot;
    assert_eq!(in_force(&third).number(), Some("6"));
    assert_eq!(in_force(&third).entries(), 0);
}

#[test]
fn a_changed_set_of_cas_reads_every_list_again() {
    let (ca, new_key) = (TestCa::root("A"), TestCa::root("A"));
    let files = one_ca(&ca);
    files.write("a.crl", ca.list().number(5).sign());
    let later = Timestamp::from_unix(sekisho_runtime::clock::now().unix() + 60);
    let first = load(&files.cas, None, later).unwrap().snapshot;
    files.write("a.pem", &new_key.pem);
    let errors = load(&files.cas, Some(&first), later).unwrap_err();
    assert!(errors[0].message.contains("the signature is not the issuer's"), "{errors:?}");
}

#[test]
fn a_pipe_is_no_file_and_does_not_make_loading_wait() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    let made = std::process::Command::new("mkfifo").arg(files.path("a.crl")).status().unwrap();
    assert!(made.success());
    assert!(files.errors(None)[0].contains("it is not a file"));
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    // Sparse: it takes no room.
    fs::File::create(files.path("a.crl")).unwrap().set_len((256 << 20) + 1).unwrap();
    assert!(files.errors(None)[0].contains("it has 268435457 octets; at most 268435456 are accepted"));
}

#[test]
fn a_file_of_too_many_lists_is_not_taken_apart() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    files.write("a.crl", ca.list().pem().repeat(1_025));
    assert!(files.errors(None)[0].contains("it holds 1025 lists; at most 1024 are accepted"));
}

/// Both bounds: what is kept one by one, and the CRL that stays in its place, over a restart too.
#[test]
fn a_ca_that_withdraws_more_than_can_be_kept_goes_on_by_its_old_crl_and_with_a_second_one_is_closed() {
    const TOO_MANY: usize = 500_001;
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    let put = |number: u64, entries: Vec<u8>| {
        files.write("a.crl", ca.list().number(number).entries(entries).sign());
    };
    let last = random_serial(TOO_MANY - 1);
    let of = |loaded: &LoadOutcome, serial: &[u8]| {
        let serial = SerialNumber::from_der_content(serial).unwrap();
        loaded.snapshot.revocation(&Question::client(&ca.certificate.authority_key(), &serial), NOW)
    };
    put(1, many_entries(TOO_MANY, random_serial));
    let first = files.load(None).unwrap();
    files.keep(&first);
    put(2, Vec::new());
    let second = files.load(Some(&first.snapshot)).unwrap();
    assert!(matches!(of(&second, &last), RevocationStatus::Revoked { .. }));
    assert!(matches!(of(&second, &[5]), RevocationStatus::Good { .. }));
    assert_eq!(kinds(&second), [AlarmKind::Withdrawn]);
    assert!(second.alarms[0].message.contains("-retained.crl"), "{}", second.alarms[0].message);
    // A start after a death before anything was kept comes to the same as one after it was.
    assert!(matches!(of(&files.restart().unwrap(), &last), RevocationStatus::Revoked { .. }));
    files.keep(&second);
    let second = files.restart().unwrap();
    assert!(matches!(of(&second, &last), RevocationStatus::Revoked { .. }) && kinds(&second).is_empty());
    assert!(matches!(of(&second, &[5]), RevocationStatus::Good { .. }));
    put(3, many_entries(TOO_MANY, sequential_serial));
    let third = files.load(Some(&second.snapshot)).unwrap();
    assert!(kinds(&third).is_empty(), "{:?}", third.alarms);
    put(4, Vec::new());
    let fourth = files.load(Some(&third.snapshot)).unwrap();
    assert!(matches!(of(&fourth, &last), RevocationStatus::Revoked { .. }));
    assert!(matches!(of(&fourth, &[5]), RevocationStatus::Unavailable { .. }));
    assert!(
        fourth.alarms.iter().any(|alarm| alarm.message.contains("no certificate of this CA is accepted")),
        "{:?}",
        fourth.alarms
    );
}

/// Kept under the key of the CA, whoever signed it, delta CRLs and parts too.
#[test]
fn every_kind_of_crl_that_was_in_force_is_compared_at_a_start() {
    const POINT: &str = "http://crl.example.jp/1.crl";
    let ca = TestCa::root("A");
    let files = Files::new().ca("a", None, Some("crls"));
    files.write("a.pem", &ca.pem);
    fs::create_dir(files.path("crls")).unwrap();
    files.write("crls/full", ca.list().number(1).sign());
    files.write("crls/delta", ca.list().number(2).delta(1).revoke(&[5]).sign());
    files.write("crls/part", ca.list().number(8).at_point(POINT).revoke(&[6]).sign());
    files.keep(&files.load(None).unwrap());
    fs::remove_file(files.path("crls/delta")).unwrap();
    files.write("crls/part", ca.list().number(7).at_point(POINT).sign());
    let started = files.restart().unwrap();
    let at = [sekisho_pki::points::DistributionPoint::at_uri(POINT)];
    let of = |serial: u8| {
        let (key, serial) = (ca.certificate.authority_key(), SerialNumber::from_der_content(&[serial]).unwrap());
        started.snapshot.revocation(&Question::client(&key, &serial).at(&at), NOW)
    };
    assert!([5, 6].iter().all(|serial| matches!(of(*serial), RevocationStatus::Revoked { .. })));
    assert!(matches!(of(7), RevocationStatus::Good { .. }));
    let mut told = kinds(&started);
    told.sort_unstable();
    assert_eq!(told, [AlarmKind::RolledBack, AlarmKind::Missing], "{:?}", started.alarms);
}

#[test]
fn a_crl_that_left_its_file_before_it_was_kept_is_told_and_what_was_kept_before_stays() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    files.write("a.crl", ca.list().number(1).revoke(&[5]).sign());
    let first = files.load(None).unwrap();
    files.keep(&first);
    files.write("a.crl", ca.list().number(2).revoke(&[5]).sign());
    let second = files.load(Some(&first.snapshot)).unwrap();
    files.write("a.crl", ca.list().number(3).sign());
    let keeping = files.last().keep(&second.snapshot);
    assert!(keeping.not_kept == 1 && keeping.failed.is_empty(), "{keeping:?}");
    assert!(keeping.lost.first().unwrap().contains("a.crl: it no longer has a CRL that is in force"));
    assert_eq!(kinds(&files.restart().unwrap()), [AlarmKind::Withdrawn]);
}

/// Its file has the signature of the CRL in force and another entry: kept so, it would be worth nothing at the next start.
#[test]
fn a_crl_whose_file_was_changed_since_it_was_loaded_is_not_kept_in_its_place() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    files.write("a.crl", ca.list().number(1).revoke(&[0x55]).sign());
    let first = files.load(None).unwrap();
    files.keep(&first);
    let mut der = ca.list().number(2).revoke(&[0x55]).sign();
    files.write("a.crl", &der);
    let second = files.load(Some(&first.snapshot)).unwrap();
    let serial = der.windows(3).position(|three| three == [2, 1, 0x55]).unwrap() + 2;
    der[serial] = 0x56;
    files.write("a.crl", der);
    let keeping = files.last().keep(&second.snapshot);
    assert!(keeping.not_kept == 1 && keeping.lost.len() == 1, "{keeping:?}");
    files.write("a.crl", ca.list().number(3).sign());
    let started = files.restart().unwrap();
    assert!(is_revoked(&started, &ca, 0x55) && kinds(&started) == [AlarmKind::Withdrawn], "{:?}", started.alarms);
}

#[test]
fn a_kept_crl_from_the_future_is_the_clocks_fault_and_said_to_be() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    files.write("a.crl", ca.list().number(1).revoke(&[5]).sign());
    files.keep(&files.load(None).unwrap());
    files.write("a.crl", ca.list().number(2).revoke(&[5]).sign());
    let remembered = Remembered { kept: None, withdrawn: &WithdrawnBook::new(), last: Some(&files.last()) };
    let before = NOW.plus_seconds(-3 * 86_400);
    let message = load_remembering(&files.cas, remembered, None, before).unwrap_err()[0].message.clone();
    assert!(message.contains("lies in the future") && message.contains("clock was set back"), "{message}");
    assert!(!message.contains("remove it"), "{message}");
}

#[test]
fn a_crl_that_cannot_be_kept_keeps_no_other_from_being_kept() {
    let (a, b) = (TestCa::root("A"), TestCa::root("B"));
    let files = Files::new().ca("a", None, Some("a.crl")).ca("b", None, Some("b.crl"));
    files.write("a.pem", &a.pem).write("b.pem", &b.pem);
    let put = |number: u64| {
        files.write("a.crl", a.list().number(number).revoke(&[5]).sign());
        files.write("b.crl", b.list().number(number).revoke(&[6]).sign());
    };
    // Whichever is written first.
    for (name, whole) in [("a.crl", &b), ("b.crl", &a)] {
        put(1);
        let first = files.load(None).unwrap();
        files.keep(&first);
        put(2);
        let second = files.load(Some(&first.snapshot)).unwrap();
        let gone = fs::read(files.path(name)).unwrap();
        files.write(name, b"garbage");
        let keeping = files.last().keep(&second.snapshot);
        assert!(keeping.not_kept == 1 && !keeping.is_whole(), "{keeping:?}");
        put(1);
        let started = files.restart().unwrap();
        assert_eq!(kinds(&started), [AlarmKind::RolledBack], "{:?}", started.alarms);
        let number = |ca: &TestCa| {
            let status = started.snapshot.status(NOW).into_iter();
            let named = if ca.pem == a.pem { "a" } else { "b" };
            status.filter(|status| &*status.ca == named).find_map(|status| status.crl_number)
        };
        let other = if std::ptr::eq(whole, &a) { &b } else { &a };
        assert_eq!((number(whole).as_deref(), number(other).as_deref()), (Some("2"), Some("1")));
        // Once its source has it, it is kept as well.
        files.write(name, gone);
        files.keep(&second);
        fs::remove_dir_all(files.last().folder()).unwrap();
    }
}

/// It may have revoked anybody, and does not stop to when its source goes back while the gateway is stopped.
#[test]
fn a_malformed_crl_that_closed_its_ca_closes_it_after_a_start_too() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    let whole = ca.list().number(1).sign();
    files.write("a.crl", &whole);
    let first = files.load(None).unwrap();
    files.keep(&first);
    let twice = ca.list().number(2).extension(UNKNOWN, false, &[]).extension(UNKNOWN, false, &[]);
    files.write("a.crl", twice.sign());
    let second = files.load(Some(&first.snapshot)).unwrap();
    assert!(!second.snapshot.is_ready(NOW));
    files.keep(&second);
    files.write("a.crl", whole);
    assert!(!files.restart().unwrap().snapshot.is_ready(NOW));
}

/// It was taken out for what it signed: the next start must not stop at that.
#[test]
fn a_malformed_crl_of_a_delegated_signer_goes_with_its_signer() {
    let ca = TestCa::root("A");
    let signer = TestCa::new("A", &[rcgen::KeyUsagePurpose::CrlSign], rcgen::IsCa::ExplicitNoCa, 2, Some(&ca));
    let named = |files: Files| {
        files.write("a.pem", &ca.pem).write("s.pem", &signer.pem);
        files.write("a.crl", ca.list().number(1).revoke(&[5]).sign());
        files
    };
    let files = named(Files::new().ca("a", None, Some("a.crl")).ca("s", Some("a"), Some("a.crl")));
    let twice = signer.list().number(2).extension(UNKNOWN, false, &[]).extension(UNKNOWN, false, &[]);
    files.write("a.crl", [ca.list().number(1).revoke(&[5]).pem(), twice.pem()].concat());
    let first = files.load(None).unwrap();
    assert!(!first.snapshot.is_ready(NOW), "{:?}", first.alarms);
    files.keep(&first);
    let alone = Files { folder: files.folder, cas: files.cas[..1].to_vec() };
    alone.write("a.crl", ca.list().number(1).revoke(&[5]).sign());
    let started = alone.restart().unwrap();
    assert!(started.snapshot.is_ready(NOW) && is_revoked(&started, &ca, 5));
    assert!(!kinds(&started).is_empty() && kinds(&started).iter().all(|kind| *kind == AlarmKind::UnknownIssuer));
}

#[test]
fn a_kept_crl_whose_signer_is_configured_no_more_is_named_and_not_used_and_other_files_are_refused() {
    let ca = TestCa::root("A");
    let files = one_ca(&ca);
    files.write("a.crl", ca.list().number(2).revoke(&[5]).sign());
    let first = files.load(None).unwrap();
    files.keep(&first);
    let kept = files.last().folder().to_owned();
    let only = || fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let [file] = &only()[..] else { panic!("{:?}", only()) };
    // What a death left is nobody's.
    fs::write(kept.join(".unfinished-1"), "half").unwrap();
    files.keep(&first);
    assert_eq!(only(), std::slice::from_ref(file));
    files.write("a.crl", ca.list().number(1).sign());
    assert_eq!(kinds(&files.restart().unwrap()), [AlarmKind::RolledBack]);
    let message = |files: &Files| files.restart().unwrap_err()[0].message.clone();
    fs::write(kept.join("mine.crl"), "x").unwrap();
    assert!(message(&files).contains("mine.crl: not a name of a stored CRL"), "{}", message(&files));
    fs::remove_file(kept.join("mine.crl")).unwrap();
    fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let keeping = files.last().keep(&first.snapshot);
    assert!(keeping.not_kept == 1 && keeping.failed[0].contains("others may write to it"), "{keeping:?}");
    fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // Another CA's, signed and whole, under this CA's name.
    let other = TestCa::root("A").list().number(9).sign();
    let name = file.file_name().unwrap().to_str().unwrap();
    let sum = sekisho_pki::fingerprint::sha256(&[&other]);
    let sum: String = sum.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
    fs::remove_file(file).unwrap();
    fs::write(kept.join(format!("{}{sum}.crl", &name[..2 * 65])), other).unwrap();
    let started = files.restart().unwrap();
    assert_eq!(kinds(&started), [AlarmKind::UnknownIssuer]);
    assert_eq!(number(&started).as_deref(), Some("1"));
}
