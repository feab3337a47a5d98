//! Reads `[feed]`.

use super::defaults;
use super::types::{FeedConfig, IssuerConfig};
use crate::reader::Section;
use crate::values::{duration, placed_path};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// `[feed]`.
pub(super) fn read(mut section: Section<'_>) -> FeedConfig {
    let advice =
        "write the PEM file of a P-256 key: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE";
    let feed = FeedConfig {
        key: section.required("key_file", advice, placed_path),
        // The listener closes a connection that is silent for 75 s; shorter ones than a tenth tell gateways nothing more.
        heartbeat: section.or("heartbeat", defaults::FEED_HEARTBEAT, |item| {
            duration(item, Duration::from_millis(100)..=Duration::from_secs(60))
        }),
        wait: section.or("wait", defaults::FEED_WAIT, |item| duration(item, Duration::ZERO..=Duration::from_secs(10))),
        forget_after: section.or("forget_after", defaults::FEED_FORGET_AFTER, |item| {
            duration(item, Duration::from_secs(60)..=365 * DAY)
        }),
    };
    section.finish();
    feed
}

/// An answer that waits for gateways is given while there is time for it: what was done must not be told as too late.
pub(super) fn check(root: &Section<'_>, config: &IssuerConfig) {
    let limit = config.limits.request_timeout;
    if config.feed.as_ref().is_some_and(|feed| feed.wait >= limit) {
        let message = format!("wait must be less than limits.request_timeout, which is {} s", limit.as_secs());
        root.document.refuse(&root.place_of("feed"), message);
    }
}
