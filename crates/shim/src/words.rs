//! The words on a shim's socket: one line each, a word and its values, separated by spaces.
//!
//! Owns: reading and writing them. Never: changes the meaning of a word: a new meaning is a new word, and
//! one that is not known is passed over, so that versions can differ.
//!
//! Several nexlets may be connected for a moment; each is told everything, and each may ask.

use std::fmt;
use std::str::FromStr;

/// Version of the words here.
pub const VERSION: u32 = 1;
/// A nexlet speaks the last three.
pub const OLDEST_VERSION: u32 = 1;

/// What a nexlet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToShim {
    /// First of all: the version that it speaks. Answered by [`FromShim::Hello`].
    Hello(u32),
    /// Send this signal to the program (the box's first process passes it on).
    Signal(i32),
    /// End everything in the box, now.
    Kill,
    /// Everything up to this offset of the spool was published; it need not be kept.
    Taken(u64),
    /// How much is used? Answered by [`FromShim::Usage`].
    Usage,
}

/// What a shim says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromShim {
    /// The version that both speak, how far the spool was taken, and where it ends now.
    Hello {
        /// The smaller of the two versions.
        version: u32,
        /// Offset.
        taken: u64,
        /// Offset.
        end: u64,
    },
    /// The spool ends here now. Said at most every few milliseconds.
    Grown(u64),
    /// What is used; 0 where nobody counts.
    Usage {
        /// Bytes of memory.
        memory: u64,
        /// Microseconds of processor since the start.
        cpu: u64,
        /// Processes and threads.
        pids: u64,
    },
    /// The program ended; `end.json` is there, and the shim goes.
    Ended,
}

/// A line that is no word of these, or has values that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordsError(pub String);

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a word of a shim: {}", self.0)
    }
}

impl std::error::Error for WordsError {}

impl fmt::Display for ToShim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(version) => write!(f, "hello {version}"),
            Self::Signal(number) => write!(f, "signal {number}"),
            Self::Kill => f.write_str("kill"),
            Self::Taken(offset) => write!(f, "taken {offset}"),
            Self::Usage => f.write_str("usage"),
        }
    }
}

impl fmt::Display for FromShim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello { version, taken, end } => write!(f, "hello {version} {taken} {end}"),
            Self::Grown(end) => write!(f, "grown {end}"),
            Self::Usage { memory, cpu, pids } => write!(f, "usage {memory} {cpu} {pids}"),
            Self::Ended => f.write_str("ended"),
        }
    }
}

impl FromStr for ToShim {
    type Err = WordsError;

    fn from_str(line: &str) -> Result<Self, WordsError> {
        let mut values = Values::of(line);
        let read = match values.word {
            "hello" => values.next().map(Self::Hello),
            "signal" => values.next().map(Self::Signal),
            "kill" => Some(Self::Kill),
            "taken" => values.next().map(Self::Taken),
            "usage" => Some(Self::Usage),
            _ => None,
        };
        read.ok_or_else(|| unknown(line))
    }
}

impl FromStr for FromShim {
    type Err = WordsError;

    fn from_str(line: &str) -> Result<Self, WordsError> {
        let mut values = Values::of(line);
        let read = match values.word {
            "hello" => values.hello(),
            "grown" => values.next().map(Self::Grown),
            "usage" => values.usage(),
            "ended" => Some(Self::Ended),
            _ => None,
        };
        read.ok_or_else(|| unknown(line))
    }
}

struct Values<'a> {
    word: &'a str,
    rest: std::str::Split<'a, char>,
}

impl<'a> Values<'a> {
    fn of(line: &'a str) -> Self {
        let mut rest = line.split(' ');
        Self { word: rest.next().unwrap_or_default(), rest }
    }

    fn next<T: FromStr>(&mut self) -> Option<T> {
        self.rest.next()?.parse().ok()
    }

    fn hello(&mut self) -> Option<FromShim> {
        Some(FromShim::Hello { version: self.next()?, taken: self.next()?, end: self.next()? })
    }

    fn usage(&mut self) -> Option<FromShim> {
        Some(FromShim::Usage { memory: self.next()?, cpu: self.next()?, pids: self.next()? })
    }
}

fn unknown(line: &str) -> WordsError {
    WordsError(line.chars().take(80).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for word in
            [ToShim::Hello(1), ToShim::Signal(15), ToShim::Kill, ToShim::Taken(9), ToShim::Usage]
        {
            assert_eq!(word.to_string().parse(), Ok(word));
        }
        for word in [
            FromShim::Hello { version: 1, taken: 2, end: 3 },
            FromShim::Grown(7),
            FromShim::Usage { memory: 1, cpu: 2, pids: 3 },
            FromShim::Ended,
        ] {
            assert_eq!(word.to_string().parse(), Ok(word));
        }
        assert!("sing".parse::<ToShim>().is_err() && "taken x".parse::<ToShim>().is_err());
    }
}
