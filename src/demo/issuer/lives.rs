//! The four contracts, one a product, and how the products differ for their users.

/// One contract's life.
#[derive(Debug)]
pub(in crate::demo) struct Life {
    /// The profile's name, also its authority's.
    pub(in crate::demo) profile: &'static str,
    /// The contract's ID.
    pub(in crate::demo) contract: &'static str,
    /// User ID and role of who looks after the others.
    pub(in crate::demo) keeper: (&'static str, &'static str),
    /// The others' role.
    pub(in crate::demo) role: &'static str,
    /// The first factor of an acquisition.
    pub(in crate::demo) first_factor: &'static str,
    /// Whether an acquisition takes a one-time password.
    pub(in crate::demo) token: Token,
    /// What opens an acquisition.
    pub(in crate::demo) opens: Opens,
    /// What the keeper proves, beside their certificate, to act on others.
    pub(in crate::demo) step_up: &'static str,
    /// Who revokes for good.
    pub(in crate::demo) revoker: Revoker,
    /// How a walking user gets the key.
    pub(in crate::demo) key: Key,
}

/// Whether there is a token ワンタイムパスワード.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum Token {
    /// There is.
    Asked,
    /// There is none.
    NotAsked,
}

/// What opens an acquisition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum Opens {
    /// An offer with a secret of 16 digits.
    Secret,
    /// An offer.
    Offer,
    /// The user's own login, once no certificate lives; then certificates are renewed, too.
    Login,
}

/// Who revokes for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum Revoker {
    /// The contract's keeper, through the gateway.
    Keeper,
    /// The bank's desk.
    Desk,
}

/// Where a private key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum Key {
    /// By the client, who sends a certification request.
    Client,
    /// By the service, handed over in a .p12 file without a password.
    P12,
}

/// What every user types, so that whoever plays with the demo can be any of them.
pub(in crate::demo) const FIRST_FACTOR: &str = "demo-first-factor";
/// The keepers' second.
pub(in crate::demo) const STEP_UP: &str = "demo-step-up";

/// The four.
pub(in crate::demo) const LIVES: &[Life] = &[
    Life {
        profile: "bizstation",
        contract: "B0001234",
        keeper: ("manager", "service-manager"),
        role: "user",
        first_factor: "login-password",
        token: Token::NotAsked,
        opens: Opens::Secret,
        step_up: "execution-password",
        revoker: Revoker::Desk,
        key: Key::P12,
    },
    Life {
        profile: "anser-bizsol",
        contract: "A0001234",
        keeper: ("master01", "master"),
        role: "general",
        first_factor: "login-password",
        token: Token::Asked,
        opens: Opens::Login,
        step_up: "confirmation-password",
        revoker: Revoker::Keeper,
        key: Key::Client,
    },
    Life {
        profile: "shinkin",
        contract: "00009876543",
        keeper: ("kanrisya", "administrator"),
        role: "user",
        first_factor: "pin",
        token: Token::Asked,
        opens: Opens::Offer,
        step_up: "contract-confirmation-pin",
        revoker: Revoker::Keeper,
        key: Key::Client,
    },
    Life {
        profile: "hokugin",
        contract: "H0001234",
        keeper: ("master01", "master"),
        role: "general",
        first_factor: "login-password",
        token: Token::NotAsked,
        opens: Opens::Login,
        step_up: "confirmation-password",
        revoker: Revoker::Keeper,
        key: Key::Client,
    },
];
