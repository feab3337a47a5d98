//! The states of a certificate as users read them.

use super::types::Label;

/// The state of a user's certificate as users read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShownState {
    /// 未発行: there has been none.
    NotIssued,
    /// The user may acquire one now.
    AwaitingAcquisition,
    /// 発行済み, 有効: one lives.
    Issued,
    /// 更新可: one lives and is in its renewal window.
    Renewable,
    /// 有効期限切れ: the last one ran out.
    Expired,
    /// 失効済み: the last one was revoked.
    Revoked,
    /// None lives, and none may be acquired until an unlocking.
    AcquisitionLocked,
    /// 利用者停止: the user, not the certificate, is suspended.
    UserSuspended,
}

impl ShownState {
    /// Every state with its key in `[states]`.
    pub const ALL: [(&'static str, Self); 8] = [
        ("not_issued", Self::NotIssued),
        ("awaiting_acquisition", Self::AwaitingAcquisition),
        ("issued", Self::Issued),
        ("renewable", Self::Renewable),
        ("expired", Self::Expired),
        ("revoked", Self::Revoked),
        ("acquisition_locked", Self::AcquisitionLocked),
        ("user_suspended", Self::UserSuspended),
    ];
}

/// `[states]`: a label for each state.
#[derive(Clone, Debug)]
pub struct StateLabels(pub(super) [Label; 8]);

impl StateLabels {
    /// What users read for a state.
    pub fn label(&self, state: ShownState) -> &Label {
        let [not_issued, awaiting, issued, renewable, expired, revoked, locked, suspended] = &self.0;
        match state {
            ShownState::NotIssued => not_issued,
            ShownState::AwaitingAcquisition => awaiting,
            ShownState::Issued => issued,
            ShownState::Renewable => renewable,
            ShownState::Expired => expired,
            ShownState::Revoked => revoked,
            ShownState::AcquisitionLocked => locked,
            ShownState::UserSuspended => suspended,
        }
    }
}
