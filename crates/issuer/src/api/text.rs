//! Texts of requests, each with its rule. The rule that the document states is the one that is enforced.

use regex::Regex;
use sekisho_lifecycle::{ContractId, UserId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};
use zeroize::Zeroizing;

/// A contract's or a user's ID, as every profile allows them and a URL can have them.
pub(super) const IDENTIFIER: &str = "^[A-Za-z0-9_.@-]{1,64}$";

/// Defines a text: what it is, its JSON name in messages, its longest length in characters, its pattern, an example.
macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident($word:literal, $shortest:literal..=$longest:literal, $pattern:expr, $format:expr, $example:expr);)*) => {$(
        $(#[doc = $doc])*
        pub(super) struct $name(Zeroizing<String>);

        #[allow(dead_code, reason = "not every text is needed in every form")]
        impl $name {
            /// The text.
            pub(super) fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, to be kept where secrets are cleared.
            pub(super) fn into_inner(self) -> Zeroizing<String> {
                self.0
            }

            fn accepts(text: &str) -> bool {
                static RULE: LazyLock<Option<Regex>> = LazyLock::new(|| $pattern.and_then(|rule: &str| Regex::new(rule).ok()));
                let pattern: Option<&str> = $pattern;
                // A rule that does not compile lets nothing through; a test compiles them all.
                let matches = pattern.is_none() || RULE.as_ref().is_some_and(|rule| rule.is_match(text));
                ($shortest..=$longest).contains(&text.chars().count()) && matches
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Zeroizing::new(String::deserialize(deserializer)?);
                // The message says nothing of the text: it may be a secret.
                if Self::accepts(&text) { Ok(Self(text)) } else { Err(D::Error::custom(concat!("field `", $word, "` is not of its form"))) }
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let example: Option<&str> = $example;
                let lines: &[&str] = &[$($doc),*];
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(lines.concat().trim().to_owned()))
                    .min_length(($shortest > 0).then_some($shortest))
                    .max_length(Some($longest))
                    .pattern($pattern)
                    .format($format)
                    .examples(example)
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*

    #[cfg(test)]
    const ALL: &[(&str, Option<&str>, Option<&str>, fn(&str) -> bool)] =
        &[$((stringify!($name), $pattern, $example, $name::accepts),)*];
    };
}

/// Any characters.
const ANY: Option<&str> = None;
/// Nothing more than the text says.
const PLAIN: Option<SchemaFormat> = None;
/// Not to be shown.
const SECRET: Option<SchemaFormat> = Some(SchemaFormat::KnownFormat(KnownFormat::Password));

texts! {
    /// ID of a contract 契約者ID.
    ContractText("contract", 1..=64, Some(IDENTIFIER), PLAIN, Some("C0000000001"));
    /// ID of a user within its contract 利用者ID.
    UserText("user", 1..=64, Some(IDENTIFIER), PLAIN, Some("user01"));
    /// Name of a product's profile.
    ProfileText("profile", 1..=64, Some("^[A-Za-z0-9._-]{1,64}$"), PLAIN, Some("bizstation"));
    /// Name of a role in the contract's profile.
    RoleText("role", 1..=64, Some("^[A-Za-z0-9._-]{1,64}$"), PLAIN, Some("user"));
    /// ID of a member of the bank's staff.
    StaffText("staff", 1..=64, Some("^[!-~]{1,64}$"), PLAIN, Some("t0123"));
    /// A person's name, as they are addressed: in mails of the bank. No control characters, none that are invisible or turn
    /// the direction of writing, and nothing that makes a web or mail address.
    PersonText("name", 1..=64, Some(PERSON), PLAIN, Some("山田 太郎"));
    /// A mail address in ASCII: a dot-atom, `@` and a domain name (RFC 5321 section 4.1.2).
    MailText("mail", 3..=254, Some(MAIL), PLAIN, Some("taro.yamada@example.co.jp"));
    /// A password, PIN or one-time password, as it was typed.
    FactorText("factors", 1..=128, ANY, SECRET, None);
    /// A password or PIN to be set.
    NewFactorText("credentials", 1..=128, ANY, SECRET, None);
    /// The seed of a one-time password to be set: 128 to 512 bits in base32, without padding (RFC 6238).
    SeedText("one-time-password", 26..=103, Some(SEED), SECRET, None);
    /// The acquisition password, digits.
    AcquisitionText("acquisition_password", 1..=64, Some("^[0-9]{1,64}$"), SECRET, Some("1234567890123456"));
    /// The password of a .p12 file: printable ASCII, which every importer reads alike; empty where the profile allows.
    P12Text("p12_password", 0..=64, Some("^[ -~]{0,64}$"), SECRET, None);
    /// A certification request (PKCS#10, RFC 2986) in PEM.
    RequestText("csr", 1..=16_384, ANY, PLAIN, None);
}

/// What is left out: controls, default-ignorable and bidirectional characters, line and paragraph separators, the braille blank,
/// private use and noncharacters; `/`, `:`, `@`, `<`, `>` and `\\`.
const PERSON: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f",
    r"\u2800\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff/:@<>\\]{1,64}$"
);

/// Labels of letters, digits and inner hyphens; no dots side by side, none at an end.
const MAIL: &str = concat!(
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,15}){0,2}",
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,3}[A-Za-z]{2,24}$"
);

/// Lengths that whole octets have in base32: 0, 2, 4, 5 or 7 characters after the last eight.
const SEED: &str = "^([A-Z2-7]{8}){3,12}([A-Z2-7]{2}|[A-Z2-7]{4}|[A-Z2-7]{5}|[A-Z2-7]{7})?$";

impl ContractText {
    /// As the lifecycle has it.
    pub(super) fn id(&self) -> Option<ContractId> {
        ContractId::new(&self.0)
    }

    /// The same, from a URL.
    pub(super) fn parse(text: &str) -> Option<ContractId> {
        Self::accepts(text).then(|| ContractId::new(text)).flatten()
    }
}

impl ProfileText {
    /// The text, from a URL.
    pub(super) fn parse(text: &str) -> Option<Arc<str>> {
        Self::accepts(text).then(|| text.into())
    }
}

impl UserText {
    /// As the lifecycle has it.
    pub(super) fn id(&self) -> Option<UserId> {
        UserId::new(&self.0)
    }

    /// The same, from a URL.
    pub(super) fn parse(text: &str) -> Option<UserId> {
        Self::accepts(text).then(|| UserId::new(text)).flatten()
    }
}

/// A client's address, IPv4 or IPv6, in one spelling.
pub(super) struct AddressText(pub(super) Arc<str>);

impl<'de> Deserialize<'de> for AddressText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refused = |_| D::Error::custom("field `client_address` is not an address");
        let address: IpAddr = text.parse().map_err(refused)?;
        Ok(Self(address.to_canonical().to_string().into()))
    }
}

/// What the document says of [`AddressText`].
const ADDRESS: &str = "\
The client's address, as the service sees it. A service whose screens strangers reach sends it with every acquisition: wrong \
tries are counted against it, and tries of one address or of one provider's network take a part of the service's rate only. \
All tries without an address share one such part (a quarter): strangers who use it up, from wherever they come, keep \
everybody from a first acquisition.";

impl PartialSchema for AddressText {
    fn schema() -> RefOr<Schema> {
        let of = |format| {
            let format = SchemaFormat::KnownFormat(format);
            ObjectBuilder::new().schema_type(Type::String).format(Some(format)).max_length(Some(45))
        };
        AnyOfBuilder::new()
            .item(of(KnownFormat::Ipv4))
            .item(of(KnownFormat::Ipv6))
            .description(Some(ADDRESS))
            .examples(["203.0.113.7"])
            .into()
    }
}

impl ToSchema for AddressText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Address")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles_and_takes_its_own_example() {
        for (name, pattern, example, accepts) in ALL {
            assert!(pattern.is_none_or(|rule| Regex::new(rule).is_ok()), "{name}");
            assert!(example.is_none_or(accepts), "{name}");
        }
    }

    #[test]
    fn texts_beyond_their_rule_are_refused() {
        for wrong in ["", "a b", "a/b", "あ", "a\n", "\0", &"a".repeat(65)] {
            assert!(!ContractText::accepts(wrong) && !UserText::accepts(wrong), "{wrong:?}");
        }
        for wrong in
            ["", "a", "a@b", "a@b.c", ".a@b.jp", "a..b@c.jp", "a@-b.jp", "a@b-.jp", "a@b..jp", "a b@c.jp", "a@b.jp\n"]
        {
            assert!(!MailText::accepts(wrong), "{wrong:?}");
        }
        for wrong in ["太郎\r\nBcc: x", "\u{85}", ""] {
            assert!(!PersonText::accepts(wrong), "{wrong:?}");
        }
        assert!(SeedText::accepts("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
        for wrong in ["GEZDGNBVGY3TQOJQ", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1", "GEZDGNBVGY3TQOJQGEZDGNBVG"] {
            assert!(!SeedText::accepts(wrong), "{wrong:?}");
        }
        assert!(P12Text::accepts("") && !P12Text::accepts("あ") && !P12Text::accepts("\0"));
        assert!(
            FactorText::accepts("パスワード") && !FactorText::accepts("") && !FactorText::accepts(&"あ".repeat(129))
        );
    }

    #[test]
    fn a_message_about_a_secret_does_not_repeat_it() {
        let error = serde_json::from_str::<AcquisitionText>(r#""hunter2""#).err().unwrap().to_string();
        assert!(error.contains("`acquisition_password`") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_address_has_one_spelling() {
        let read = |text: &str| serde_json::from_str::<AddressText>(&format!("{text:?}")).map(|address| address.0).ok();
        assert_eq!(read("203.0.113.7").as_deref(), Some("203.0.113.7"));
        assert_eq!(read("::ffff:203.0.113.7").as_deref(), Some("203.0.113.7"));
        assert_eq!(read("2001:DB8:0::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("203.0.113.7:80"), None);
        assert_eq!(read("localhost"), None);
    }
}
