//! Reads the payload from standard input and writes the reply to standard output; the subject is the
//! first argument. Standard error is the log.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut payload = String::new();
    io::stdin().read_to_string(&mut payload)?;
    let subject = std::env::args().nth(1).unwrap_or_default();
    eprintln!("{} bytes came on {subject}", payload.len());
    let who = if payload.is_empty() { "world" } else { &payload };
    write!(io::stdout(), "Hello, {who}!")
}
