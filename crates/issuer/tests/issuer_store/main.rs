//! The store on both databases, SQLite and PostgreSQL, the real ones.

use sekisho_testkit::postgres;

mod acts;
mod certificates;
mod failures;
mod feed;
mod names;
mod nodes;
mod reading;
mod support;
