//! `sekisho demo`.
