//! Profiles: one TOML file a product, read into a [`Profile`] that cannot be wrong, or every error at once.
//!
//! The shape of a file, every key of which must be there unless it is in brackets:
//!
//! ```toml
//! name = "…"                  # what contracts refer to
//! product = { ja = "…", en = "…" }
//! proof_lifetime = "5m"       # how long a checked password or PIN proves an act
//! [[role]]                    # name, label; [common_name] where its certificates' CN differs
//! [states]                    # a label for each of not_issued, awaiting_acquisition, issued, renewable, expired,
//!                             # revoked, acquisition_locked, user_suspended
//! [[screen]]                  # id, label
//! [[permit]]                  # operation = [...], by = [...], on = [...], whose = [...], channel = [...],
//!                             # proof = [...], [screen], [form]; what no permit names nobody may do
//! [identifiers]               # contract_id, user_id: { least, most, characters }; user_id also has
//!                             # [unique]: "contract", or "profile" where a CN has no contract ID
//! [acquisition]               # opens, one_time_password, interrupted, deadline
//! [acquisition.secret]        # (the table may be left out) label, digits, repeat_for, from_screen, from_staff
//! [reissue]                   # old_certificate
//! [renewal]                   # (the table may be left out) window_days
//! [tries]                     # user, contract, address: { most, window, locked_for }; "never" and "unlocked"
//! [certificate]               # years, expiry, common_name, [organizational_unit], [organization], issue_number_width
//! [notices]                   # before_expiry_days, on
//! [delivery]                  # keys, p12_name, p12_dialect, p12_password
//! [contract]                  # feature_off
//! ```
//!
//! `config/profiles/` has four of them; each line there says which of the product's documents it comes from.

mod consistency;
mod matrix;
mod naming;
mod permits;
mod read;
mod states;
mod template;
#[cfg(test)]
mod tests;
mod types;

pub use matrix::{ActorRole, Cell, Channel, Factor, Matrix, Operation, Permit, Whose};
pub use naming::UniqueName;
pub use states::{ShownState, StateLabels};
pub use template::{LONGEST_ATTRIBUTE, Template, TemplateValues};
pub use types::*;

use sekisho_config::ConfigError;
use sekisho_config::file::read_text;
use sekisho_config::reader::Document;
use std::path::Path;

/// Octets of a profile's file: the shipped ones have a fiftieth of it.
pub const PROFILE_BYTES: u64 = 1 << 20;

/// Reads a profile's file.
///
/// # Errors
/// Every error of the file, in the order of its lines; the first error of TOML itself comes alone.
pub fn load(path: &Path) -> Result<Profile, Vec<ConfigError>> {
    let (text, file) = read_text(path, PROFILE_BYTES)?;
    parse(&text, &file)
}

/// Reads a profile from memory; `file` is its name in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &str) -> Result<Profile, Vec<ConfigError>> {
    // A profile names no other file, so that relative paths start nowhere.
    Document::read(text, file, Path::new(""), read::profile).0
}
