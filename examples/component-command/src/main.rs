//! A command component (`wasi:cli/run`): writes standard input, then the subject and its further arguments.
//! An argument `exit` ends it with that code; `GREETING` of the environment goes to standard error.

use std::io::{Read as _, Write as _};

fn main() -> std::io::Result<()> {
    let mut payload = Vec::new();
    std::io::stdin().read_to_end(&mut payload)?;
    if payload == b"exit" {
        std::process::exit(3);
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&payload)?;
    for argument in std::env::args().skip(1) {
        stdout.write_all(argument.as_bytes())?;
    }
    if let Ok(greeting) = std::env::var("GREETING") {
        eprintln!("{greeting}");
    }
    Ok(())
}
