//! The acts on a user, one path each.

use super::Shared;
use super::answer::DoneView;
use super::body::{AcquireBody, ActBody, PlainBody, RenewBody, RevokeBody};
use super::call::{Call, UserPath};
use super::idempotency::{KeyOptional, KeyRequired};
use super::problem::Problem;
use super::text::AcquisitionText;
use crate::service::Act;
use axum::extract::State;
use sekisho_pki::crl::RevocationReason;
use std::sync::Arc;

/// Defines a handler: its path, whether it needs an idempotency key, its body, the act.
macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident($path:literal, $key:ident, $body:ident, $act:expr);)*) => {$(
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = "acts", params(UserPath, $key), request_body = $body,
            responses((status = 200, description = "It is done.", body = DoneView))
        )]
        pub(super) async fn $name(
            State(shared): State<Arc<Shared>>,
            call: Call<$body>,
        ) -> Result<DoneView, Problem> {
            let act: fn(<$body as ActBody>::Own) -> Act = $act;
            let (caller, done) = call.perform(&shared, |own, _| Ok(act(own))).await?;
            shared.done_view(done, &caller).await
        }
    )*};
}

acts! {
    /// Offers an acquisition to a user for whom no certificate lives.
    offer("/v1/contracts/{contract}/users/{user}/offer", KeyRequired, PlainBody, |()| Act::Offer);
    /// Offers an acquisition anew 再発行, whatever the user holds. Where the profile says so, what they hold is revoked
    /// at once.
    reissue("/v1/contracts/{contract}/users/{user}/reissue", KeyRequired, PlainBody, |()| Act::Reissue);
    /// Acquires a certificate 取得.
    acquire(
        "/v1/contracts/{contract}/users/{user}/acquire", KeyRequired, AcquireBody,
        |(secret, key)| Act::Acquire { secret: secret.map(AcquisitionText::into_inner), key: key.into() }
    );
    /// Renews the certificate 更新, in the profile's window.
    renew("/v1/contracts/{contract}/users/{user}/renew", KeyRequired, RenewBody, |(key,)| Act::Renew(key.into()));
    /// Revokes the certificate 失効, and withdraws what is under way. It cannot be undone.
    revoke(
        "/v1/contracts/{contract}/users/{user}/revoke", KeyOptional, RevokeBody,
        |(reason,)| Act::Revoke(reason.map_or(RevocationReason::Unspecified, RevocationReason::from))
    );
    /// Leaves the certificate as it is 現在の電子証明書を継続する, and has it written down.
    continue_("/v1/contracts/{contract}/users/{user}/continue", KeyOptional, PlainBody, |()| Act::Continue);
    /// Locks the acquisition.
    lock("/v1/contracts/{contract}/users/{user}/lock", KeyOptional, PlainBody, |()| Act::Lock);
    /// Unlocks the acquisition.
    unlock("/v1/contracts/{contract}/users/{user}/unlock", KeyOptional, PlainBody, |()| Act::Unlock);
    /// Suspends the user 利用者停止: the gateways refuse their certificate until they are resumed.
    suspend("/v1/contracts/{contract}/users/{user}/suspend", KeyOptional, PlainBody, |()| Act::Suspend);
    /// Ends the suspension 停止解除.
    resume("/v1/contracts/{contract}/users/{user}/resume", KeyOptional, PlainBody, |()| Act::Resume);
    /// Deletes the user 登録抹消 and revokes what they hold. Their ID is not used again.
    delete("/v1/contracts/{contract}/users/{user}/delete", KeyOptional, PlainBody, |()| Act::Delete);
}
