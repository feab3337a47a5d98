//! After a crash: what was begun and not finished.

use super::making::under_way;
use super::{Refused, Service};
use crate::store::Ask;
use sekisho_pki::time::Timestamp;

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
                let Some(serial) = under_way(row) else { continue };
                let begun = self.store().certificate(&serial).await?.map(|row| row.begun_at);
                if begun.is_some_and(|begun| begun >= before) {
                    // The user began anew meanwhile, perhaps on another node.
                    continue;
                }
                match self.interrupt(user, &contract.profile, serial).await {
                    Ok(()) => {
                        interrupted += 1;
                        progress = true;
                    }
                    // One contract's profile that is not configured here must not leave the others' work undone.
                    Err(error) => {
                        tracing::warn!(contract = %user.contract, ?error, "an intent could not be interrupted")
                    }
                }
            }
            if page.len() < PAGE as usize || !progress {
                return Ok(interrupted);
            }
        }
    }
}
