//! One deploy of what the file has now.
//!
//! Owns: reading, uploading and placing it, and what is known of it although it failed. Never: shows anything.

use std::path::PathBuf;
use std::time::Duration;

use nex_client::Client;
use tokio::time::Instant;

use super::ours::ids_of;
use crate::commands::run::{Fulfilled, Prepared, RunArgs, Wish};
use crate::error::CliError;

/// What came of it.
#[derive(Debug)]
pub(super) struct Attempt {
    /// From the save to its end.
    pub(super) took: Duration,
    /// Those to watch; none when they could not be told.
    pub(super) files: Vec<PathBuf>,
    /// The name and the version that nodes were asked to start.
    pub(super) asked_for: Option<(String, String)>,
    /// The ids of what had the name before, when it is a new one to us.
    pub(super) before: Vec<String>,
    pub(super) result: Result<Fulfilled, CliError>,
}

/// Deploys; `known` are the names that were deployed before.
pub(super) async fn attempt(
    client: Client,
    state_dir: PathBuf,
    args: RunArgs,
    known: Vec<String>,
    saved: Instant,
) -> Attempt {
    let (files, asked_for, before) = (Vec::new(), None, Vec::new());
    let failed =
        |error| Attempt { took: saved.elapsed(), files, asked_for, before, result: Err(error) };
    let wish = match Wish::typed(args) {
        Ok(wish) => wish,
        Err(error) => return failed(error),
    };
    let attempt = Attempt { files: wish.files(), ..failed(CliError::other("not deployed")) };
    let prepared = async {
        let prepared = wish.upload(&client, &state_dir).await?;
        let name = &prepared.request.name;
        let before = match known.contains(name) {
            true => Vec::new(),
            false => ids_of(&client, name).await?,
        };
        Ok::<_, CliError>((prepared, before))
    };
    let (prepared, before): (Prepared, _) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => return Attempt { result: Err(error), ..attempt },
    };
    let name = &prepared.request.name;
    let asked_for = prepared.version().map(|version| (name.clone(), version.to_owned()));
    let until_placing = saved.elapsed();
    let result = wish.place(&client, prepared).await;
    let took = match &result {
        Ok(done) => until_placing + done.elapsed(),
        Err(_) => saved.elapsed(),
    };
    Attempt { took, asked_for, before, result, ..attempt }
}
