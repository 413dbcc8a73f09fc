//! Writes its standard input, then its first argument (the subject), to standard output.
//!
//! Build it with `cargo build --release --target wasm32-wasip1`; the result runs on Nex as it is.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut payload = Vec::new();
    io::stdin().read_to_end(&mut payload)?;
    let subject = std::env::args().nth(1).unwrap_or_default();
    let mut out = io::stdout();
    out.write_all(&payload)?;
    out.write_all(subject.as_bytes())?;
    out.flush()
}
