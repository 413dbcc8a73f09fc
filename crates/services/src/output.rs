//! Bytes cut into lines.
//!
//! Owns: where a line ends, with a bound on each. Never: changes a byte: what is no text goes through as
//! it is.

use nex_types::unfinished_character;

/// A longer line goes in pieces, cut between characters; the log feed would drop the rest.
const LONGEST_LINE: usize = 16 * 1024;

/// What is left after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Nothing.
    Whole,
    /// A line that began among them.
    Began,
    /// The line that was there before.
    Continued,
}

/// The line that has not ended yet.
#[derive(Debug)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    longest: usize,
    /// Part of the line was given away already, so that its end alone is no empty line.
    was_cut: bool,
}

impl Lines {
    /// With the usual bound.
    pub(crate) fn usual() -> Self {
        Self::new(LONGEST_LINE)
    }

    fn new(longest: usize) -> Self {
        Self { partial: Vec::new(), longest, was_cut: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(&[u8])) -> Pushed {
        let mut has_ended = false;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part {
                [text @ .., b'\n'] => (text, true),
                text => (text, false),
            };
            self.append(text, emit);
            if ends {
                self.end(emit);
                has_ended = true;
            }
        }
        match (self.partial.is_empty(), has_ended) {
            (true, _) => Pushed::Whole,
            (false, true) => Pushed::Began,
            (false, false) => Pushed::Continued,
        }
    }

    pub(crate) fn flush(&mut self, emit: &mut impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            self.give(emit);
        }
    }

    fn append(&mut self, mut text: &[u8], emit: &mut impl FnMut(&[u8])) {
        while !text.is_empty() {
            let room = self.longest - self.partial.len();
            let (fits, rest) = text.split_at(room.min(text.len()));
            self.partial.extend_from_slice(fits);
            text = rest;
            if self.partial.len() == self.longest {
                self.give_whole_characters(emit);
            }
        }
    }

    fn end(&mut self, emit: &mut impl FnMut(&[u8])) {
        if !self.partial.is_empty() || !self.was_cut {
            self.give(emit);
        }
        self.was_cut = false;
    }

    /// Gives away what the line has so far; a character that is not whole waits for its rest.
    fn give_whole_characters(&mut self, emit: &mut impl FnMut(&[u8])) {
        let whole = self.partial.len() - unfinished_character(&self.partial);
        // So that there is room for more in any case.
        let unfinished = if whole == 0 { Vec::new() } else { self.partial.split_off(whole) };
        self.give(emit);
        self.partial = unfinished;
    }

    fn give(&mut self, emit: &mut impl FnMut(&[u8])) {
        emit(&self.partial);
        self.partial.clear();
        self.was_cut = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(chunks: &[&[u8]], longest: usize) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(longest);
        let mut given = Vec::new();
        let mut emit = |line: &[u8]| given.push(line.to_vec());
        for chunk in chunks {
            lines.push(chunk, &mut emit);
        }
        lines.flush(&mut emit);
        given
    }

    #[test]
    fn lines_are_cut_at_newlines_alone() {
        assert_eq!(
            cut(&[b"a\n\nb\r\n\xff\0", b"c"], 9),
            [b"a".as_slice(), b"", b"b\r", b"\xff\0c"]
        );
        assert_eq!(cut(&[b"12345678\n9"], 4), [b"1234".as_slice(), b"5678", b"9"]);
        assert!(cut(&[], 4).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let euros = "€€€€";
        assert_eq!(cut(&[euros.as_bytes()], 7), ["€€".as_bytes(), "€€".as_bytes()]);
        assert_eq!(cut(&["ab€\n".as_bytes()], 4), [b"ab".as_slice(), "€".as_bytes()]);
        let (head, tail) = euros.as_bytes().split_at(4);
        assert_eq!(cut(&[head, tail], 7), ["€€".as_bytes(), "€€".as_bytes()]);
        assert_eq!(cut(&["€".as_bytes()], 2), [&"€".as_bytes()[..2], &"€".as_bytes()[2..]]);
    }

    proptest! {
        #[test]
        fn short_lines_do_not_depend_on_how_they_arrive(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(1usize..40, 0..30),
        ) {
            let (mut rest, mut chunks) = (bytes.as_slice(), Vec::new());
            for at in cuts {
                let (chunk, tail) = rest.split_at(at.min(rest.len()));
                chunks.push(chunk);
                rest = tail;
            }
            chunks.push(rest);
            let mut expected: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
            expected.pop_if(|last| last.is_empty());
            prop_assert_eq!(cut(&chunks, 1000), expected);
        }

        #[test]
        fn no_piece_is_too_long_and_no_byte_is_lost(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            longest in 1usize..20,
        ) {
            let pieces = cut(&[&bytes], longest);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= longest));
            let kept: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\n').collect();
            prop_assert_eq!(pieces.concat(), kept);
        }
    }
}
