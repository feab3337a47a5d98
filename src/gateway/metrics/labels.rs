//! The values of labels that no folder before this one has.

use crate::gateway::verify::Reason;
use sekisho_runtime::label;
use serde::{Serialize, Serializer};

label! {
    /// The outcome of a handshake, or of a revocation check that was pending after it.
    pub(in crate::gateway) enum HandshakeOutcome {
        /// The client is verified.
        Accepted = "accepted",
        /// The client has no certificate, and the site needs none.
        Anonymous = "anonymous",
        /// The revocation status is pending: a second record follows.
        Pending = "pending",
        /// The client is refused.
        Refused = "refused",
        /// There is no TLS connection.
        Failed = "failed",
    }
}

label! {
    /// Whether a TLS session was resumed.
    pub(in crate::gateway) enum Resumed {
        /// It was.
        True = "true",
        /// It was not.
        False = "false",
    }
}

label! {
    /// What happened to the block list.
    pub(in crate::gateway) enum Act {
        /// A block was added.
        Added = "added",
        /// A block took the place of one on the same target.
        Replaced = "replaced",
        /// A block was removed.
        Removed = "removed",
        /// A block ended by time.
        Expired = "expired",
        /// A change without the right to it was denied.
        Denied = "denied",
    }
}

label! {
    /// The outcome of a load.
    pub(in crate::gateway) enum ReloadOutcome {
        /// It is in force.
        Published = "published",
        /// What was in force before stays.
        Refused = "refused",
    }
}

label! {
    /// The kind of an upstream's failure.
    pub(in crate::gateway) enum UpstreamError {
        /// The connection or the response ended early, or is not HTTP.
        Broken = "broken",
        /// There is no connection.
        Connect = "connect",
        /// No peer is healthy.
        NoPeer = "no-peer",
        /// The peer took too long.
        Timeout = "timeout",
    }
}

label! {
    /// The outcome of a message of the feed.
    pub(in crate::gateway) enum MessageOutcome {
        /// Its changes are in force.
        Applied = "applied",
        /// It has no changes.
        Heartbeat = "heartbeat",
        /// It was signed long ago: the clocks differ, or the message was held up.
        Outdated = "outdated",
        /// It is known.
        Repeated = "repeated",
    }
}

label! {
    /// The outcome of an acknowledgement.
    pub(in crate::gateway) enum AcknowledgementOutcome {
        /// The issuer has it.
        Accepted = "accepted",
        /// The issuer could not be reached, or failed.
        Failed = "failed",
        /// The issuer refused it.
        Refused = "refused",
    }
}

label! {
    /// Why a stream of the feed ended.
    pub(in crate::gateway) enum StreamEnd {
        /// A message's algorithm is not ES256.
        Algorithm = "algorithm",
        /// A message is of another feed.
        AnotherFeed = "another-feed",
        /// A message follows other changes than were received: the store was restored from a backup.
        AnotherHistory = "another-history",
        /// A message was signed before the one that came before it.
        Backwards = "backwards",
        /// There is no connection.
        Connect = "connect",
        /// The node ended the stream.
        Ended = "ended",
        /// The stream is no event stream that can be read.
        Events = "events",
        /// A message could not be put in force.
        Failed = "failed",
        /// The issuer's store is behind what this gateway has.
        FeedAhead = "feed-ahead",
        /// A message is no compact JWS.
        Form = "form",
        /// There is no room for more changes.
        Full = "full",
        /// A message begins after a gap.
        Gap = "gap",
        /// A message's header cannot be read.
        Header = "header",
        /// A message begins before the end of what was received, and ends after it.
        Overlap = "overlap",
        /// A message's payload cannot be read.
        Payload = "payload",
        /// The node answered with something else.
        Refused = "refused",
        /// A message's signature is not valid.
        Signature = "signature",
        /// Nothing came for too long.
        Silent = "silent",
        /// A message's type is another one.
        Type = "type",
        /// A message is signed with a key that is not configured.
        UnknownKey = "unknown-key",
    }
}

/// Why a handshake was refused or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum HandshakeReason {
    /// It was neither.
    None,
    /// No site has the server name.
    NoSite,
    /// TLS.
    Tls,
    /// It took too long.
    Timeout,
    /// The client's certificate.
    Certificate(Reason),
}

impl HandshakeReason {
    /// Every value.
    pub(in crate::gateway) const ALL: [Self; 4 + Reason::ALL.len()] = {
        let mut all = [Self::None; 4 + Reason::ALL.len()];
        all[1] = Self::NoSite;
        all[2] = Self::Tls;
        all[3] = Self::Timeout;
        let mut index = 0;
        while index < Reason::ALL.len() {
            all[4 + index] = Self::Certificate(Reason::ALL[index]);
            index += 1;
        }
        all
    };

    /// Returns the value in metrics and logs.
    pub(in crate::gateway) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::NoSite => "no-site",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Certificate(reason) => reason.as_str(),
        }
    }
}

impl Serialize for HandshakeOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for HandshakeReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
