//! Response bodies of the demo application.

use super::Body;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

/// Octets of one frame of a large body.
const FRAME_OCTETS: u64 = 16 * 1024;

/// How often a streamed body says something.
const TICK: Duration = Duration::from_millis(100);

/// A body that is there already.
pub(super) fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed_unsync()
}

/// `count` octets, frame by frame, so that neither end holds them all.
pub(super) fn octets(count: u64) -> Body {
    let frames = stream::unfold(count, |left| async move {
        let size = left.min(FRAME_OCTETS);
        let frame = Bytes::from(vec![b'.'; usize::try_from(size).unwrap_or_default()]);
        (size > 0).then(|| (Ok::<_, Infallible>(Frame::data(frame)), left - size))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// A line every 100 ms for some seconds, the first at once.
pub(super) fn ticking(seconds: u64) -> Body {
    let lines = seconds.saturating_mul(10);
    let frames = stream::unfold(0, move |line| async move {
        if line > 0 {
            tokio::time::sleep(TICK).await;
        }
        let frame = Frame::data(Bytes::from(format!("line {line}\n")));
        (line < lines).then_some((Ok::<_, Infallible>(frame), line + 1))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Lower-case hexadecimal.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}
