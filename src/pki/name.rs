//! Distinguished names (RFC 5280 section 4.1.2.4).
