//! Where bytes that may be text can be cut.
//!
//! Owns: finding characters that are not whole. Never: changes a byte, or demands that they are text.

/// How many bytes at the end are the beginning of a UTF-8 character that goes on behind them; 0 when the
/// last character is whole, or the bytes are no text there. At most three.
#[must_use]
pub fn unfinished_character(bytes: &[u8]) -> usize {
    for (n_back, byte) in bytes.iter().rev().take(3).enumerate() {
        let n_here = n_back + 1;
        match byte.leading_ones() {
            // A byte within a character: its beginning lies further back.
            1 => {}
            n_wanted @ 2..=4 if n_wanted as usize > n_here => return n_here,
            _ => return 0,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_beginning_of_a_character_is_told_from_a_whole_one_and_from_what_is_no_text() {
        for (bytes, n) in [
            (&b""[..], 0),
            (b"abc", 0),
            ("é".as_bytes(), 0),
            (b"a\xc3", 1),
            ("€".as_bytes(), 0),
            (b"a\xe2\x82", 2),
            ("😀".as_bytes(), 0),
            (b"\xf0\x9f\x98", 3),
            (b"\x80\x80\x80\x80", 0),
            (b"\xff", 0),
            (b"a\xc3\x80\x80", 0),
        ] {
            assert_eq!(unfinished_character(bytes), n, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn text_that_is_cut_anywhere_is_text_without_the_unfinished_character(
            text in ".{0,40}",
            at in 0usize..160,
        ) {
            let head = &text.as_bytes()[..at.min(text.len())];
            let whole = &head[..head.len() - unfinished_character(head)];
            prop_assert!(std::str::from_utf8(whole).is_ok());
        }
    }
}
