//! What keeps an issuer from starting, each in one line.

use crate::support::Plan;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

/// The lines of its output that are no log records.
fn said(output: &str) -> Vec<&str> {
    output.lines().filter(|line| !line.starts_with('{')).collect()
}

/// Asserts that it ends with code 1 and one line, which has all of these words.
#[track_caller]
fn refused_with(plan: &Plan, words: &[&str]) {
    let (status, output) = plan.refused();
    assert_eq!(status.code(), Some(1), "{output}");
    let lines = said(&output);
    let [line] = lines[..] else { panic!("not one line: {output}") };
    assert!(line.starts_with("sekisho: "), "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line}");
    }
    for secret in ["correct horse", "AAECAwQF", "hunter2"] {
        assert!(!output.contains(secret), "{output}");
    }
}

/// The same of `--check`, which opens nothing but files.
#[track_caller]
fn refused_by_check_too(plan: &Plan, words: &[&str]) {
    refused_with(plan, words);
    let (status, output, error) = plan.check();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""));
    assert!(words.iter().all(|word| error.contains(word)) && error.lines().count() == 1, "{error}");
    assert!(!plan.path("issuer.db").exists(), "--check opened the store");
}

fn with_mode(plan: &Plan, file: &str, mode: u32) {
    std::fs::set_permissions(plan.path(file), PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_check_says_ok_and_opens_no_store_and_no_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = \"{}\"", taken.local_addr().unwrap());
    let plan = Plan::new(&["bizstation", "shinkin"]).with("listen = \"127.0.0.1:0\"", &listen);
    let (status, output, error) = plan.check();
    assert!(status.success() && output.ends_with("issuer.toml: ok\n"), "{output}{error}");
    assert!(!plan.path("issuer.db").exists());
}

#[test]
fn profiles_that_name_users_in_different_ways_are_refused_under_one_authority() {
    for (one, other) in [("bizstation", "shinkin"), ("anser-bizsol", "hokugin")] {
        let own = format!("profiles = [{other:?}]");
        let plan = Plan::new(&[one, other]).with(&own, "profiles = []");
        let plan = plan.with(&format!("profiles = [{one:?}]"), &format!("profiles = [{one:?}, {other:?}]"));
        let named = format!("\"{other}\" names users in another way than \"{one}\"");
        refused_by_check_too(&plan, &["issuer.toml:", "authority[0].profiles", &named, "an authority of its own"]);
    }
}

#[test]
fn a_missing_key_is_one_line() {
    let plan = Plan::new(&["bizstation"]);
    plan.own_authorities();
    std::fs::remove_file(plan.path("ca/biz/issuing.key")).unwrap();
    refused_by_check_too(&plan, &["issuer.toml:", "authority[0].key", "issuing.key", "No such file"]);
}

#[test]
fn a_key_that_others_may_read_is_one_line() {
    let plan = Plan::new(&["bizstation"]);
    plan.own_authorities();
    with_mode(&plan, "ca/biz/issuing.key", 0o640);
    refused_by_check_too(&plan, &["authority[0].key", "issuing.key", "0640", "chmod 600"]);
}

#[test]
fn a_wrong_passphrase_is_one_line_without_the_passphrase() {
    let plan = Plan::new(&["bizstation"]);
    plan.own_authorities();
    plan.write("ca/passphrase", "hunter2 hunter2 hunter2");
    refused_by_check_too(&plan, &["authority[0]", "issuing.key", "passphrase"]);
}

#[test]
fn a_passphrase_file_that_others_may_read_is_one_line() {
    let plan = Plan::new(&["bizstation"]);
    plan.own_authorities();
    with_mode(&plan, "ca/passphrase", 0o644);
    refused_by_check_too(&plan, &["authority[0].passphrase_file", "passphrase", "0644"]);
}

#[test]
fn a_passphrase_can_come_from_the_environment_and_its_absence_is_one_line() {
    let change =
        |plan: Plan| plan.with("passphrase_file = \"ca/passphrase\"", "passphrase_variable = \"SEKISHO_TEST_PASS\"");
    refused_with(&change(Plan::new(&["bizstation"])), &["authority[0].passphrase_variable", "SEKISHO_TEST_PASS"]);
    let issuer = change(Plan::new(&["bizstation"]));
    let issuer = issuer.start_with_variable("SEKISHO_TEST_PASS", "correct horse battery staple");
    assert!(!issuer.output().contains("correct horse"));
}

#[test]
fn another_authoritys_key_is_one_line() {
    let plan = Plan::new(&["bizstation"]).with("key = \"ca/biz/issuing.key\"", "key = \"ca/bsl/issuing.key\"");
    refused_by_check_too(&plan, &["authority[0].key", "not the one of the CA's certificate"]);
}

#[test]
fn a_secret_that_is_missing_short_or_readable_by_others_is_one_line() {
    let plan = Plan::new(&["bizstation"]);
    with_mode(&plan, "issuer.secret", 0o604);
    refused_by_check_too(&plan, &["issuer.secret_file", "0604", "0600"]);
    with_mode(&plan, "issuer.secret", 0o600);
    plan.write("issuer.secret", "AAECAwQFBgc=");
    refused_by_check_too(&plan, &["issuer.secret_file", "openssl rand"]);
    std::fs::remove_file(plan.path("issuer.secret")).unwrap();
    refused_by_check_too(&plan, &["issuer.secret_file", "No such file"]);
}

#[test]
fn an_unknown_key_is_one_line_with_the_key_that_was_meant() {
    let plan = Plan::new(&["bizstation"]).with("drain_timeout", "drain_timeuot");
    refused_by_check_too(&plan, &["issuer.toml:", "issuer.drain_timeuot", "did you mean \"drain_timeout\"?"]);
}

#[test]
fn an_impossible_profile_is_one_line_with_its_own_file_and_line() {
    let plan = Plan::new(&["bizstation"]).with_profile("bizstation", "digits = 16", "digits = 4");
    refused_by_check_too(&plan, &["bizstation.toml:", "acquisition.secret.digits", "4 is out of range"]);
}

#[test]
fn a_profile_without_an_authority_is_one_line() {
    let plan = Plan::new(&["bizstation", "shinkin"]).with("profiles = [\"shinkin\"]", "profiles = [\"sinkin\"]");
    let (status, output) = plan.refused();
    assert_eq!(status.code(), Some(1));
    let lines = said(&output).join("\n");
    assert!(lines.contains("profile shinkin has no authority"), "{lines}");
    assert!(lines.contains("there is no profile sinkin"), "{lines}");
}

#[test]
fn every_error_of_every_file_is_told_at_once() {
    let plan = Plan::new(&["bizstation"]).with_profile("bizstation", "digits = 16", "digits = 4");
    plan.own_authorities();
    with_mode(&plan, "ca/biz/issuing.key", 0o644);
    with_mode(&plan, "issuer.secret", 0o644);
    for file in ["api.pem", "api.key", "services-ca.pem", "gateway.jwks"] {
        std::fs::remove_file(plan.path(file)).unwrap();
    }
    let plan = plan.and(
        "\n[mail]\nhost = \"mail.bank.example\"\nport = 587\nfrom = \"bank@bank.example\"\n\
         portal_url = \"https://portal.bank.example/\"\nca = \"mail-ca.pem\"\n\
         user = \"sekisho\"\npassword_file = \"mail.password\"\n\
         \n[credentials]\nkind = \"delegated\"\nurl = \"https://ib.bank.example/check\"\nca = \"ib-ca.pem\"\n\
         authorization_file = \"ib.authorization\"\n",
    );
    let files = [
        "digits",
        "issuing.key",
        "issuer.secret",
        "api.pem",
        "api.key",
        "services-ca.pem",
        "gateway.jwks",
        "mail-ca.pem",
        "mail.password",
        "ib-ca.pem",
        "ib.authorization",
    ];
    let (_, output) = plan.refused();
    let (_, _, checked) = plan.check();
    for output in [said(&output).join("\n"), checked] {
        assert_eq!(output.lines().count(), files.len(), "{output}");
        for word in files {
            assert!(output.contains(word), "{word}: {output}");
        }
    }
}

#[test]
fn a_store_that_cannot_be_reached_is_one_line_without_its_password() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = Plan::new(&["bizstation"]).on_postgres(&format!("postgres://sekisho:hunter2@{unused}/sekisho"));
    refused_with(&plan, &["issuer.toml:", "store.url"]);
    let plan = Plan::new(&["bizstation"]).with("sqlite:issuer.db", "sqlite:no/such/folder/issuer.db");
    refused_with(&plan, &["store.url"]);
}

#[test]
fn a_port_that_is_taken_is_one_line_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["listen", "public_listen", "admin"] {
        let plan =
            Plan::new(&["bizstation"]).with(&format!("\n{key} = \"127.0.0.1:0\""), &format!("\n{key} = \"{address}\""));
        refused_with(&plan, &[&format!("issuer.{key}"), &address, "in use"]);
        assert!(!plan.path("issuer.db").exists(), "it touched the store before it could serve");
    }
}

#[test]
fn a_list_that_cannot_be_published_is_one_line() {
    let plan = Plan::new(&["bizstation"]);
    std::fs::remove_dir(plan.path("lists")).unwrap();
    refused_with(&plan, &["authority[0].publish_folder", "lists", "is not a folder"]);
    let (status, _, errors) = plan.check();
    assert!(!status.success() && errors.contains("authority[0].publish_folder"), "{errors}");
}

#[test]
fn a_second_issuer_on_one_file_is_one_line_and_the_first_goes_on() {
    let first = Plan::new(&["bizstation"]).start();
    let database = format!("url = \"sqlite:{}\"", first.plan.path("issuer.db").display());
    let second = Plan::new(&["bizstation"]).with("url = \"sqlite:issuer.db\"", &database);
    refused_with(&second, &["store.url", "issuer.db.lock", "another issuer uses this file"]);
    assert_eq!(first.admin_get("/readyz").0, 200);
    // However the first ends.
    let plan = first.kill();
    plan.start();
}

#[test]
fn a_root_as_an_authority_that_signs_is_one_line() {
    let plan = Plan::new(&["bizstation"]);
    plan.own_authorities();
    let root = |file: &str| format!("{file} = \"ca/made/root/root");
    let plan = plan.with("certificate = \"ca/biz/issuing", &root("certificate"));
    let plan = plan.with("chain = \"ca/biz/chain", &root("chain"));
    refused_with(&plan, &["authority[0].certificate", "is a root", "offline"]);
}

#[test]
fn a_secret_of_zeros_is_one_line() {
    let plan = Plan::new(&["bizstation"]);
    with_mode(&plan, "issuer.secret", 0o600);
    plan.write("issuer.secret", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    refused_by_check_too(&plan, &["issuer.secret_file", "not random", "openssl rand"]);
}
