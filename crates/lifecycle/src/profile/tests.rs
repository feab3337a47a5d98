//! The shipped profiles, and what no profile may say.

use super::*;

const SHIPPED: [(&str, &str); 4] = [
    ("bizstation", include_str!("../../../../config/profiles/bizstation.toml")),
    ("anser-bizsol", include_str!("../../../../config/profiles/anser-bizsol.toml")),
    ("shinkin", include_str!("../../../../config/profiles/shinkin.toml")),
    ("hokugin", include_str!("../../../../config/profiles/hokugin.toml")),
];

fn shipped(name: &str) -> &'static str {
    SHIPPED.iter().find(|(known, _)| *known == name).unwrap().1
}

fn read(text: &str) -> Result<Profile, Vec<String>> {
    parse(text, "p.toml").map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// The profile with the first line that begins with `key` replaced, and that line's number.
fn edited(name: &str, line: &str, with: &str) -> (String, usize) {
    let text = shipped(name);
    let number = text.lines().position(|found| found.starts_with(line)).unwrap_or_else(|| panic!("{line} in {name}"));
    let lines: Vec<&str> = text.lines().enumerate().map(|(at, old)| if at == number { with } else { old }).collect();
    (lines.join("\n"), number + 1)
}

/// Each edit gives exactly this message at this key, at the edit's own line.
fn check(cases: &[(&str, &str, &str, &str)]) {
    for (name, line, with, message) in cases {
        let (text, number) = edited(name, line, with);
        assert_eq!(read(&text).err(), Some(vec![format!("p.toml:{number}: {message}")]), "{name}: {with}");
    }
}

#[test]
fn every_shipped_profile_is_accepted_under_its_name() {
    for (name, text) in SHIPPED {
        let profile = read(text).unwrap_or_else(|errors| panic!("{errors:#?}"));
        assert_eq!(&*profile.name, name);
    }
}

#[test]
fn every_value_of_a_shipped_profile_says_where_it_comes_from() {
    let source = regex::Regex::new(r" # (00[0-4]\b|assumed\b)").unwrap();
    let mut values = 0;
    for (name, text) in SHIPPED {
        for (index, line) in text.lines().enumerate() {
            if line.contains(" = ") && !line.starts_with('#') {
                values += 1;
                assert!(source.is_match(line), "{name}.toml:{}: {line}", index + 1);
            }
        }
    }
    assert!(values > 300, "{values}");
}

#[test]
fn the_seeds_labels_and_screen_ids_are_in_the_profiles() {
    let profile = |name| read(shipped(name)).unwrap();
    let states = |name| profile(name).states.clone();
    let role = |name, role: &str| profile(name).role(&RoleName(role.into())).unwrap().label.ja.clone();
    // 002: the column 証明書状態. 004 writes 発行済 and 失効済.
    for (state, bizsol, hokugin) in [
        (ShownState::NotIssued, "未発行", "未発行"),
        (ShownState::Issued, "発行済み", "発行済"),
        (ShownState::Renewable, "更新可", "更新可"),
        (ShownState::Expired, "有効期限切れ", "有効期限切れ"),
        (ShownState::Revoked, "失効済み", "失効済"),
        (ShownState::UserSuspended, "利用者停止", "利用者停止"),
    ] {
        assert_eq!(states("anser-bizsol").label(state).ja, bizsol);
        assert_eq!(states("hokugin").label(state).ja, hokugin);
    }
    assert_eq!(states("shinkin").label(ShownState::Issued).ja, "有効");
    for name in ["anser-bizsol", "hokugin"] {
        for id in ["CCHK001", "BSSK001", "BRSK001", "BRSK018", "BRSK019", "BRSK020"] {
            assert!(profile(name).screen(id).is_some(), "{name} {id}");
        }
        assert_eq!(role(name, "master"), "マスターユーザ");
        assert_eq!(role(name, "administrator"), "管理者ユーザ");
        assert_eq!(role(name, "general"), "一般ユーザ");
    }
    assert_eq!(role("bizstation", "service-manager"), "サービス管理責任者");
    assert_eq!(role("bizstation", "reissuer"), "証明書取得用パスワード再発行可能な利用者");
    assert_eq!(role("shinkin", "administrator"), "管理者");
    assert_eq!(role("shinkin", "user"), "利用者");
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    check(&[(
        "shinkin",
        "proof_lifetime",
        "proof_lifetme = \"5m\"\nproof_lifetime = \"5m\"",
        "proof_lifetme: is not a known key; did you mean \"proof_lifetime\"?",
    )]);
    let (text, line) = edited("anser-bizsol", "window_days", "window_days = 40\ncolour = 1");
    let message = format!("p.toml:{}: renewal.colour: is not a known key; the keys here are window_days", line + 1);
    assert_eq!(read(&text).err(), Some(vec![message]));
}

#[test]
fn a_wrong_value_is_refused_with_its_line() {
    check(&[
        ("bizstation", "digits", "digits = 8", "acquisition.secret.digits: 8 is out of range; write 12 to 32"),
        (
            "bizstation",
            "opens",
            "opens = \"by-magic\"",
            "acquisition.opens: \"by-magic\" is not what opens an acquisition; write \"by-offer\" or \"by-user\"",
        ),
        (
            "bizstation",
            "p12_name",
            "p12_name = \"../x.p12\"",
            "delivery.p12_name: \"../x.p12\" is not a name; write 1 to 64 of A-Z a-z 0-9 . _ -",
        ),
        (
            "bizstation",
            "p12_name",
            "p12_name = \"x.exe\"",
            "delivery.p12_name: \"x.exe\" is not the name of a .p12 file; write \"certificate.p12\"",
        ),
        (
            "bizstation",
            "before_expiry_days",
            "before_expiry_days = [7, 40]",
            "notices.before_expiry_days: is no ladder; write the days from the most to the fewest, each once",
        ),
        (
            "bizstation",
            "deadline",
            "deadline = \"1500ms\"",
            "acquisition.deadline: \"1500ms\" is out of range; write \"1m\" to \"366d\"",
        ),
        (
            "bizstation",
            "user_id",
            "user_id = { least = 9, most = 8, characters = \"digits\" }",
            "identifiers.user_id: has least = 9 above most = 8",
        ),
        (
            "shinkin",
            "common_name = \"{contract_id} {user_id}",
            "common_name = \"{contract} 1635\"",
            "certificate.common_name: has the unknown placeholder {contract}; the placeholders are {contract_id}, {user_id}, {issue_number}, {issued_at}",
        ),
    ]);
}

#[test]
fn an_impossible_profile_is_refused_with_its_line() {
    check(&[
        (
            "anser-bizsol",
            "window_days",
            "window_days = 365",
            "renewal.window_days: 365 days are as long as the validity of 365 days",
        ),
        (
            "anser-bizsol",
            "before_expiry_days",
            "before_expiry_days = [400]",
            "notices.before_expiry_days: 400 days before expiry the certificate of 365 days does not yet live",
        ),
        (
            "anser-bizsol",
            "interrupted",
            "interrupted = \"reissue\"",
            "acquisition.interrupted: \"reissue\" has no meaning with opens = \"by-user\"; write \"retry\"",
        ),
        (
            "anser-bizsol",
            "old_certificate",
            "old_certificate = \"revoked-when-replaced\"",
            "reissue.old_certificate: \"revoked-when-replaced\" has no meaning with opens = \"by-user\"",
        ),
        (
            "anser-bizsol",
            "common_name",
            "common_name = \"{contract_id} {user_id} A{issue_number} {issued_at}\"",
            "certificate.common_name: can become 73 characters long; 64 are allowed (RFC 5280)",
        ),
        (
            "shinkin",
            "common_name = \"{contract_id} 1635\"",
            "common_name = \"1635\"",
            "role[0].common_name: has no {contract_id}: two customers' users of one ID would have one name; write {contract_id}, or {user_id} and identifiers.user_id.unique = \"profile\"",
        ),
        (
            "shinkin",
            "common_name = \"{contract_id} {user_id}",
            "common_name = \"1635\"",
            "certificate.common_name: has no {contract_id}: two customers' users of one ID would have one name; write {contract_id}, or {user_id} and identifiers.user_id.unique = \"profile\"",
        ),
        (
            "shinkin",
            "user = {",
            "user = { most = 5, window = \"never\", locked_for = \"1h\" }",
            "tries.user: must be locked_for = \"unlocked\": a user's lock is ended by somebody, not by waiting",
        ),
        (
            "shinkin",
            "contract = {",
            "contract = { most = 5, window = \"1h\", locked_for = \"unlocked\" }",
            "tries.contract: needs a window and a locked_for that end by themselves: no operation unlocks it",
        ),
    ]);
}

/// The errors of the first permit that has this line, after the edits; without the file's name and line.
fn permit_errors(name: &str, edits: &[(&str, &str)]) -> Vec<String> {
    let text = edits.iter().fold(shipped(name).to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} in {name}");
        text.replacen(from, to, 1)
    });
    let errors = read(&text).err().unwrap_or_default();
    errors.iter().map(|error| error.splitn(3, ": ").nth(2).unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_impossible_permit_is_refused() {
    let renew = r#"operation = ["renew"] "#;
    for (name, edits, expected) in [
        (
            "hokugin",
            &[(r#"by = ["master", "administrator"]"#, r#"by = ["boss"]"#)][..],
            r#""boss" is not a role of this file; write "master", "administrator" or "general""#,
        ),
        (
            "hokugin",
            &[(r#"screen = "BRSK019""#, r#"screen = "BRSK999""#)],
            r#""BRSK999" is not a screen of this file; add a [[screen]] table with that id"#,
        ),
        (
            "hokugin",
            &[(r#"by = ["staff"]"#, r#"by = ["staff", "master"]"#)],
            "has staff beside users, who come through other channels and prove other things; write two permits",
        ),
        (
            "hokugin",
            &[(r#"channel = ["staff-desk"]"#, r#"channel = ["staff-desk", "online"]"#)],
            "has \"online\" for staff, whose channels are \"paper-form\" and \"staff-desk\"",
        ),
        (
            "hokugin",
            &[(r#"channel = ["online"]"#, r#"channel = ["staff-desk"]"#)],
            "is for users, whose only channel is \"online\"; a form on paper is entered by staff",
        ),
        ("hokugin", &[(r#"proof = ["login-password"]"#, "proof = []")], "is empty: users must prove something"),
        (
            "hokugin",
            &[(r#"proof = []"#, r#"proof = ["pin"]"#)],
            "has factors for staff, who are two people instead; write []",
        ),
        (
            "hokugin",
            &[(r#"form = { ja = "利用申込書", en = "Application" }"#, "")],
            "belongs to the channel \"paper-form\" and to no other: name the form there",
        ),
        (
            "hokugin",
            &[(r#"whose = ["self"]"#, r#"whose = ["self", "other"]"#)],
            "lets somebody acquire or renew for another, who would then hold the other's key",
        ),
        (
            "hokugin",
            &[(r#"operation = ["switch-on", "switch-off"]"#, r#"operation = ["switch-on", "switch-off", "revoke"]"#)],
            "mixes operations on users with operations on contracts; write two permits",
        ),
        (
            "hokugin",
            &[(r#"proof = ["current-certificate", "login-password"]"#, r#"proof = ["login-password"]"#)],
            "renews without \"current-certificate\": that would be an acquisition",
        ),
        (
            "hokugin",
            &[(r#"proof = ["login-password"]"#, r#"proof = ["current-certificate"]"#)],
            "asks for the current certificate to acquire one",
        ),
        ("hokugin", &[("[renewal]\nwindow_days = 40", "")], "permits \"renew\", and there is no [renewal]"),
        ("hokugin", &[(renew, r#"operation = ["reissue"] "#)], "permits an offer, and opens = \"by-user\" has none"),
        (
            "hokugin",
            &[(r#"on = ["general"]    "#, r#"on = ["administrator", "general"]"#)],
            "permits revoke by master on administrator through online which the permit at line ",
        ),
        (
            "shinkin",
            &[(r#"operation = ["unlock"]"#, r#"operation = ["lock"]"#), (r#""revoke", "unlock"]"#, r#""revoke"]"#)],
            "lets no user of the role administrator be unlocked after wrong tries: no permit has \"unlock\" on it",
        ),
        (
            "shinkin",
            &[(r#"["switch-on", "switch-off"]"#, r#"["switch-on"]"#)],
            "lets no staff \"switch-off\" a contract's certificates",
        ),
        (
            "bizstation",
            &[
                (r#"operation = ["unlock", "suspend", "resume", "delete"]"#, r#"operation = ["unlock"]"#),
                (r#"by = ["service-manager"]                                     # assumed"#, r#"by = ["reissuer"] #"#),
                (
                    r#"on = ["reissuer", "user"]                                    # assumed
whose = ["other"]                                            # assumed"#,
                    r#"on = ["reissuer", "user"] # assumed
whose = ["self"] # assumed"#,
                ),
            ],
            "lets the locked or suspended free themselves",
        ),
    ] {
        let errors = permit_errors(name, edits);
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}\n{errors:#?}");
    }
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_lines() {
    let text = shipped("shinkin")
        .replace("years = 1 ", "years = 0 ")
        .replace("opens = \"by-offer\"", "opens = 3")
        .replace("most = 11, ", "")
        .replace("[contract]", "[contracts]");
    let errors = read(&text).unwrap_err();
    let keys: Vec<&str> = errors.iter().map(|error| error.split(": ").nth(1).unwrap()).collect();
    assert_eq!(
        keys,
        ["contract.feature_off", "identifiers.contract_id.most", "acquisition.opens", "certificate.years", "contracts"],
        "{errors:#?}"
    );
}

#[test]
fn an_empty_file_says_everything_that_is_missing() {
    let errors = read("").unwrap_err();
    for key in ["name", "role", "permit", "states.issued", "tries.user", "certificate.common_name", "delivery.keys"] {
        assert!(errors.iter().any(|error| error.contains(&format!(": {key}: is missing; "))), "{key}: {errors:#?}");
    }
}

#[test]
fn a_name_that_two_users_could_have_is_refused() {
    let no_contract = "has no {contract_id}: two customers' users of one ID would have one name; write {contract_id}, or \
                       {user_id} and identifiers.user_id.unique = \"profile\"";
    let together = "has two identifiers of any length in one word: two users could have one name; part them by a space";
    let roles = "two users of different roles could have one name; write a word that tells the roles apart";
    let unique = "user_id = { least = 1, most = 30, characters = \"login-id\"";
    for name in ["anser-bizsol", "hokugin"] {
        let (text, _) = edited(name, unique, &format!("{unique} }}"));
        let line = text.lines().position(|line| line.starts_with("common_name")).unwrap() + 1;
        let message = format!("p.toml:{line}: certificate.common_name: {no_contract}");
        assert_eq!(read(&text).err(), Some(vec![message]));
        // With the contract in it, user IDs need be unique in the contract only.
        let named = text.replacen("common_name = \"{user_id} A", "common_name = \"{contract_id} {user_id} A", 1);
        let named = named.replace("most = 30", "most = 18");
        assert!(read(&named).is_ok(), "{:?}", read(&named).err());
    }
    let cn = |text: &str, message: &str| {
        let line = format!("common_name = {text:?}");
        check(&[("bizstation", "common_name", &line, &format!("certificate.common_name: {message}"))]);
    };
    cn("{user_id}", no_contract);
    cn("A{issue_number}", no_contract);
    cn("{contract_id}{user_id}", together);
    cn("{contract_id}x{user_id}", together);
    for apart in ["{contract_id}-{user_id}", "{user_id}/{contract_id}", "{contract_id} {user_id} {issue_number}"] {
        let (text, _) = edited("bizstation", "common_name", &format!("common_name = {apart:?}"));
        assert!(read(&text).is_ok(), "{apart}");
    }
    // A role's own names beside everybody's.
    for (own, refused) in [
        ("{user_id} {contract_id} 1635", true),
        ("{contract_id} {issue_number} 1635", true),
        ("{contract_id} {user_id} 1636", false),
        ("{contract_id} 1635", false),
    ] {
        let (text, line) = edited("shinkin", "common_name = \"{contract_id} 1635\"", &format!("common_name = {own:?}"));
        let message = format!("p.toml:{line}: role[0].common_name: {roles}");
        assert_eq!(read(&text).err(), refused.then(|| vec![message]), "{own}");
    }
}

#[test]
fn a_fixed_word_of_the_names_is_nobodys_id() {
    let profile = read(shipped("shinkin")).unwrap();
    assert!(!profile.accepts_user_id("1635") && profile.accepts_user_id("16355") && profile.accepts_user_id("S0001"));
    let (text, _) = edited("bizstation", "common_name", "common_name = \"KANRI {contract_id} {user_id}\"");
    let profile = read(&text).unwrap();
    assert!(!profile.accepts_contract_id("KANRI") && !profile.accepts_user_id("KANRI"));
}

mod names {
    use super::*;
    use proptest::prelude::*;
    use sekisho_pki::time::Timestamp;

    static PROFILES: std::sync::LazyLock<Vec<Profile>> =
        std::sync::LazyLock::new(|| SHIPPED.iter().map(|(_, text)| read(text).unwrap()).collect());

    /// Identifiers that are made of what stands in CNs, so that they meet.
    fn identifier() -> impl Strategy<Value = String> {
        let piece = prop_oneof!["[0-9]", "[01]{11}", "A001", "A", "1635", "163", "5", "[ab]", "[.@_-]", "0{10}1"];
        prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
    }

    fn person() -> impl Strategy<Value = (String, String, usize)> {
        (
            prop_oneof![identifier(), Just("00009876543".to_owned()), Just("00000000001".to_owned())],
            identifier(),
            0..4_usize,
        )
    }

    fn written(
        profile: &Profile,
        (contract, user, role): &(String, String, usize),
        issue: (u32, u32),
    ) -> (RoleName, String) {
        let role = profile.roles[role % profile.roles.len()].name.clone();
        let values = TemplateValues {
            contract_id: contract,
            user_id: user,
            issue_number: (issue.0, profile.certificate.issue_number_width),
            issued_at: (Timestamp::from_unix(1_583_213_796), issue.1),
        };
        let name = profile.common_name(&role).render(&values);
        (role, name)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

        /// Of any two users who may be registered beside each other, whichever of their certificates are looked at.
        #[test]
        fn no_two_users_have_one_common_name(
            which in 0..4_usize,
            one in person(),
            other in (person(), any::<[bool; 3]>()),
            issues in ((1..3_u32, 0..2_u32), (1..3_u32, 0..2_u32)),
        ) {
            let profile = &PROFILES[which];
            // Close by: the same in some of its parts.
            let (other, same) = other;
            let other = (
                if same[0] { one.0.clone() } else { other.0 },
                if same[1] { one.1.clone() } else { other.1 },
                if same[2] { one.2 } else { other.2 },
            );
            prop_assume!((&one.0, &one.1) != (&other.0, &other.1));
            let ((role, name), (other_role, other_name)) =
                (written(profile, &one, issues.0), written(profile, &other, issues.1));
            let accepted = |person: &(String, String, usize)| {
                profile.accepts_contract_id(&person.0) && profile.accepts_user_id(&person.1)
            };
            prop_assume!(accepted(&one) && accepted(&other));
            let taken = profile.unique_names(&one.0, &one.1, &role);
            let wanted = profile.unique_names(&other.0, &other.1, &other_role);
            prop_assume!(!wanted.iter().any(|name| taken.contains(name)));
            prop_assert_ne!(name, other_name);
        }
    }
}
