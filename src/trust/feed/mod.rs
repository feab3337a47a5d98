//! What the issuer's feed told (requirement R6).

/// What the feed told since the lists in force were made; immutable.
#[derive(Debug, Default)]
pub struct FeedView {}
