//! Passwords and PINs by Argon2id, as PHC strings.

use argon2::password_hash::{Error, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};

/// KiB of memory, passes and lanes: the OWASP Password Storage Cheat Sheet's setting for Argon2id with the least memory
/// that RFC 9106 section 4 would not call too little for a server that checks many at a time.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What a computation costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: MEMORY_KIB, passes: PASSES }
    }
}

/// The most that a kept string may ask for: more than ever was or will be written here in one step, so that a changed
/// row cannot take all memory.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;

/// Nobody's password, computed with as those of users are: what a text is compared with where nothing is kept. Its hash
/// is of random octets that are nowhere else.
pub(super) const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2VraXNobyBub2JvZHkncw$\
     2rEQ0ePlA0eyWc0W/MAX4BYb0zC7cAdPkPwaVLdLDGA";

/// Whether a text is the one that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matches {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What is kept of a text: a PHC string with a salt of its own.
///
/// # Errors
/// There is no memory or no randomness. One line.
pub(super) fn hash(text: &[u8], cost: PasswordCost) -> Result<String, String> {
    let parameters = Params::new(cost.memory_kib, cost.passes, LANES, None).map_err(|error| error.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    argon2.hash_password(text).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Compares a text with what was kept, in constant time, by the parameters it was kept with.
///
/// # Errors
/// What was kept is not of this module, or cannot be computed. One line.
pub(super) fn matches(text: &[u8], kept: &str) -> Result<Matches, String> {
    let kept = PasswordHash::new(kept).map_err(|error| error.to_string())?;
    let parameters = Params::try_from(&kept).map_err(|error| error.to_string())?;
    if kept.algorithm != Algorithm::Argon2id.ident()
        || kept.salt.is_none()
        || kept.hash.is_none()
        || parameters.m_cost() > MOST_MEMORY_KIB
        || parameters.t_cost() > MOST_PASSES
    {
        return Err("not a PHC string of Argon2id, or one that asks for too much".to_owned());
    }
    match Argon2::default().verify_password(text, &kept) {
        Ok(()) => Ok(Matches::Yes),
        Err(Error::PasswordInvalid) => Ok(Matches::No),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_password_matches_itself_alone_and_has_the_recommended_parameters() {
        let kept = hash(b"correct horse", PasswordCost::default()).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash(b"correct horse", PasswordCost::default()).unwrap(), "a salt came twice");
        assert_eq!(matches(b"correct horse", &kept), Ok(Matches::Yes));
        for wrong in [&b"correct horsf"[..], b"", b"correct horse ", b"Correct horse"] {
            assert_eq!(matches(wrong, &kept), Ok(Matches::No));
        }
    }

    #[test]
    fn nobodys_password_costs_what_everybodys_does() {
        let cost = |kept: &str| {
            let kept = PasswordHash::new(kept).unwrap();
            let parameters = Params::try_from(&kept).unwrap();
            let lengths = (kept.salt.unwrap().len(), kept.hash.unwrap().len());
            (kept.algorithm, parameters.m_cost(), parameters.t_cost(), parameters.p_cost(), lengths)
        };
        assert_eq!(cost(NOBODYS), cost(&hash(b"x", PasswordCost::default()).unwrap()));
        assert_eq!(matches(b"", NOBODYS), Ok(Matches::No));
    }

    #[test]
    fn what_was_not_kept_here_is_an_error_and_not_a_wrong_password() {
        let kept = hash(b"x", PasswordCost::default()).unwrap();
        for other in [
            "",
            "x",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            &kept.replace("argon2id", "argon2i"),
            &kept.replace("argon2id", "argon2d"),
            &kept.replace("m=19456", "m=4194304"),
            &kept.replace("t=2", "t=4000000"),
            &kept[..kept.rfind('$').unwrap()],
        ] {
            assert!(matches(b"x", other).is_err(), "{other}");
        }
    }
}
