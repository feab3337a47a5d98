//! Server-sent events (WHATWG HTML section 9.2) taken out of a stream of octets.

use std::fmt;

/// Octets of one event: 500 changes of some 250 octets in base64, and 10,000 published lists beside them. More than
/// that without an end is not the issuer's doing.
pub const MOST_EVENT_OCTETS: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `event`; empty where the stream names none.
    pub kind: String,
    /// `data`, its lines joined with a line feed.
    pub data: String,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventError {
    /// An event of more than [`MOST_EVENT_OCTETS`].
    TooLong,
    /// Not UTF-8.
    Text,
}

/// The stream's reader: octets in, events out, and at most one event's octets held.
#[derive(Debug, Default)]
pub struct Events {
    /// A line that has not ended.
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    /// Octets of the event so far, ended lines and all.
    octets: usize,
}

impl Events {
    /// Takes what came and gives the events that it ends.
    ///
    /// # Errors
    /// [`EventError`]: the stream has to be left.
    pub fn take(&mut self, mut octets: &[u8]) -> Result<Vec<Event>, EventError> {
        let mut events = Vec::new();
        while let Some(end) = octets.iter().position(|octet| *octet == b'\n') {
            let (line, rest) = octets.split_at(end);
            octets = rest.get(1..).unwrap_or_default();
            self.hold(line)?;
            let line = std::mem::take(&mut self.line);
            events.extend(self.end_line(&line)?);
        }
        self.hold(octets)?;
        Ok(events)
    }

    fn hold(&mut self, octets: &[u8]) -> Result<(), EventError> {
        self.octets = self.octets.saturating_add(octets.len());
        if self.octets > MOST_EVENT_OCTETS {
            return Err(EventError::TooLong);
        }
        self.line.extend_from_slice(octets);
        Ok(())
    }

    /// A line ends with a line feed, before which a carriage return may stand; one alone, which the standard also
    /// knows, no server sends.
    fn end_line(&mut self, line: &[u8]) -> Result<Option<Event>, EventError> {
        let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).map_err(|_| EventError::Text)?;
        if line.is_empty() {
            self.octets = 0;
            let event = std::mem::take(&mut self.event);
            // An event without data is none.
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.kind = value.to_owned(),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            // `id` says what the signed message says too; `retry` is our own to decide; an empty name is a comment.
            _ => {}
        }
        Ok(None)
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "an event has more than {MOST_EVENT_OCTETS} octets"),
            Self::Text => f.write_str("an event is not UTF-8"),
        }
    }
}

impl std::error::Error for EventError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: &str, data: &str) -> Event {
        Event { kind: kind.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let stream = ": comment\n\nid: 4\nevent: revocations\ndata: abc\n\ndata:x\r\ndata:  y\r\n\r\nevent: lost\n\nretry: 1\ndata\n\n";
        let events = Events::default().take(stream.as_bytes()).unwrap();
        assert_eq!(events, [event("revocations", "abc"), event("", "x\n y"), event("", "")]);
    }

    #[test]
    fn an_event_without_end_is_refused_at_the_limit_and_not_held() {
        for unit in [&[b'a'; 1000][..], b"data: aaaaaaaa\n", b": comment\n"] {
            let mut events = Events::default();
            let mut taken = 0;
            let error = loop {
                match events.take(unit) {
                    Ok(found) => assert!(found.is_empty()),
                    Err(error) => break error,
                }
                taken += unit.len();
                assert!(taken <= MOST_EVENT_OCTETS + unit.len() * 2 + taken / 4, "no limit was met");
            };
            assert_eq!(error, EventError::TooLong);
            assert!(events.line.capacity() + events.event.data.capacity() <= 4 * MOST_EVENT_OCTETS);
        }
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(Events::default().take(b"data: \xff\n\n"), Err(EventError::Text));
    }

    proptest! {
        #[test]
        fn events_are_the_same_however_the_octets_are_cut(
            stream in "((id|event|data|:)(: ?[a-z]{0,3})?\r?\n|\n){0,20}", cuts in proptest::collection::vec(0_usize..64, 0..8)
        ) {
            let whole = Events::default().take(stream.as_bytes()).unwrap();
            let (mut reader, mut found, mut rest) = (Events::default(), Vec::new(), stream.as_bytes());
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                found.extend(reader.take(now).unwrap());
                rest = later;
            }
            found.extend(reader.take(rest).unwrap());
            prop_assert_eq!(found, whole);
        }
    }
}
