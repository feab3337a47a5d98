//! What users read: the state at a moment, and the notices that are due.

use super::acquire::in_window;
use super::state::{Certificate, Lock, Next, Standing, User};
use crate::profile::{Profile, ShownState};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;

/// One line of the list of users 利用者一覧.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserView {
    /// 証明書状態.
    pub certificate: ShownState,
    /// 証明書有効期限: only where a certificate lives; the lists show `-` elsewhere.
    pub expiry: Option<Timestamp>,
    /// 電子証明書シリアル番号 of the last certificate.
    pub serial: Option<SerialNumber>,
    /// 電子証明書発行番号 of the last certificate.
    pub issue_number: Option<u32>,
    /// 電子証明書発行データ登録日, while it is held.
    pub registered_at: Option<Timestamp>,
    /// 利用者停止, beside the state of the certificate.
    pub standing: Standing,
    /// Whether the acquisition is locked, beside a certificate that lives.
    pub lock: Lock,
}

/// A user as lists show them at `now`.
pub fn view(profile: &Profile, user: &User, now: Timestamp) -> UserView {
    let (serial, issue_number, registered_at) = match &user.certificate {
        Certificate::None => (None, None, None),
        Certificate::Held(held) => (Some(held.serial), Some(held.issue_number), Some(held.registered_at)),
        Certificate::Revoked(revoked) => (Some(revoked.serial), Some(revoked.issue_number), None),
    };
    UserView {
        certificate: state(profile, user, now),
        expiry: user.live(now).map(|held| held.not_after),
        serial,
        issue_number,
        registered_at,
        standing: user.standing,
        lock: user.lock,
    }
}

fn state(profile: &Profile, user: &User, now: Timestamp) -> ShownState {
    if let Some(live) = user.live(now) {
        return if in_window(profile, live, now) { ShownState::Renewable } else { ShownState::Issued };
    }
    if user.lock != Lock::Open {
        return ShownState::AcquisitionLocked;
    }
    match (&user.next, &user.certificate) {
        (Next::Offered(offer), _) if now <= offer.deadline => ShownState::AwaitingAcquisition,
        (Next::Acquiring { .. }, _) => ShownState::AwaitingAcquisition,
        (_, Certificate::None) => ShownState::NotIssued,
        (_, Certificate::Held(_)) => ShownState::Expired,
        (_, Certificate::Revoked(_)) => ShownState::Revoked,
    }
}

/// A step of the ladder of notices that has been reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryNotice {
    /// Of which certificate; one notice for each serial and step.
    pub serial: SerialNumber,
    /// The step: days before expiry.
    pub step_days: u16,
    /// When it expires.
    pub expires: Timestamp,
}

/// The last step reached; earlier steps that nobody was told of are passed over.
pub fn expiry_notice(profile: &Profile, user: &User, now: Timestamp) -> Option<ExpiryNotice> {
    /// Seconds in a day.
    const DAY: i64 = 86_400;
    if user.standing == Standing::Deleted {
        return None;
    }
    let live = user.live(now)?;
    let reached = |days: &&u16| live.not_after.plus_seconds(-i64::from(**days) * DAY) <= now;
    let step_days = *profile.notices.before_expiry_days.iter().filter(reached).min()?;
    Some(ExpiryNotice { serial: live.serial, step_days, expires: live.not_after })
}
