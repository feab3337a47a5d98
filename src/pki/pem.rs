//! PEM files (RFC 7468).
