//! A job: counts the lines, words and bytes of an object in a NATS object store, prints them, and ends.
//!
//! ```sh
//! nats object add TEXTS
//! nats object put TEXTS poem.txt
//! nex run word-count --job -- TEXTS poem.txt
//! nex logs word-count
//! ```
//!
//! It reads the object piece by piece, however large it is. It is built like the echo service beside it. The
//! server must let it read the bucket.

use std::process::ExitCode;

use async_nats::jetstream;
use tokio::io::{AsyncRead, AsyncReadExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(counted) => {
            println!("{counted}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("word-count: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<String, async_nats::Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bucket), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: word-count BUCKET OBJECT".into());
    };
    let url = std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let client = async_nats::connect(url).await?;
    let store = jetstream::new(client).get_object_store(&bucket).await?;
    let Counts { lines, words, bytes } = count(store.get(&name).await?).await?;
    Ok(format!("{name}: {lines} lines, {words} words, {bytes} bytes"))
}

#[derive(Debug, Default)]
struct Counts {
    lines: usize,
    words: usize,
    bytes: usize,
}

async fn count(mut text: impl AsyncRead + Unpin) -> std::io::Result<Counts> {
    let (mut counts, mut is_in_word) = (Counts::default(), false);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let n = text.read(&mut piece).await?;
        if n == 0 {
            return Ok(counts);
        }
        counts.bytes += n;
        for byte in &piece[..n] {
            counts.lines += usize::from(*byte == b'\n');
            // A word counts where it begins; it may go on in the next piece.
            counts.words += usize::from(!is_in_word && !byte.is_ascii_whitespace());
            is_in_word = !byte.is_ascii_whitespace();
        }
    }
}
