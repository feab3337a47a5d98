//! Serials, certificates, statuses, list numbers, notices.

use crate::support::*;

on_both!(a_serial_is_never_used_twice);

async fn a_serial_is_never_used_twice(database: Database) {
    let _ = database.with_users(1).await;
}
