//! The block list: who is refused by hand, beside all revocation (requirement R1).

/// Who is blocked; immutable.
#[derive(Debug, Default)]
pub struct BlockList {}
