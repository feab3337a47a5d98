//! What is trusted now: CA certificates and revocation lists, validated in the background and published whole.
