//! A block as JSON has it, in the state file and at the admin address.

use super::target::{Target, serial_from_hex, sha256_from_hex};
use super::{Block, BlockId};
use sekisho_pki::fingerprint::{AuthorityKey, Fingerprint};
use sekisho_pki::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Octets of a reason: three lines of a ticket. It stands in log records of every refusal.
const MAX_REASON_OCTETS: usize = 500;
/// Octets of a name of who acts.
const MAX_BY_OCTETS: usize = 100;
/// Octets of a contract or user ID: those that a CN may have.
const MAX_ID_OCTETS: usize = 256;

/// A block as it is written: exactly one of `serial` (with its CA), `fingerprint`, `contract` (with a `user` or
/// without).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The block's number; what writes a block does not choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Serial number, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The configured name of the CA that issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Name and key of that CA: the hex of its [`AuthorityKey`]. What writes a block gives `ca` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// SHA-256 of a certificate, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Contract ID (契約者ID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// User ID (利用者ID) in the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Why.
    pub reason: String,
    /// Who acts.
    pub by: String,
    /// When it was put in force, RFC 3339 in UTC; what writes a block does not choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<String>,
    /// When it ends, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// What is wrong with a written block, in one sentence for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenError(pub String);

impl Written {
    /// The block that is asked for at `now`; `authority` gives the CA of a configured name.
    ///
    /// # Errors
    /// [`WrittenError`]: not exactly one target, a text that cannot be one, a time that has passed.
    pub fn request(
        self,
        now: Timestamp,
        authority: impl FnOnce(&str) -> Result<AuthorityKey, String>,
    ) -> Result<Block, WrittenError> {
        for (name, chosen) in [("id", &self.id), ("authority", &self.authority), ("added", &self.added)] {
            if chosen.is_some() {
                return wrong(format!("{name} is not for you to choose; leave it out"));
            }
        }
        let block = self.block(now, authority)?;
        match block.expires {
            Some(expires) if expires <= now => wrong(format!("expires {expires} has passed; it is {now}")),
            _ => Ok(block),
        }
    }

    /// The block that was kept.
    ///
    /// # Errors
    /// [`WrittenError`]: it is not as a kept block is written.
    pub fn kept(self) -> Result<Block, WrittenError> {
        let (id, added, key) = (self.id.clone(), self.added.clone(), self.authority.clone());
        let Some(added) = added.as_deref().and_then(Timestamp::from_rfc_3339) else {
            return wrong("added is missing or no time");
        };
        if key.is_some() != self.serial.is_some() {
            return wrong("authority goes with serial, and is missing or too much");
        }
        let key = key.as_deref().and_then(sha256_from_hex).map(AuthorityKey::from_bytes);
        let block = self.block(added, |_| key.ok_or_else(|| "authority is not 64 hex digits".to_owned()))?;
        let number = block.id();
        match id.as_deref().and_then(BlockId::parse) {
            Some(id) if id == number => Ok(block),
            _ => wrong(format!("id {} is not that of what it blocks, {number}", id.unwrap_or_default())),
        }
    }

    fn block(
        self,
        added: Timestamp,
        authority: impl FnOnce(&str) -> Result<AuthorityKey, String>,
    ) -> Result<Block, WrittenError> {
        let reason = text("reason", self.reason, MAX_REASON_OCTETS)?;
        let by = text("by", self.by, MAX_BY_OCTETS)?;
        let expires = match self.expires {
            None => None,
            Some(text) => Some(Timestamp::from_rfc_3339(&text).ok_or_else(|| {
                WrittenError(format!("expires {text:?} is not a time in UTC such as 2026-11-22T18:00:00Z"))
            })?),
        };
        let target = match (self.serial, self.ca, self.fingerprint, self.contract, self.user) {
            (Some(serial), Some(ca), None, None, None) => {
                let Some(serial) = serial_from_hex(&serial) else {
                    return wrong(format!("serial {serial:?} is not a serial number in hex"));
                };
                let issuer = authority(&ca).map_err(WrittenError)?;
                Target::Certificate { ca: ca.into(), issuer, serial }
            }
            (Some(_), None, None, None, None) => return wrong("serial needs ca: the name of the CA that issued it"),
            (None, None, Some(fingerprint), None, None) => match sha256_from_hex(&fingerprint) {
                Some(octets) => Target::Fingerprint(Fingerprint::from_bytes(octets)),
                None => return wrong(format!("fingerprint {fingerprint:?} is not the 64 hex digits of a SHA-256")),
            },
            (None, None, None, Some(contract), None) => Target::Contract(text("contract", contract, MAX_ID_OCTETS)?),
            (None, None, None, Some(contract), Some(user)) => Target::User {
                contract: text("contract", contract, MAX_ID_OCTETS)?,
                user: text("user", user, MAX_ID_OCTETS)?,
            },
            (None, None, None, None, Some(_)) => return wrong("user needs contract: a user ID is one of a contract"),
            _ => return wrong("write exactly one of serial with ca, fingerprint, contract, or contract with user"),
        };
        Ok(Block { target, reason, by, added, expires })
    }
}

/// A reason or a name of who acts, as [`Written::request`] takes them.
///
/// # Errors
/// [`WrittenError`]: empty, too long, a control character, a space at an end.
pub fn act_of(reason: String, by: String) -> Result<(String, String), WrittenError> {
    Ok((text("reason", reason, MAX_REASON_OCTETS)?, text("by", by, MAX_BY_OCTETS)?))
}

fn text(name: &str, text: String, most: usize) -> Result<String, WrittenError> {
    if text.is_empty() {
        return wrong(format!("{name} is empty"));
    }
    if text.len() > most {
        return wrong(format!("{name} has {} octets; at most {most} are taken", text.len()));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return wrong(format!("{name} begins or ends with a space, or has a control character in it"));
    }
    Ok(text)
}

fn wrong<T>(why: impl Into<String>) -> Result<T, WrittenError> {
    Err(WrittenError(why.into()))
}

impl From<&Block> for Written {
    fn from(block: &Block) -> Self {
        let mut written = Self {
            id: Some(block.id().to_string()),
            reason: block.reason.clone(),
            by: block.by.clone(),
            added: Some(block.added.to_string()),
            expires: block.expires.map(|expires| expires.to_string()),
            ..Self::default()
        };
        match &block.target {
            Target::Certificate { ca, issuer, serial } => {
                written.serial = Some(serial.to_string());
                written.ca = Some(ca.to_string());
                written.authority = Some(issuer.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect());
            }
            Target::Fingerprint(fingerprint) => written.fingerprint = Some(fingerprint.to_string()),
            Target::User { contract, user } => {
                written.contract = Some(contract.clone());
                written.user = Some(user.clone());
            }
            Target::Contract(contract) => written.contract = Some(contract.clone()),
        }
        written
    }
}

impl From<&Arc<Block>> for Written {
    fn from(block: &Arc<Block>) -> Self {
        Self::from(&**block)
    }
}

impl fmt::Display for WrittenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);

    fn request(json: &str) -> Result<Block, String> {
        let written: Written = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let authority = |ca: &str| match ca {
            "issuing" => Ok(AuthorityKey::from_bytes([1; 32])),
            _ => Err(format!("no CA {ca}")),
        };
        written.request(NOW, authority).map_err(|error| error.0)
    }

    fn with(fields: &str) -> Result<Block, String> {
        request(&format!(r#"{{"reason": "stolen", "by": "desk", {fields}}}"#))
    }

    #[test]
    fn each_kind_is_read_and_comes_back_from_the_file_as_it_was() {
        for fields in [
            r#""serial": "80FF", "ca": "issuing""#.to_owned(),
            format!(r#""fingerprint": "{}""#, "0f".repeat(32)),
            r#""contract": "00009876543""#.to_owned(),
            r#""contract": "00009876543", "user": "利用者", "expires": "2026-11-23T00:00:00Z""#.to_owned(),
        ] {
            let block = with(&fields).unwrap();
            assert_eq!((block.added, &*block.reason, &*block.by), (NOW, "stolen", "desk"));
            let json = serde_json::to_string(&Written::from(&block)).unwrap();
            let again: Written = serde_json::from_str(&json).unwrap();
            assert_eq!(again.kept(), Ok(block), "{json}");
        }
    }

    #[test]
    fn anything_but_one_target_is_refused() {
        let exactly_one = "write exactly one of serial with ca, fingerprint, contract, or contract with user";
        let fingerprint = format!(r#""fingerprint": "{}""#, "0f".repeat(32));
        for (fields, why) in [
            (r#""expires": null"#, exactly_one),
            (r#""ca": "issuing""#, exactly_one),
            (r#""serial": "1""#, "serial needs ca: the name of the CA that issued it"),
            (r#""user": "ann""#, "user needs contract: a user ID is one of a contract"),
            (r#""serial": "1", "ca": "issuing", "contract": "1""#, exactly_one),
            (&format!(r#"{fingerprint}, "user": "ann""#), exactly_one),
            (&format!(r#"{fingerprint}, "serial": "1", "ca": "issuing""#), exactly_one),
            (r#""serial": "1", "ca": "other""#, "no CA other"),
            (r#""serial": "xyz", "ca": "issuing""#, "serial \"xyz\" is not a serial number in hex"),
            (r#""fingerprint": "12""#, "fingerprint \"12\" is not the 64 hex digits of a SHA-256"),
            (r#""contract": """#, "contract is empty"),
            (r#""contract": " 1""#, "contract begins or ends with a space, or has a control character in it"),
            (
                r#""contract": "1", "user": "a\u0000""#,
                "user begins or ends with a space, or has a control character in it",
            ),
            (
                r#""contract": "1", "expires": "tomorrow""#,
                "expires \"tomorrow\" is not a time in UTC such as 2026-11-22T18:00:00Z",
            ),
            (
                r#""contract": "1", "expires": "2026-11-22T00:00:00Z""#,
                "expires 2026-11-22T00:00:00Z has passed; it is 2026-11-22T00:00:00Z",
            ),
            (r#""contract": "1", "id": "0123456789abcdef""#, "id is not for you to choose; leave it out"),
            (r#""contract": "1", "added": "2026-11-22T00:00:00Z""#, "added is not for you to choose; leave it out"),
        ] {
            assert_eq!(with(fields), Err(why.to_owned()), "{fields}");
        }
        let long = with(&format!(r#""contract": "{}""#, "1".repeat(257)));
        assert_eq!(long, Err("contract has 257 octets; at most 256 are taken".to_owned()));
        let silent = request(r#"{"reason": "", "by": "desk", "contract": "1"}"#);
        assert_eq!(silent, Err("reason is empty".to_owned()));
        assert!(with(r#""contrat": "1""#).unwrap_err().starts_with("unknown field `contrat`"));
        assert!(with(r#""contract": "1", "contract": "2""#).unwrap_err().starts_with("duplicate field `contract`"));
        assert!(request(r#"{"contract": "1", "by": "desk"}"#).unwrap_err().starts_with("missing field `reason`"));
    }

    #[test]
    fn what_was_kept_must_be_what_was_written() {
        let block = with(r#""serial": "1", "ca": "issuing""#).unwrap();
        let good = Written::from(&block);
        let kept = |change: fn(&mut Written)| {
            let mut written = good.clone();
            change(&mut written);
            written.kept().unwrap_err().0
        };
        assert!(kept(|it| it.serial = Some("2".into())).contains("is not that of what it blocks"));
        assert!(kept(|it| it.id = None).contains("is not that of what it blocks"));
        assert_eq!(kept(|it| it.authority = None), "authority goes with serial, and is missing or too much");
        assert_eq!(kept(|it| it.authority = Some("00".into())), "authority is not 64 hex digits");
        assert_eq!(kept(|it| it.added = None), "added is missing or no time");
    }
}
