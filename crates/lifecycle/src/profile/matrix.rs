//! The matrix: who may do what to whom through which channel, and what they must prove.

use super::types::{Label, RoleName};
use sekisho_config::Place;
use std::sync::Arc;

/// An act of the lifecycle that somebody may be permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Registers a user 利用者登録.
    Register,
    /// Deletes a user 登録抹消.
    Delete,
    /// Offers an acquisition to a user who holds nothing.
    Offer,
    /// Acquires a certificate 取得.
    Acquire,
    /// Offers an acquisition anew, whatever the user holds 再発行.
    Reissue,
    /// Renews in the window 更新.
    Renew,
    /// Revokes 失効.
    Revoke,
    /// Leaves the certificate as it is, in so many words 現在の電子証明書を継続する.
    Continue,
    /// Locks the acquisition.
    Lock,
    /// Unlocks it.
    Unlock,
    /// Suspends the user 利用者停止.
    Suspend,
    /// Ends the suspension 停止解除.
    Resume,
    /// Switches the certificate feature of a contract on.
    SwitchOn,
    /// Switches it off.
    SwitchOff,
}

impl Operation {
    /// Every operation with its word in `[[permit]] operation`, in audit records and in the API.
    pub const ALL: [(&'static str, Self); 14] = [
        ("register", Self::Register),
        ("delete", Self::Delete),
        ("offer", Self::Offer),
        ("acquire", Self::Acquire),
        ("reissue", Self::Reissue),
        ("renew", Self::Renew),
        ("revoke", Self::Revoke),
        ("continue", Self::Continue),
        ("lock", Self::Lock),
        ("unlock", Self::Unlock),
        ("suspend", Self::Suspend),
        ("resume", Self::Resume),
        ("switch-on", Self::SwitchOn),
        ("switch-off", Self::SwitchOff),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, operation)| *operation == self).map_or("", |(word, _)| word)
    }

    /// Whether its target is a user or the contract.
    pub fn is_on_user(self) -> bool {
        !matches!(self, Self::SwitchOn | Self::SwitchOff)
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorRole {
    /// Two people of the bank's desk: `staff`.
    Staff,
    /// A user of the contract.
    Role(RoleName),
}

/// On whom: `self` or `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The actor's own user ID.
    Own,
    /// Another user's, or the contract's.
    Other,
}

/// The way the order came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The product's own screens.
    Online,
    /// A form on paper with the customer's seal, entered by staff.
    PaperForm,
    /// The bank's desk of its own motion or by telephone.
    StaffDesk,
}

impl Channel {
    /// Its word in `[[permit]] channel` and in audit records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::PaperForm => "paper-form",
            Self::StaffDesk => "staff-desk",
        }
    }
}

/// What an actor proves to be let act; checked by the caller, required by the permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// The certificate that lives, shown in the TLS handshake.
    CurrentCertificate,
    /// Login password ログインパスワード.
    LoginPassword,
    /// User's PIN 利用者暗証番号.
    Pin,
    /// One-time password ワンタイムパスワード.
    OneTimePassword,
    /// Execution password 取引（実行）パスワード, 実行用暗証番号.
    ExecutionPassword,
    /// Confirmation password 確認用パスワード.
    ConfirmationPassword,
    /// Contract confirmation PIN ご契約先確認暗証番号.
    ContractConfirmationPin,
}

impl Factor {
    /// Every factor with its word in `[[permit]] proof`.
    pub const ALL: [(&'static str, Self); 7] = [
        ("current-certificate", Self::CurrentCertificate),
        ("login-password", Self::LoginPassword),
        ("pin", Self::Pin),
        ("one-time-password", Self::OneTimePassword),
        ("execution-password", Self::ExecutionPassword),
        ("confirmation-password", Self::ConfirmationPassword),
        ("contract-confirmation-pin", Self::ContractConfirmationPin),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, factor)| *factor == self).map_or("", |(word, _)| word)
    }
}

/// One `[[permit]]`: each of `operations` by each of `by` on each of `on`, whose ID it is, through each channel.
#[derive(Clone, Debug)]
pub struct Permit {
    /// `operation`.
    pub operations: Vec<Operation>,
    /// `by`.
    pub by: Vec<ActorRole>,
    /// `on`; empty for a contract's operations.
    pub on: Vec<RoleName>,
    /// `whose`.
    pub whose: Vec<Whose>,
    /// `channel`.
    pub channels: Vec<Channel>,
    /// `proof`: all of these; empty only for staff, who are two people instead.
    pub proofs: Vec<Factor>,
    /// `screen`: the id that the audit event carries.
    pub screen: Option<Arc<str>>,
    /// `form`: the paper form's name.
    pub form: Option<Label>,
    /// Where the file has it.
    pub(super) place: Place,
}

/// One question to the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// What.
    pub operation: Operation,
    /// By whom.
    pub by: &'a ActorRole,
    /// On whom; `None` for the contract.
    pub on: Option<&'a RoleName>,
    /// Self or other.
    pub whose: Whose,
    /// How.
    pub channel: Channel,
}

/// All permits; no two of them answer the same question.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    pub(super) permits: Vec<Permit>,
}

impl Matrix {
    /// The permit for a cell; `None`: not permitted.
    pub fn permit(&self, cell: &Cell<'_>) -> Option<&Permit> {
        self.permits.iter().find(|permit| permit.covers(cell))
    }

    /// Every permit, in the file's order.
    pub fn permits(&self) -> &[Permit] {
        &self.permits
    }
}

impl Permit {
    /// Whether this permit answers that question.
    pub fn covers(&self, cell: &Cell<'_>) -> bool {
        let on = match cell.on {
            Some(role) => self.on.contains(role),
            None => !cell.operation.is_on_user(),
        };
        on && self.operations.contains(&cell.operation)
            && self.by.contains(cell.by)
            && self.whose.contains(&cell.whose)
            && self.channels.contains(&cell.channel)
    }

    /// Every question this permit answers. Of `self` only where actor and target have one role: they are one person.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let targets = || self.on.iter().map(Some).chain(self.on.is_empty().then_some(None));
        self.operations.iter().flat_map(move |operation| {
            self.by.iter().flat_map(move |by| {
                targets().flat_map(move |on| {
                    self.whose.iter().flat_map(move |whose| {
                        let same_role = matches!((by, on), (ActorRole::Role(by), Some(on)) if by == on);
                        let channels = (*whose == Whose::Other || same_role).then_some(&self.channels);
                        channels.into_iter().flatten().map(move |channel| Cell {
                            operation: *operation,
                            by,
                            on,
                            whose: *whose,
                            channel: *channel,
                        })
                    })
                })
            })
        })
    }
}
