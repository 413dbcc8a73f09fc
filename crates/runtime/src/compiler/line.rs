//! One line between nexlet and helper: a request, its answer, the next request.
//!
//! Owns: the form of both. Never: trusts what comes: the nexlet may have been broken into, and the
//! helper works for it outside of its walls.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::Origin;

/// Longer than any message of ours.
const LONGEST: usize = 128 * 1024;

/// One end of it.
#[derive(Debug)]
pub struct Line(UnixStream);

/// What to compile: a file of the folder that both know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whose module it is.
    pub origin: Origin,
    /// A bare file name.
    pub input: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The code is in the cache.
    Compiled,
    /// It is no module that this engine takes: the reason, then lines of detail.
    Invalid(String),
    /// It was given up, by this sentence.
    Refused(String),
}

impl Line {
    /// The two ends of a new line.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self(one), Self(other)))
    }

    /// The end that this process was started with.
    #[must_use]
    pub fn inherited(end: OwnedFd) -> Self {
        Self(end.into())
    }

    /// This end, to be given to another process.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0.into()
    }

    pub(super) fn ask(&mut self, request: &Request) -> io::Result<Outcome> {
        let origin = match request.origin {
            Origin::Own => b'o',
            Origin::Stranger => b's',
        };
        self.send(origin, &request.input)?;
        let (kind, text) = self.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match kind {
            b'c' => Ok(Outcome::Compiled),
            b'i' => Ok(Outcome::Invalid(text)),
            b'r' => Ok(Outcome::Refused(text)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The next request; none when the other end is closed.
    pub(super) fn next(&mut self) -> io::Result<Option<Request>> {
        let Some((kind, input)) = self.receive()? else { return Ok(None) };
        let origin = match kind {
            b'o' => Origin::Own,
            b's' => Origin::Stranger,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
        if input.is_empty() || input.starts_with('.') || !input.bytes().all(is_bare) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Some(Request { origin, input }))
    }

    pub(super) fn answer(&mut self, outcome: &Outcome) -> io::Result<()> {
        match outcome {
            Outcome::Compiled => self.send(b'c', ""),
            Outcome::Invalid(said) => self.send(b'i', said),
            Outcome::Refused(sentence) => self.send(b'r', sentence),
        }
    }

    fn send(&mut self, kind: u8, text: &str) -> io::Result<()> {
        let text = &text.as_bytes()[..text.len().min(LONGEST)];
        let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut message = vec![kind];
        message.extend(length.to_le_bytes());
        message.extend(text);
        self.0.write_all(&message)
    }

    fn receive(&mut self) -> io::Result<Option<(u8, String)>> {
        let mut kind = [0];
        if self.0.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = vec![0; length];
        self.0.read_exact(&mut text)?;
        Ok(Some((kind[0], String::from_utf8_lossy(&text).into_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_and_the_end_is_told() {
        let (mut ours, theirs) = Line::pair().unwrap();
        let helper = std::thread::spawn(move || {
            super::super::serve(theirs, |request| match request.input.as_str() {
                "good.wasm" => Outcome::Compiled,
                other => Outcome::Refused(format!("{other} is too dear")),
            })
        });
        let request = |input: &str| Request { origin: Origin::Stranger, input: input.to_owned() };
        assert_eq!(ours.ask(&request("good.wasm")).unwrap(), Outcome::Compiled);
        let refused = Outcome::Refused("dear.wasm is too dear".to_owned());
        assert_eq!(ours.ask(&request("dear.wasm")).unwrap(), refused);
        drop(ours);
        helper.join().unwrap().unwrap();
    }

    #[test]
    fn a_path_is_not_taken_for_a_name() {
        for input in ["../shadow", "/etc/shadow", "", ".hidden", "a\0b", "a/b"] {
            let (mut ours, theirs) = Line::pair().unwrap();
            let helper =
                std::thread::spawn(move || super::super::serve(theirs, |_| Outcome::Compiled));
            let request = Request { origin: Origin::Own, input: input.to_owned() };
            assert!(ours.ask(&request).is_err(), "{input:?}");
            assert!(helper.join().unwrap().is_err(), "{input:?}");
        }
    }
}
