//! HTTP/2's frames as they come, as far as telling whether a header is under way. Pure.

/// Octets of a client's preface before its first frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// Octets of a frame before its payload (RFC 9113 section 4.1).
const FRAME_HEAD: usize = 9;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows what a client sends. h2 tells of a header when it is whole, and waits for the rest of one without end.
#[derive(Debug)]
pub(in crate::gateway) struct Frames {
    preface: usize,
    head: [u8; FRAME_HEAD],
    /// Of `head`.
    have: usize,
    payload: usize,
    /// A frame of a header came that is not its last.
    goes_on: bool,
}

impl Default for Frames {
    fn default() -> Self {
        Self { preface: PREFACE, head: [0; FRAME_HEAD], have: 0, payload: 0, goes_on: false }
    }
}

impl Frames {
    /// Takes what came next; says whether the preface or a header is under way, begun and not whole.
    pub(in crate::gateway) fn follow(&mut self, bytes: &[u8]) -> bool {
        let (preface, mut rest) = bytes.split_at(self.preface.min(bytes.len()));
        self.preface -= preface.len();
        while !rest.is_empty() {
            let taken = if self.have < FRAME_HEAD { self.take_head(rest) } else { self.take_payload(rest) };
            if self.have == FRAME_HEAD && self.payload == 0 {
                self.end();
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        self.preface > 0 || self.goes_on || (self.have == FRAME_HEAD && self.is_of_header())
    }

    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(FRAME_HEAD - self.have);
        if let (Some(room), Some(bytes)) = (self.head.get_mut(self.have..self.have + taken), bytes.get(..taken)) {
            room.copy_from_slice(bytes);
        }
        self.have += taken;
        if self.have == FRAME_HEAD {
            let [high, middle, low, ..] = self.head;
            self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        }
        taken
    }

    fn take_payload(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.payload);
        self.payload -= taken;
        taken
    }

    fn end(&mut self) {
        let [.., flags, _, _, _, _] = self.head;
        if self.is_of_header() {
            self.goes_on = flags & END_HEADERS == 0;
        }
        self.have = 0;
    }

    fn is_of_header(&self) -> bool {
        let [_, _, _, kind, ..] = self.head;
        matches!(kind, HEADERS | CONTINUATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u8::try_from(payload).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1][..], &vec![7; payload]].concat()
    }

    /// Whether something is under way after each piece.
    fn after(frames: &mut Frames, pieces: &[&[u8]]) -> Vec<bool> {
        pieces.iter().map(|piece| frames.follow(piece)).collect()
    }

    #[test]
    fn a_preface_and_a_header_are_under_way_until_they_are_whole_and_nothing_else_is() {
        let mut frames = Frames::default();
        assert_eq!(after(&mut frames, &[&[0; 10], &[0; 13], &[0]]), [true, true, false]);
        let (settings, data) = (frame(4, 0, 6), frame(0, 0, 200));
        assert_eq!(after(&mut frames, &[&settings[..5], &settings[5..], &data[..100], &data[100..]]), [false; 4]);
        let (begun, more, last) =
            (frame(HEADERS, 1, 50), frame(CONTINUATION, 0, 0), frame(CONTINUATION, END_HEADERS, 9));
        assert_eq!(
            after(&mut frames, &[&begun[..9], &begun[9..30], &begun[30..], &more, &last[..17], &last[17..]]),
            [true, true, true, true, true, false],
        );
        let whole = frame(HEADERS, END_HEADERS, 20);
        assert_eq!(after(&mut frames, &[&[&whole[..], &begun, &last, &data].concat()]), [false]);
    }

    #[test]
    fn it_is_the_same_however_the_frames_are_cut() {
        let all =
            [&[0; PREFACE][..], &frame(4, 0, 6), &frame(HEADERS, 0, 40), &frame(CONTINUATION, 4, 3), &frame(0, 1, 90)]
                .concat();
        let mut single = Frames::default();
        for end in 1..=all.len() {
            let mut at_once = Frames::default();
            assert_eq!(at_once.follow(&all[..end]), single.follow(&all[end - 1..end]), "after {end}");
        }
        assert!(!single.follow(&[]));
    }
}
