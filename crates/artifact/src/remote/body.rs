//! Bodies of responses: streamed into the cache, or read whole where they are small.
//!
//! Owns: their bounds. Never: holds an artifact in memory.

use reqwest::Response;
use tokio::io::AsyncWriteExt;

use super::failed;
use crate::FetchError;
use crate::error::disk;
use crate::intake::Intake;

/// Streams a body that has at most `limit` bytes; `what` it is, for errors.
pub(crate) async fn stream(
    mut response: Response,
    what: &str,
    limit: u64,
    intake: &mut Intake,
) -> Result<(), FetchError> {
    let too_large = || FetchError::TooLarge { what: what.to_owned(), limit };
    let host = response.url().host_str().unwrap_or_default().to_owned();
    let mut left = limit;
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    while let Some(piece) = response.chunk().await.map_err(|error| failed(&host, &error))? {
        left = left.checked_sub(piece.len() as u64).ok_or_else(too_large)?;
        intake.write_all(&piece).await.map_err(disk("cannot write to the artifact cache"))?;
    }
    intake.flush().await.map_err(disk("cannot write to the artifact cache"))
}

/// A small body, whole.
pub(crate) async fn read_whole(
    mut response: Response,
    what: &str,
    limit: usize,
) -> Result<Vec<u8>, FetchError> {
    let host = response.url().host_str().unwrap_or_default().to_owned();
    let mut whole = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failed(&host, &error))? {
        if whole.len() + piece.len() > limit {
            let reason = format!("{what} of {host} is larger than {limit} bytes");
            return Err(FetchError::Unavailable { reason });
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}
