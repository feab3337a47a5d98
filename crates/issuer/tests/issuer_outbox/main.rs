//! Notices out of a real store into a real mail server (aiosmtpd).

use sekisho_testkit::harness::python;

mod answers;
mod ladder;
mod mails;
mod protection;
mod support;
