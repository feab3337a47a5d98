//! What a certificate's CN says, from the profile that wrote it to the pattern that reads it: two users of a bank are never
//! one to the application behind the gateway.

use proptest::prelude::*;
use regex::Regex;
use sekisho::gateway::verify::identity::{Identity, IdentityRule, extract};
use sekisho_lifecycle::profile::{self, Characters, IdentifierRule, Profile, TemplateValues};
use sekisho_pki::name::DistinguishedName;
use sekisho_pki::time::Timestamp;
use sekisho_testkit::issuer::IDENTITIES;
use std::path::Path;
use std::sync::LazyLock;

/// A product: its profile, and the patterns that are shipped for its certificates.
struct Product {
    profile: Profile,
    patterns: Vec<IdentityRule>,
}

static PRODUCTS: LazyLock<Vec<Product>> = LazyLock::new(|| {
    let read = |(name, pattern): (&str, &str)| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut patterns = vec![pattern.to_owned()];
        if name == "shinkin" {
            // The form that the quick start and the reference configuration are written for.
            for file in ["docs/guide/quick-start.md", "config/sekisho.toml"] {
                let text = std::fs::read_to_string(folder.join(file)).unwrap();
                let written = text.lines().filter_map(|line| line.strip_prefix("identity = '")?.strip_suffix('\''));
                patterns.extend(written.filter(|pattern| pattern.ends_with("1635")).map(str::to_owned));
            }
            assert!(patterns.len() >= 2, "{patterns:?}");
        }
        let rule = |pattern: &String| IdentityRule::new(&Regex::new(pattern).unwrap(), Vec::new()).unwrap();
        Product {
            profile: profile::load(&folder.join(format!("config/profiles/{name}.toml"))).unwrap(),
            patterns: patterns.iter().map(rule).collect(),
        }
    };
    IDENTITIES.into_iter().map(read).collect()
});

/// A user as the issuer knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    contract: String,
    user: String,
    role: usize,
    issue: u32,
}

fn identifier(rule: &IdentifierRule) -> BoxedStrategy<String> {
    let class = match rule.characters {
        Characters::Digits => "[0-9]",
        Characters::LettersAndDigits => "[A-Za-z0-9]",
        Characters::LoginId => "[A-Za-z0-9._@-]",
    };
    let (least, most) = (rule.least, rule.most);
    let any = proptest::string::string_regex(&format!("{class}{{{least},{most}}}")).unwrap();
    // Short ones meet each other, and what stands in a CN as fixed text.
    let fixed = prop::sample::select(vec!["1635", "A001", "a", "1", "0"]);
    let rule = *rule;
    let fixed = fixed.prop_map(str::to_owned).prop_filter("an identifier", move |text| rule.accepts(text));
    if ["1635", "A001", "a", "1", "0"].iter().any(|text| rule.accepts(text)) {
        prop_oneof![2 => any, 1 => fixed].boxed()
    } else {
        any.boxed()
    }
}

fn person(product: &Product) -> impl Strategy<Value = Person> + use<> {
    let (identifiers, roles) = (&product.profile.identifiers, product.profile.roles.len());
    (identifier(&identifiers.contract_id), identifier(&identifiers.user_id), 0..roles, 1..999_u32)
        .prop_map(|(contract, user, role, issue)| Person { contract, user, role, issue })
}

/// Two people of one product.
fn people() -> impl Strategy<Value = (usize, Person, Person)> {
    (0..PRODUCTS.len()).prop_flat_map(|index| {
        let product = &PRODUCTS[index];
        (Just(index), person(product), person(product))
    })
}

/// The CN of a person's certificate.
fn common_name(profile: &Profile, person: &Person, contract: &str, user: &str) -> String {
    profile.common_name(&profile.roles[person.role].name).render(&TemplateValues {
        contract_id: contract,
        user_id: user,
        issue_number: (person.issue, profile.certificate.issue_number_width),
        issued_at: (Timestamp::from_unix(1_780_272_000), 560_435),
    })
}

/// Contract and user as far as the product's CN names them.
fn named(profile: &Profile, person: &Person) -> (Option<String>, Option<String>) {
    let written = common_name(profile, person, "\u{1}", "\u{2}");
    let named = |mark: char, id: &str| written.contains(mark).then(|| id.to_owned());
    (named('\u{1}', &person.contract), named('\u{2}', &person.user))
}

fn read(rule: &IdentityRule, common_name: &str) -> Option<Identity> {
    let element = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let value = element(0x0c, common_name.as_bytes());
    let attribute = element(0x30, &[element(0x06, &[0x55, 4, 3]), value].concat());
    extract(&DistinguishedName::parse(&element(0x30, &element(0x31, &attribute))).unwrap(), rule).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn each_certificate_says_whose_it_is_and_nobody_elses((index, one, other) in people()) {
        let Product { profile, patterns } = &PRODUCTS[index];
        for rule in patterns {
            let identity = |person: &Person| {
                let name = common_name(profile, person, &person.contract, &person.user);
                let identity = read(rule, &name);
                (identity.as_ref().map(|found| (found.contract_id().map(str::to_owned), found.user_id().map(str::to_owned))), name)
            };
            let (ones, name) = identity(&one);
            // The user ID that is the fixed text of an administrator's name is refused; every other one is read.
            let is_fixed = one.user == "1635" && name == format!("{} 1635 1635", one.contract);
            prop_assert_eq!(ones.is_none(), is_fixed, "{:?} {}", one, name);
            if let Some(ones) = ones {
                prop_assert_eq!(&ones, &named(profile, &one), "{}", name);
                // Two certificates of one identity are of one person, as far as the product tells people apart.
                let (others, other_name) = identity(&other);
                if Some(&ones) == others.as_ref() {
                    prop_assert_eq!(named(profile, &one), named(profile, &other), "{} {}", name, other_name);
                }
            }
        }
    }

    /// What one product's pattern reads in another product's certificate is nobody of the first: each CA has one form.
    #[test]
    fn a_pattern_without_a_contract_never_reads_one((index, one, _) in people()) {
        let Product { profile, patterns } = &PRODUCTS[index];
        let name = common_name(profile, &one, &one.contract, &one.user);
        for identity in patterns.iter().filter_map(|rule| read(rule, &name)) {
            let (contract, user) = named(profile, &one);
            prop_assert_eq!(identity.contract_id().is_some(), contract.is_some());
            prop_assert!(identity.contract_id() != identity.user_id() || contract == user);
        }
    }
}
