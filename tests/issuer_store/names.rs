//! Names that one user has alone.

use crate::support::*;
use sekisho::issuer::profile::UniqueName;
use sekisho::issuer::store::{Ask, Store, StoreError, Write};

on_both!(a_name_that_is_another_users_is_not_written_whatever_was_decided,);

async fn a_name_that_is_another_users_is_not_written_whatever_was_decided(database: Database) {
    let store = database.with_users(2).await;
    let name = UniqueName::login("anser-bizsol", "hanako");
    let takes = |user: &str| Write { names: vec![(name.clone(), key("C1", user))], ..Write::default() };
    put(&*store, ask("C1", Some("u1")), takes("u1")).await;
    let asks = |user| Ask { names: vec![name.clone()], ..ask("C1", Some(user)) };
    let refused = try_put(&*store, asks("u2"), takes("u2")).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    // The same once more is nothing new.
    put(&*store, asks("u1"), takes("u1")).await;
    let found = look(&*store, asks("u2")).await;
    assert_eq!(found.names.iter().map(|(_, row)| &row.user.key).collect::<Vec<_>>(), [&key("C1", "u1")]);
    assert_eq!(store.holder(&name).await.unwrap(), Some(key("C1", "u1")));
    assert_eq!(store.holder(&UniqueName::login("hokugin", "hanako")).await.unwrap(), None);
    // What is deleted stays taken.
    let mut deleted = user("C1", "u1");
    deleted.user.standing = sekisho::issuer::lifecycle::Standing::Deleted;
    put(&*store, ask("C1", Some("u1")), Write { users: vec![deleted], ..Write::default() }).await;
    assert!(try_put(&*store, asks("u2"), takes("u2")).await.is_err());
    assert_eq!(database.sql("SELECT count(*) FROM unique_names WHERE name = 'hanako'"), "1");
}
