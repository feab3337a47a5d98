//! What changes between two loads of files: what the feed told, the block list, OCSP answers.
//!
//! A snapshot holds one of these beside the lists; replacing it costs a few pointers, however long the lists are.

use super::blocks::BlockList;
use super::feed::FeedView;
use super::ocsp::OcspAnswers;
use super::sources::PointBook;
use std::sync::Arc;

/// What is live at a moment.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// What the issuer's feed told since the lists in force were made.
    pub feed: Arc<FeedView>,
    /// Who is blocked by hand.
    pub blocks: Arc<BlockList>,
    /// What OCSP responders answered.
    pub answers: Arc<OcspAnswers>,
    /// Which distribution points were asked for. None where nobody asks: then no status is pending for one.
    pub points: Option<Arc<PointBook>>,
}
