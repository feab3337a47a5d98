//! Notices out of a real store into a real mail server (aiosmtpd).

#[path = "../common/python.rs"]
mod python;

mod answers;
mod ladder;
mod mails;
mod protection;
mod support;
