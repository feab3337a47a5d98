//! After a crash: what was begun and not finished.

use super::making::under_way;
use super::{Refused, Service};
use crate::issuer::store::Ask;
use crate::pki::time::Timestamp;

/// Users looked at in one page.
const PAGE: u32 = 500;

impl Service {
    /// Interrupts every certificate that was begun before `before` and not completed: it may have been signed, so its
    /// serial is revoked; it never left the house. Gives how many there were.
    ///
    /// At a start of the only node, `before` is now. With several nodes it lies longer ago than any request lasts, so
    /// that no other node's work is stopped.
    ///
    /// # Errors
    /// [`Refused::Unavailable`].
    pub async fn recover(&self, before: Timestamp) -> Result<usize, Refused> {
        let mut interrupted = 0;
        loop {
            let page = self.store().under_way(before, PAGE).await?;
            let mut progress = false;
            for user in &page {
                let found = self.store().find(&Ask::on(user)).await?;
                let (Some(contract), Some(row)) = (&found.contract, &found.user) else { continue };
                if under_way(row).is_some() {
                    self.interrupt(user, &contract.profile).await?;
                    interrupted += 1;
                    progress = true;
                }
            }
            if page.len() < PAGE as usize || !progress {
                return Ok(interrupted);
            }
        }
    }
}
