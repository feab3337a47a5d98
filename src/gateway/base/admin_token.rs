//! Who may change the block list: whoever shows the token (RFC 6750), from where it may be shown.

use crate::gateway::base::key_material::unusable;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use sekisho_config::{ConfigError, Placed, TokenFrom};
use sekisho_runtime::process::secret_file::{self, SecretFileError};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Characters of a token: 24 random octets in base64, beyond guessing however often one tries.
const MIN_TOKEN_LEN: usize = 32;
/// Octets of its file; a token that is longer than a header line may be is some other file.
const MAX_FILE_OCTETS: u64 = 4096;
const NOT_A_TOKEN: &str = "is not a token: one line of A-Z a-z 0-9 - . _ ~ + / =";

/// The token; only its hash is kept.
pub(in crate::gateway) struct AdminToken([u8; 32]);

impl AdminToken {
    /// From the file that the configuration names.
    ///
    /// # Errors
    /// A file that cannot be read, that others than its owner may read, or whose content can be no token.
    pub(in crate::gateway) fn load(path: &Placed<PathBuf>) -> Result<Self, ConfigError> {
        let octets = match secret_file::read(&path.value, MAX_FILE_OCTETS) {
            // Some other file.
            Err(SecretFileError::TooLong { .. }) => return Err(unusable(path, &NOT_A_TOKEN)),
            read => read.map_err(|error| unusable(path, &error))?,
        };
        let token = octets.trim_ascii();
        if !token.iter().all(|octet| is_token_octet(*octet)) {
            return Err(unusable(path, &NOT_A_TOKEN));
        }
        if token.len() < MIN_TOKEN_LEN {
            let length = token.len();
            return Err(unusable(path, &format!("a token has {MIN_TOKEN_LEN} characters or more, this one {length}")));
        }
        secret_file::refuse_without_entropy(token).map_err(|error| unusable(path, &error))?;
        Ok(Self(hash(token)))
    }

    /// Whether that is what an `Authorization` header shows. Hashes are compared, all of them each time, so that neither
    /// content nor length of the token shows in the time it takes.
    pub(in crate::gateway) fn is_shown_in(&self, authorization: Option<&[u8]>) -> bool {
        let Some((scheme, shown)) = authorization.and_then(|value| value.split_at_checked("Bearer ".len())) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"Bearer ") && verify_slices_are_equal(&hash(shown.trim_ascii()), &self.0).is_ok()
    }
}

/// Whether the token may come from that address.
pub(in crate::gateway) fn may_come_from(from: TokenFrom, peer: SocketAddr) -> bool {
    match from {
        TokenFrom::Loopback => peer.ip().to_canonical().is_loopback(),
        TokenFrom::Anywhere => true,
    }
}

/// `b64token` of RFC 6750 section 2.1.
fn is_token_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet)
}

fn hash(token: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    output.copy_from_slice(digest(&SHA256, token).as_ref());
    output
}

/// The token stays out of logs, and its hash too.
impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const TOKEN: &str = "abcdefghijklmnopqrstuvwxyz-._~+/=";

    fn load(content: &[u8], mode: u32) -> Result<AdminToken, String> {
        let folder = tempfile::tempdir().unwrap();
        let value = folder.path().join("token");
        std::fs::write(&value, content).unwrap();
        std::fs::set_permissions(&value, std::fs::Permissions::from_mode(mode)).unwrap();
        let path = Placed { value, place: sekisho_config::Place::default() };
        AdminToken::load(&path).map_err(|error| error.message.split_once(": ").unwrap().1.to_owned())
    }

    #[test]
    fn a_token_is_one_long_line_that_only_its_owner_can_read() {
        assert!(load(format!("{TOKEN}\n").as_bytes(), 0o600).is_ok());
        assert!(load(TOKEN.as_bytes(), 0o400).is_ok());
        for mode in [0o644, 0o640, 0o602] {
            let why = format!("its mode is {mode:04o}: others can read it; make it 0600");
            assert!(load(TOKEN.as_bytes(), mode).err().is_some_and(|told| told.starts_with(&why)), "{mode:04o}");
        }
        let short = "a token has 32 characters or more, this one 31".to_owned();
        assert_eq!(load(&TOKEN.as_bytes()[..31], 0o600).err(), Some(short));
        assert_eq!(load(b" \n", 0o600).err(), Some("a token has 32 characters or more, this one 0".to_owned()));
        let none = "is not a token: one line of A-Z a-z 0-9 - . _ ~ + / =";
        for content in [format!("{TOKEN}\n{TOKEN}"), format!("{TOKEN}\u{e9}"), "a".repeat(5000)] {
            assert_eq!(load(content.as_bytes(), 0o600).err().as_deref(), Some(none));
        }
    }

    #[test]
    fn only_the_whole_token_as_a_bearer_is_it() {
        let token = load(TOKEN.as_bytes(), 0o600).unwrap();
        let is_it = |header: &str| token.is_shown_in(Some(header.as_bytes()));
        assert!(is_it(&format!("Bearer {TOKEN}")) && is_it(&format!("bearer  {TOKEN}")));
        assert!(!token.is_shown_in(None));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            TOKEN,
            &format!("Basic {TOKEN}"),
            &format!("Bearer {TOKEN}x"),
            &format!("Bearer x{TOKEN}"),
            &format!("Bearer {}", &TOKEN[1..]),
            &format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]),
            &format!("Bearer {}", TOKEN.to_uppercase()),
            &format!("Bearer {TOKEN} {TOKEN}"),
        ] {
            assert!(!is_it(wrong), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "AdminToken");
    }

    #[test]
    fn the_token_comes_from_this_machine_unless_it_may_come_from_anywhere() {
        for (peer, here) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.0.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
            ("[fe80::1]:1", false),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(may_come_from(TokenFrom::Loopback, peer), here, "{peer}");
            assert!(may_come_from(TokenFrom::Anywhere, peer), "{peer}");
        }
    }
}
