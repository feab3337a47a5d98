//! The four contracts, one a product, and how the products differ for their users.

/// One contract's life.
#[derive(Debug)]
pub(crate) struct Life {
    /// The profile's name, also its authority's.
    pub(crate) profile: &'static str,
    /// The contract's ID.
    pub(crate) contract: &'static str,
    /// User ID and role of who looks after the others.
    pub(crate) keeper: (&'static str, &'static str),
    /// The others' role.
    pub(crate) role: &'static str,
    /// The first factor of an acquisition.
    pub(crate) first_factor: &'static str,
    /// Whether an acquisition takes a one-time password.
    pub(crate) token: Token,
    /// What opens an acquisition.
    pub(crate) opens: Opens,
    /// What the keeper proves, beside their certificate, to act on others.
    pub(crate) step_up: &'static str,
    /// Who revokes for good.
    pub(crate) revoker: Revoker,
    /// How a walking user gets the key.
    pub(crate) key: Key,
}

/// Whether there is a token ワンタイムパスワード.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// There is.
    Asked,
    /// There is none.
    NotAsked,
}

/// What opens an acquisition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opens {
    /// An offer with a secret of 16 digits.
    Secret,
    /// An offer.
    Offer,
    /// The user's own login, once no certificate lives; then certificates are renewed, too.
    Login,
}

/// Who revokes for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoker {
    /// The contract's keeper, through the gateway.
    Keeper,
    /// The bank's desk.
    Desk,
}

/// Where a private key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// By the client, who sends a certification request.
    Client,
    /// By the service, handed over in a .p12 file without a password.
    P12,
}

/// What every user types, so that whoever plays with the demo can be any of them.
pub(crate) const FIRST_FACTOR: &str = "demo-first-factor";
/// The keepers' second.
pub(crate) const STEP_UP: &str = "demo-step-up";

/// The four.
pub(crate) const LIVES: &[Life] = &[
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
